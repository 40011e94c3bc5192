"""Moves models out of PaddleX's cache and back, and replaces a second copy of a model by hard links.

The cache lies outside the target, and models have gigabytes, so nothing is copied or deleted: a folder is renamed
within the cache, and the files of a copy become hard links to those of the original.
"""

from __future__ import annotations

import itertools
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import message
from paddlevl_doctor.patching.file_patcher import sha256_of_file
from paddlevl_doctor.system.files import sync_folder
from paddlevl_doctor.values.errors import DoctorError

ASIDE = "set-aside-by-paddlevl-doctor"
"""A folder in the root of the cache; its name tells the user which program uses the space."""
_BUSY = 300.0
"""Seconds; a file that was written later than that ago may belong to a running download."""

Move = Mapping[str, str]
Link = Mapping[str, Any]


def plan_moves(folders: Sequence[str], run: str) -> list[dict[str, str]]:
    """Return the former and the new path of each model folder; `run` is unique for each run.

    Raises DoctorError for a model in use.
    """
    found = []
    for folder in map(Path, folders):
        newest = max((path.stat().st_mtime for path in folder.rglob("*") if path.is_file()), default=0.0)
        age = time.time() - newest
        if 0 <= age < _BUSY:
            raise DoctorError(
                message("model-busy", path=folder, seconds=f"{age:.0f}", limit=f"{_BUSY / 60:.0f}")
            )
        root, _, inside = str(folder).rpartition("official_models")
        aside = Path(root) / ASIDE / run / inside.strip("/\\").replace("/", "-")
        found.append({"from": str(folder), "to": str(aside)})
    return found


def move_models(moves: Sequence[Move]) -> None:
    """Rename every folder to its new path; raises OSError."""
    for move in moves:
        aside = Path(move["to"])
        aside.parent.mkdir(parents=True, exist_ok=True)
        Path(move["from"]).rename(aside)
        sync_folder(aside.parent)


def move_back(moves: Sequence[Move]) -> None:
    """Rename every folder back; a folder stays aside if its former path exists again."""
    for move in moves:
        aside, former = Path(move["to"]), Path(move["from"])
        if aside.is_dir() and not os.path.lexists(former):
            former.parent.mkdir(parents=True, exist_ok=True)
            aside.rename(former)
        for folder in (aside.parent, aside.parent.parent):
            if folder.is_dir() and not os.listdir(folder):
                folder.rmdir()


@dataclass(frozen=True)
class ReturnedModel:
    """A model that was set aside and has been downloaded again since."""

    path: str
    """Its path in the cache."""
    former: str = ""
    """The folder that was set aside; empty if it is at `path` again."""
    aside: str = ""
    """Where the model that was downloaded since is now; empty if it is at `path`."""


def find_returned(moves: Sequence[Move]) -> tuple[ReturnedModel, ...]:
    """Return the models that have been downloaded again since, also those that `set_returned_aside` has moved."""
    return tuple(found for move in moves for found in _returned(Path(move["from"]), Path(move["to"])))


def _returned(path: Path, former: Path) -> Iterator[ReturnedModel]:
    if os.path.lexists(path) and os.path.lexists(former):
        yield ReturnedModel(str(path), former=str(former))
    for aside in itertools.takewhile(os.path.lexists, _beside(former)):
        yield ReturnedModel(str(path), aside=str(aside))


def _beside(former: Path) -> Iterator[Path]:
    """Yield the paths for models that were downloaded again; the folder around them belongs to one run."""
    return (former.with_name(f"{former.name}.{number}") for number in itertools.count(2))


def set_returned_aside(moves: Sequence[Move]) -> None:
    """Rename every model that was downloaded again, so that the former folder can return. Can be repeated."""
    for model in find_returned(moves):
        if model.former:
            free = next(path for path in _beside(Path(model.former)) if not os.path.lexists(path))
            Path(model.path).rename(free)
            sync_folder(free.parent)


# --- hard links instead of copies ------------------------------------------------------------------------------


def plan_links(pairs: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
    """Return the files of each copy that equal those of its original, with the mode and time that undo restores."""
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


def make_links(links: Sequence[Link]) -> None:
    """Replace every copy by a hard link to the original; raises OSError, also on file systems without hard links."""
    for link in links:
        staged = _new(Path(link["path"]))
        staged.unlink(missing_ok=True)
        os.link(link["original"], staged)
        staged.replace(link["path"])


def undo_links(links: Sequence[Link]) -> None:
    """Replace every hard link by a copy with the former mode and time; a file that was changed since stays."""
    for link in links:
        path, original = Path(link["path"]), Path(link["original"])
        _new(path).unlink(missing_ok=True)
        if path.is_file() and original.is_file() and path.samefile(original):
            shutil.copyfile(original, _new(path))
            _new(path).chmod(link["mode"])
            os.utime(_new(path), ns=(link["mtime_ns"], link["mtime_ns"]))
            _new(path).replace(path)


def _new(path: Path) -> Path:
    return path.with_name(f".new-{path.name}")
