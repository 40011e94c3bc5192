"""Compares an engine's page with what the witness, an independent reader, saw on the same page.

Neither is the truth. Said is only what a person should look at: text that one has and the other has nothing like.
What only one of them can read (formulas, figures), and characters misread by either, is not said.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt

from rapidfuzz.distance import Levenshtein

from paddlevl_doctor.parsing.evaluate.text_similarity import (
    FORMULA,
    IDEOGRAPHS,
    comparison_key,
    fuzzy_contains,
    information_length,
    missing_pieces,
    ngram_overlap,
    without_latex,
    without_tags,
)
from paddlevl_doctor.parsing.output.html_tables import rows_of
from paddlevl_doctor.parsing.output.run_report_model import Difference, DifferenceKind
from paddlevl_doctor.values.pages import Block, Box, Line, Page

FIGURES = frozenset({"figure", "image", "chart", "seal", "header_image", "footer_image"})
"""Layout labels of what the engine does not read as text, or reads into a form of its own (a chart as a table)."""
FORMULAS = frozenset({"formula", "display_formula", "inline_formula"})
"""Layout labels of what the engine reads as LaTeX."""

_MIN_CONFIDENCE = 0.85
"""The witness's score from which its line counts. On the demo page all text has 0.97 or more, formulas 0.88."""
_MIN_LENGTH = 3
"""Weight from which a line is more than a stray character or two."""
_SHORT_LENGTH = 8
"""Below this weight a misread character already makes another text: such a line is lost only outside all blocks, and
such a block is never made up nor repeated."""
_MIN_UNIQUE_LENGTH = 12
"""Weight from which a piece of a line is found wherever on the page it is; shorter ones may be there by chance."""
_FOUND_SIMILARITY = 0.85
"""Similarity from which a line is found. Clipped by a third it has 0.8; misread in one of ten characters 0.9."""
_MIN_OVERLAP = 0.5
"""The part of a line's area that makes it belong to a block; the witness's boxes are wider than the engine's."""
_UNRELATED_OVERLAP = 0.3
"""The engine's text shares less than this with what the witness saw: there is nothing like it."""
_SAME_OVERLAP = 0.5
"""The engine's text shares at least this with what the witness saw: it says the same."""
_CELL_SIMILARITY = 0.7
"""Similarity from which a cell of a table was seen: "Beta" misread in one letter has 0.75, "200" for "300" 0.67."""
_SHORT_ROW = 6
"""Below this weight a row of a table is never made up."""
_MIN_LEGIBLE_PIXELS = 9
"""Pixels that the side of a character must have for the witness to be believed when it saw nothing."""
_MIN_REPETITIONS = 5
"""So many times the same on end is a model that does not stop."""
_FIRST_WORDS = 60
"""Characters that are quoted of a page which the engine left blank."""

_WORD = re.compile(rf"[{IDEOGRAPHS}]|[^\W_{IDEOGRAPHS}]+")
_LOOP = re.compile(rf"(.{{1,60}}?)\1{{{_MIN_REPETITIONS - 1},}}", re.DOTALL)
"""On one sign for each word: up to 60 words again and again."""


@dataclass(frozen=True)
class _Place:
    """The characters of a block or a line, and where they are."""

    characters: str
    box: Box


@dataclass(frozen=True)
class _Sides:
    """What engine and witness have on the page, and all of it as one text each."""

    page: Page
    lines: Sequence[Line]
    read: tuple[_Place, ...]
    saw: tuple[_Place, ...]
    all_read: str
    all_saw: str

    def read_at(self, box: Box) -> str:
        """Return what the engine read in the row of a line's box."""
        return "".join(place.characters for place in self.read if _is_beside(place.box, box))

    def saw_at(self, box: Box) -> str:
        """Return what the witness saw wherever it touches a box."""
        return "".join(place.characters for place in self.saw if _overlap(place.box, box) > 0)


def differences(page: Page, lines: Sequence[Line]) -> tuple[Difference, ...]:
    """Return what the engine read differently from what the witness saw; boxes in pixels of the page.

    `lines` are the witness's, in the same pixels. First comes what is lost, in the witness's order, then what is made
    up and what is repeated, in the engine's.
    """
    sides = _sides(page, lines)
    sure = [line for line in lines if _is_sure(line)]
    if not sides.all_read:
        return _blank(page, sure)
    lost = tuple(_lost(sides, sure))
    repeated = tuple(_repeated(sides))
    boxes = {difference.box for difference in repeated}
    return (*lost, *(new for new in _made_up(sides) if new.box not in boxes), *repeated)


def _sides(page: Page, lines: Sequence[Line]) -> _Sides:
    read = tuple(_Place(_characters(block), block.box) for block in page.blocks)
    saw = tuple(_Place(comparison_key(line.text).replace(FORMULA, ""), line.box) for line in lines)
    joined = ("".join(place.characters for place in places) for places in (read, saw))
    return _Sides(page, lines, read, saw, *joined)


