"""Compares the tables of a document with those that were read: matches them, then compares shape and cells.

Tables are compared as grids, not as trees of elements as TEDS does (Zhong et al., 2020): a merged cell counts in every
row and column that it covers, and a difference can be named by row and column.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from rapidfuzz import fuzz

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import Message, message
from paddlevl_doctor.parsing.evaluate.ground_truth import Truth
from paddlevl_doctor.parsing.evaluate.parts import excerpt, quoted
from paddlevl_doctor.parsing.evaluate.text_similarity import fold_text
from paddlevl_doctor.parsing.output.html_tables import Rows, filled_rows_of, rows_of, shape
from paddlevl_doctor.values.pages import Reading

_MIN_TABLE_SIMILARITY = 0.4
"""Two tables whose texts are less similar are different tables."""
_GAP_COST = 0.6
"""Cost of a row without counterpart. Two rows of entirely different text cost 1; two without counterpart cost more."""
_MAX_NAMED = 3
"""How many rows, columns and cells of one table are named."""

LinePair = tuple["int | None", "int | None"]
"""The numbers of the same row (or column) in the document and in the reading; None on the side that lacks it."""


@dataclass(frozen=True)
class TableFaults:
    """The differences between tables: `faults` fail a document, `notes` do not."""

    faults: tuple[Message, ...] = ()
    notes: tuple[Message, ...] = ()


@dataclass(frozen=True)
class _Table:
    """A table: in `rows` a merged cell has its text once, in `filled` in every row and column that it covers."""

    rows: Rows
    filled: Rows

    @property
    def text(self) -> str:
        return " ".join(cell for row in self.rows for cell in row if cell)

    @property
    def shape(self) -> tuple[int, int]:
        return shape(self.rows)

    def cell(self, row: int, column: int) -> tuple[str, ...]:
        """Return the texts that are valid for a cell: a merged cell's text once or repeated."""
        return tuple(
            rows[row][column] if column < len(rows[row]) else "" for rows in (self.rows, self.filled)
        )


def table_faults(reading: Reading, truth: Truth, threshold: float) -> TableFaults:
    """Compare all tables; nothing is compared if the ground truth contains no table.

    A table is a fault if it is missing or extra, has another shape, or if less than `threshold` (0 to 1) of its cells
    is correct and in place.
    """
    known = [_Table(block.rows, block.rows) for page in truth.pages for block in page.blocks if block.rows]
    if not known:
        return TableFaults()
    html = [block.text for page in reading.pages for block in page.blocks if block.kind == "table"]
    read = [_Table(rows, filled_rows_of(table)) for table in html if (rows := rows_of(table))]
    pairs = _match_tables(known, read)
    faults: list[Message] = []
    notes: list[Message] = []
    for n, table in enumerate(known):
        if n in pairs:
            compared = _compare_tables(n + 1, table, read[pairs[n]], threshold)
            faults += compared.faults
            notes += compared.notes
        else:
            faults.append(message("evaluation-table-missing", number=n + 1, name=excerpt(table.text)))
    extra = [table for m, table in enumerate(read) if m not in pairs.values()]
    faults += (message("evaluation-table-extra", name=excerpt(table.text)) for table in extra[:_MAX_NAMED])
    return TableFaults(tuple(faults), tuple(notes))


def _match_tables(known: Sequence[_Table], read: Sequence[_Table]) -> dict[int, int]:
    """Return the number of the read table for each known one, most similar pairs first, equal ones in order."""
    known_texts, read_texts = ([fold_text(table.text) for table in tables] for tables in (known, read))
    scores = sorted(
        (-fuzz.ratio(one, other, score_cutoff=100 * _MIN_TABLE_SIMILARITY), n, m)
        for n, one in enumerate(known_texts)
        for m, other in enumerate(read_texts)
    )
    pairs: dict[int, int] = {}
    for score, n, m in scores:
        if score < 0 and n not in pairs and m not in pairs.values():
            pairs[n] = m
    return pairs


