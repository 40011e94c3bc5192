"""A child process that is spoken to in JSON lines: one answers, crashes, hangs or prints garbage, and all is a value.

The child has a session of its own, so that Ctrl-C in the terminal does not reach it, and ends with its whole process
tree. Its stderr goes to a file, because a pipe that nobody empties would stop it.
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

from paddlevl_doctor.system.processes import kill_group, own_group

Event = dict[str, Any]
_TAIL = 4000
_DUMP_SECONDS = 2.0
_KILLED = -9
"""What `returncode` is after SIGKILL; Windows has no such thing, and its statuses are positive."""


class ChildEndedError(Exception):
    """The child is gone; `returncode` is negative for a signal, and `killed` where somebody else has killed it."""

    def __init__(self, returncode: int, *, killed: bool = False) -> None:
        super().__init__(f"the child ended with {returncode}")
        self.returncode, self.killed = returncode, killed


class LinesChild:
    """One child process. Not thread-safe: one thread speaks with one child."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        """Start it; raises OSError where there is no such program."""
        self.log = log
        with log.open("ab") as stderr:
            self.process = subprocess.Popen(
                list(argv),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=dict(env),
                encoding="utf-8",
                errors="replace",
                **own_group(),
            )
        self._elsewhere = 0
        """The process that really works, where this one only passes lines on to it."""
        self._events: queue.Queue[Event | None] = queue.Queue()
        self._requests: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        threading.Thread(target=self._speak, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout is not None  # noqa: S101 - it was asked for
        for line in self.process.stdout:
            with contextlib.suppress(ValueError):  # whatever a library prints is no event
                event = json.loads(line)
                if isinstance(event, dict) and "event" in event:
                    self._elsewhere = int(event.get("worker_pid") or self._elsewhere)
                    self._events.put(event)
        self._events.put(None)
        self._requests.put(None)

    def _speak(self) -> None:
        """Pass on what is asked for: a child that does not listen must not hold up whoever watches it."""
        assert self.process.stdin is not None  # noqa: S101 - it was asked for
        try:
            with self.process.stdin as stdin:
                while (line := self._requests.get()) is not None:
                    stdin.write(line)
                    stdin.flush()
        except (OSError, ValueError):
            self._events.put(None)

    def send(self, message: Mapping[str, Any]) -> None:
        """Ask for something, without waiting until it was heard; `next_event` raises where nobody is there any more."""
        self._requests.put(json.dumps(message) + "\n")

    def next_event(self, timeout: float) -> Event | None:
        """Return the next event, None where none came within `timeout` seconds; raises ChildEndedError."""
        try:
            event = self._events.get(timeout=timeout)
        except queue.Empty:
            return None
        if event is None:
            self._events.put(None)  # for whoever asks again
            raise self._ended()
        return event

    def _ended(self) -> ChildEndedError:
        """Return how it ended; one that has closed its output and lives on is ended."""
        try:
            returncode = self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.kill()
            return ChildEndedError(self.process.wait())
        return ChildEndedError(returncode, killed=returncode == _KILLED)

    def ask_for_stacks(self) -> str:
        """Return where all threads of the child are, as far as it can say; it has to have registered SIGUSR1."""
        if not hasattr(signal, "SIGUSR1"):
            return ""
        start = self.log.stat().st_size
        with contextlib.suppress(OSError):
            self.process.send_signal(signal.SIGUSR1)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(_DUMP_SECONDS)
        return self._log_from(start)

    def last_words(self) -> str:
        """Return the end of what the child wrote to stderr."""
        return self._log_from(max(0, self.log.stat().st_size - _TAIL))

    def _log_from(self, start: int) -> str:
        with self.log.open("rb") as file:
            file.seek(start)
            return file.read(_TAIL * 4).decode("utf-8", errors="replace")

    def processes(self) -> list[psutil.Process]:
        """Return the child and all that it has started, and who works for it."""
        return _trees(self.process.pid, self._elsewhere)

    def kill(self) -> None:
        """End the child and everything that it has started, and who works for it."""
        self._kill(self.processes())

    def _kill(self, doomed: Sequence[psutil.Process]) -> None:
        kill_group(self.process.pid)
        for process in doomed:
            with contextlib.suppress(psutil.Error):
                process.kill()
        self.process.kill()
        self.process.wait()

    def close(self, timeout: float = 5.0) -> None:
        """Let the child end by itself, and end it where it does not within `timeout` seconds.

        Who only worked for it is left alone: it waits for the next one.
        """
        self._requests.put(None)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout)
        self._kill(_trees(self.process.pid))


def _trees(*roots: int) -> list[psutil.Process]:
    """Return processes and all that they have started; 0 is none."""
    found: list[psutil.Process] = []
    for pid in filter(None, roots):
        with contextlib.suppress(psutil.Error):
            root = psutil.Process(pid)
            found += [root, *root.children(recursive=True)]
    return found
