"""What a transaction changed, path by path: what was there, what it wrote; and how that is taken back.

An entry is a file, a link or a folder that a step changed. A path is relative to the prefix of the target, or absolute
for the few paths outside it. Undo and rollback change a path only where it still holds what the step wrote. Any other
content belongs to the user: it stays, or is moved aside if the user allows it. Nothing is deleted but what the
transaction wrote.

Installers replace files and do not write into them. So a hard link keeps the former file, with its bytes, mode and
time, at no cost.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePath
from typing import Any, Literal

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.patching.file_patcher import drop_bytecode, put_back, sha256_of_file
from paddlevl_doctor.system.files import is_junction, link_target, remove_link, restore_link, sync_folder

Kind = Literal["file", "link", "folder"]
_BYTECODE = re.compile(r"^(.*?)(?:__pycache__/)([^/]+?)\.[^/.]+(?:\.opt-\d)?\.pyc$")


@dataclass(frozen=True)
class State:
    """What a path holds. A file has a size, and a time or a SHA-256; a link has the text that it points to."""

    kind: Kind
    size: int = 0
    mtime_ns: int | None = None
    sha256: str | None = None
    text: str = ""

    def to_json(self) -> list[Any]:
        """Return the state as a short list; `state_from_json` is the inverse."""
        return [self.kind, self.size, self.mtime_ns, self.sha256, self.text]


def state_from_json(value: list[Any] | None) -> State | None:
    """Return the state of a list of `State.to_json`, None for None. Raises TypeError or ValueError for other values."""
    if value is None:
        return None
    kind, size, mtime_ns, sha256, text = value
    if kind not in ("file", "link", "folder") or not isinstance(text, str):
        raise ValueError(value)
    return State(kind, int(size), mtime_ns if mtime_ns is None else int(mtime_ns), sha256, text)


@dataclass(frozen=True)
class Entry:
    """One changed path: its states before and after (None: nothing is there), and where the former entry is kept.

    `kept` is relative to the folder of the transaction; None if there was no entry, or only a link.
    """

    path: str
    before: State | None
    after: State | None
    kept: str | None = None

    @property
    def is_outside(self) -> bool:
        """Whether the path lies outside the prefix."""
        return PurePath(self.path).is_absolute()

    def to_json(self) -> list[Any]:
        """Return the entry as a list; `entry_from_json` is the inverse."""
        before, after = (state.to_json() if state else None for state in (self.before, self.after))
        return [self.path, before, after, self.kept]


def entry_from_json(value: list[Any]) -> Entry:
    """Return the entry of a list of `Entry.to_json`. Raises TypeError or ValueError for other values."""
    path, before, after, kept = value
    if not isinstance(path, str) or not isinstance(kept, str | None):
        raise TypeError(value)
    return Entry(path, state_from_json(before), state_from_json(after), kept)


# --- reading the disk -------------------------------------------------------------------------------------


def state_of(path: str | Path, *, hashed: bool = False) -> State | None:
    """Return what is at a path, None if nothing is; with `hashed`, a file has its SHA-256. A pipe has none."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISLNK(found.st_mode) or is_junction(Path(path)):
        return State("link", text=link_target(Path(path)) or "")
    if stat.S_ISDIR(found.st_mode):
        return State("folder")
    digest = sha256_of_file(Path(path)) if hashed and stat.S_ISREG(found.st_mode) else None
    return State("file", found.st_size, found.st_mtime_ns, digest)


def holds(path: Path, expected: State | None, *, exactly: bool = False) -> bool:
    """Return whether a path holds a state: a file of the same size with the same time or, failing that, content.

    With `exactly`, the content is compared wherever it is known.
    """
    now = state_of(path)
    if now is None or expected is None:
        return now is expected
    if (now.kind, now.size, now.text) != (expected.kind, expected.size, expected.text):
        return False
    by_time = now.mtime_ns == expected.mtime_ns and not (exactly and expected.sha256)
    if now.kind != "file" or by_time:
        return True
    return expected.sha256 is not None and path.is_file() and sha256_of_file(path) == expected.sha256


def is_same_file(old: Path, new: Path) -> bool:
    """Return whether two regular files are one, or have the same size and time."""
    if not (old.is_file() and new.is_file()):
        return False
    was, now = old.stat(), new.stat()
    return was.st_ino == now.st_ino or (was.st_size, was.st_mtime_ns) == (now.st_size, now.st_mtime_ns)


def source_of(bytecode: str) -> str | None:
    """Return the source file of a bytecode file by its path, None for any other file."""
    found = _BYTECODE.match(bytecode)
    return f"{found[1]}{found[2]}.py" if found else None


