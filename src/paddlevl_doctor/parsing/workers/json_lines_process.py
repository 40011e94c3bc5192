"""Runs a child process that exchanges requests and events as JSON lines, and that may crash, hang or print other text.

The child runs in its own session, so that Ctrl-C in the terminal does not reach it, and is ended with its whole process
tree. Its stderr goes to a file, because a full pipe would block it.
"""

from __future__ import annotations

import contextlib
import json
import queue
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from paddlevl_doctor.system.files import load_json
from paddlevl_doctor.system.processes import kill_group, start_child

Event = dict[str, Any]
_TAIL_BYTES = 4000
_DUMP_SECONDS = 2.0
_SIGKILL_CODE = -9
"""The return code after SIGKILL; it does not occur on Windows."""


class ChildEndedError(Exception):
    """The child has ended; `returncode` is negative for a signal, `killed` is whether another process killed it."""

    def __init__(self, returncode: int, *, killed: bool = False) -> None:
        super().__init__(f"the child ended with {returncode}")
        self.returncode, self.killed = returncode, killed


class JsonLinesProcess:
    """One child process. Not thread-safe: one thread uses one child."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        """Start the child; raises OSError if the program cannot be started."""
        self.log = log
        with log.open("ab") as stderr:
            self.process = start_child(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env={**env, "PYTHONIOENCODING": "utf-8"},  # the user's would decide over `-X utf8`
                encoding="utf-8",
                errors="replace",
            )
        self._worker_pid = 0
        """The process that does the work if the child only forwards lines to it, else 0."""
        self._events: queue.Queue[Event | None] = queue.Queue()
        self._requests: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read_events, daemon=True).start()
        threading.Thread(target=self._write_requests, daemon=True).start()

    def _read_events(self) -> None:
        assert self.process.stdout is not None  # noqa: S101 - Popen got PIPE
        for line in self.process.stdout:
            with contextlib.suppress(ValueError):  # a library may print other lines
                event = load_json(line)
                if isinstance(event, dict) and "event" in event:
                    self._worker_pid = int(event.get("worker_pid") or self._worker_pid)
                    self._events.put(event)
        self._events.put(None)
        self._requests.put(None)

    def _write_requests(self) -> None:
        """Write the requests in a separate thread, because a child that does not read them would block its user."""
        assert self.process.stdin is not None  # noqa: S101 - Popen got PIPE
        try:
            with self.process.stdin as stdin:
                while (line := self._requests.get()) is not None:
                    stdin.write(line)
                    stdin.flush()
        except (OSError, ValueError):
            self._events.put(None)

    def send(self, request: Mapping[str, Any]) -> None:
        """Send a request without waiting; if the child has ended, `next_event` raises the error."""
        self._requests.put(json.dumps(request) + "\n")

    def next_event(self, timeout: float) -> Event | None:
        """Return the next event, None if there is none within `timeout` seconds; raises ChildEndedError."""
        try:
            event = self._events.get(timeout=timeout)
        except queue.Empty:
            return None
        if event is None:
            self._events.put(None)  # for the next call
            raise self._end_error()
        return event

    def _end_error(self) -> ChildEndedError:
        """Return the error of an ended child; a child that closed its output but still runs is killed."""
        try:
            returncode = self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.kill()
            return ChildEndedError(self.process.wait())
        return ChildEndedError(returncode, killed=returncode == _SIGKILL_CODE)

    def dump_stacks(self) -> str:
        """Return the stacks of the child's threads, empty on Windows. The child must have registered SIGUSR1."""
        if not hasattr(signal, "SIGUSR1"):
            return ""
        start = self.log.stat().st_size
        with contextlib.suppress(OSError):
            self.process.send_signal(signal.SIGUSR1)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(_DUMP_SECONDS)
        return self._read_log(start)

    def stderr_tail(self) -> str:
        """Return the end of what the child wrote to stderr."""
        return self._read_log(max(0, self.log.stat().st_size - _TAIL_BYTES))

    def _read_log(self, start: int) -> str:
        with self.log.open("rb") as file:
            file.seek(start)
            return file.read(_TAIL_BYTES * 4).decode("utf-8", errors="replace")

    def processes(self) -> list[psutil.Process]:
        """Return the child, its worker process, and all their descendants."""
        return _process_trees(self.process.pid, self._worker_pid)

    def kill(self) -> None:
        """Kill the child, its worker process, and all their descendants."""
        self._kill_all(self.processes())

    def _kill_all(self, processes: Sequence[psutil.Process]) -> None:
        kill_group(self.process.pid)
        for process in processes:
            with contextlib.suppress(psutil.Error):
                process.kill()
        self.process.kill()
        self.process.wait()

    def close(self, timeout: float = 5.0) -> None:
        """Close the child's stdin, and kill the child if it does not end within `timeout` seconds.

        A separate worker process continues to run: it waits for the next client.
        """
        self._requests.put(None)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout)
        self._kill_all(_process_trees(self.process.pid))


def _process_trees(*roots: int) -> list[psutil.Process]:
    """Return processes and their descendants; a pid of 0 is skipped."""
    processes: list[psutil.Process] = []
    for pid in filter(None, roots):
        with contextlib.suppress(psutil.Error):
            root = psutil.Process(pid)
            processes += [root, *root.children(recursive=True)]
    return processes
