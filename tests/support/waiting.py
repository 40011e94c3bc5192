"""Waits for what other processes do: as long as a busy machine needs, and never for ever."""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil


def until(is_so: Callable[[], object], seconds: float = 60, every: float = 0.02) -> None:
    """Return as soon as it is so; raises AssertionError where that is not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"not within {seconds} seconds"
        time.sleep(every)


def is_running(pid: int) -> bool:
    """Say whether a process still runs; one that has ended and that nobody has asked about does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