def files_below(root: Path, skipped: Iterable[str] = ()) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield every file and link below `root` with its relative path; `skipped` are names at the top.

    Folders that are links count as links. The junctions of Windows are left out: a hard link cannot keep one, and its
    destination is not part of the environment.
    """
    omitted, waiting = set(skipped), [(str(root), "")]
    while waiting:
        folder, prefix = waiting.pop()
        for entry in os.scandir(folder):
            if (not prefix and entry.name in omitted) or is_junction(Path(entry.path)):
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append((entry.path, f"{prefix}{entry.name}/"))
            else:
                yield prefix + entry.name, entry


def folders_below(root: Path, skipped: Iterable[str] = ()) -> Iterator[str]:
    """Yield the relative path of every folder below `root`, parents first; `skipped` are names at the top."""
    for folder, names, _ in os.walk(root):
        inside = os.path.relpath(folder, root)
        names[:] = [n for n in names if inside != "." or n not in skipped]
        names[:] = [n for n in names if not (os.path.islink(f"{folder}/{n}") or is_junction(Path(folder, n)))]  # noqa: PTH114 - 20,000 Path objects cost a second
        yield from (os.path.normpath(f"{inside}/{name}").replace(os.sep, "/") for name in names)


# --- taking back ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Places:
    """Where the entries of a transaction lie: the prefix of the target, the kept entries, the user's versions."""

    prefix: Path
    kept: Path
    aside: Path

    def of(self, entry: Entry) -> Path:
        """Return the absolute path of an entry."""
        return self.prefix / entry.path

    def former(self, entry: Entry) -> Path | None:
        """Return the path of the kept former entry, None if none is kept."""
        return None if entry.kept is None else self.kept / entry.kept


def is_taken_back(places: Places, entry: Entry) -> bool:
    """Return whether a path has its former content already, and needs no kept entry for it."""
    former = places.former(entry)
    return holds(places.of(entry), entry.before) and (former is None or not os.path.lexists(former))


def is_changed_since(places: Places, entry: Entry) -> bool:
    """Return whether a path holds neither what the step wrote nor what was there before.

    Bytecode never counts as changed: Python writes it again whenever it needs it.
    """
    path, former = places.of(entry), places.former(entry)
    if path.suffix == ".pyc":
        return False
    if entry.before is not None and entry.before.kind == "folder" and former is not None:
        return os.path.lexists(former) and os.path.lexists(path)  # another folder is there now
    return not holds(path, entry.after, exactly=True) and not holds(path, entry.before)


def is_lost(places: Places, entry: Entry) -> bool:
    """Return whether the former entry is needed, and its kept file is missing or was changed."""
    former = places.former(entry)
    if former is None or is_taken_back(places, entry):
        return False
    return not holds(former, entry.before, exactly=True)


def take_back(
    places: Places,
    entries: Iterable[Entry],
    folders: Iterable[tuple[str, int]] = (),
    created: Iterable[str] = (),
    *,
    aside: bool = False,
) -> list[str]:
    """Restore the former state of every path, and return the paths that the user changed since.

    The user's version of such a path is moved to `places.aside` if the former entry returns or with `aside`; else it
    stays. An entry whose kept file is lost is skipped. `folders` are made again with their modes, unless the
    user put a file there; `created` are removed if they are empty. An interrupted call can be repeated.
    """
    # What was written anew goes first: a folder may have stood there. Bytecode comes last, because restoring a source
    # file removes the bytecode of the file that it replaces.
    todo = sorted(
        (e for e in entries if not is_taken_back(places, e)),
        key=lambda e: (e.path.endswith(".pyc"), e.before is not None),
    )
    changed = [entry.path for entry in todo if _take_back(places, entry, aside=aside)]
    for folder, mode in folders:
        _restore_folder(places.prefix / folder, mode)
    for folder in sorted(created, key=len, reverse=True):
        _remove_empty(places.prefix / folder)
    return changed


def _restore_folder(path: Path, mode: int) -> None:
    if not os.path.lexists(path):
        path.mkdir(parents=True)
    if path.is_dir() and not path.is_symlink():
        with contextlib.suppress(PermissionError):  # it belongs to another user
            path.chmod(mode)


