"""Real environments, broken in a known way: the symptom is real, `check` names it, `fix --apply` makes it go away."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from uv import find_uv_bin

from doctor import doctor
from environments import interpreter, lend_bytecode, python_in, variables
from paddlevl_doctor.knowledge.failures import load_failure

# One small program with an interpolation, exported and run the way PaddleX runs its static models.
ONEDNN = """
import os, sys, tempfile
import numpy, paddle
from paddle import inference, nn

class Model(nn.Layer):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2D(3, 8, 3, padding=1)

    def forward(self, x):
        return nn.functional.interpolate(self.conv(x), scale_factor=2, mode="nearest")

path = os.path.join(tempfile.mkdtemp(), "inference")
model = Model()
model.eval()
paddle.jit.save(model, path, input_spec=[paddle.static.InputSpec([None, 3, 32, 32], "float32")])
config = inference.Config(path + ".json", path + ".pdiparams")
config.disable_gpu()
config.enable_new_ir(True)
config.enable_new_executor()
config.enable_mkldnn()
image = paddle.to_tensor(numpy.zeros((1, 3, 32, 32), "float32"))
print("READ", inference.create_predictor(config).run([image])[0].shape)
"""


@dataclass(frozen=True)
class Failure:
    """What is installed (`alone`: without dependencies), and what then happens to whoever uses it."""

    packages: tuple[str, ...]
    program: str
    symptom: str
    problems: dict[str, str]
    alone: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    consent: tuple[str, ...] = ()
    like: str = "current-311"
    """A kept environment that shares most of its files."""


NOVEMBER = (
    "paddlepaddle==3.2.0", "paddleocr[doc-parser]==3.3.1", "paddlex==3.3.6", "numpy<2.4", "safetensors>=0.7",
)  # fmt: skip
STACK = ("paddlepaddle==3.2.2", "paddleocr[doc-parser]==3.7.0", "paddlex==3.7.2")
UNPATCHED = {"use-doc-preprocessor": "warning"}
FAILURES = {
    "onednn-pir-doubleattribute": Failure(
        packages=("paddlepaddle==3.3.1", *STACK[1:]),
        program=ONEDNN,
        symptom="ConvertPirAttribute2RuntimeAttribute not support",
        problems={"onednn-pir-doubleattribute": "warning", **UNPATCHED},
    ),
    "setuptools-missing": Failure(
        packages=STACK,
        removed=("setuptools",),
        program="import paddle; print('READ')",
        symptom="No module named 'setuptools'",
        problems={"setuptools-missing": "error", **UNPATCHED},
    ),
    "missing-doc-parser-extra": Failure(
        packages=("paddlepaddle==3.2.2", "paddleocr==3.7.0", "paddlex==3.7.2", "numpy<2.4"),
        program="from paddlex.utils.deps import require_extra\nrequire_extra('ocr', obj_name='VL')\nprint('READ')",
        symptom="requires additional dependencies",
        problems={"missing-doc-parser-extra": "error", **UNPATCHED},
    ),
    "paddle-too-old-fused-import": Failure(
        packages=(*STACK, "astor", "decorator"),  # what 3.0.0 asked for besides
        alone=("paddlepaddle==3.0.0",),
        program="from paddle.incubate.nn.functional import fused_rms_norm_ext; print('READ')",
        symptom="cannot import name 'fused_rms_norm_ext'",
        problems={"paddle-too-old-fused-import": "error", **UNPATCHED},
    ),
    "no-paddle-installed": Failure(
        packages=STACK[1:],
        program="import paddle; print('READ')",
        symptom="No module named 'paddle'",
        problems={"no-paddle-installed": "error", **UNPATCHED},
    ),
    "no-paddleocr-installed": Failure(
        packages=(STACK[0], "setuptools"),
        program="from paddleocr import PaddleOCRVL; print('READ')",
        symptom="No module named 'paddleocr'",
        problems={"no-paddleocr-installed": "error"},
    ),
    "langchain-docstore": Failure(
        packages=(*NOVEMBER, "langchain>=1"),
        program="import paddleocr; print('READ')",
        symptom="No module named 'langchain.docstore'",
        problems={"langchain-docstore": "error", **UNPATCHED},
        consent=("--yes",),  # what came with langchain 1 goes back with it
        like="set-2025-11",
    ),
    "aistudio-sdk-conflict": Failure(
        packages=STACK,
        alone=("aistudio-sdk==0.2.6",),
        program="import paddleocr; print('READ')",
        symptom="No module named 'aistudio_sdk.errors'",
        problems={"aistudio-sdk-conflict": "error", **UNPATCHED},
    ),
    "paddleocr-too-old-for-vl": Failure(
        packages=STACK,
        alone=("paddleocr==3.2.0", "paddlex==3.2.1"),
        program="from paddleocr import PaddleOCRVL; print('READ')",
        symptom="cannot import name 'PaddleOCRVL'",
        problems={"paddleocr-too-old-for-vl": "error"},
    ),
}


def build(failure: Failure, venv: Path) -> None:
    uv = find_uv_bin()
    subprocess.run([uv, "venv", "-q", "--python", str(interpreter("3.11")), str(venv)], check=True)
    install = [uv, "pip", "install", "-q", "--python", str(venv)]
    subprocess.run([*install, *failure.packages], check=True)
    if failure.alone:
        subprocess.run([*install, "--no-deps", *failure.alone], check=True)
    if failure.removed:
        subprocess.run([uv, "pip", "uninstall", "-q", "--python", str(venv), *failure.removed], check=True)
    lend_bytecode(failure.like, venv)


def use(venv: Path, program: str, folder: Path) -> str:
    """Run a user's program in the environment; return everything it says."""
    (folder / "program.py").write_text(program)
    env = {
        **variables(venv),
        "PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK": "True",
        "PADDLE_PDX_CACHE_HOME": str(folder / "cache"),
    }
    argv = [str(python_in(venv)), "program.py"]
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False)
    return done.stdout + done.stderr


def assert_explained(name: str, words: str, folder: Path) -> None:
    """The user's own output names the failure too, where it has words of its own."""
    if load_failure(name).signatures:
        (folder / "log.txt").write_text(words, encoding="utf-8")
        matches = doctor("explain", "log.txt", "--format", "json", cwd=folder).document["matches"]
        assert [match["id"] for match in matches if match["root_cause"]] == [name]


@pytest.mark.parametrize("name", FAILURES)
def test_a_real_failure_is_named_cured_and_gone(name: str, tmp_path: Path) -> None:
    failure, venv = FAILURES[name], tmp_path / ".venv"
    build(failure, venv)
    words = use(venv, failure.program, tmp_path)
    assert failure.symptom in words
    assert_explained(name, words, tmp_path)

    assert doctor("check", "--format", "json", cwd=tmp_path).problems() == failure.problems
    cure = doctor("fix", "--apply", *failure.consent, "--format", "json", cwd=tmp_path)
    assert cure.code == 0, cure.stderr
    assert doctor("check", "--format", "json", cwd=tmp_path).problems() == {}

    said = use(venv, failure.program, tmp_path)
    assert failure.symptom not in said
    assert "READ" in said
