"""A table in HTML, as PaddleOCR-VL writes it, into rows of plain text."""

from __future__ import annotations

from dataclasses import dataclass, replace
from html.parser import HTMLParser

_MAX_SPAN = 100
"""A model gone astray may write any number here."""


@dataclass(frozen=True)
class Cell:
    """One cell: its plain text, how many columns and rows it covers, and whether it is a heading."""

    text: str
    across: int = 1
    down: int = 1
    heads: bool = False


def rows_of(html: str) -> tuple[tuple[str, ...], ...]:
    """Return the cells of all rows, merged cells as empty ones after the first; () where there is no row."""
    return tuple(tuple(" ".join(cell.split()) for cell in row) for row in _parsed(html).rows if row)


def cells_of(html: str) -> tuple[tuple[Cell, ...], ...]:
    """Return the cells of all rows, merged cells once and with their spans; () where there is no cell."""
    parser = _parsed(html)
    rows: list[list[Cell]] = [[] for _ in parser.rows]
    for row, column, cell in parser.cells:
        rows[row].append(replace(cell, text=" ".join(parser.rows[row][column].split())))
    return tuple(map(tuple, rows)) if parser.cells else ()


def filled_rows_of(html: str) -> tuple[tuple[str, ...], ...]:
    """Return the cells of all rows like `rows_of`, but with the text of a merged cell wherever it reaches."""
    parser = _parsed(html)
    rows = [[" ".join(cell.split()) for cell in row] for row in parser.rows]
    for row, column, cell in parser.cells:
        for below in rows[row : row + cell.down]:
            reached = len(below[column : column + cell.across])
            below[column : column + reached] = [rows[row][column]] * reached
    return tuple(tuple(row) for row in rows if row)


def shape(rows: tuple[tuple[str, ...], ...]) -> tuple[int, int]:
    """Return how many rows and columns a table has."""
    return len(rows), max(map(len, rows), default=0)


def _parsed(html: str) -> _Rows:
    parser = _Rows()
    parser.feed(html)
    parser.close()
    return parser


class _Rows(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.cells: list[tuple[int, int, Cell]] = []
        """Row, column and spans of every cell."""
        self._below: dict[int, int] = {}
        """How many rows each column is still covered by a cell from above."""
        self._in_cell = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
            self._in_cell = False
        elif tag in ("td", "th") and self.rows:
            self._skip_covered()
            spans = dict(attrs)
            across, down = _span(spans.get("colspan")), _span(spans.get("rowspan"))
            start = len(self.rows[-1])
            self.rows[-1] += [""] * across
            self._below.update(dict.fromkeys(range(start, start + across), down - 1) if down > 1 else {})
            self.cells.append((len(self.rows) - 1, start, Cell("", across, down, tag == "th")))
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
        row = self.rows[-1]
        while self._below.get(len(row), 0) > 0:
            self._below[len(row)] -= 1
            row.append("")


def _span(value: str | None) -> int:
    return min(max(int(value), 1), _MAX_SPAN) if value and value.isdecimal() else 1
