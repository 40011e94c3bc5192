"""`check --deep` on real environments: what only a run or a look at every file can show."""

from __future__ import annotations

import contextlib
import signal
import time
from pathlib import Path

import psutil
import pytest

from doctor import Answer, doctor, start_doctor
from environments import environment, fresh_copy, python_in
from paddlevl_doctor.commands.diagnose import TargetOptions, examine
from paddlevl_doctor.commands.diagnose_deep import deep_findings
from paddlevl_doctor.facts import collect_deep
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.findings import Status
from waiting import until

BROKEN_TORCH = 'raise OSError("libtorch_cuda.so: undefined symbol: ncclCommRegister")\n'
UNPATCHED = {"use-doc-preprocessor": "warning"}
DEEP = (
    "import-stack",
    "self-test",
    "paddle-kernels",
    "torch-beside",
    "queue-deadlock-on-error",
    "half-installed-dist",
    "uv-cache-contamination",
    "altered-files",
)


def deep(python: Path, folder: Path) -> Answer:
    return doctor("check", "--deep", "--python", python, "--format", "json", cwd=folder)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return the site-packages folder of an environment that a test may break."""
    return next(fresh_copy("cured-current-311", tmp_path / "venv").glob("lib/*/site-packages"))


@pytest.mark.xdist_group("current-311")
def test_a_healthy_environment_passes_every_deep_look(tmp_path: Path) -> None:
    answer = deep(python_in(environment("cured-current-311")), tmp_path)
    assert (answer.code, answer.problems()) == (0, {})
    assert answer.statuses(*DEEP) == {
        **dict.fromkeys(DEEP, "ok"),
        "torch-beside": "skipped",
        "queue-deadlock-on-error": "note",
        "altered-files": "note",
    }


@pytest.mark.xdist_group("set-2025-11")
def test_two_causes_are_named_once_each_and_the_rest_waits_for_them(tmp_path: Path) -> None:
    answer = deep(python_in(environment("broken")), tmp_path)
    causes = {"safetensors-framework-paddle": "error", "numpy-2-4-scalar": "error"}
    assert (answer.code, answer.problems()) == (1, {**causes, **UNPATCHED})
    waiting = {f["id"]: f["blocked_by"] for f in answer.document["findings"] if f["status"] == "blocked"}
    assert waiting == dict.fromkeys(("self-test", "paddle-kernels"), "safetensors-framework-paddle")


def test_bfloat16_weights_on_a_cpu_are_named_before_and_after_they_fail(tmp_path: Path) -> None:
    python = python_in(environment("bfloat16-on-a-cpu"))
    found = {"dtype-mismatch-bf16": "error", **UNPATCHED}
    assert doctor("check", "--python", python, "--format", "json", cwd=tmp_path).problems() == found
    answer = deep(python, tmp_path)
    assert answer.problems() == found
    assert answer.statuses("self-test") == {"self-test": "blocked"}


def test_a_missing_file_an_edit_and_a_shared_edit_are_three_things(site: Path, tmp_path: Path) -> None:
    missing = site / "paddlex/inference/models/doc_vlm/processors/common.py"
    missing.unlink()
    private, shared = site / "paddleocr/_cli.py", site / "paddleocr/__init__.py"
    for path in (private, shared):
        copy = path.with_name("copy")
        copy.write_bytes(path.read_bytes() + b"\n# edited\n")
        copy.replace(path)
    (tmp_path / "another-environment").hardlink_to(shared)

    answer = deep(python_in(tmp_path / "venv"), tmp_path)
    found = {f["id"]: [e["value"] for e in f["evidence"]] for f in answer.document["findings"]}
    assert answer.problems()["half-installed-dist"] == "error"
    assert answer.problems()["uv-cache-contamination"] == "warning"
    assert found["half-installed-dist"] == [f"missing: {missing.relative_to(site).as_posix()}"]
    assert found["uv-cache-contamination"] == ["altered: paddleocr/__init__.py"]
    assert {"altered: paddleocr/__init__.py", "altered: paddleocr/_cli.py"} < set(found["altered-files"])
    altered = next(f for f in answer.document["findings"] if f["id"] == "altered-files")
    assert (altered["status"], altered["title"]) == (
        "note",
        "Modified files: 4, of these by patches of paddlevl-doctor: 0",
    )


def test_a_torch_that_does_not_load_is_named_once(site: Path, tmp_path: Path) -> None:
    folder = site / "torch"
    folder.mkdir()
    (folder / "__init__.py").write_text(BROKEN_TORCH)
    info = site / "torch-2.9.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.9.0\n")
    answer = deep(python_in(tmp_path / "venv"), tmp_path)
    problems = answer.problems()
    assert problems == {"linux-torch-import-breaks-paddlex": "error"}, problems
    assert answer.statuses("import-stack", "torch-beside") == {
        "import-stack": "blocked",
        "torch-beside": "blocked",
    }


def test_an_import_that_does_not_end_is_named_and_costs_the_limit_once(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four probes import torch: the self-test, because of modelscope, and those of both orders."""
    (site / "torch").mkdir()
    (site / "torch" / "__init__.py").write_text("import time\n\ntime.sleep(10**6)\n")
    (site / "torch-2.9.0.dist-info").mkdir()
    (site / "torch-2.9.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: torch\nVersion: 2.9.0\n"
    )
    monkeypatch.setattr(collect_deep, "PROBE_TIMEOUT", 45.0)
    monkeypatch.setattr(collect_deep, "_LEAST_TIMEOUT", 4.0)
    system = RealSystem()
    examination = examine(system, TargetOptions(python=str(python_in(tmp_path / "venv"))))
    started = time.monotonic()
    findings = {one.id: one for one in deep_findings(system, examination, lambda _: contextlib.nullcontext())}
    assert time.monotonic() - started < 3 * 45
    where = f"{site / 'torch' / '__init__.py'}, line 3"
    stack = findings["import-stack"]
    assert (stack.status, where in str(stack.title)) == (Status.ERROR, True), str(stack.title)
    assert str(stack.title).startswith("`import torch` fails: TimeoutError: it does not end within 4")
    assert (findings["torch-beside"].status, findings["self-test"].blocked_by) == (
        Status.WARNING,
        "import-stack",
    )


def probes_of(pid: int) -> list[psutil.Process]:
    """Return the probes that this process has started and that still run."""
    found = []
    for child in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it may end while it is looked at
            if "probes" in " ".join(child.cmdline()):
                found.append(child)
    return found


def test_ctrl_c_during_a_deep_look_ends_every_probe(tmp_path: Path) -> None:
    python = python_in(environment("current-311"))
    words = ("check", "--deep", "--python", python)
    process = start_doctor(*words, cwd=tmp_path, env={"TMPDIR": str(tmp_path)})
    probes: list[psutil.Process] = []

    def are_there() -> bool:
        probes[:] = probes_of(process.pid)
        return len(probes) >= 2

    until(are_there, every=0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in said) == (130, False)
    assert psutil.wait_procs(probes, timeout=5)[1] == []
    assert list(tmp_path.glob("paddlevl-doctor-probe-*")) == []