def _compare_tables(number: int, known: _Table, read: _Table, threshold: float) -> TableFaults:
    """Return the faults and notes of one table; `number` counts from 1."""
    columns_known, columns_read = _transposed(known.rows), _transposed(read.rows)
    rows = _align_lines(_folded_lines(known.rows), _folded_lines(read.rows))
    columns = _align_lines(_folded_lines(columns_known), _folded_lines(columns_read))
    name = excerpt(known.text)
    faults = []
    if known.shape != read.shape:
        sizes = {key: "{} x {}".format(*table.shape) for key, table in (("known", known), ("read", read))}
        faults.append(message("evaluation-table-shape", number=number, name=name, **sizes))
        faults += _unmatched_lines(number, rows, known.rows, read.rows, "row")
        faults += _unmatched_lines(number, columns, columns_known, columns_read, "column")
    wrong = list(_wrong_cells(number, known, read, rows, columns))
    correct = 1 - sum(1 - score for score, _ in wrong) / max(known.shape[0] * known.shape[1], 1)
    cells = tuple(cell for _, cell in wrong[:_MAX_NAMED])
    if correct < threshold and not faults:
        score = max(correct, 0.0)
        fault = message("evaluation-table-cells", number=number, name=name, score=score, needed=threshold)
        return TableFaults((fault, *cells))
    return TableFaults(tuple(faults), cells)


def _folded_lines(rows: Rows) -> list[str]:
    return [fold_text(" ".join(row)) for row in rows]


def _transposed(rows: Rows) -> Rows:
    width = shape(rows)[1]
    return tuple(tuple(row[n] if n < len(row) else "" for row in rows) for n in range(width))


def _align_lines(known: Sequence[str], read: Sequence[str]) -> list[LinePair]:
    """Return the alignment of rows (or columns) with the lowest cost (Needleman and Wunsch, 1970)."""
    costs = [[_GAP_COST * (n + m) for m in range(len(read) + 1)] for n in range(len(known) + 1)]
    previous: dict[tuple[int, int], tuple[int, int]] = {}
    for n in range(len(known) + 1):
        for m in range(len(read) + 1):
            steps = [(costs[a][b] + cost, (a, b)) for cost, (a, b) in _steps_to(known, read, n, m)]
            if steps:
                costs[n][m], previous[n, m] = min(steps, key=lambda step: step[0])
    pairs: list[LinePair] = []
    end = (len(known), len(read))
    while end in previous:
        n, m = previous[end]
        pairs.append((n if n < end[0] else None, m if m < end[1] else None))
        end = (n, m)
    return pairs[::-1]


def _steps_to(
    known: Sequence[str], read: Sequence[str], n: int, m: int
) -> Iterator[tuple[float, tuple[int, int]]]:
    """Yield the steps of the alignment that lead to position (n, m): their cost and where they come from."""
    if n and m:
        yield 1 - _similarity(known[n - 1], read[m - 1]), (n - 1, m - 1)
    if n:
        yield _GAP_COST, (n - 1, m)
    if m:
        yield _GAP_COST, (n, m - 1)


def _similarity(one: str, other: str) -> float:
    return fuzz.ratio(one, other) / 100 if one or other else 1.0


def _unmatched_lines(
    number: int, pairs: Sequence[LinePair], known: Rows, read: Rows, kind: str
) -> Iterator[Message]:
    """Yield the first rows or columns that only one side has; `kind` is row or column."""
    for n, m in islice((pair for pair in pairs if None in pair), _MAX_NAMED):
        if n is not None:
            text = quoted(" | ".join(known[n]))
            yield message(f"evaluation-table-{kind}-lost", number=number, at=n + 1, text=text)
        elif m is not None:
            text = quoted(" | ".join(read[m]))
            yield message(f"evaluation-table-{kind}-extra", number=number, at=m + 1, text=text)


def _wrong_cells(
    number: int, known: _Table, read: _Table, rows: Sequence[LinePair], columns: Sequence[LinePair]
) -> Iterator[tuple[float, Message]]:
    """Yield the similarity, 0 to 1, and the description of each cell that differs."""
    for row, read_row in rows:
        for column, read_column in columns:
            if row is None or column is None or read_row is None or read_column is None:
                continue
            text, options = known.cell(row, column)[0], read.cell(read_row, read_column)
            score = max(_similarity(fold_text(text), fold_text(option)) for option in options)
            if score < 1:
                yield (
                    score,
                    message(
                        "evaluation-table-cell",
                        number=number,
                        row=row + 1,
                        column=column + 1,
                        known=quoted(text),
                        read=quoted(options[0]),
                    ),
                )
