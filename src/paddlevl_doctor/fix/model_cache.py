"""Moves models out of PaddleX's cache and back, and makes two equal copies of a model one.

The cache lies outside of the target, and models have gigabytes: nothing is copied and nothing is deleted. A folder
moves by one rename beside where it was; a copy becomes hard links to the files of the other.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from paddlevl_doctor.messages import message
from paddlevl_doctor.patching.file_patcher import sha256_of_file
from paddlevl_doctor.system.files import sync_folder
from paddlevl_doctor.values.errors import DoctorError

ASIDE = "set-aside-by-paddlevl-doctor"
"""The folder in the cache's root, where somebody who wonders about the space finds it and knows whose it is."""
_BUSY = 300.0
"""Seconds: a file that was written to within them may belong to a download that is still going on."""

Move = Mapping[str, str]
Link = Mapping[str, Any]


def moves(folders: Sequence[str], mark: str) -> list[dict[str, str]]:
    """Return where each model folder goes; `mark` tells runs apart. Raises DoctorError for one in use."""
    found = []
    for folder in map(Path, folders):
        newest = max((path.stat().st_mtime for path in folder.rglob("*") if path.is_file()), default=0.0)
        age = time.time() - newest
        if 0 <= age < _BUSY:
            raise DoctorError(
                message("model-busy", path=folder, seconds=f"{age:.0f}", limit=f"{_BUSY / 60:.0f}")
            )
        root, _, inside = str(folder).rpartition("official_models")
        aside = Path(root) / ASIDE / mark / inside.strip("/\\").replace("/", "-")
        found.append({"from": str(folder), "to": str(aside)})
    return found


def move(todo: Sequence[Move]) -> None:
    """Rename every folder to its place; raises OSError."""
    for one in todo:
        place = Path(one["to"])
        place.parent.mkdir(parents=True, exist_ok=True)
        Path(one["from"]).rename(place)
        sync_folder(place.parent)


def move_back(done: Sequence[Move]) -> None:
    """Rename every folder back; one whose place is taken again stays aside, and nothing is lost."""
    for one in done:
        place, former = Path(one["to"]), Path(one["from"])
        if place.is_dir() and not os.path.lexists(former):
            former.parent.mkdir(parents=True, exist_ok=True)
            place.rename(former)
        for folder in (place.parent, place.parent.parent):
            if folder.is_dir() and not os.listdir(folder):
                folder.rmdir()


def returned(done: Sequence[Move]) -> Move | None:
    """Return the first move whose model has been downloaded again since."""
    return next((one for one in done if os.path.lexists(one["from"]) and os.path.lexists(one["to"])), None)


# --- one copy instead of two ------------------------------------------------------------------------------


def links(pairs: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
    """Return the files of each copy that are equal to those of its original, with what undo has to restore."""
    return [link for copy, original in pairs for link in _links(Path(copy), Path(original))]


def _links(copy: Path, original: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(copy.rglob("*")):
        other = original / path.relative_to(copy)
        if _equal(path, other):
            state = path.stat()
            kept = {"mode": state.st_mode & 0o7777, "mtime_ns": state.st_mtime_ns}
            yield {"path": str(path), "original": str(other), **kept}


def _equal(path: Path, other: Path) -> bool:
    if path.is_symlink() or other.is_symlink() or not (path.is_file() and other.is_file()):
        return False
    if path.samefile(other) or path.stat().st_size != other.stat().st_size:
        return False
    return sha256_of_file(path) == sha256_of_file(other)


def link(todo: Sequence[Link]) -> None:
    """Put a hard link to the original in the place of every copy; raises OSError, where links cannot be made too."""
    for one in todo:
        made = _new(Path(one["path"]))
        made.unlink(missing_ok=True)
        os.link(one["original"], made)
        made.replace(one["path"])


def unlink(done: Sequence[Link]) -> None:
    """Give every copy files of its own again, with their former mode and time; what was changed since stays."""
    for one in done:
        path, original = Path(one["path"]), Path(one["original"])
        _new(path).unlink(missing_ok=True)
        if path.is_file() and original.is_file() and path.samefile(original):
            shutil.copyfile(original, _new(path))
            _new(path).chmod(one["mode"])
            os.utime(_new(path), ns=(one["mtime_ns"], one["mtime_ns"]))
            _new(path).replace(path)


def _new(path: Path) -> Path:
    return path.with_name(f".new-{path.name}")
