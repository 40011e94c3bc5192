"""What holds for every probe: old Pythons can read it, and what it writes is what PaddleX reads."""

# mypy: disable-error-code="no-untyped-call"
# (probes carry no annotations)

from __future__ import annotations

import ast
import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from environments import interpreter
from paddlevl_doctor.facts.run_probes import PROBES, run_probe
from paddlevl_doctor.knowledge.patches import load_patches, proof_of
from paddlevl_doctor.probes.selftest import checkpoint, safetensors_file, vocabulary
from paddlevl_doctor.system.machine import RealSystem
from waiting import is_running, until

FILES = sorted(PROBES.rglob("*.py"))
PROOFS = [proof_of(patch.id) for patch in load_patches()]


def test_python_3_8_understands_the_syntax() -> None:
    wrong = []
    for path in (*FILES, *PROOFS):
        try:
            ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))
        except SyntaxError as error:
            wrong.append((path, str(error)))
    assert (bool(FILES), bool(PROOFS), wrong) == (True, True, [])


@pytest.mark.parametrize("name", ["selftest", "imports", "doc_preprocessor", "kernels"])
def test_a_bare_python_3_8_answers_that_the_stack_is_missing(name: str) -> None:
    try:
        python = interpreter("3.8")
    except LookupError as error:
        pytest.skip(str(error))
    result = run_probe(RealSystem(), str(python), name, (), 60)
    assert result.status == "answered", result.detail
    assert result.data is not None
    assert result.data["error"]["root"].startswith("ModuleNotFoundError: No module named 'paddle")


def test_the_colour_checkpoint_is_the_same_bytes_every_time_and_small(tmp_path: Path) -> None:
    for name in ("one", "two"):
        checkpoint.write_colour(str(tmp_path / name))
    files = {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()}
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "two").iterdir()}
    assert sorted(files) == [
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "inference.yml",
        "model.safetensors",
        "preprocessor_config.json",
        "tokenizer.model",
        "tokenizer_config.json",
    ]
    assert 1_300_000 < sum(map(len, files.values())) < 1_500_000


def test_a_safetensors_file_holds_every_tensor_without_a_gap(tmp_path: Path) -> None:
    tensors = {"b": np.ones((2, 3), np.float32), "a": np.array([1.5], np.float32)}
    safetensors_file.write(str(tmp_path / "x"), tensors)
    data = (tmp_path / "x").read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    assert json.loads(data[8 : 8 + size]) == {
        "__metadata__": {"format": "pt"},
        "a": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]},
        "b": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [2, 14]},
    }
    assert data[8 + size :] == bytes.fromhex("c03f" + 6 * "803f")


@pytest.mark.parametrize(
    ("value", "bits"),
    [(1.0, 0x3F80), (1.00390625, 0x3F80), (1.01171875, 0x3F82), (1.0078125, 0x3F81), (-2.0, 0xC000)],
    ids=["exact", "tie rounds down to even", "tie rounds up to even", "next", "negative"],
)
def test_bfloat16_rounds_to_nearest_even(value: float, bits: int) -> None:
    assert safetensors_file.bfloat16(np.array([value], np.float32)) == struct.pack("<H", bits)


def test_every_answer_of_the_colour_model_is_a_token_of_its_own() -> None:
    pieces = [text for text, _, _ in vocabulary.pieces()]
    assert len(set(pieces)) == len(pieces)
    assert vocabulary.token_ids()["</s>"] == vocabulary.EOS
    assert {"TL:red", "\u2581BR:white", "<fcel>TR=cyan<nl>", "\u2581[Table]"} <= set(pieces)


HANGING = """
import sys, threading
sys.path.insert(0, sys.argv[1])
from _answer import answer
def hang(document, folder):
    print(folder, file=sys.stderr, flush=True)
    threading.Thread(target=threading.Event().wait).start()
    threading.Event().wait()
answer({}, hang)
"""
ASKER = """
import os, signal, subprocess, sys
null = subprocess.DEVNULL
probe = subprocess.Popen([sys.executable, *sys.argv[1:]], stdin=null, stdout=null, stderr=subprocess.PIPE, text=True)
print(probe.pid, probe.stderr.readline(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_probe_that_hangs_ends_with_whoever_asked_and_leaves_no_folder() -> None:
    argv = [sys.executable, "-c", ASKER, "-c", HANGING, str(PROBES)]
    said = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False, timeout=60).stdout.split()
    pid, folder = int(said[0]), Path(said[1])

    until(lambda: not is_running(pid))
    assert not folder.exists()
