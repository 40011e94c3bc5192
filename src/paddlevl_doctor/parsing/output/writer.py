"""Writes what was read of a document: Markdown, JSON, tables, and pictures of its layout and order as PDFs."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from paddlevl_doctor.messages import message, text
from paddlevl_doctor.parsing.input.page_source import PageSource, PdfPage, PictureError
from paddlevl_doctor.parsing.output.html_tables import rows_of
from paddlevl_doctor.parsing.output.markdown import as_document, as_markdown
from paddlevl_doctor.parsing.run.result_files import remove_stale
from paddlevl_doctor.parsing.run.scheduler import PREVIEW, DocumentJob
from paddlevl_doctor.values.errors import DoctorError
from paddlevl_doctor.values.pages import Box, Page, Reading

Rows = tuple[tuple[str, ...], ...]


def tables_of(pages: Sequence[Page]) -> Iterator[tuple[str, Rows]]:
    """Yield every table that has rows, under the name of its sheet: its page, and which of the page's it is."""
    for page in pages:
        tables = [rows_of(block.text) for block in page.blocks if block.kind == "table"]
        for number, rows in enumerate(filter(None, tables), 1):
            yield text("sheet-name", page=page.index + 1, number=number), rows


def workbook(tables: Sequence[tuple[str, Rows]]) -> bytes:
    """Return a workbook with a sheet for each table, cells that reach over others as empty ones after the first."""
    import xlsxwriter  # noqa: PLC0415 - only documents with tables need it

    data = io.BytesIO()
    with xlsxwriter.Workbook(data, {"in_memory": True}) as book:
        for name, rows in tables:
            sheet = book.add_worksheet(name)
            for row, cells in enumerate(rows):
                for column, cell in enumerate(cells):
                    sheet.write_string(row, column, cell)  # `write` would make a formula of =1+1
    return data.getvalue()


INCIDENTS = "incidents"
"""The folder in that of the results for what stalled and crashed workers leave behind, where there were any."""
_LAYOUT = "page_layout_det_res.*"
"""What PaddleX calls the picture of a page's layout (`save_to_img`)."""
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


def write_outputs(work: DocumentJob, reading: Reading, folder: Path, source: PageSource) -> tuple[str, ...]:
    """Write everything, and remove what an earlier run wrote that this reading lacks; returns the paths.

    Raises DoctorError where it cannot be written (a full disk).
    """
    base = folder / work.name
    try:
        base.parent.mkdir(parents=True, exist_ok=True)
        markdown = _markdown(work, reading)
        written = [_put(Path(f"{base}.md"), markdown.encode())]
        words = json.dumps(as_document(reading), ensure_ascii=False, indent=2) + "\n"
        written.append(_put(Path(f"{base}.json"), words.encode()))
        tables = list(tables_of(reading.pages))
        written += [_put(Path(f"{base}.tables.xlsx"), workbook(tables))] if tables else []
        written += _bound(work, base, source)
        remove_stale(base, written, work.count)
    except OSError as error:
        raise DoctorError(message("results-not-kept", path=folder, reason=error.strerror or error)) from error
    return tuple(map(str, written))


def _markdown(work: DocumentJob, reading: Reading) -> str:
    if work.markdown is not None:
        return work.markdown.strip("\n") + "\n"
    pages = [page.markdown for page in work.pages_in_order()]
    return joined(pages) + "\n" if pages and all(pages) else as_markdown(reading)


def _put(path: Path, data: bytes) -> Path:
    """Write a file so that it is whole or as before."""
    new = path.with_name(f"{path.name}.new")
    try:
        new.write_bytes(data)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    return path


def _bound(work: DocumentJob, base: Path, source: PageSource) -> Iterator[Path]:
    """Bind the layout and order pictures of all pages into one PDF each; yields those that were written."""
    for name, sheets in (("layout", _layouts(work)), ("order", _orders(work))):
        pdf = Path(f"{base}.{name}.pdf")
        try:
            if sheets:
                source.write_pdf(sheets, pdf)
                yield pdf
        except PictureError as error:
            work.notes.append(str(error))


def _layouts(work: DocumentJob) -> list[PdfPage]:
    """Return the pictures that the pipeline has drawn."""
    return [
        PdfPage(path) for i in sorted(work.pages) for path in sorted(work.store.folder_of(i).glob(_LAYOUT))
    ]


def _orders(work: DocumentJob) -> list[PdfPage]:
    """Return the pages with their blocks numbered; none where no engine said where anything is."""
    seen = [(read.page, work.store.folder_of(read.page.index) / PREVIEW) for read in work.pages_in_order()]
    sheets = [PdfPage(path, (p.width, p.height), tuple(_placed(p))) for p, path in seen if path.is_file()]
    return sheets if any(sheet.boxes for sheet in sheets) else []


def _placed(page: Page) -> Iterator[tuple[int, Box]]:
    """Yield the boxes of the blocks with their numbers; a block that covers the page has no place on it."""
    for number, block in enumerate(page.blocks, 1):
        if block.box != (0, 0, page.width, page.height):
            yield number, block.box
