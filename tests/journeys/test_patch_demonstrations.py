"""What further patches cure, on real installations: the symptom as published, and its absence when patched."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from doctor import Answer, doctor, fingerprint
from environments import environment, fresh_copy, python_in, variables
from paddlevl_doctor.facts.run_probes import PROBES, run_probe
from paddlevl_doctor.system.machine import RealSystem

SETS = [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in ("set-2025-11", "current-311")]
SCRIPTS = Path(__file__).with_name("patch_scripts")
CURES = {
    "queue-deadlock-on-error": "queue-threads-end",
    "linux-torch-import-breaks-paddlex": "modelscope-without-torch",
    "vision-attention-oom": "vision-attention-chunks",
    "native-bgr-swap": "image-channel-order",
}
ONLY = [word for failure in CURES for word in ("--only", failure)]
SIGLIP = "lib/python3.11/site-packages/paddlex/inference/models/doc_vlm/modeling/paddleocr_vl/_siglip.py"
BROKEN = "libtorch_cuda.so: undefined symbol: ncclCommWindowRegister"
STUCK = 4.0
"""Seconds after its last line after which a program that is known to wait for ever is ended."""


@dataclass(frozen=True)
class Pair:
    """One set of versions twice, as published and patched, and a folder with a torch that does not load."""

    published: Path
    patched: Path
    torch: Path
    former: Mapping[str, str]
    """What the patched one was before."""
    unasked: Answer
    """What `fix` planned there without being asked for a patch."""
    cure: Answer

    def start(
        self, venv: Path, script: str, *args: object, extra: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Start a script in one of the two."""
        argv = [python_in(venv), "-X", "utf8", SCRIPTS / script, *args]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [str(word) for word in argv],
            stdout=pipe,
            stderr=pipe,
            text=True,
            env={**variables(venv), **(extra or {})},
        )

    def broken_torch(self) -> dict[str, str]:
        """Return the variables that put the torch which does not load on the path."""
        return {"PYTHONPATH": str(self.torch)}


@pytest.fixture(scope="module", params=SETS)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A set of versions as published, and with the four patches, applied as a user applies them."""
    folder = tmp_path_factory.mktemp("patched")
    patched = fresh_copy(request.param, folder / ".venv")
    torch = folder / "broken" / "torch"
    torch.mkdir(parents=True)
    (torch / "__init__.py").write_text(f"raise OSError({BROKEN!r})\n", encoding="utf-8")
    former = fingerprint(patched)
    unasked = doctor("fix", "--format", "json", cwd=folder)
    applied = doctor("fix", "--apply", *ONLY, "--format", "json", cwd=folder)
    assert applied.code == 0, applied.stderr
    return Pair(environment(request.param), patched, torch.parent, former, unasked, applied)


def test_patches_come_by_the_names_of_their_failures_only(pair: Pair) -> None:
    unasked = pair.unasked.document["plan"]["steps"]
    assert {f"patch-{patch}" for patch in CURES.values()} & {step["id"] for step in unasked} == {
        "patch-queue-threads-end"  # every version needs it, so it comes by itself
    }
    outcome = [(done["step"], done["status"]) for done in pair.cure.document["outcome"]]
    assert outcome == [(f"patch-{patch}", "applied") for patch in sorted(CURES.values())]
    folder = pair.patched.parent
    assert doctor("fix", *ONLY, "--format", "json", cwd=folder).document["plan"]["steps"] == []


def ended(process: subprocess.Popen[str]) -> tuple[dict[str, Any], bool]:
    """Return what a script said last, and whether it then ended; one that did not is killed.

    One that says that no thread is left is given as long as a busy machine needs.
    """
    assert process.stdout is not None
    try:
        told = json.loads(next(line for line in process.stdout if line.startswith("{")))
        process.wait(STUCK if told["left"] else 120)
    except subprocess.TimeoutExpired:
        return told, False
    finally:
        process.kill()
        _, words = process.communicate()
    assert process.returncode == 0, words
    return told, True


def test_a_process_whose_reading_failed_ends_after_the_patch_and_never_before(pair: Pair) -> None:
    both = [pair.start(venv, "failing_stage.py", PROBES) for venv in (pair.published, pair.patched)]
    error = "Exception from the 'vlm' worker: the drill's own failure"
    assert [ended(process) for process in both] == [
        ({"pages": 2, "error": error, "left": ["_worker_cv", "_worker_input"]}, False),
        ({"pages": 2, "error": error, "left": []}, True),
    ]


def test_a_torch_that_does_not_load_stops_the_import_only_before_the_patch(pair: Pair) -> None:
    published, patched = (
        pair.start(venv, "modelscope_download.py", extra=pair.broken_torch())
        for venv in (pair.published, pair.patched)
    )
    _, words = published.communicate(timeout=300)
    assert (published.returncode, words.strip().rpartition("\n")[2]) == (1, f"OSError: {BROKEN}")
    told, words = patched.communicate(timeout=300)
    assert patched.returncode == 0, words
    assert json.loads(told.splitlines()[-1]) == {"files": ["model.bin"], "torch": f"OSError: {BROKEN}"}


def test_attention_in_blocks_gives_the_same_numbers_in_less_memory(pair: Pair) -> None:
    process = pair.start(pair.patched, "vision_attention.py", pair.published / SIGLIP, 512, 1024, 2048)
    told, words = process.communicate(timeout=300)
    assert process.returncode == 0, words
    rows = json.loads(told.splitlines()[-1])
    assert [(row["rows"], row["dtype"], row["masked"]) for row in rows] == [
        (512, "float32", False),
        (1024, "float32", False),
        (2048, "float32", False),
        (1100, "float32", True),
        (1100, "float64", False),
    ]
    for row in rows:
        assert row["largest"] > 0.1, row  # the numbers are not all zero
        assert row["difference"] <= (1e-5 if row["dtype"] == "float32" else 1e-12), row
    small, *_ = rows
    assert small["before"] == small["after"], "an image of one block is not touched"
    assert all(row["after"] < 0.7 * row["before"] for row in rows[1:])
    # Twice the rows: four times the memory before, no more than about twice as much after.
    assert rows[2]["before"] / rows[1]["before"] > 3.5
    assert rows[2]["after"] / rows[1]["after"] < 2.2


def test_red_is_red_after_the_patch_and_reading_needs_no_torch(pair: Pair) -> None:
    """As published it is blue, and threads stay: `test_both_sets_read_charts_never_seen_before`."""
    env = {**variables(pair.patched), **pair.broken_torch()}
    result = run_probe(RealSystem(), str(python_in(pair.patched)), "selftest", ("--seed", "11"), 300, env)
    read = result.data
    assert read is not None, result.detail
    assert (read["ok"], read["colour_order"], read["error"]) == (True, "rgb", None)
    assert read["queue_drill"] == {"blocked": [], "error": None}


def test_undo_restores_the_bytes(pair: Pair) -> None:
    """The last one: there is nothing to demonstrate afterwards."""
    assert doctor("undo", cwd=pair.patched.parent).code == 0
    assert fingerprint(pair.patched) == pair.former
