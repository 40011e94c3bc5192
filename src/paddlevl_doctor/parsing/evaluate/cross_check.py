"""Compares a page that an engine read with the lines that the embedded OCR engine found on the same page.

Neither is the truth. Reported is what a person should look at: text of one side that has no similar text on the other
side. Formulas and figures, which only one side can read, and misread characters are not reported.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from math import sqrt

from rapidfuzz.distance import Levenshtein

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.parsing.evaluate.parts import FIGURES, is_inside, overlap_area
from paddlevl_doctor.parsing.evaluate.parts import FORMULAS as DISPLAY_FORMULAS
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

_FORMULAS = DISPLAY_FORMULAS | {"inline_formula"}

# Lengths are those of `information_length`.
_MIN_CONFIDENCE = 0.85
"""OCR score from which a line counts. On the demo page all text has 0.97 or more, formulas 0.88."""
_MIN_LENGTH = 3
"""Length from which a line is more than one or two stray characters."""
_SHORT_LENGTH = 8
"""Below this length one misread character makes a different text: such a line is lost only outside all blocks, and such
a block is never made up or repeated."""
_MIN_UNIQUE_LENGTH = 12
"""Length from which a piece of a line may be found anywhere on the page; shorter ones may occur by chance."""
_MIN_FOUND_SIMILARITY = 0.85
"""Similarity from which a line is found. Clipped by a third it has 0.8; with one misread character in ten 0.9."""
_MIN_OVERLAP = 0.5
"""Share of a line's area or height in a block from which it belongs to it; OCR boxes are wider than the engine's."""
_UNRELATED_OVERLAP = 0.3
"""N-gram overlap below which the engine's text and the OCR text are unrelated."""
_SAME_OVERLAP = 0.5
"""N-gram overlap from which the engine's text and the OCR text are the same."""
_MIN_ELSEWHERE_SIMILARITY = 0.7
"""Similarity from which OCR found a block's text at another place of the page."""
_MIN_CELL_SIMILARITY = 0.7
"""Similarity from which OCR found a table cell: "Beta" with one misread letter has 0.75, "200" for "300" 0.67."""
_SHORT_ROW_LENGTH = 6
"""Below this length a table row is never made up."""
_MIN_LEGIBLE_PIXELS = 9
"""Height of a character in pixels from which text that OCR did not find is absent, and not only too small."""
_MIN_REPETITIONS = 5
"""Number of repetitions in a row from which a model does not stop."""
_MAX_BLANK_QUOTED_CHARS = 60
"""Length of the quotation from a page of which the engine read nothing."""

_WORD = re.compile(rf"[{IDEOGRAPHS}]|[^\W_{IDEOGRAPHS}]+")
_REPETITION = re.compile(rf"(.{{1,60}}?)\1{{{_MIN_REPETITIONS - 1},}}", re.DOTALL)
"""For a text with one character for each word: up to 60 words that are repeated."""


@dataclass(frozen=True)
class _Region:
    """The comparison key of a block or a line, and its box."""

    key: str
    box: Box


@dataclass(frozen=True)
class _PageTexts:
    """The texts of the engine (blocks) and of OCR (lines) on one page, each also joined to one text."""

    page: Page
    lines: Sequence[Line]
    engine: tuple[_Region, ...]
    """One region for each block of the page."""
    ocr: tuple[_Region, ...]
    engine_text: str
    ocr_text: str

    def engine_text_beside(self, line: Box) -> str:
        """Return the text of the blocks that share at least half of the height with a line, and some of its width."""
        return "".join(region.key for region in self.engine if _is_beside(region.box, line))

    def ocr_text_in(self, box: Box) -> str:
        """Return the text of the lines that overlap with a box."""
        return "".join(region.key for region in self.ocr if overlap_area(region.box, box) > 0)

    def lines_in(self, box: Box) -> list[Line]:
        """Return the lines that overlap with a box."""
        return [line for line in self.lines if overlap_area(line.box, box) > 0]


def differences(page: Page, lines: Sequence[Line]) -> tuple[Difference, ...]:
    """Return the differences between a page that an engine read and the OCR lines; boxes in pixels of the page.

    `lines` have boxes in the same pixels. The order is: lost lines in OCR order, then made-up and repeated blocks in
    the engine's order.
    """
    engine = tuple(_Region(_block_key(block), block.box) for block in page.blocks)
    ocr = tuple(_Region(comparison_key(line.text).replace(FORMULA, ""), line.box) for line in lines)
    joined = ("".join(region.key for region in regions) for regions in (engine, ocr))
    texts = _PageTexts(page, lines, engine, ocr, *joined)
    reliable = [line for line in lines if _is_reliable(line)]
    if not texts.engine_text:
        return _blank(page, reliable)
    lost = tuple(_lost(texts, reliable))
    repeated = tuple(_repeated(texts))
    boxes = {difference.box for difference in repeated}
    return (*lost, *(made_up for made_up in _made_up(texts) if made_up.box not in boxes), *repeated)


