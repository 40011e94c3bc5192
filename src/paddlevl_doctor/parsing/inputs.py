"""Which documents were named, and what their results are called."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from paddlevl_doctor.errors import UsageError
from paddlevl_doctor.messages import text
from paddlevl_doctor.parsing.document import SUFFIXES

PAGES = ".pages"
"""Suffix of the folder with what was read of each page."""
DRAWN = (".layout.pdf", ".order.pdf")
"""Suffixes of the pictures of all pages."""
_LONGEST = 200
"""Bytes of a result's name: file systems take 255, and suffixes are added."""


@dataclass(frozen=True)
class Input:
    """One document, and the name of its results relative to the output folder, without a suffix."""

    path: Path
    name: str


def expand(named: Sequence[Path], output: Path) -> tuple[Input, ...]:
    """Return the documents in files and folders, each once, in the order named; folders are walked in order of name.

    In a folder only files with the suffix of a document count, and nothing below `output`, which may lie in it.
    Raises UsageError for a folder without any.
    """
    found: dict[Path, Path] = {}
    for path in named:
        if os.path.isdir(path):  # noqa: PTH112 - a name that no file can have raises in pathlib
            inside = {file: file.relative_to(path).parent for file in _walk(path, output.resolve())}
            if not inside:
                raise UsageError(text("folder-empty", path=path))
            found = {**inside, **found}
        else:
            found.setdefault(path, Path())
    ordered = sorted(found, key=lambda path: _rank(path, named))
    return tuple(_named((path, found[path]) for path in ordered))


def _rank(path: Path, named: Sequence[Path]) -> tuple[int, str]:
    place = next(i for i, one in enumerate(named) if path == one or path.is_relative_to(one))
    return place, str(path)


def _walk(folder: Path, output: Path) -> Iterator[Path]:
    """Yield the documents below a folder: no hidden ones, no links to folders, no results of an earlier run.

    A folder that nobody may look into is yielded itself: it is to be reported like a document that cannot be opened.
    """
    known = {suffix for suffixes in SUFFIXES.values() for suffix in suffixes}
    closed: list[Path] = []
    for here, folders, files in os.walk(folder, onerror=lambda error: closed.append(Path(error.filename))):
        results = {f.removesuffix(PAGES) for f in folders if f.endswith(PAGES) and _is_kept(Path(here, f))}
        folders[:] = [
            f
            for f in folders
            if f[0] != "." and f.removesuffix(PAGES) not in results and Path(here, f).resolve() != output
        ]
        drawn = {f"{name}{suffix}" for name in results for suffix in DRAWN}
        paths = (Path(here, name) for name in files if name[0] != "." and name not in drawn)
        yield from (path for path in paths if path.suffix.lower() in known)
    yield from closed


def _is_kept(folder: Path) -> bool:
    """Return whether a folder holds pages that were read."""
    return next(folder.glob("[0-9]*/page.json"), None) is not None


def _named(found: Iterable[tuple[Path, Path]]) -> Iterator[Input]:
    """Give every document a name that no other has, whatever the file system thinks of upper and lower case."""
    taken: set[str] = set()
    for path, folder in found:
        choices = (path.stem, path.name, *(f"{path.name}-{n}" for n in range(2, 10_000)))
        names = (str(folder / _short(choice)) for choice in choices)
        name = next(name for name in names if name.casefold() not in taken)
        taken.add(name.casefold())
        yield Input(path, name)


def _short(name: str) -> str:
    data = os.fsencode(name)
    if len(data) <= _LONGEST:
        return name
    return data[:_LONGEST].decode("utf-8", errors="ignore") + "-" + hashlib.sha256(data).hexdigest()[:8]
