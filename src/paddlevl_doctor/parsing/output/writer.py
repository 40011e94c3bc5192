"""Writes the results of a document: Markdown, JSON, a workbook of its tables, and PDFs of its layout and order."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from paddlevl_doctor.messages import message, text
from paddlevl_doctor.parsing.input.page_source import PageSource, PdfPage, PictureError
from paddlevl_doctor.parsing.output.html_tables import Rows, rows_of
from paddlevl_doctor.parsing.output.markdown import as_document, as_markdown
from paddlevl_doctor.parsing.run.result_files import remove_stale
from paddlevl_doctor.parsing.run.scheduler import PREVIEW, DocumentJob
from paddlevl_doctor.system.files import json_bytes, new_file
from paddlevl_doctor.values.errors import DoctorError
from paddlevl_doctor.values.pages import Box, Page, Reading


def tables_of(pages: Sequence[Page]) -> Iterator[tuple[str, Rows]]:
    """Yield each table that has rows with the name of its sheet, which says the page and the number on the page."""
    for page in pages:
        tables = [rows_of(block.text) for block in page.blocks if block.kind == "table"]
        for number, rows in enumerate(filter(None, tables), 1):
            yield text("sheet-name", page=page.index + 1, number=number), rows


def workbook(tables: Sequence[tuple[str, Rows]]) -> bytes:
    """Return an Excel workbook with a sheet for each table; a merged cell has its text once."""
    import xlsxwriter  # noqa: PLC0415 - only documents with tables need it

    data = io.BytesIO()
    with xlsxwriter.Workbook(data, {"in_memory": True}) as book:
        for name, rows in tables:
            sheet = book.add_worksheet(name)
            for row, cells in enumerate(rows):
                for column, cell in enumerate(cells):
                    sheet.write_string(row, column, cell)  # `write` would turn =1+1 into a formula
    return data.getvalue()


INCIDENTS = "incidents"
"""Folder in the output folder for the logs of stalled and crashed workers, if there are any."""
_LAYOUT = "page_layout_det_res.*"
"""File name of PaddleX's picture of a page's layout (`save_to_img`)."""
_HAN = re.compile("[\u4e00-\u9fff]")


def join_markdown(pages: Iterable[Mapping[str, Any]]) -> str:
    """Return the Markdown of all pages in one text, joined as PaddleX does it, for engines without a pipeline.

    A page that begins in the middle of a paragraph (its first continuation flag is False) continues the page before,
    without a space between Chinese characters.
    """
    joined, continues = "", False
    for page in pages:
        starts, ends = page.get("page_continuation_flags") or (True, True)
        added = str(page.get("markdown_texts", ""))
        space = "" if _HAN.match(joined[-1:]) or _HAN.match(added[:1]) else " "
        separator = "" if not joined else space if continues and not starts else "\n\n"
        joined, continues = joined + separator + added, not ends
    return joined


def write_outputs(job: DocumentJob, reading: Reading, folder: Path, source: PageSource) -> tuple[str, ...]:
    """Write the results and remove other results of an earlier run; returns the paths.

    Raises DoctorError if a file cannot be written (a full disk).
    """
    base = folder / job.name
    try:
        base.parent.mkdir(parents=True, exist_ok=True)
        markdown = _markdown(job, reading)
        written = [_write(Path(f"{base}.md"), markdown.encode("utf-8", "replace"))]
        document = json.dumps(as_document(reading), ensure_ascii=False, indent=2) + "\n"
        written.append(_write(Path(f"{base}.json"), json_bytes(document)))
        tables = list(tables_of(reading.pages))
        written += [_write(Path(f"{base}.tables.xlsx"), workbook(tables))] if tables else []
        written += _write_pdfs(job, base, source)
        remove_stale(base, written, job.count)
    except OSError as error:
        raise DoctorError(message("results-not-kept", path=folder, reason=error.strerror or error)) from error
    return tuple(map(str, written))


def _markdown(job: DocumentJob, reading: Reading) -> str:
    if job.markdown is not None:
        return job.markdown.strip("\n") + "\n"
    pages = [page.markdown for page in job.pages_in_order()]
    return join_markdown(pages) + "\n" if pages and all(pages) else as_markdown(reading)


def _write(path: Path, data: bytes) -> Path:
    """Replace a file atomically."""
    with new_file(path, path.with_name(f"{path.name}.new")) as file:
        file.write(data)
    return path


def _write_pdfs(job: DocumentJob, base: Path, source: PageSource) -> Iterator[Path]:
    """Write one PDF of the layout pictures and one of the reading order of all pages; yields the paths."""
    for name, sheets in (("layout", _layout_pages(job)), ("order", _order_pages(job))):
        pdf = Path(f"{base}.{name}.pdf")
        try:
            if sheets:
                source.write_pdf(sheets, pdf)
                yield pdf
        except PictureError as error:
            job.notes.append(str(error))


def _layout_pages(job: DocumentJob) -> list[PdfPage]:
    """Return the layout pictures that the pipeline saved."""
    return [PdfPage(path) for i in sorted(job.pages) for path in sorted(job.store.folder_of(i).glob(_LAYOUT))]


def _order_pages(job: DocumentJob) -> list[PdfPage]:
    """Return the pages with the boxes of their blocks numbered; none if the engine gives no boxes."""
    pages = [(read.page, job.store.folder_of(read.page.index) / PREVIEW) for read in job.pages_in_order()]
    sheets = [
        PdfPage(path, (p.width, p.height), tuple(_numbered_boxes(p))) for p, path in pages if path.is_file()
    ]
    return sheets if any(sheet.boxes for sheet in sheets) else []


def _numbered_boxes(page: Page) -> Iterator[tuple[int, Box]]:
    """Yield the numbers and boxes of the blocks, except blocks that cover the whole page."""
    for number, block in enumerate(page.blocks, 1):
        if block.box != (0, 0, page.width, page.height):
            yield number, block.box
