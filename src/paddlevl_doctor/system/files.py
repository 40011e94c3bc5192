"""File operations that differ between POSIX and Windows: locks, links to folders, files, and syncing a folder.

Without special rights, Windows creates links to folders only as junctions. os.path.isjunction needs Python 3.12, so a
junction is recognized by the reparse tag of lstat (winnt.h, IO_REPARSE_TAG_MOUNT_POINT).
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import io
import json
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

if sys.platform != "win32":
    import fcntl

WINDOWS = sys.platform == "win32"
"""Whether to use the functions of Windows; tests set it."""
_MOUNT_POINT = 0xA0000003
_LOCK_NOW, _UNLOCK = 2, 0
"""LK_NBLCK and LK_UNLCK of sys/locking.h."""


def _windows_module(name: str) -> Any:
    """Import a module that exists only on Windows."""
    return importlib.import_module(name)


# --- files ----------------------------------------------------------------------------------------------


def open_file(path: Path, *, pipes: bool = False) -> BinaryIO:
    """Open a file for reading; raises OSError, also for a device, a socket or a pipe, which could block for ever.

    With `pipes`, a pipe may be read: it is at its end if no process has opened it for writing.
    """
    file = open(path, "rb", opener=_open_at_once)  # noqa: SIM115 - pathlib has no opener; the caller closes it
    mode = os.fstat(file.fileno()).st_mode
    if stat.S_ISREG(mode) or (pipes and (stat.S_ISFIFO(mode) or stat.S_ISCHR(mode))):
        if hasattr(os, "set_blocking") and not WINDOWS:
            os.set_blocking(file.fileno(), True)
        return file
    file.close()
    raise OSError(errno.EINVAL, "it is a pipe, a device or a socket", os.fspath(path))


def read_text(path: Path, encoding: str = "utf-8") -> str:
    """Return the text of a file with LF as line ends; raises like `open_file`, and UnicodeDecodeError."""
    with io.TextIOWrapper(open_file(path), encoding=encoding) as file:
        return file.read()


def load_json(data: str | bytes) -> Any:
    """Return a JSON value that another program wrote; raises ValueError, also if it is nested too deeply."""
    try:
        return json.loads(data)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def json_bytes(text: str) -> bytes:
    """Return JSON text as UTF-8. A surrogate, from a file name that is no UTF-8, becomes its escape in JSON."""
    return text.encode("utf-8", "backslashreplace")


@contextlib.contextmanager
def new_file(path: Path, part: Path | None = None) -> Iterator[BinaryIO]:
    """Give a file that replaces `path` at the end of the block; after an error `path` stays as it was.

    It is written as `part` in the same folder, a hidden file by default. A link in the place of either is not followed.
    A device, such as /dev/null or /dev/stdout, and a pipe that is read are written to and never replaced.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        with open(path, "wb", opener=_open_at_once) as device:
            os.set_blocking(device.fileno(), True)
            yield device
        return
    part = part or path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    try:
        with part.open("xb") as file:
            yield file
        part.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


# --- links to folders -------------------------------------------------------------------------------------


def is_junction(path: Path) -> bool:
    """Return whether a path is a junction, the folder link of Windows."""
    if not WINDOWS:  # saves time: a snapshot calls this for every file of an environment
        return False
    try:
        return getattr(os.lstat(path), "st_reparse_tag", 0) == _MOUNT_POINT
    except (OSError, ValueError):
        return False


def link_target(path: Path) -> str | None:
    r"""Return the target of a symbolic link or a junction, or None for any other path.

    os.readlink returns the target of a junction as \\?\C:\folder or \\?\UNC\server\share; the prefix is removed.
    """
    try:
        target = os.readlink(path)
    except (OSError, ValueError):
        return None
    if target.startswith("\\\\?\\UNC\\"):
        return "\\\\" + target[8:]
    return target.removeprefix("\\\\?\\")


def make_link(path: Path, wanted: Path) -> None:
    """Create a link to the folder `wanted` at `path`; replace a dangling link.

    A symbolic link to a folder below the same parent is relative, so that the parent can be moved; junctions are
    absolute. Raises FileExistsError if `path` is anything else.
    """
    if not path.exists():
        remove_link(path)
    restore_link(path, link_text(path, wanted))


def link_text(path: Path, wanted: Path) -> str:
    """Return the text of the link that `make_link` creates."""
    inside = not WINDOWS and wanted.is_relative_to(path.parent)
    return str(wanted.relative_to(path.parent) if inside else wanted)


def restore_link(path: Path, target: str) -> None:
    """Create a link again with the text that `link_target` returned for it."""
    if WINDOWS:
        _windows_module("_winapi").CreateJunction(str(path.parent / target), str(path))
    else:
        path.symlink_to(target, target_is_directory=True)


def remove_link(path: Path) -> None:
    """Remove a folder link but not its target; leave any other path unchanged."""
    if path.is_symlink():
        path.unlink()
    elif is_junction(path):
        path.rmdir()  # a junction is removed like an empty folder


def is_same_path(one: Path, other: Path) -> bool:
    """Compare two paths as texts by the rules of the system; Windows ignores case."""
    return os.path.normcase(os.path.normpath(one)) == os.path.normcase(os.path.normpath(other))


# --- locks ------------------------------------------------------------------------------------------------


def lock_file(descriptor: int) -> bool:
    """Lock an open file without waiting: with flock, or its first byte on Windows.

    Return False if another process holds the lock. Raises OSError on a file system without such locks.
    """
    if WINDOWS:
        try:
            os.lseek(descriptor, 0, os.SEEK_SET)
            _windows_module("msvcrt").locking(descriptor, _LOCK_NOW, 1)
        except PermissionError:
            return False
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def unlock_file(descriptor: int) -> None:
    """Unlock an open file, also for child processes that inherited it."""
    if WINDOWS:
        with contextlib.suppress(OSError):
            os.lseek(descriptor, 0, os.SEEK_SET)
            _windows_module("msvcrt").locking(descriptor, _UNLOCK, 1)
        return
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def can_unlink_open_files() -> bool:
    """Return whether an open file can be unlinked; on Windows a file of os.open cannot."""
    return not WINDOWS


# --- durability -------------------------------------------------------------------------------------------


def sync_folder(folder: Path) -> None:
    """Sync the entries of a folder to disk; do nothing on Windows, which cannot open folders as files."""
    if WINDOWS:
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_same_disk(*paths: Path) -> bool:
    """Return whether paths, which need not exist, are on one file system, so that hard links between them work."""
    return len({_device(path) for path in paths}) == 1


def _device(path: Path) -> int | None:
    for folder in (path, *path.parents):
        with contextlib.suppress(OSError):
            return folder.stat().st_dev
    return None