def _block_key(block: Block) -> str:
    if block.kind in _FORMULAS:
        return FORMULA if block.text.strip() else ""
    return comparison_key(block.text)


def _plain_line(block: Block) -> str:
    return " ".join(without_tags(block.text).split())


def _is_reliable(line: Line) -> bool:
    return line.score >= _MIN_CONFIDENCE and information_length(comparison_key(line.text)) >= _MIN_LENGTH


def _is_beside(block: Box, line: Box) -> bool:
    height = min(block[3], line[3]) - max(block[1], line[1])
    needed = _MIN_OVERLAP * min(block[3] - block[1], line[3] - line[1])
    return overlap_area(block, line) > 0 and height >= needed


def _blank(page: Page, reliable: Sequence[Line]) -> tuple[Difference, ...]:
    text = " ".join(line.text for line in reliable)
    if not text:
        return ()
    limit = _MAX_BLANK_QUOTED_CHARS
    quotation = text if len(text) <= limit else text[:limit].rstrip() + "…"
    return (Difference(DifferenceKind.BLANK, page.index, quotation, (0, 0, page.width, page.height)),)


# --- lost -----------------------------------------------------------------------------------------------------


def _lost(texts: _PageTexts, reliable: Sequence[Line]) -> Iterator[Difference]:
    """Yield the lines outside formulas and figures that the engine did not read."""
    unread = [block.box for block in texts.page.blocks if block.kind in FIGURES | _FORMULAS]
    for line in reliable:
        if not any(is_inside(line.box, box, _MIN_OVERLAP) for box in unread) and _is_lost(texts, line):
            yield Difference(DifferenceKind.LOST, texts.page.index, line.text, line.box)


def _is_lost(texts: _PageTexts, line: Line) -> bool:
    key = comparison_key(line.text)
    if key in texts.engine_text:
        return False
    beside = texts.engine_text_beside(line.box)
    if information_length(key) < _SHORT_LENGTH:
        return not beside
    return any(not _is_found(piece, beside, texts.engine_text) for piece in missing_pieces(key, beside))


def _is_found(piece: str, beside: str, everywhere: str) -> bool:
    """Return whether a piece of a line is in the engine's text beside the line, or anywhere if it is long enough.

    OCR joins lines of neighbouring columns, and the engine may divide a page into other blocks.
    """
    return fuzzy_contains(piece, beside, _MIN_FOUND_SIMILARITY) or (
        (information_length(piece) >= _MIN_UNIQUE_LENGTH or not beside)
        and fuzzy_contains(piece, everywhere, _MIN_FOUND_SIMILARITY)
    )


# --- made up --------------------------------------------------------------------------------------------------


def _made_up(texts: _PageTexts) -> Iterator[Difference]:
    """Yield the blocks and table rows for which OCR found no similar text."""
    for block, region in zip(texts.page.blocks, texts.engine, strict=True):
        if block.kind not in FIGURES and _is_made_up(texts, block, region.key.replace(FORMULA, "")):
            yield Difference(DifferenceKind.MADE_UP, texts.page.index, _plain_line(block), block.box)
        elif block.kind == "table":
            yield from _made_up_rows(texts, block)


def _is_made_up(texts: _PageTexts, block: Block, key: str) -> bool:
    if key in texts.ocr_text or information_length(key) < _SHORT_LENGTH or not _is_legible(key, block.box):
        return False
    lines = texts.lines_in(block.box)
    if any(line.score < _MIN_CONFIDENCE for line in lines):
        return False
    if lines and block.kind == "table":
        return False  # OCR finds the cells in another order: the table is checked row by row
    if ngram_overlap(key, texts.ocr_text_in(block.box)) >= _UNRELATED_OVERLAP:
        return False
    return not (
        fuzzy_contains(key, texts.ocr_text, _MIN_ELSEWHERE_SIMILARITY)
        or ngram_overlap(key, texts.ocr_text, run=6) >= _UNRELATED_OVERLAP
    )


def _is_legible(key: str, box: Box) -> bool:
    """Return whether this much text in the box has characters of readable size, and is not one vertical column."""
    width, height = box[2] - box[0], box[3] - box[1]
    side = sqrt(max(width, 0) * max(height, 0) / information_length(key) * 2)
    return side >= _MIN_LEGIBLE_PIXELS and width >= 2 * side


