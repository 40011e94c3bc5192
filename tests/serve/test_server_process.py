"""The server's environment while it is made: whoever ends the doctor then, nobody takes it for somebody else's."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from paddlevl_doctor.serve.process import MARK

# Prepares an environment from an index that takes questions and never answers.
PREPARES = """
import contextlib, sys
from pathlib import Path
from types import SimpleNamespace
from paddlevl_doctor.serve.process import prepare
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.system.processes import hangup_is_interrupt

folder, index = sys.argv[1:]
made = ("uv", "venv", "--no-project", "--no-python-downloads", "--python", sys.executable, folder)
filled = ("uv", "pip", "install", "--python", folder, "--default-index", index, "vllm")
side = SimpleNamespace(folder=folder, prepare=(made, filled), config=None)
with hangup_is_interrupt():
    prepare(RealSystem(), SimpleNamespace(server=side), lambda _: contextlib.nullcontext(), adopted=False)
"""


@contextlib.contextmanager
def preparing(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Give the process once it has made the environment and installs into it."""
    with socket.create_server(("127.0.0.1", 0)) as index:
        url = f"http://127.0.0.1:{index.getsockname()[1]}/simple"
        argv = [sys.executable, "-c", PREPARES, str(folder), url]
        env = {**os.environ, "UV_CACHE_DIR": str(folder.with_name("cache"))}
        with subprocess.Popen(argv, env=env, stderr=subprocess.DEVNULL) as process:
            index.accept()
            yield process
            process.kill()


def test_an_environment_that_was_being_made_is_gone_after_an_interrupt(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    with preparing(folder) as process:
        assert (folder / MARK).read_text(encoding="utf-8") == "incomplete\n"
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)

    assert not folder.exists()


def test_an_environment_that_was_being_made_is_known_as_the_doctors_after_a_kill(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    with preparing(folder) as process:
        process.kill()
        process.wait(timeout=60)

    assert (folder / MARK).read_text(encoding="utf-8") == "incomplete\n"
