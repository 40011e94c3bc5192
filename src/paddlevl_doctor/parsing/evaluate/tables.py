"""Compares the tables of a document with those that were read: which is which, their shape, and cell by cell.

A grid is compared and not a tree of elements, as TEDS (Zhong et al., 2020) does it: the cells of merged ones count
wherever they reach, which is what a person compares, and what differs can be named by its row and column.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from rapidfuzz import fuzz

from paddlevl_doctor.messages import Message, message
from paddlevl_doctor.parsing.evaluate.ground_truth import Truth
from paddlevl_doctor.parsing.evaluate.text_similarity import fold_text
from paddlevl_doctor.parsing.evaluate.verdict_messages import excerpt, quoted
from paddlevl_doctor.parsing.output.html_tables import filled_rows_of, rows_of, shape
from paddlevl_doctor.values.pages import Reading

_SAME = 0.4
"""Two tables of which less of the text is alike are different tables."""
_GAP = 0.6
"""What it costs that a row has no counterpart; a row of quite other text costs 1, two without counterpart more."""
_NAMED = 3
"""So many rows, columns and cells of a table are named."""

Rows = tuple[tuple[str, ...], ...]
Pair = tuple["int | None", "int | None"]
"""The numbers of two rows or columns that are the same one; None where the other side has none."""


@dataclass(frozen=True)
class TableFaults:
    """What makes the tables fail, and what only differs."""

    faults: tuple[Message, ...] = ()
    notes: tuple[Message, ...] = ()


@dataclass(frozen=True)
class _Grid:
    """A table: its rows with merged cells as empty ones after the first, and with their text wherever they reach."""

    rows: Rows
    filled: Rows

    @property
    def text(self) -> str:
        return " ".join(cell for row in self.rows for cell in row if cell)

    @property
    def size(self) -> tuple[int, int]:
        return shape(self.rows)

    def cell(self, row: int, column: int) -> tuple[str, ...]:
        """Return what may be said to stand there."""
        return tuple(
            rows[row][column] if column < len(rows[row]) else "" for rows in (self.rows, self.filled)
        )


def table_faults(reading: Reading, truth: Truth, threshold: float) -> TableFaults:
    """Compare all tables; a document in which none is known says nothing about those that were read.

    A table fails where it is missing or new, has another shape, or less of its cells than `threshold` (0 to 1) is
    right and in place.
    """
    known = [_Grid(block.rows, block.rows) for page in truth.pages for block in page.blocks if block.rows]
    if not known:
        return TableFaults()
    html = [block.text for page in reading.pages for block in page.blocks if block.kind == "table"]
    read = [_Grid(rows_of(words), filled_rows_of(words)) for words in html if rows_of(words)]
    pairs = _matched(known, read)
    found = [
        _compared(n, table, read[pairs[n]], threshold) if n in pairs else _missing(n, table)
        for n, table in enumerate(known)
    ]
    new = [grid for n, grid in enumerate(read) if n not in pairs.values()]
    extra = tuple(message("evaluation-table-extra", name=excerpt(grid.text)) for grid in new[:_NAMED])
    faults = (*(fault for one in found for fault in one.faults), *extra)
    return TableFaults(faults, tuple(note for one in found for note in one.notes))


def _missing(number: int, table: _Grid) -> TableFaults:
    return TableFaults((message("evaluation-table-missing", number=number + 1, name=excerpt(table.text)),))


def _matched(known: Sequence[_Grid], read: Sequence[_Grid]) -> dict[int, int]:
    """Return which table was read as which, the most alike first, of equally alike ones in their order."""
    texts = [[fold_text(grid.text) for grid in grids] for grids in (known, read)]
    scores = sorted(
        (
            (-fuzz.ratio(a, b, score_cutoff=100 * _SAME), n, m)
            for n, a in enumerate(texts[0])
            for m, b in enumerate(texts[1])
        ),
    )
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for score, n, m in scores:
        if score < 0 and n not in pairs and m not in taken:
            pairs[n] = m
            taken.add(m)
    return pairs


# --- one table ------------------------------------------------------------------------------------------------


def _compared(number: int, known: _Grid, read: _Grid, threshold: float) -> TableFaults:
    rows = _aligned(_lines(known.rows), _lines(read.rows))
    columns = _aligned(_lines(_turned(known.rows)), _lines(_turned(read.rows)))
    head = {"number": number + 1, "name": excerpt(known.text)}
    faults = []
    if known.size != read.size:
        sizes = (f"{grid.size[0]} x {grid.size[1]}" for grid in (known, read))
        faults.append(
            message("evaluation-table-shape", **head, **dict(zip(("known", "read"), sizes, strict=True)))
        )
        faults += _unmatched(number, rows, known.rows, read.rows, "row")
        faults += _unmatched(number, columns, _turned(known.rows), _turned(read.rows), "column")
    wrong = list(_wrong_cells(known, read, rows, columns))
    right = 1 - sum(1 - score for score, *_ in wrong) / max(known.size[0] * known.size[1], 1)
    cells = tuple(_cell(number, known, read, place) for _, *place in wrong[:_NAMED])
    if right < threshold and not faults:
        faults.append(message("evaluation-table-cells", **head, score=max(right, 0.0), needed=threshold))
        return TableFaults((*faults, *cells))
    return TableFaults(tuple(faults), cells)


def _lines(rows: Rows) -> list[str]:
    return [fold_text(" ".join(row)) for row in rows]


def _turned(rows: Rows) -> Rows:
    wide = max(map(len, rows), default=0)
    return tuple(tuple(row[n] if n < len(row) else "" for row in rows) for n in range(wide))


def _aligned(known: Sequence[str], read: Sequence[str]) -> list[Pair]:
    """Return which lines are the same ones: the cheapest alignment (Needleman and Wunsch, 1970)."""
    costs = [[_GAP * (n + m) for m in range(len(read) + 1)] for n in range(len(known) + 1)]
    steps: dict[tuple[int, int], tuple[int, int]] = {}
    for n in range(len(known) + 1):
        for m in range(len(read) + 1):
            ways = [(costs[a][b] + cost, (a, b)) for cost, (a, b) in _ways(known, read, n, m)]
            if ways:
                costs[n][m], steps[n, m] = min(ways, key=lambda way: way[0])
    return list(_walked(steps, (len(known), len(read))))[::-1]


def _ways(
    known: Sequence[str], read: Sequence[str], n: int, m: int
) -> Iterator[tuple[float, tuple[int, int]]]:
    if n and m:
        yield 1 - _alike(known[n - 1], read[m - 1]), (n - 1, m - 1)
    if n:
        yield _GAP, (n - 1, m)
    if m:
        yield _GAP, (n, m - 1)


def _alike(one: str, other: str) -> float:
    return fuzz.ratio(one, other) / 100 if one or other else 1.0


def _walked(steps: dict[tuple[int, int], tuple[int, int]], end: tuple[int, int]) -> Iterator[Pair]:
    while end in steps:
        n, m = steps[end]
        yield (n if n < end[0] else None, m if m < end[1] else None)
        end = (n, m)


def _unmatched(number: int, pairs: Sequence[Pair], known: Rows, read: Rows, what: str) -> Iterator[Message]:
    """Yield the rows or columns that only one side has."""
    for n, m in islice((pair for pair in pairs if None in pair), _NAMED):
        if n is not None:
            yield message(f"evaluation-table-{what}-lost", number=number + 1, at=n + 1, text=_quote(known[n]))
        elif m is not None:
            yield message(f"evaluation-table-{what}-extra", number=number + 1, at=m + 1, text=_quote(read[m]))


def _quote(cells: Sequence[str]) -> str:
    return quoted(" | ".join(cells))


def _wrong_cells(
    known: _Grid, read: _Grid, rows: Sequence[Pair], columns: Sequence[Pair]
) -> Iterator[tuple[float, int, int, int, int]]:
    """Yield how right each cell is that differs, 0 to 1, and its row and column on either side."""
    for row, read_row in rows:
        for column, read_column in columns:
            if row is None or column is None or read_row is None or read_column is None:
                continue
            ours = fold_text(known.cell(row, column)[0])
            score = max(_alike(ours, fold_text(cell)) for cell in read.cell(read_row, read_column))
            if score < 1:
                yield score, row, column, read_row, read_column


def _cell(number: int, known: _Grid, read: _Grid, place: Sequence[int]) -> Message:
    row, column, read_row, read_column = place
    return message(
        "evaluation-table-cell",
        number=number + 1,
        row=row + 1,
        column=column + 1,
        known=quoted(known.cell(row, column)[0]),
        read=quoted(read.cell(read_row, read_column)[0]),
    )
