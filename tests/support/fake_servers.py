"""Puts stand-ins for inference servers where `serve` looks for them; `openai_server` says how they behave."""

from __future__ import annotations

import io
import itertools
import os
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nvml_stub import build_stub
from openai_server import fake_program
from wheels import wheel

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


@contextmanager
def listening(answer: bytes) -> Iterator[str]:
    """Something that is no such server: it sends the same to the first who comes. Gives its host and port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            door, _ = server.accept()
            with door:
                door.recv(10_000)
                door.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        thread.join()


def fake_llama(folder: Path, how: str) -> dict[str, str]:
    """Put a `llama-server` that behaves in this way on the PATH; it needs no GPU, so every machine can run it."""
    fake_program(folder / "programs" / "llama-server")
    path = f"{folder / 'programs'}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "FAKE_SERVER": how, "FAKE_PIDS": str(folder / "pids")}


def put(folder: Path, *packages: tuple[str, str]) -> None:
    """Install packages of these names and versions, and nothing in them, into an environment."""
    (site,) = (folder / "lib").glob("python*/site-packages")
    for name, version in packages:
        zipfile.ZipFile(io.BytesIO(wheel(name, version)[1])).extractall(site)


def fake_vllm(folder: Path, machine: str = "h200", version: str = "0.11.1") -> dict[str, str]:
    """Make an environment with a `vllm` in it, on a machine with this GPU; without it where there is no version."""
    venv = folder / ".venv-server"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    if version:
        fake_program(venv / "bin" / "vllm")
        put(venv, ("vllm", version))
    return {**build_stub(folder / "nvml", machine), "FAKE_SERVER": "slow", "FAKE_PIDS": str(folder / "pids")}
