"""Processes in groups of their own, and how groups and trees of them end. It imports little: the keeper needs it.

POSIX has sessions and signals for whole groups. Windows has neither, so that there a tree is what psutil finds by
parents; its process groups only keep Ctrl-C away (CreateProcess, CREATE_NEW_PROCESS_GROUP).
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

WINDOWS = sys.platform == "win32"
"""Which of the two ways is taken; a test of the other way sets it."""
_NEW_PROCESS_GROUP = 0x200
_INHERITED: list[int] = []


def own_group() -> dict[str, Any]:
    """Return what Popen needs to start a child that the terminal's Ctrl-C does not reach."""
    return {"creationflags": _NEW_PROCESS_GROUP} if WINDOWS else {"start_new_session": True}


def kill_group(pid: int) -> None:
    """Kill what is left of the group that a child led; one whose parent has died is in no tree, but still there.

    Windows has no such signal: what lost its parent there is not found again.
    """
    if not WINDOWS:
        with contextlib.suppress(OSError):
            os.killpg(pid, signal.SIGKILL)


def end_followers(pid: int) -> None:
    """Ask all that the leader of a group, who calls this, has started to end; on Windows end `pid` and its tree."""
    if WINDOWS:
        terminate_tree(pid)
    else:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.killpg(0, signal.SIGTERM)


def terminate_tree(pid: int, grace: float = 3.0) -> None:
    """End a process and all its descendants: ask first, then kill after `grace` seconds.

    Windows cannot ask: there both are TerminateProcess.
    """
    import psutil  # noqa: PLC0415 - only needed when something has to be ended

    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for process in family:
        _quietly(process.terminate)
    _, alive = psutil.wait_procs(family, timeout=grace)
    for process in alive:
        _quietly(process.kill)
    psutil.wait_procs(alive, timeout=grace)


def _quietly(action: Callable[[], object]) -> None:
    import psutil  # noqa: PLC0415 - as above

    with contextlib.suppress(psutil.Error):
        action()


def hold_interrupts() -> Callable[[], object]:
    """Hold Ctrl-C back while a child is being started, and return what lets it through again (not on Windows).

    An interrupt that lands inside Popen would leave a child behind that nobody knows and nobody ends.
    """
    if WINDOWS:
        return lambda: None
    former = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    return lambda: signal.pthread_sigmask(signal.SIG_SETMASK, former)


@contextlib.contextmanager
def passed_on(descriptor: int) -> Iterator[None]:
    """Let every child that is started meanwhile inherit an open file, and so the lock on it (not on Windows)."""
    if not WINDOWS:
        _INHERITED.append(descriptor)
    try:
        yield
    finally:
        if descriptor in _INHERITED:
            _INHERITED.remove(descriptor)


def inherited() -> tuple[int, ...]:
    """Return the open files that a child is to inherit."""
    return tuple(_INHERITED)