def _characters(block: Block) -> str:
    if block.kind in FORMULAS:
        return FORMULA if block.text.strip() else ""
    return comparison_key(block.text)


def _shown(block: Block) -> str:
    return " ".join(without_tags(block.text).split())


def _is_sure(line: Line) -> bool:
    return line.score >= _MIN_CONFIDENCE and information_length(comparison_key(line.text)) >= _MIN_LENGTH


def _overlap(one: Box, other: Box) -> int:
    """Return the area that two boxes share, in square pixels."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return max(wide, 0) * max(high, 0)


def _is_in(inner: Box, outer: Box) -> bool:
    area = (inner[2] - inner[0]) * (inner[3] - inner[1])
    return area > 0 and _overlap(inner, outer) >= _MIN_OVERLAP * area


def _is_beside(block: Box, line: Box) -> bool:
    """Return whether a block has at least half the height of a line in common with it, and some of its width."""
    high = min(block[3], line[3]) - max(block[1], line[1])
    return _overlap(block, line) > 0 and high >= _MIN_OVERLAP * min(block[3] - block[1], line[3] - line[1])


# --- lost -----------------------------------------------------------------------------------------------------


def _blank(page: Page, sure: Sequence[Line]) -> tuple[Difference, ...]:
    words = " ".join(line.text for line in sure)
    if not words:
        return ()
    first = words if len(words) <= _FIRST_WORDS else words[:_FIRST_WORDS].rstrip() + "…"
    return (Difference(DifferenceKind.BLANK, page.index, first, (0, 0, page.width, page.height)),)


def _lost(sides: _Sides, sure: Sequence[Line]) -> Iterator[Difference]:
    unread = [block.box for block in sides.page.blocks if block.kind in FIGURES | FORMULAS]
    for line in sure:
        if not any(_is_in(line.box, box) for box in unread) and _is_lost(sides, line):
            yield Difference(DifferenceKind.LOST, sides.page.index, line.text, line.box)


def _is_lost(sides: _Sides, line: Line) -> bool:
    known = comparison_key(line.text)
    if known in sides.all_read:
        return False
    here = sides.read_at(line.box)
    if information_length(known) < _SHORT_LENGTH:
        return not here
    return any(not _is_found(piece, here, sides.all_read) for piece in missing_pieces(known, here))


def _is_found(piece: str, here: str, everywhere: str) -> bool:
    """Return whether a piece of a line is elsewhere: the witness joins columns, the engine may box them otherwise."""
    return fuzzy_contains(piece, here, _FOUND_SIMILARITY) or (
        (information_length(piece) >= _MIN_UNIQUE_LENGTH or not here)
        and fuzzy_contains(piece, everywhere, _FOUND_SIMILARITY)
    )


# --- made up --------------------------------------------------------------------------------------------------


def _made_up(sides: _Sides) -> Iterator[Difference]:
    for block, place in zip(sides.page.blocks, sides.read, strict=True):
        if block.kind not in FIGURES and _is_made_up(sides, block, place):
            yield Difference(DifferenceKind.MADE_UP, sides.page.index, _shown(block), block.box)
        elif block.kind == "table":
            yield from _made_up_rows(sides, block)


def _is_made_up(sides: _Sides, block: Block, place: _Place) -> bool:
    known = place.characters.replace(FORMULA, "")
    if (
        known in sides.all_saw
        or information_length(known) < _SHORT_LENGTH
        or not _is_legible(known, block.box)
    ):
        return False
    there = [line for line in sides.lines if _overlap(line.box, block.box) > 0]
    if any(line.score < _MIN_CONFIDENCE for line in there):
        return False
    if there and block.kind == "table":
        return False  # the witness sees its cells in another order: they are looked at row by row
    return ngram_overlap(known, sides.saw_at(block.box)) < _UNRELATED_OVERLAP and not _is_elsewhere(
        known, sides.all_saw
    )


def _made_up_rows(sides: _Sides, block: Block) -> Iterator[Difference]:
    """Yield the rows of a table of which the witness saw no word, where it surely saw most of the other rows.

    A short row is believed to be made up only where the witness saw in the table what the engine does not have.
    """
    there = [line for line in sides.lines if _overlap(line.box, block.box) > 0]
    rows = rows_of(block.text)
    saw = sides.saw_at(block.box)
    read = comparison_key(block.text)
    left = [known for line in there if (known := comparison_key(line.text)) not in read]
    seen = [_is_row_seen(row, saw, left) for row in rows]
    if any(line.score < _MIN_CONFIDENCE for line in there) or seen.count(True) < max(2, len(rows) / 2):
        return
    is_other = any(_is_sure(line) and _is_lost(sides, line) for line in there)
    for number, row in enumerate(rows):
        enough = information_length(comparison_key(" ".join(row))) >= (
            _SHORT_ROW if is_other else _MIN_UNIQUE_LENGTH
        )
        if seen[number] is False and enough:
            box = _row_box(block.box, number, len(rows))
            yield Difference(DifferenceKind.MADE_UP, sides.page.index, " ".join(filter(None, row)), box)


def _is_row_seen(row: Sequence[str], saw: str, left: Sequence[str]) -> bool | None:
    """Say whether any cell of a row was seen, maybe misread; None where no cell says enough to tell.

    `left` is what the witness saw and the engine does not have: only that can be a cell that either misread.
    """
    cells = [comparison_key(cell) for cell in row]
    telling = [cell for cell in cells if information_length(cell) >= _MIN_LENGTH and FORMULA not in cell]
    seen = (cell in saw or any(_is_misread(cell, line) for line in left) for cell in telling)
    return any(seen) if telling else None


def _is_misread(cell: str, line: str) -> bool:
    """Say whether a line may be a cell as the other one read it; in a short one a part of it is chance."""
    if information_length(cell) < _SHORT_LENGTH:
        return Levenshtein.normalized_similarity(cell, line) >= _CELL_SIMILARITY
    return fuzzy_contains(cell, line, _CELL_SIMILARITY)


def _row_box(table: Box, number: int, count: int) -> Box:
    """Return about where a row is: an engine says it of the whole table only."""
    left, top, right, bottom = table
    high = (bottom - top) / count
    return left, round(top + number * high), right, round(top + (number + 1) * high)


def _is_legible(known: str, box: Box) -> bool:
    """Return whether so much text in this box is of readable size, and not one column of characters."""
    wide, high = box[2] - box[0], box[3] - box[1]
    side = sqrt(max(wide, 0) * max(high, 0) / information_length(known) * 2)
    return side >= _MIN_LEGIBLE_PIXELS and wide >= 2 * side


def _is_elsewhere(known: str, everywhere: str) -> bool:
    return (
        fuzzy_contains(known, everywhere, 0.7)
        or ngram_overlap(known, everywhere, run=6) >= _UNRELATED_OVERLAP
    )


# --- repeated -------------------------------------------------------------------------------------------------


def _repeated(sides: _Sides) -> Iterator[Difference]:
    """Yield each text that is more often in the engine's blocks than on the page, or without end in one block."""
    times = Counter(place.characters for place in sides.read)
    said = set()
    for block, place in zip(sides.page.blocks, sides.read, strict=True):
        known = place.characters
        if times[known] > 1 and known not in said and block.kind not in FIGURES:
            said.add(known)
            yield from _surplus(sides, known)
        yield from _endless(sides, block)


