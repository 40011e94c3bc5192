"""A table in HTML, as PaddleOCR-VL writes it, into rows of plain text."""

from __future__ import annotations

from html.parser import HTMLParser

_MAX_SPAN = 100
"""A model gone astray may write any number here."""


def rows_of(html: str) -> tuple[tuple[str, ...], ...]:
    """Return the cells of all rows, merged cells as empty ones after the first; () where there is no row."""
    parser = _Rows()
    parser.feed(html)
    parser.close()
    return tuple(tuple(" ".join(cell.split()) for cell in row) for row in parser.rows if row)


def shape(rows: tuple[tuple[str, ...], ...]) -> tuple[int, int]:
    """Return how many rows and columns a table has."""
    return len(rows), max(map(len, rows), default=0)


class _Rows(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
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
