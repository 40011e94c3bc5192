"""Runs jobs that mostly wait for a child, a few at a time; an interrupt ends the children."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from paddlevl_doctor.system import terminate_tree

Answer = TypeVar("Answer")

_WAKE = 0.2
"""Seconds; on Windows a wait without a limit cannot be interrupted."""


def side_by_side(jobs: Mapping[str, Callable[[], Answer]], at_once: int) -> dict[str, Answer]:
    """Run the jobs in their order, `at_once` of them at a time, and return their answers in that order.

    What a job raises is raised here, after all have ended. An interrupt ends the children of this process first.
    """
    crew = _Crew(jobs, max(1, at_once))
    try:
        crew.wait()
    except BaseException:
        crew.stop()
        raise
    if crew.errors:
        raise crew.errors[0]
    return {key: crew.answers[key] for key in jobs}


class _Crew(Generic[Answer]):
    """Threads that take jobs until there are none."""

    def __init__(self, jobs: Mapping[str, Callable[[], Answer]], at_once: int) -> None:
        self.answers: dict[str, Answer] = {}
        self.errors: list[BaseException] = []
        self._jobs: queue.SimpleQueue[tuple[str, Callable[[], Answer]]] = queue.SimpleQueue()
        for job in jobs.items():
            self._jobs.put(job)
        count = min(at_once, len(jobs))
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _work(self) -> None:
        while True:
            try:
                key, job = self._jobs.get_nowait()
            except queue.Empty:
                return
            try:
                self.answers[key] = job()
            except BaseException as error:  # raised again by the caller's thread
                self.errors.append(error)

    def wait(self) -> None:
        while any(thread.is_alive() for thread in self._threads):
            for thread in self._threads:
                thread.join(_WAKE)

    def stop(self) -> None:
        """Start no further job, and end the children of those that run, so that their threads clean up."""
        while not self._jobs.empty():
            self._jobs.get()
        import psutil  # noqa: PLC0415 - only needed when something has to be ended

        for child in psutil.Process().children():
            terminate_tree(child.pid)
        for thread in self._threads:
            thread.join(_WAKE)
