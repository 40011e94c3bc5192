"""Tables as an Excel workbook. What was read is hostile: every cell is text, whatever it begins with."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

from paddlevl_doctor.messages import text
from paddlevl_doctor.parsing.model import Page
from paddlevl_doctor.parsing.tables import rows_of

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
