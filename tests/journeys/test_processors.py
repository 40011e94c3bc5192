"""The real PaddlePaddle on processors that QEMU emulates."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from environments import environment, python_in

QEMU = shutil.which("qemu-x86_64") or shutil.which("qemu-x86_64-static")
ILLEGAL_INSTRUCTION = -4


@pytest.mark.skipif(QEMU is None, reason="QEMU for programs is not installed (.ci/run installs it as root)")
@pytest.mark.parametrize("processor", ["SandyBridge", "Haswell,-fma"])
def test_paddle_dies_on_a_processor_without_avx2(processor: str, tmp_path: Path) -> None:
    """Sandy Bridge has AVX. With a whole Haswell the import ends well, after a minute."""
    venv = environment("current-311")
    site = venv / "lib" / "python3.11" / "site-packages"
    argv = (QEMU, "-cpu", processor, str(python_in(venv).resolve()), "-c", "import paddle")
    env = {**os.environ, "PYTHONPATH": str(site), "PYTHONPYCACHEPREFIX": f"{venv}.pycache"}
    done = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)  # type: ignore[arg-type]
    assert done.returncode == ILLEGAL_INSTRUCTION, done.stderr
    assert "Illegal instruction" in done.stderr