def _surplus(sides: _Sides, known: str) -> Iterator[Difference]:
    """Yield the first of the blocks with the same text that is none of the places where the witness saw it."""
    blocks = [b for b, place in zip(sides.page.blocks, sides.read, strict=True) if place.characters == known]
    plain = known.replace(FORMULA, "")
    there: list[Block] = []
    elsewhere: list[Block] = []
    for block in blocks:
        is_new = not any(_is_in(block.box, other.box) for other in there)
        is_seen = is_new and ngram_overlap(plain, sides.saw_at(block.box)) >= _SAME_OVERLAP
        (there if is_seen else elsewhere).append(block)
    times_seen = max(len(there), sides.all_saw.count(plain))
    if information_length(plain) >= _SHORT_LENGTH and 0 < times_seen < len(blocks):
        surplus = (elsewhere if there else elsewhere[1:])[0]
        yield Difference(DifferenceKind.REPEATED, sides.page.index, _shown(surplus), surplus.box)


def _endless(sides: _Sides, block: Block) -> Iterator[Difference]:
    """Yield what a block says again and again, once, in the engine's own words; formulas and figures are left out."""
    if block.kind in FIGURES | FORMULAS:
        return
    text = without_latex(without_tags(block.text))
    words = list(_WORD.finditer(text))
    numbers: dict[str, int] = {}
    signs = "".join(chr(numbers.setdefault(comparison_key(word[0]), len(numbers))) for word in words)
    saw = sides.saw_at(block.box) or sides.all_saw
    said = set()
    for loop in _LOOP.finditer(signs):
        unit = [comparison_key(word[0]) for word in words[loop.start() : loop.end(1)]]
        times = len(loop[0]) // len(loop[1])
        phrase = " ".join(text[words[loop.start()].start() : words[loop.end(1) - 1].end()].split())
        if phrase not in said and min(map(saw.count, unit)) < times / 2:
            said.add(phrase)
            yield Difference(DifferenceKind.REPEATED, sides.page.index, phrase, block.box)