def _made_up_rows(texts: _PageTexts, block: Block) -> Iterator[Difference]:
    """Yield the rows of a table of which OCR found no cell, if it reliably found most of the other rows.

    A short row is made up only if OCR also found text in the table that the engine does not have.
    """
    lines = texts.lines_in(block.box)
    rows, ocr_text, engine_text = (
        rows_of(block.text),
        texts.ocr_text_in(block.box),
        comparison_key(block.text),
    )
    unread = [key for line in lines if (key := comparison_key(line.text)) not in engine_text]
    found = [_is_row_found(row, ocr_text, unread) for row in rows]
    if any(line.score < _MIN_CONFIDENCE for line in lines) or found.count(True) < max(2, len(rows) / 2):
        return
    has_lost = any(_is_reliable(line) and _is_lost(texts, line) for line in lines)
    min_length = _SHORT_ROW_LENGTH if has_lost else _MIN_UNIQUE_LENGTH
    for number, row in enumerate(rows):
        if found[number] is False and information_length(comparison_key(" ".join(row))) >= min_length:
            # Engines give only the box of the whole table: that of a row is approximate.
            left, top, right, bottom = block.box
            height = (bottom - top) / len(rows)
            box = left, round(top + number * height), right, round(top + (number + 1) * height)
            text = " ".join(filter(None, row))
            yield Difference(DifferenceKind.MADE_UP, texts.page.index, text, box)


def _is_row_found(row: Sequence[str], ocr_text: str, unread: Sequence[str]) -> bool | None:
    """Return whether OCR found any cell of a row, possibly misread; None if all cells are too short to tell.

    `unread` are the lines that the engine does not have: only these can be cells that either side misread.
    """
    keys = [comparison_key(cell) for cell in row]
    usable = [key for key in keys if information_length(key) >= _MIN_LENGTH and FORMULA not in key]
    found = (key in ocr_text or any(_is_misread(key, line) for line in unread) for key in usable)
    return any(found) if usable else None


def _is_misread(cell: str, line: str) -> bool:
    """Return whether a line may be a misread cell; a short cell must match the whole line, as a part may by chance."""
    if information_length(cell) < _SHORT_LENGTH:
        return Levenshtein.normalized_similarity(cell, line) >= _MIN_CELL_SIMILARITY
    return fuzzy_contains(cell, line, _MIN_CELL_SIMILARITY)


# --- repeated -------------------------------------------------------------------------------------------------


def _repeated(texts: _PageTexts) -> Iterator[Difference]:
    """Yield each text that is in more blocks than on the page, or is repeated endlessly in one block."""
    counts = Counter(region.key for region in texts.engine)
    done = set()
    for block, region in zip(texts.page.blocks, texts.engine, strict=True):
        if counts[region.key] > 1 and region.key not in done and block.kind not in FIGURES:
            done.add(region.key)
            yield from _surplus(texts, region.key)
        yield from _endless(texts, block)


def _surplus(texts: _PageTexts, key: str) -> Iterator[Difference]:
    """Yield the first block with this text where OCR did not find it, if there are more such blocks than OCR finds."""
    pairs = zip(texts.page.blocks, texts.engine, strict=True)
    blocks = [block for block, region in pairs if region.key == key]
    plain = key.replace(FORMULA, "")
    confirmed: list[Block] = []
    unconfirmed: list[Block] = []
    for block in blocks:
        is_new = not any(is_inside(block.box, other.box, _MIN_OVERLAP) for other in confirmed)
        is_found = is_new and ngram_overlap(plain, texts.ocr_text_in(block.box)) >= _SAME_OVERLAP
        (confirmed if is_found else unconfirmed).append(block)
    count = max(len(confirmed), texts.ocr_text.count(plain))
    if information_length(plain) >= _SHORT_LENGTH and 0 < count < len(blocks):
        surplus = (unconfirmed if confirmed else unconfirmed[1:])[0]
        yield Difference(DifferenceKind.REPEATED, texts.page.index, _plain_line(surplus), surplus.box)


def _endless(texts: _PageTexts, block: Block) -> Iterator[Difference]:
    """Yield each phrase that a block repeats in a row and OCR does not, once; formulas and figures are left out."""
    if block.kind in FIGURES | _FORMULAS:
        return
    text = without_latex(without_tags(block.text))
    words = list(_WORD.finditer(text))
    keys = [comparison_key(word[0]) for word in words]
    numbers: dict[str, int] = {}
    encoded = "".join(chr(numbers.setdefault(key, len(numbers))) for key in keys)
    ocr_text = texts.ocr_text_in(block.box) or texts.ocr_text
    done = set()
    for found in _REPETITION.finditer(encoded):
        times = len(found[0]) // len(found[1])
        start, end = words[found.start()].start(), words[found.end(1) - 1].end()
        phrase = " ".join(text[start:end].split())
        if phrase not in done and min(map(ocr_text.count, keys[found.start() : found.end(1)])) < times / 2:
            done.add(phrase)
            yield Difference(DifferenceKind.REPEATED, texts.page.index, phrase, block.box)
