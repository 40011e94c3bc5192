"""Processes in groups of their own, and how groups and trees of them end. It imports little: the keeper needs it.

POSIX has sessions and signals for whole groups. Windows has neither, so that there a tree is what psutil finds by
parents; its process groups only keep Ctrl-C away (CreateProcess, CREATE_NEW_PROCESS_GROUP).
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

WINDOWS = sys.platform == "win32"
"""Which of the two ways is taken; a test of the other way sets it."""
_NEW_PROCESS_GROUP = 0x200
_INHERITED: list[int] = []


@dataclass
class _Hangups:
    """How often the main thread holds them back, and whether one waits."""

    held: int = 0
    waiting: bool = False


_HANGUPS = _Hangups()


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


def terminate_group(pid: int) -> None:
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
    """Hold interrupts back while a child is being started or ended, and return what lets them through again.

    One that lands inside Popen would leave a child behind that nobody knows and nobody ends. Ctrl-C is held on POSIX
    only; what `hangup_is_interrupt` turns into one everywhere, and not by a mask, which a child would inherit.
    """
    mine = threading.current_thread() is threading.main_thread()
    _HANGUPS.held += mine
    former = None if WINDOWS else signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})

    def release() -> None:
        _HANGUPS.held -= mine
        if former is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, former)
        if mine and _HANGUPS.waiting and not _HANGUPS.held:
            _HANGUPS.waiting = False
            raise KeyboardInterrupt

    return release


@contextlib.contextmanager
def hangup_is_interrupt() -> Iterator[None]:
    """Let SIGTERM and a closed terminal end the work as Ctrl-C does, instead of leaving children behind.

    The first one does; further ones (a terminal that closes may send several) are ignored, so that none cuts the end
    off. What is ignored already, as under nohup, stays so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def interrupt(number: int, _frame: FrameType | None) -> None:
        if came:
            return
        came.append(number)
        if not _HANGUPS.held:
            raise KeyboardInterrupt
        _HANGUPS.waiting = True

    former = {number: signal.getsignal(number) for number in _hangups()}
    for number in former:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _hangups() -> list[int]:
    """Return the signals that ask a process to end and that are not ignored."""
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]


@contextlib.contextmanager
def inherited_by_children(descriptor: int) -> Iterator[None]:
    """Let every child that is started meanwhile inherit an open file, and so the lock on it (not on Windows)."""
    if not WINDOWS:
        _INHERITED.append(descriptor)
    try:
        yield
    finally:
        if descriptor in _INHERITED:
            _INHERITED.remove(descriptor)


def inherited_files() -> tuple[int, ...]:
    """Return the open files that a child is to inherit."""
    return tuple(_INHERITED)
