"""Runs jobs that mostly wait for a child, a few at a time; an interrupt ends the children."""

from __future__ import annotations

import contextlib
import math
import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from paddlevl_doctor.system_processes import hold_interrupts, terminate_tree

Answer = TypeVar("Answer")

_WAKE = 0.2
"""Seconds; on Windows a wait without a limit cannot be interrupted."""
_PATIENCE = 20.0
"""Seconds that an interrupt waits for the children's end; ending one that is deaf takes six."""


def side_by_side(jobs: Mapping[str, Callable[[], Answer]], at_once: int) -> dict[str, Answer]:
    """Run the jobs in their order, `at_once` of them at a time, and return their answers in that order.

    What a job raises is raised here, after all have ended. An interrupt ends the children of this process first.
    """
    crew = _Crew(jobs, max(1, at_once))
    try:
        crew.start()
        crew.wait()
    except BaseException:
        crew.stop()
        raise
    if crew.errors:
        raise crew.errors[0]
    return {key: crew.answers[key] for key in jobs}


class _Crew(Generic[Answer]):
    """Threads that take jobs until there are none; each leaves a mark in `_ended` when it does.

    An interrupted `Thread.join` takes a living thread for a dead one (Python 3.11), so nobody joins here.
    """

    def __init__(self, jobs: Mapping[str, Callable[[], Answer]], at_once: int) -> None:
        self.answers: dict[str, Answer] = {}
        self.errors: list[BaseException] = []
        self._jobs: queue.SimpleQueue[tuple[str, Callable[[], Answer]]] = queue.SimpleQueue()
        for job in jobs.items():
            self._jobs.put(job)
        self._ended: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._running = 0
        self._wanted = min(at_once, len(jobs))

    def start(self) -> None:
        for _ in range(self._wanted):
            self._running += 1
            threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        try:
            while True:
                key, job = self._jobs.get_nowait()
                try:
                    self.answers[key] = job()
                except BaseException as error:  # raised again by the caller's thread
                    self.errors.append(error)
        except queue.Empty:
            self._ended.put(None)

    def wait(self, seconds: float = math.inf) -> bool:
        """Wait for all threads, and say whether they have ended."""
        deadline = time.monotonic() + seconds
        while self._running and time.monotonic() < deadline:
            with contextlib.suppress(queue.Empty):
                self._ended.get(timeout=_WAKE)
                self._running -= 1
        return not self._running

    def stop(self) -> None:
        """Start no further job and end the children of those that run, until every thread has cleaned up.

        A thread may just have been about to start its child, so the children are looked for again and again.
        """
        with contextlib.suppress(queue.Empty):
            while True:
                self._jobs.get_nowait()
        release = hold_interrupts()
        try:
            self._end_children()
        finally:
            release()

    def _end_children(self) -> None:
        import psutil  # noqa: PLC0415 - only needed when something has to be ended

        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            for child in psutil.Process().children():
                terminate_tree(child.pid)
            if self.wait(_WAKE):
                return
