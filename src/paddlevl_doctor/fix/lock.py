"""The lock of a target: only one doctor may change the target at a time.

It is a lock of the kernel (flock; a byte lock on Windows), which ends with its process, so it is never stale. Child
processes share it: after a kill it is held until the installer has ended, so no rollback starts while the installer
writes. `holder.json` beside it describes the holder in messages, and replaces the lock on file systems without locks.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from paddlevl_doctor.facts.state_folder import Holder, parse_holder, start_time
from paddlevl_doctor.facts.target import STATE_FOLDER
from paddlevl_doctor.fix import journal
from paddlevl_doctor.messages import message
from paddlevl_doctor.system.files import can_unlink_open_files, lock_file, unlock_file
from paddlevl_doctor.system.processes import inherited_by_children
from paddlevl_doctor.values.errors import DoctorError, UsageError

WAIT = 120.0
"""Seconds to wait for the child processes of a killed doctor; then an error names them."""
_PAUSE = 0.1
_SETTLE = 1.0
"""Seconds within which a new holder writes `holder.json`, or a former one releases the lock."""


@contextlib.contextmanager
def locked(prefix: Path, wait: float = WAIT) -> Iterator[None]:
    """Hold the lock of a target; afterwards remove the state folder if it has no transactions.

    Raises UsageError if another doctor holds it, or if child processes of a killed one hold it for more than `wait`
    seconds; DoctorError if the target cannot be written.
    """
    folder = prefix / STATE_FOLDER
    try:
        descriptor = _wait_for(folder, prefix, wait)
    except FileExistsError as error:
        raise DoctorError(message("state-is-file", path=prefix / STATE_FOLDER)) from error
    except OSError as error:
        raise DoctorError(message("target-read-only", path=prefix, reason=error.strerror)) from error
    try:
        with contextlib.suppress(OSError):  # the next write reports a full disk
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
            since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(holder.since))
            raise UsageError(
                message("target-locked", path=prefix, pid=holder.pid, command=holder.command, since=since)
            )
        if waited > (_SETTLE if holder is None else wait):
            raise UsageError(message("target-busy", path=prefix, programs=_running_programs(prefix)))
        time.sleep(_PAUSE)
    return descriptor


def _running_programs(prefix: Path) -> str:
    """Return the visible processes whose command line names this target."""
    seen = [p for p in psutil.process_iter(["name", "cmdline"]) if p.pid != os.getpid()]
    names = [f"{p.info['name']} {p.pid}" for p in seen if str(prefix) in " ".join(p.info["cmdline"] or ())]
    return ", ".join(names) or "?"


# --- the lock file ----------------------------------------------------------------------------------------


def _try_lock(folder: Path) -> int | None:
    """Open and lock the file and return its descriptor; None if another process holds it or has just removed it.

    The holder removes the file, so a lock on a file that has lost its name does not count.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        if folder.exists() and not folder.is_dir():
            raise
        return None  # another process has just removed it
    except FileNotFoundError:
        if not folder.parent.parent.is_dir():
            raise
        return None  # another process has just removed the folder of the target
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
    """Lock an open file without waiting; on a file system without locks, return whether the last holder has ended."""
    try:
        return lock_file(descriptor)
    except OSError:
        holder = _holder(folder)
        return holder is None or not holder.is_alive()


def _unlock(descriptor: int) -> None:
    """Unlock, for running child processes too, and close."""
    unlock_file(descriptor)
    os.close(descriptor)


# --- the holder -----------------------------------------------------------------------------------------


def _record_holder(folder: Path) -> None:
    verb = next((word for word in sys.argv[1:2] if re.fullmatch(r"[a-z]+", word)), "")
    holder = Holder(os.getpid(), start_time(os.getpid()), time.time(), f"paddlevl-doctor {verb}".strip())
    new = folder / "holder.json.new"
    new.write_text(json.dumps(holder.__dict__), encoding="utf-8")
    new.replace(folder / "holder.json")


def _holder(folder: Path) -> Holder | None:
    try:
        return parse_holder((folder / "holder.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _release(prefix: Path, folder: Path, descriptor: int) -> None:
    """Remove the lock file while the lock is held, then unlock: the next process creates a new file.

    Windows cannot remove an open file, so there the lock is released first; the file stays if a process opened it.
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
    for name in ("lock", "holder.json.new"):
        (folder / name).unlink(missing_ok=True)
    # A folder that is not empty stays: it has files of the user that an undo set aside, or is in use again.
    for empty in (journal.transactions_folder(prefix), folder, prefix):
        with contextlib.suppress(OSError):
            empty.rmdir()
