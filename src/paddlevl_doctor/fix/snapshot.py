"""Keeps the former state of a folder with hard links, and restores it exactly, offline.

Installers replace files and do not write into them, so a second directory entry (a hard link) keeps the old
bytes, mode and times at no cost. Before an installation the whole environment is linked into the folder of the
transaction; afterwards only the changed files are kept. The former tree can be restored from there after any
failure: a full disk, a kill, or a package that overwrote files of another one.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from paddlevl_doctor.facts.state_folder import STATE_FOLDER
from paddlevl_doctor.packages import uv
from paddlevl_doctor.system.files import is_junction

__all__ = ["STATE_FOLDER", "Snapshot", "restore", "take", "trim", "write_durably"]


@dataclass(frozen=True)
class Snapshot:
    """The former state of `root`: `kept` has its files, `added` lists the new files."""

    root: Path
    folder: Path

    @property
    def kept(self) -> Path:
        """The tree of former files, with the same relative paths."""
        return self.folder / "kept"

    @property
    def folders(self) -> Path:
        """A JSON list of the relative paths of all former folders, empty ones too."""
        return self.folder / "folders.json"

    @property
    def added(self) -> Path:
        """A JSON list of relative paths, written when the change is complete."""
        return self.folder / "added.json"


def take(root: Path, folder: Path) -> Snapshot:
    """Link every file below `root` into `folder`; raises OSError. `root` does not change."""
    snapshot = Snapshot(root, folder)
    snapshot.kept.mkdir(parents=True)
    kept, made = str(snapshot.kept), {""}
    for relative, entry in _files(root):
        parent = relative.rpartition("/")[0]
        if parent not in made:
            made.add(parent)
            os.makedirs(f"{kept}/{parent}", exist_ok=True)  # noqa: PTH103 - 20,000 Path objects cost a second
        _link(entry.path, f"{kept}/{relative}")
    snapshot.folders.write_text(json.dumps(sorted(_folders(root))), encoding="utf-8")
    return snapshot


def _folders(root: Path) -> Iterator[str]:
    """Yield every folder below `root`, parents first, without the state folder."""
    for folder, names, _ in os.walk(root):
        inside = os.path.relpath(folder, root)
        names[:] = [n for n in names if inside != "." or n != STATE_FOLDER]
        names[:] = [n for n in names if not _is_link(f"{folder}/{n}")]
        yield from (os.path.normpath(f"{inside}/{name}") for name in names)


def _is_link(path: str) -> bool:
    return os.path.islink(path) or is_junction(Path(path))  # noqa: PTH114 - as above


def _link(source: str, place: str) -> None:
    try:
        os.link(source, place, follow_symlinks=False)
    except (OSError, NotImplementedError):  # another device, or a file system or system without such links
        shutil.copy2(source, place, follow_symlinks=False)


def _files(root: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield every file and link below `root` (folders that are links count as links).

    Without the state folder and uv's lock file: a process that waits for the lock waits for this inode. Without the
    junctions of Windows too: a hard link cannot keep one, and its destination is not part of the environment.
    """
    waiting = [(str(root), "")]
    while waiting:
        folder, prefix = waiting.pop()
        for entry in os.scandir(folder):
            if not prefix and entry.name in (STATE_FOLDER, uv.LOCK_NAME):
                continue
            if is_junction(Path(entry.path)):
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append((entry.path, f"{prefix}{entry.name}/"))
            else:
                yield prefix + entry.name, entry


def trim(snapshot: Snapshot) -> None:
    """Remove unchanged files from `kept`, which then has the replaced and removed files only.

    The list of added files goes to disk first: from then on a missing file in `kept` means "did not change",
    so `restore` works after an interruption at any point.
    """
    now = dict(_files(snapshot.root))
    before = dict(_files(snapshot.kept))
    write_durably(snapshot.added, json.dumps(sorted(now.keys() - before.keys())).encode())
    for relative, entry in before.items():
        if relative in now and _same_file(entry, now[relative]):
            os.unlink(entry.path)  # noqa: PTH108 - as above
    remove_empty_folders(snapshot.kept)


def _same_file(old: os.DirEntry[str], new: os.DirEntry[str]) -> bool:
    if old.inode() == new.inode():
        return True
    if old.is_symlink() or new.is_symlink():
        return old.is_symlink() and new.is_symlink() and os.readlink(old.path) == os.readlink(new.path)
    was, now = old.stat(), new.stat()  # a copy: equal size and time mean that it was not replaced
    return (was.st_size, was.st_mtime_ns) == (now.st_size, now.st_mtime_ns)


def restore(snapshot: Snapshot) -> None:
    """Restore `root`, before or after `trim`; an interrupted call can be repeated."""
    if not snapshot.added.exists():
        before = {relative for relative, _ in _files(snapshot.kept)}
        new = [relative for relative, _ in _files(snapshot.root) if relative not in before]
        write_durably(snapshot.added, json.dumps(new).encode())
    for relative in json.loads(snapshot.added.read_text(encoding="utf-8")):
        _remove(snapshot.root, relative)
    for relative, entry in list(_files(snapshot.kept)):
        place = snapshot.root / relative
        place.parent.mkdir(parents=True, exist_ok=True)
        Path(entry.path).replace(place)
    _restore_folders(snapshot)
    _discard(snapshot.folder)


def _restore_folders(snapshot: Snapshot) -> None:
    """Create the former empty folders again, and remove new empty folders of an interrupted installer."""
    if not snapshot.folders.exists():  # a snapshot of an earlier version
        return
    former = dict.fromkeys(json.loads(snapshot.folders.read_text(encoding="utf-8")))
    for folder in former:
        (snapshot.root / folder).mkdir(parents=True, exist_ok=True)
    for folder in reversed(list(_folders(snapshot.root))):
        if folder not in former and not os.listdir(snapshot.root / folder):
            (snapshot.root / folder).rmdir()


def _discard(folder: Path) -> None:
    """Remove a restored snapshot.

    It is renamed first: to the next run, a partly removed snapshot would mean that `root` had been empty.
    """
    done = folder.with_name(f"{folder.name}.done")
    folder.replace(done)
    shutil.rmtree(done)


def _remove(root: Path, relative: str) -> None:
    path = root / relative
    path.unlink(missing_ok=True)
    if path.suffix == ".py":
        for compiled in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
            compiled.unlink()
    _remove_upwards(path.parent, root)


def _remove_upwards(folder: Path, root: Path) -> None:
    """Remove a folder and its parents while they have no entry except an empty bytecode folder."""
    while folder != root and folder.is_dir():
        remains = os.listdir(folder)
        if remains == ["__pycache__"] and not os.listdir(folder / "__pycache__"):
            (folder / "__pycache__").rmdir()
        elif remains:
            return
        folder.rmdir()
        folder = folder.parent


def remove_empty_folders(root: Path) -> None:
    """Remove the empty folders below `root`."""
    for folder, _, _ in os.walk(root, topdown=False):
        if Path(folder) != root and not os.listdir(folder):
            Path(folder).rmdir()


def write_durably(path: Path, data: bytes) -> None:
    """Write `path` atomically: write a new file beside it, sync it, and rename it."""
    temporary = path.with_name(path.name + ".new")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
