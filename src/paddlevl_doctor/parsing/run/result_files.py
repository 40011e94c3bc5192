"""The files that are a document's results: those that an earlier run wrote are replaced or removed, and no others."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from paddlevl_doctor.messages import message
from paddlevl_doctor.parsing.input.documents import PAGE_FOLDER_NAME, PAGE_PDF_SUFFIXES, PAGES_SUFFIX
from paddlevl_doctor.parsing.output.markdown import READING
from paddlevl_doctor.values.errors import UsageError

SUFFIXES = (".md", ".json", ".tables.xlsx", *PAGE_PDF_SUFFIXES)
"""Of the results beside the folder of pages."""


def refuse_to_replace(names: Iterable[str], outputs: Sequence[Path], needed: Iterable[Path]) -> None:
    """Raise UsageError where a result would take the place of a file that is not the doctor's.

    `names` are those of the documents in each of the folders `outputs`; `needed` are files that nothing may replace,
    whoever wrote them: known texts, and the documents themselves.
    """
    kept = {path.resolve() for path in needed}
    for base in (output / name for output in outputs for name in names):
        for path in _existing_files(base):
            if path.resolve() in kept:
                raise UsageError(message("result-needed", path=path))
            if not _has_results(base):
                raise UsageError(message("result-foreign", path=path))


def remove_stale(base: Path, written: Collection[Path], pages: int) -> None:
    """Remove what an earlier run wrote of a document and this one has not; raises OSError.

    The document has so many pages.
    """
    for path in _existing_files(base):
        if path not in written:
            path.unlink()
    folder = Path(f"{base}{PAGES_SUFFIX}")
    for name in os.listdir(folder) if folder.is_dir() else ():
        found = PAGE_FOLDER_NAME.fullmatch(name)
        if found and (found[2] or int(found[1]) > pages):
            shutil.rmtree(folder / name, ignore_errors=True)


def _existing_files(base: Path) -> Iterator[Path]:
    """Yield the files that have the names of a document's results."""
    return (path for suffix in SUFFIXES if (path := Path(f"{base}{suffix}")).is_file())


def _has_results(base: Path) -> bool:
    """Say whether an earlier run wrote what has this name: the folder of a page is there, or its own JSON."""
    folder = Path(f"{base}{PAGES_SUFFIX}")
    if folder.is_dir() and any(map(PAGE_FOLDER_NAME.fullmatch, os.listdir(folder))):
        return True
    try:
        document = json.loads(Path(f"{base}.json").read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(document, dict) and document.get("schema") == READING
