"""Process groups, process trees and interrupts. It imports little, because the warm worker daemon uses it.

POSIX has sessions and signals for whole groups. Windows has neither: there psutil finds a tree by parent ids, and
process groups only keep Ctrl-C away (CreateProcess, CREATE_NEW_PROCESS_GROUP).
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

WINDOWS = sys.platform == "win32"
"""Whether to use the functions of Windows; tests set it."""
_NEW_PROCESS_GROUP = 0x200
_INHERITED: list[int] = []
_IGNORED_SECONDS = 10.0
"""Seconds after an interrupt within which further signals are ignored, so that none breaks the clean-up."""


@dataclass
class _Interrupts:
    """State of the signals of `hangup_is_interrupt`: how many callers hold them back, and whether one is pending."""

    held: int = 0
    pending: bool = False
    children_ended: bool = False


_INTERRUPTS = _Interrupts()
_STARTS = threading.Lock()
"""Held while a child starts: the interrupted main thread then sees the child, or the start is refused."""
_START_SECONDS = 3.0


def module_command(module: str) -> tuple[str, ...]:
    """Return the command that runs a module of the doctor with its Python and ignores files in the working folder."""
    return (sys.executable, "-X", "utf8", os.fspath(Path(__file__).with_name("launch.py")), module)


def own_group() -> dict[str, Any]:
    """Return the arguments for Popen that keep the Ctrl-C of the terminal away from the child."""
    return {"creationflags": _NEW_PROCESS_GROUP} if WINDOWS else {"start_new_session": True}


def kill_group(pid: int) -> None:
    """Kill the process group of a child, including orphans, which are no longer in its process tree.

    Do nothing on Windows, which has no such signal: orphans cannot be found there.
    """
    if not WINDOWS:
        with contextlib.suppress(OSError):
            os.killpg(pid, signal.SIGKILL)


def terminate_group(pid: int) -> None:
    """Terminate the group that the calling process leads, except itself; on Windows end `pid` and its tree."""
    if WINDOWS:
        terminate_tree(pid)
    else:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.killpg(0, signal.SIGTERM)


def terminate_tree(pid: int, grace: float = 3.0) -> None:
    """End a process and all its descendants: terminate, then kill after `grace` seconds.

    On Windows, terminate already kills (TerminateProcess).
    """
    import psutil  # noqa: PLC0415 - needed only to end a process

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


def start_child(argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
    """Start a process in a separate group. Raises OSError if it cannot start, or after `end_children`."""
    with _STARTS:
        if _INTERRUPTS.children_ended:
            raise InterruptedError(errno.EINTR, os.strerror(errno.EINTR))
        return subprocess.Popen(list(argv), **options, **own_group())


def end_children() -> None:
    """End every child process, its descendants and the orphans in its group. From then on `start_child` refuses.

    A thread whose child ended would start the next one, and this process ends without it.
    """
    import psutil  # noqa: PLC0415 - as above

    with uninterrupted():
        _INTERRUPTS.children_ended = True
        if _STARTS.acquire(
            timeout=_START_SECONDS
        ):  # a program on a disk that does not answer may never start
            _STARTS.release()
        for child in psutil.Process().children():
            terminate_tree(child.pid)
            kill_group(child.pid)


def _quietly(action: Callable[[], object]) -> None:
    import psutil  # noqa: PLC0415 - as above

    with contextlib.suppress(psutil.Error):
        action()


def hold_interrupts() -> Callable[[], object]:
    """Hold interrupts back while a child is started or ended; return the function that releases them.

    An interrupt inside Popen would leave a running child that no variable refers to. Ctrl-C is held on POSIX only. The
    signals of `hangup_is_interrupt` are held on all systems, without a signal mask, which a child would inherit.
    """
    is_main = threading.current_thread() is threading.main_thread()
    _INTERRUPTS.held += is_main
    former = None if WINDOWS else signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})

    def release() -> None:
        _INTERRUPTS.held -= is_main
        if former is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, former)
        if is_main and _INTERRUPTS.pending and not _INTERRUPTS.held:
            _INTERRUPTS.pending = False
            raise KeyboardInterrupt

    return release


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Run the block to its end; an interrupt meanwhile raises KeyboardInterrupt afterwards, unless the block failed."""
    release = hold_interrupts()
    try:
        yield
    except BaseException:
        with contextlib.suppress(KeyboardInterrupt):
            release()
        raise
    release()


@contextlib.contextmanager
def hangup_is_interrupt() -> Iterator[None]:
    """Let SIGTERM and the closing of the terminal raise KeyboardInterrupt, as Ctrl-C does.

    Only the first signal does, and a later one if the process still runs after _IGNORED_SECONDS: a terminal may send
    several, and none may interrupt the clean-up. Signals that are ignored already, as under nohup, stay ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[float] = []

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if received and now - received[-1] < _IGNORED_SECONDS:
            return
        received.append(now)
        if not _INTERRUPTS.held:
            raise KeyboardInterrupt
        _INTERRUPTS.pending = True

    former = {number: signal.getsignal(number) for number in _interrupts()}
    for number in former:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def kept_handler(number: int) -> Iterator[None]:
    """Set the handler of a signal again after the block, which may set another one."""
    former = signal.getsignal(number)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(number, former)


def _interrupts() -> list[int]:
    """Return the signals that request the end of a process and are not ignored."""
    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]


@contextlib.contextmanager
def inherited_by_children(descriptor: int) -> Iterator[None]:
    """Let children that start meanwhile inherit an open file, and so the lock on it (not on Windows)."""
    if not WINDOWS:
        _INHERITED.append(descriptor)
    try:
        yield
    finally:
        if descriptor in _INHERITED:
            _INHERITED.remove(descriptor)


def inherited_files() -> tuple[int, ...]:
    """Return the descriptors of the open files that children inherit."""
    return tuple(_INHERITED)
