"""One doctor at a time for a target, and who it is.

The lock is the kernel's (flock; byte lock on Windows): it ends with its holder, so none is ever stale. The children
of the holder share it: after a kill it is held until the installer, which runs on, has ended too, and nobody puts
files back under its hands. What `holder.json` beside it says is for people, and for file systems without such locks.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from paddlevl_doctor.fix import journal
from paddlevl_doctor.fix.snapshot import STATE_FOLDER
from paddlevl_doctor.messages import Message, message
from paddlevl_doctor.system.files import can_unlink_open_files, lock_file, unlock_file
from paddlevl_doctor.system.processes import inherited_by_children
from paddlevl_doctor.values.errors import DoctorError, UsageError

WAIT = 120.0
"""Seconds: as long as what a killed doctor left behind may need to end; then the user is told what it is."""
_PAUSE = 0.1
_SETTLE = 1.0
"""Seconds in which a doctor that has just taken the lock signs, or one that is leaving is gone."""


@dataclass(frozen=True)
class Holder:
    """Who holds a target. No names: what is said of it may end up in a public report."""

    pid: int
    born: float
    """When the process started: with its number that tells it from any other, also after a new start."""
    since: float
    command: str

    def is_alive(self) -> bool:
        """Say whether this very process still runs."""
        return abs(_born(self.pid) - self.born) < 1.0


def _born(pid: int) -> float:
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return 0.0


@contextlib.contextmanager
def locked(prefix: Path, wait: float = WAIT) -> Iterator[None]:
    """Hold the target for one doctor at a time; leaves no trace where nothing is remembered afterwards.

    Raises UsageError while another doctor holds it, or for longer than `wait` seconds something that a killed one
    left behind; DoctorError where the target cannot be written.
    """
    folder = prefix / STATE_FOLDER
    try:
        descriptor = _wait_for(folder, prefix, wait)
    except OSError as error:
        raise DoctorError(message("target-read-only", path=prefix, reason=error.strerror)) from error
    try:
        with contextlib.suppress(OSError):  # a full disk is told by what comes next
            _record_holder(folder)
        with inherited_by_children(descriptor):
            yield
    finally:
        _release(prefix, folder, descriptor)


def _wait_for(folder: Path, prefix: Path, wait: float) -> int:
    started = time.monotonic()
    while (descriptor := _try_lock(folder)) is None:
        holder, waited = _holder(folder), time.monotonic() - started
        if holder is not None and holder.is_alive():
            raise UsageError(_busy_message(prefix, holder))
        if waited > (_SETTLE if holder is None else wait):
            raise UsageError(message("target-busy", path=prefix, programs=_running_programs(prefix)))
        time.sleep(_PAUSE)
    return descriptor


def _busy_message(prefix: Path, holder: Holder) -> Message:
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(holder.since))
    return message("target-locked", path=prefix, pid=holder.pid, command=holder.command, since=since)


def _running_programs(prefix: Path) -> str:
    """Name the programs that were started for this target, as far as one may see them."""
    seen = [p for p in psutil.process_iter(["name", "cmdline"]) if p.pid != os.getpid()]
    names = [f"{p.info['name']} {p.pid}" for p in seen if str(prefix) in " ".join(p.info["cmdline"] or ())]
    return ", ".join(names) or "?"


# --- the lock file ----------------------------------------------------------------------------------------


def _try_lock(folder: Path) -> int | None:
    """Open and lock the file, which must still be the one of that name then; None while somebody holds it.

    Who removes the file holds it, so that a file that lost its name between opening and locking guards nothing.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        if folder.exists() and not folder.is_dir():
            raise
        return None  # removed between being found there and being looked at
    except FileNotFoundError:
        if not folder.parent.parent.is_dir():
            raise
        return None  # the target's folder was removed between being made and being entered
    path = folder / "lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except FileNotFoundError:  # its folder has just been removed
        return None
    try:
        if _lock(descriptor, folder) and _has_name(descriptor, path):
            return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _has_name(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _lock(descriptor: int, folder: Path) -> bool:
    """Lock an open file without waiting; where the file system has no locks, its last holder must have ended."""
    try:
        return lock_file(descriptor)
    except OSError:
        holder = _holder(folder)
        return holder is None or not holder.is_alive()


def _unlock(descriptor: int) -> None:
    """Unlock, also for children that are still there, and close."""
    unlock_file(descriptor)
    os.close(descriptor)


# --- who holds it -----------------------------------------------------------------------------------------


def _record_holder(folder: Path) -> None:
    verb = next((word for word in sys.argv[1:2] if re.fullmatch(r"[a-z]+", word)), "")
    holder = Holder(os.getpid(), _born(os.getpid()), time.time(), f"paddlevl-doctor {verb}".strip())
    new = folder / "holder.json.new"
    new.write_text(json.dumps(holder.__dict__), encoding="utf-8")
    new.replace(folder / "holder.json")


def _holder(folder: Path) -> Holder | None:
    try:
        return Holder(**json.loads((folder / "holder.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _release(prefix: Path, folder: Path, descriptor: int) -> None:
    """Remove what is not needed any more, while the lock is still held: the next one makes a file of its own.

    Windows removes no open file, so there it is let go first; whoever has opened it since keeps it from going.
    """
    (folder / "holder.json").unlink(missing_ok=True)
    if can_unlink_open_files():
        _clear(prefix, folder)
        _unlock(descriptor)
        return
    _unlock(descriptor)
    with contextlib.suppress(OSError):
        (folder / "lock").unlink()
        _clear(prefix, folder)


def _clear(prefix: Path, folder: Path) -> None:
    if not journal.numbers(prefix):
        shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):  # something is in it, or the next one was faster
        prefix.rmdir()
