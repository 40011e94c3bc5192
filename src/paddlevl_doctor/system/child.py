"""Starts long-running child processes, such as a server, and ends them with all their descendants."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from paddlevl_doctor.system import processes
from paddlevl_doctor.system.processes import (
    hold_interrupts,
    kill_group,
    start_child,
    terminate_tree,
    uninterrupted,
)


class Child(Protocol):
    """A process that was started."""

    @property
    def pid(self) -> int:
        """The process id."""

    def wait(self, seconds: float) -> int | None:
        """Wait up to `seconds`; return the exit status (negative: a signal), or None if it still runs."""

    def stop(self) -> None:
        """End the process and its descendants: terminate, then kill."""


class RunningChild:
    """A real process in a separate session, so that Ctrl-C does not reach it."""

    def __init__(self, process: subprocess.Popen[bytes], grace: float) -> None:
        self._process, self._grace = process, grace

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def wait(self, seconds: float) -> int | None:
        """Wait up to `seconds`; return the exit status, or None if it still runs."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def stop(self) -> None:
        """End the process tree and the rest of its process group; interrupts are held back meanwhile."""
        with uninterrupted():
            terminate_tree(self.pid, self._grace)
            kill_group(self.pid)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(self._grace)


def start(argv: Sequence[str], env: Mapping[str, str], log: Path, grace: float = 10.0) -> RunningChild:
    """Start a process whose output goes to `log`. Raises OSError if it cannot be started.

    An interrupt during the start also ends the process, because the caller would not get it. `grace` is the number of
    seconds between terminating and killing it; vLLM frees its GPU memory within two or three.
    """
    release = hold_interrupts()
    try:
        # A link may lead to another file. A device such as /dev/null stays.
        if log.is_symlink() or log.is_file():
            log.unlink()
        with log.open("wb" if log.exists() else "xb") as output:
            process = start_child(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(env),
            )
    except BaseException:
        release()
        raise
    child = RunningChild(process, grace)
    try:
        release()
    except BaseException:
        child.stop()
        raise
    return child


def port_is_free(port: int) -> bool:
    """Return whether a server could listen on this port of 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if (
            not processes.WINDOWS
        ):  # as servers do: a port in TIME_WAIT is free. On Windows the option shares a port
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
