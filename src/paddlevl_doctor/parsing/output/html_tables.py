"""Converts tables in HTML, as PaddleOCR-VL writes them, to rows of plain text."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

from paddlevl_doctor.frozen import dataclass

_MAX_SPAN = 100
"""A model that fails may write any number as a span."""

Rows = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Cell:
    """One cell: its plain text, how many columns and rows it covers, and whether it is a header cell."""

    text: str
    colspan: int = 1
    rowspan: int = 1
    is_header: bool = False


def rows_of(html: str) -> Rows:
    """Return the cells of all rows; a merged cell has its text once and is empty elsewhere. () if there is no row."""
    return tuple(tuple(" ".join(cell.split()) for cell in row) for row in _parse(html).rows if row)


def cells_of(html: str) -> tuple[tuple[Cell, ...], ...]:
    """Return the cells of all rows; a merged cell is there once, with its spans. () if there is no cell."""
    parser = _parse(html)
    rows: list[list[Cell]] = [[] for _ in parser.rows]
    for row, column, cell in parser.cells:
        rows[row].append(replace(cell, text=" ".join(parser.rows[row][column].split())))
    return tuple(map(tuple, rows)) if parser.cells else ()


def filled_rows_of(html: str) -> Rows:
    """Return the cells of all rows; a merged cell's text is repeated in every row and column that it covers."""
    parser = _parse(html)
    rows = [[" ".join(cell.split()) for cell in row] for row in parser.rows]
    for row, column, cell in parser.cells:
        for covered in rows[row : row + cell.rowspan]:
            width = len(covered[column : column + cell.colspan])
            covered[column : column + width] = [rows[row][column]] * width
    return tuple(tuple(row) for row in rows if row)


def shape(rows: Rows) -> tuple[int, int]:
    """Return the number of rows and of columns of a table."""
    return len(rows), max(map(len, rows), default=0)


def _parse(html: str) -> _TableParser:
    parser = _TableParser()
    parser.feed(html)
    parser.close()
    return parser


class _TableParser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.cells: list[tuple[int, int, Cell]] = []
        """Row, column and spans of every cell; the text is in `rows`."""
        self._rows_covered: dict[int, int] = {}
        """For each column, how many more rows a cell from above covers."""
        self._in_cell = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
            self._in_cell = False
        elif tag in ("td", "th") and self.rows:
            self._skip_covered()
            spans = dict(attrs)
            colspan, rowspan = _span(spans.get("colspan")), _span(spans.get("rowspan"))
            start = len(self.rows[-1])
            self.rows[-1] += [""] * colspan
            if rowspan > 1:
                self._rows_covered.update(dict.fromkeys(range(start, start + colspan), rowspan - 1))
            self.cells.append((len(self.rows) - 1, start, Cell("", colspan, rowspan, tag == "th")))
            self._start, self._in_cell = start, True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._in_cell = False
        elif tag == "tr" and self.rows:
            self._skip_covered()

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.rows[-1][self._start] += data

    def _skip_covered(self) -> None:
        """Add an empty cell to the current row for each column that a cell from above covers."""
        row = self.rows[-1]
        while self._rows_covered.get(len(row), 0) > 0:
            self._rows_covered[len(row)] -= 1
            row.append("")


def _span(value: str | None) -> int:
    return min(max(int(value), 1), _MAX_SPAN) if value and value.isdecimal() else 1
