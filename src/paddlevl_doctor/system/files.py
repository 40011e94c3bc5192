"""What the systems do differently with files: locks, links to folders, and syncing a folder.

Windows makes a link to a folder without special rights only as a junction. os.path.isjunction exists from Python
3.12 on, so that one is known by the reparse tag that lstat gives (winnt.h, IO_REPARSE_TAG_MOUNT_POINT).
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from pathlib import Path
from typing import Any

WINDOWS = sys.platform == "win32"
"""Which of the two ways is taken; a test of the other way sets it."""
_MOUNT_POINT = 0xA0000003
_LOCK_NOW, _UNLOCK = 2, 0
"""LK_NBLCK and LK_UNLCK of sys/locking.h."""


def _of_windows(name: str) -> Any:
    """Import a module that only Windows has."""
    return importlib.import_module(name)


# --- links to folders -------------------------------------------------------------------------------------


def is_junction(path: Path) -> bool:
    """Say whether this is a junction: a folder of Windows that stands for another."""
    if not WINDOWS:  # a snapshot asks for every file of an environment
        return False
    try:
        return getattr(os.lstat(path), "st_reparse_tag", 0) == _MOUNT_POINT
    except (OSError, ValueError):
        return False


def link_target(path: Path) -> str | None:
    r"""Return what a symbolic link or a junction points to, None for anything else.

    os.readlink gives a junction's target as \\?\C:\folder or \\?\UNC\server\share: the prefix is no part of it.
    """
    try:
        target = os.readlink(path)
    except (OSError, ValueError):
        return None
    if target.startswith("\\\\?\\UNC\\"):
        return "\\\\" + target[8:]
    return target.removeprefix("\\\\?\\")


def make_link(path: Path, wanted: Path) -> None:
    """Create a folder link at `path`; a dangling link that is there is replaced, a real file or folder is not.

    Inside one folder tree a symbolic link is relative, so that the tree can be moved; a junction never is.
    Raises FileExistsError where something else is in the way.
    """
    if not path.exists():
        remove_link(path)
    if WINDOWS:
        _make_junction(path, wanted)
        return
    inside = wanted.is_relative_to(path.parent)
    path.symlink_to(wanted.relative_to(path.parent) if inside else wanted, target_is_directory=True)


def restore_link(path: Path, target: str) -> None:
    """Create a link that was there before, with the very text that `link_target` gave."""
    if WINDOWS:
        _make_junction(path, path.parent / target)
    else:
        path.symlink_to(target, target_is_directory=True)


def _make_junction(path: Path, target: Path) -> None:
    _of_windows("_winapi").CreateJunction(str(target), str(path))


def remove_link(path: Path) -> None:
    """Remove a folder link and nothing of what it points to; anything else is left where it is."""
    if path.is_symlink():
        path.unlink()
    elif is_junction(path):
        path.rmdir()  # a junction is removed like an empty folder


def is_same_path(one: Path, other: Path) -> bool:
    """Compare two paths as texts, the way the system does: Windows does not tell upper from lower case."""
    return os.path.normcase(os.path.normpath(one)) == os.path.normcase(os.path.normpath(other))


# --- locks ------------------------------------------------------------------------------------------------


def lock_file(descriptor: int) -> bool:
    """Lock an open file without waiting: flock, or its first byte on Windows; False while somebody has it.

    Raises OSError on a file system without such locks.
    """
    if WINDOWS:
        return _lock_byte(descriptor)
    import fcntl  # noqa: PLC0415 - POSIX only

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock_byte(descriptor: int) -> bool:
    try:
        os.lseek(descriptor, 0, os.SEEK_SET)
        _of_windows("msvcrt").locking(descriptor, _LOCK_NOW, 1)
    except PermissionError:
        return False
    return True


def unlock_file(descriptor: int) -> None:
    """Unlock an open file, also for children that have inherited it."""
    if WINDOWS:
        with contextlib.suppress(OSError):
            os.lseek(descriptor, 0, os.SEEK_SET)
            _of_windows("msvcrt").locking(descriptor, _UNLOCK, 1)
        return
    import fcntl  # noqa: PLC0415 - POSIX only

    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def can_unlink_open_files() -> bool:
    """Say whether a file that somebody has open can lose its name; Windows refuses it to files of os.open."""
    return not WINDOWS


# --- durability -------------------------------------------------------------------------------------------


def sync_folder(folder: Path) -> None:
    """Sync a folder's entries to disk; Windows opens no folders as files and cannot."""
    if WINDOWS:
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
