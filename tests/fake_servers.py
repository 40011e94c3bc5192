"""Puts stand-ins for inference servers where `serve` looks for them; `openai_server` says how they behave."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from nvml_stub import build_stub
from openai_server import fake_program


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def fake_llama(folder: Path, how: str) -> dict[str, str]:
    """Put a `llama-server` that behaves in this way on the PATH; it needs no GPU, so every machine can run it."""
    fake_program(folder / "programs" / "llama-server")
    path = f"{folder / 'programs'}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "FAKE_SERVER": how, "FAKE_PIDS": str(folder / "pids")}


def fake_vllm(folder: Path, machine: str = "h200") -> dict[str, str]:
    """Make an environment with a `vllm` in it, on a machine with this GPU."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / ".venv-server"], check=True)
    fake_program(folder / ".venv-server" / "bin" / "vllm")
    return {**build_stub(folder / "nvml", machine), "FAKE_SERVER": "slow", "FAKE_PIDS": str(folder / "pids")}