def _take_back(places: Places, entry: Entry, *, aside: bool) -> bool:
    """Restore one path; return whether the user had changed it."""
    path, former = places.of(entry), places.former(entry)
    changed = is_changed_since(places, entry)
    if is_lost(places, entry):
        return changed
    if changed and os.path.lexists(path):
        if entry.before is None and not aside:
            return True  # the user's version stays
        move_aside(places, entry.path)
    if entry.before is None:
        if path.is_symlink() or is_junction(path):
            remove_link(path)
        else:
            path.unlink(missing_ok=True)
    elif former is not None and os.path.lexists(former):
        _clear_way(places, path)
        put_back(former, path)
    elif entry.before.kind == "link":
        remove_link(path)
        restore_link(path, entry.before.text)
    if path.suffix == ".py":
        _drop_bytecode(path, entry)
    return changed


def _clear_way(places: Places, path: Path) -> None:
    """Make the folder of a path; a file of the user in the place of a folder is moved aside."""
    inside = [parent for parent in path.parents if places.prefix in parent.parents]
    for parent in reversed(inside):
        if os.path.lexists(parent) and not parent.is_dir():
            move_aside(places, parent.relative_to(places.prefix).as_posix())
    path.parent.mkdir(parents=True, exist_ok=True)


def _drop_bytecode(path: Path, entry: Entry) -> None:
    """Remove the bytecode of a source file that is gone or restored.

    A file of an installer has its own time, by which Python and this function recognize the bytecode of another
    version. All bytecode is removed if the time does not tell, because Python compares whole seconds.
    """
    written = entry.after.mtime_ns if entry.after else None
    if entry.before is None or written is None or not path.exists():  # the last: a link to nothing
        drop_bytecode(path)
        return
    found = path.stat()
    for compiled in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
        header = compiled.read_bytes()[4:16]  # PEP 552: flags, time and size of the source
        flags, seconds, size = (int.from_bytes(header[n : n + 4], "little") for n in (0, 4, 8))
        if flags == 0 and (seconds, size) != (int(found.st_mtime) & 0xFFFFFFFF, found.st_size & 0xFFFFFFFF):
            compiled.unlink()


def move_aside(places: Places, path: str) -> Path:
    """Move the user's version of a path below `places.aside`, under a name that is free there; return that path."""
    wanted = places.aside / Path(path).relative_to(Path(path).anchor)
    free = next(p for p in _numbered(wanted) if not os.path.lexists(p))
    free.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(places.prefix / path, free)
    return free


def _numbered(path: Path) -> Iterator[Path]:
    yield path
    number = 2
    while True:
        yield path.with_name(f"{path.name}.{number}")
        number += 1


def _remove_empty(folder: Path) -> None:
    """Remove a folder if it has no entry, or an empty bytecode folder only."""
    cache = folder / "__pycache__"
    if folder.is_symlink() or not folder.is_dir():
        return
    if cache.is_dir() and not cache.is_symlink() and not os.listdir(cache):
        cache.rmdir()
    if not os.listdir(folder):
        folder.rmdir()


# --- keeping ----------------------------------------------------------------------------------------------


def keep_all(root: Path, kept: Path, skipped: Iterable[str], copied: Callable[[str], object]) -> None:
    """Link every file below `root` into the folder `kept`, and copy those whose relative path is to be `copied`.

    A link does not keep the content of a file that is written to in place. Raises OSError; `root` does not change.
    """
    kept.mkdir(parents=True)
    base, made = str(kept), {""}
    for relative, entry in files_below(root, skipped):
        parent = relative.rpartition("/")[0]
        if parent not in made:
            made.add(parent)
            os.makedirs(f"{base}/{parent}", exist_ok=True)  # noqa: PTH103 - as above
        keep = shutil.copy2 if copied(relative) and not entry.is_symlink() else keep_link
        keep(entry.path, f"{base}/{relative}")


def keep_link(source: str, place: str) -> None:
    """Keep a file or link under a second name: a hard link, or a copy where the file system has none."""
    try:
        os.link(source, place, follow_symlinks=False)
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        shutil.copy2(source, place, follow_symlinks=False)


def is_same_entry(old: os.DirEntry[str], new: os.DirEntry[str]) -> bool:
    """Return whether a kept file and the file now are the same: the installer did not replace it."""
    if old.inode() == new.inode():
        return True
    if old.is_symlink() or new.is_symlink():
        return old.is_symlink() and new.is_symlink() and os.readlink(old.path) == os.readlink(new.path)
    was, now = old.stat(), new.stat()  # a copy: equal size and time mean that it was not replaced
    return (was.st_size, was.st_mtime_ns) == (now.st_size, now.st_mtime_ns)


def write_durably(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Write `path` atomically, readable by its owner only: write a new file beside it, sync it, and rename it."""
    temporary = path.with_name(path.name + ".new")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        if sync:
            os.fsync(file.fileno())
    temporary.replace(path)
    if sync:
        sync_folder(path.parent)
