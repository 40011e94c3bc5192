"""Writes what was read of a document: Markdown, JSON, and the pictures of its layout as PDFs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from paddlevl_doctor.errors import DoctorError
from paddlevl_doctor.messages import text
from paddlevl_doctor.parsing.markdown import as_document, as_markdown
from paddlevl_doctor.parsing.model import Reading
from paddlevl_doctor.parsing.pages import PageSource, PictureError
from paddlevl_doctor.parsing.session import Work

INCIDENTS = "incidents"
"""The folder in that of the results for what stalled and crashed workers leave behind, where there were any."""
_PICTURES = {"layout": "page_layout_det_res.*", "order": "page_layout_order_res.*"}
"""Name of the PDF, and what PaddleX calls such a picture of a page (`save_to_img`)."""
_HAN = re.compile("[\u4e00-\u9fff]")


def joined(pages: Iterable[Mapping[str, Any]]) -> str:
    """Return the pages' Markdown in one, where no pipeline is at hand: as PaddleX does it, by its own flags.

    A page that begins in the middle of a paragraph (its first flag is False) continues the one before; no space
    stands between Chinese characters.
    """
    words, continues = "", False
    for page in pages:
        starts, ends = page.get("page_continuation_flags") or (True, True)
        more = str(page.get("markdown_texts", ""))
        space = "" if _HAN.match(words[-1:]) or _HAN.match(more[:1]) else " "
        separator = "" if not words else space if continues and not starts else "\n\n"
        words, continues = words + separator + more, not ends
    return words


def write_outputs(work: Work, reading: Reading, folder: Path, source: PageSource) -> tuple[str, ...]:
    """Write everything; returns the paths. Raises DoctorError where it cannot be written (a full disk)."""
    base = folder / work.name
    try:
        base.parent.mkdir(parents=True, exist_ok=True)
        markdown = _markdown(work, reading)
        written = [_put(Path(f"{base}.md"), markdown)]
        words = json.dumps(as_document(reading), ensure_ascii=False, indent=2) + "\n"
        written.append(_put(Path(f"{base}.json"), words))
    except OSError as error:
        raise DoctorError(text("results-not-kept", path=folder, reason=error.strerror or error)) from error
    written += _bound(work, base, source)
    return tuple(map(str, written))


def _markdown(work: Work, reading: Reading) -> str:
    if work.markdown is not None:
        return work.markdown.strip("\n") + "\n"
    pages = [page.markdown for page in work.in_order()]
    return joined(pages) + "\n" if pages and all(pages) else as_markdown(reading)


def _put(path: Path, words: str) -> Path:
    """Write a file so that it is whole or as before."""
    new = path.with_name(f"{path.name}.new")
    try:
        new.write_text(words, encoding="utf-8", newline="\n")
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    return path


def _bound(work: Work, base: Path, source: PageSource) -> Sequence[Path]:
    """Bind the layout and order pictures of all pages into one PDF each."""
    written = []
    for name, pattern in _PICTURES.items():
        found = [path for i in sorted(work.pages) for path in sorted(work.store.place(i).glob(pattern))]
        if not found:
            continue
        pdf = Path(f"{base}.{name}.pdf")
        try:
            source.bind(found, pdf)
        except PictureError as error:
            work.notes.append(str(error))
            continue
        written.append(pdf)
    return written
