"""Stand-ins for what only Windows has, with its quirks: junctions, byte locks, and no sessions."""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from paddlevl_doctor.system import files, processes


class _JunctionStat:
    """What lstat says of a junction: a folder with a reparse tag, and no symbolic link."""

    st_reparse_tag = 0xA0000003

    def __init__(self, behind: os.stat_result) -> None:
        self._behind = behind
        self.st_mode = stat.S_IFDIR | stat.S_IMODE(behind.st_mode)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)


class _JunctionEntry:
    """What scandir says of a junction: a folder, whether links are followed or not."""

    def __init__(self, entry: os.DirEntry[str]) -> None:
        self._entry = entry

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        del follow_symlinks
        return True

    def is_symlink(self) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._entry, name)


class _Entries:
    """What scandir returns: an iterator that can be entered and left."""

    def __init__(self, entries: list[Any]) -> None:
        self._left = iter(entries)

    def __iter__(self) -> _Entries:
        return self

    def __next__(self) -> Any:
        return next(self._left)

    def __enter__(self) -> _Entries:
        return self

    def __exit__(self, *_: object) -> None:
        return None


def with_junctions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this system make junctions and no symbolic links, as Windows does for an ordinary user.

    A symbolic link stands behind each, so that paths lead through it. `readlink` puts its prefix before the target,
    `rmdir` takes the junction away, and CreateJunction wants an absolute target and a free name.
    """
    made: set[str] = set()
    lstat, readlink, rmdir, symlink, unlink = os.lstat, os.readlink, os.rmdir, os.symlink, os.unlink
    real_stat, scandir = os.stat, os.scandir

    def create(target: str, place: str) -> None:
        if os.path.lexists(place):
            raise FileExistsError(errno.EEXIST, "Cannot create a file when that file already exists", place)
        assert Path(target).is_absolute(), target
        symlink(target, place)
        made.add(place)

    def seen(path: Any, found: os.stat_result) -> Any:
        return _JunctionStat(found) if str(path) in made else found

    def link_stat(path: Any, **words: Any) -> Any:
        return seen(path, lstat(path, **words))

    def any_stat(path: Any, *, follow_symlinks: bool = True, **words: Any) -> Any:
        found = real_stat(path, follow_symlinks=follow_symlinks, **words)
        return found if follow_symlinks else seen(path, found)

    def read(path: Any, **words: Any) -> str:
        target = readlink(path, **words)
        return f"\\\\?\\{target}" if str(path) in made else target

    def remove_folder(path: Any, **words: Any) -> None:
        if str(path) not in made:
            return rmdir(path, **words)
        made.remove(str(path))
        return unlink(path)

    def entries(path: Any = ".") -> _Entries:
        with scandir(path) as found:
            return _Entries([_JunctionEntry(e) if e.path in made else e for e in found])

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(1314, "A required privilege is not held by the client")

    monkeypatch.setattr(files, "WINDOWS", True)
    monkeypatch.setitem(sys.modules, "_winapi", SimpleNamespace(CreateJunction=create))
    for name, change in {
        "lstat": link_stat,
        "stat": any_stat,
        "readlink": read,
        "rmdir": remove_folder,
        "scandir": entries,
        "symlink": refuse,
    }.items():
        monkeypatch.setattr(os, name, change)


def with_byte_locks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let this system lock as Windows does; returns what was done, in that order.

    A byte is locked from where the file stands, a second descriptor is refused with EACCES, what is unlocked must
    have been locked, and a file that somebody has open cannot be removed.
    """
    held: dict[tuple[int, int], int] = {}
    done: list[str] = []
    unlink = os.unlink

    def locking(descriptor: int, mode: int, size: int) -> None:
        where = (os.fstat(descriptor).st_ino, os.lseek(descriptor, 0, os.SEEK_CUR))
        if mode == 0:
            assert held.pop(where) == descriptor
            done.append("unlocked")
            return
        assert (mode, size) == (2, 1)
        if where in held:
            raise PermissionError(errno.EACCES, "Permission denied")
        held[where] = descriptor
        done.append("locked")

    def remove(path: Any, **words: Any) -> None:
        inode = os.lstat(path, **words).st_ino
        if any(there == inode for there, _ in held):
            raise PermissionError(errno.EACCES, "The process cannot access the file", str(path))
        unlink(path, **words)

    monkeypatch.setattr(files, "WINDOWS", True)
    monkeypatch.setattr(processes, "WINDOWS", True)
    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(locking=locking))
    monkeypatch.setattr(os, "unlink", remove)
    return done


def without_sessions(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let children be started as on Windows: in the session of whoever starts them; returns signalled groups.

    POSIX' Popen refuses creation flags, so that they are recorded nowhere and only left out.
    """
    signalled: list[int] = []
    monkeypatch.setattr(processes, "WINDOWS", True)
    monkeypatch.setattr(processes, "_NEW_PROCESS_GROUP", 0)
    monkeypatch.setattr(os, "killpg", lambda group, _: signalled.append(group))
    return signalled
