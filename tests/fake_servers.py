"""Puts stand-ins for inference servers where `serve` looks for them; `openai_server` says how they behave."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import sys
from pathlib import Path

from nvml_stub import build_stub
from openai_server import fake_program

_FIRST, _COUNT = 12_000, 20_000
"""Ports below those that a system gives to whoever asks for any: nobody gets one of them before it is used."""
_NEXT = itertools.count(os.getpid() * 101)
"""Processes of pytest that run side by side begin elsewhere."""


def free_port() -> int:
    """Return a port on which nobody listens, another one each time."""
    while True:
        port = _FIRST + next(_NEXT) % _COUNT
        if is_free(port):
            return port


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


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
