"""Protects the user's files from being replaced by results, and removes outdated results."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from paddlevl_doctor.messages import message
from paddlevl_doctor.parsing.input.documents import PAGE_FOLDER_NAME, PAGE_PDF_SUFFIXES, PAGES_SUFFIX
from paddlevl_doctor.parsing.output.markdown import READING
from paddlevl_doctor.system.files import load_json
from paddlevl_doctor.values.errors import UsageError

SUFFIXES = (".md", ".json", ".tables.xlsx", *PAGE_PDF_SUFFIXES)
"""Suffixes of the result files beside the folder of pages."""


def refuse_to_replace(names: Iterable[str], outputs: Sequence[Path], inputs: Iterable[Path]) -> None:
    """Raise UsageError if a result would replace a file that `parse` did not write, or an input.

    `names` are the result names, the same for each folder of `outputs`. `inputs` are the documents and the ground
    truths.
    """
    protected = {path.resolve() for path in inputs}
    for base in (output / name for output in outputs for name in names):
        for path in _existing_files(base):
            if path.resolve() in protected:
                raise UsageError(message("result-needed", path=path))
            if not _has_results(base):
                raise UsageError(message("result-foreign", path=path))


def remove_stale(base: Path, written: Collection[Path], pages: int) -> None:
    """Remove earlier results that are not in `written`, and page folders above `pages`; raises OSError."""
    for path in _existing_files(base):
        if path not in written:
            path.unlink()
    folder = Path(f"{base}{PAGES_SUFFIX}")
    for name in os.listdir(folder) if folder.is_dir() else ():
        match = PAGE_FOLDER_NAME.fullmatch(name)
        if match and (match[2] or int(match[1]) > pages):
            shutil.rmtree(folder / name, ignore_errors=True)


def _existing_files(base: Path) -> Iterator[Path]:
    """Return the existing files that have names of a document's results."""
    return (path for suffix in SUFFIXES if (path := Path(f"{base}{suffix}")).is_file())


def _has_results(base: Path) -> bool:
    """Return whether an earlier run wrote results with this name: page folders, or a JSON file of our schema."""
    folder = Path(f"{base}{PAGES_SUFFIX}")
    if folder.is_dir() and any(map(PAGE_FOLDER_NAME.fullmatch, os.listdir(folder))):
        return True
    try:
        document = load_json(Path(f"{base}.json").read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(document, dict) and document.get("schema") == READING
