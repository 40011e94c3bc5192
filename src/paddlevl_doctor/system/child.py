"""A process that runs beside the doctor for as long as it is wanted, and that leaves nothing behind."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from paddlevl_doctor.system import processes
from paddlevl_doctor.system.processes import hold_interrupts, kill_group, own_group, terminate_tree


class Child(Protocol):
    """A process that was started and may still run."""

    @property
    def pid(self) -> int:
        """The number of the process."""

    def wait(self, seconds: float) -> int | None:
        """Wait for at most this long; return the exit status (negative: a signal), None while it runs."""

    def stop(self) -> None:
        """End it and everything that it started: ask first, then kill."""


class RunningChild:
    """A real process in a session of its own, so that Ctrl-C reaches the doctor and not it."""

    def __init__(self, process: subprocess.Popen[bytes], grace: float) -> None:
        self._process, self._grace = process, grace

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def wait(self, seconds: float) -> int | None:
        """Wait for at most this long; return the exit status, None while it runs."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def stop(self) -> None:
        """End the whole tree, and what is left of its process group; deaf to Ctrl-C meanwhile."""
        release = hold_interrupts()
        try:
            terminate_tree(self.pid, self._grace)
            kill_group(self.pid)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(self._grace)
        finally:
            release()


def start(argv: Sequence[str], env: Mapping[str, str], log: Path, grace: float = 10.0) -> RunningChild:
    """Start a process whose output goes to `log`; raises OSError where it cannot be started.

    An interrupt while it is being started ends it again: nobody would know it.
    `grace` seconds lie between asking it to end and killing it; vLLM frees its card within two or three.
    """
    release = hold_interrupts()
    try:
        with log.open("wb") as output:
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(env),
                **own_group(),
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
    """Say whether a server could listen on this port of 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if not processes.WINDOWS:  # as servers do: a port in TIME_WAIT is free; there it shares a port
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
