"""What users really see: programs that fail in real environments, and `explain` reading their very output."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from doctor import doctor
from environments import environment, python_in, variables

TORCH = 'raise OSError("/opt/torch/lib/libtorch_cuda.so: undefined symbol: ncclCommRegister")\n'
NOBODY = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Symptom:
    """A program that fails, the environment it fails in, and what `explain` has to say: root cause, others."""

    env: str
    program: str
    names: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    torch: bool = False
    """Whether a torch that does not load is installed beside."""


OFFLINE = {
    "HTTPS_PROXY": NOBODY,
    "HTTP_PROXY": NOBODY,
    "https_proxy": NOBODY,
    "http_proxy": NOBODY,
    "NO_PROXY": "",
}
SYMPTOMS = {
    "a device called cuda": Symptom(
        "current-311",
        "from paddlex.utils.device import parse_device; parse_device('cuda:0')",
        ("device-string-cuda",),
    ),
    "no model host": Symptom(
        "current-311",
        "from paddleocr import PaddleOCRVL; PaddleOCRVL()",
        ("model-hoster-unreachable",),
        OFFLINE,
    ),
    "a torch that does not load": Symptom(
        "current-311", "import paddleocr", ("linux-torch-import-breaks-paddlex",), torch=True
    ),
    "the second attempt in a notebook": Symptom(
        "current-311",
        "try:\n    import paddleocr\nexcept BaseException:\n    pass\nimport paddlex",
        ("pdx-reinit-masks-cause",),
        torch=True,
    ),
    "weights for an old safetensors": Symptom(
        "broken",
        "import numpy, safetensors.numpy as s, safetensors\n"
        "s.save_file({'a': numpy.ones(2)}, 'x.safetensors')\n"
        "safetensors.safe_open('x.safetensors', framework='paddle')",
        ("safetensors-framework-paddle",),
    ),
    "a number of a tensor with numpy 2.4": Symptom(
        "numpy-2-4", "import paddle; int(paddle.to_tensor([6]))", ("numpy-2-4-scalar",)
    ),
}


def output_of(symptom: Symptom, folder: Path) -> str:
    (folder / "program.py").write_text(symptom.program)
    paths = install_torch(folder) if symptom.torch else ""
    venv = environment(symptom.env)
    own = {"PYTHONPATH": paths, "PADDLE_PDX_CACHE_HOME": str(folder / "cache"), **symptom.variables}
    argv = [str(python_in(venv)), "program.py"]
    done = subprocess.run(
        argv,
        cwd=folder,
        env={**variables(venv), **own},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode != 0, "the program has to fail"
    return done.stdout + done.stderr


def install_torch(folder: Path) -> str:
    """Lay out a torch of which importlib.metadata thinks that it is installed, and return where."""
    for name, file, text in (
        ("torch", "__init__.py", TORCH),
        ("torch-2.9.0.dist-info", "METADATA", "Metadata-Version: 2.1\nName: torch\nVersion: 2.9.0\n"),
    ):
        (folder / "site" / name).mkdir(parents=True)
        (folder / "site" / name / file).write_text(text)
    return str(folder / "site")


def explained(words: str, folder: Path) -> list[dict[str, Any]]:
    (folder / "log.txt").write_text(words, encoding="utf-8")
    document = doctor("explain", "log.txt", "--format", "json", cwd=folder).document
    return [match for match in document["matches"] if match["id"] != "noise-that-is-not-an-error"]


@pytest.mark.parametrize("name", SYMPTOMS)
def test_the_words_of_a_real_failure_name_it(name: str, tmp_path: Path) -> None:
    symptom = SYMPTOMS[name]
    matches = explained(output_of(symptom, tmp_path), tmp_path)
    assert tuple(match["id"] for match in matches) == symptom.names
    assert matches[0]["root_cause"]
