"""Rows of one column into paragraphs, and their lines into running text. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

from paddlevl_doctor.parsing.model import Box, Line

Row = tuple[Line, ...]
"""What stands on one level, from left to right; usually one line."""

_SAME_EDGE = 0.8
"""Left edges of one paragraph differ by less than this part of the line height (all numbers here are in that unit)."""
_INDENT = 3.0
_PITCH = 1.45
"""Distance of two baselines of one paragraph; measured 1.0 to 1.2, with headings 1.2 to 1.5."""
_HEIGHTS = 1.3
"""A detector measures the lines of one paragraph up to this factor apart."""
_SLACK = 2.0
"""So much room may be left at the end of a line, beside the word that did not fit, before it counts as a last line."""
_CELL_GAP = 0.8

_CJK = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]")  # signs, kana, Han, full-width forms
_HYPHENATED = re.compile(r"[^\W\d_]{2}[-\u2010\u00ad]$")


def height(line: Line) -> int:
    """Return the height of a line in pixels."""
    return line.box[3] - line.box[1]


def around(boxes: Iterable[Box]) -> Box:
    """Return the smallest box around some boxes."""
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def paragraphs_of(rows: Sequence[Row]) -> list[list[Row]]:
    """Return the rows of one column, top to bottom, as paragraphs."""
    stacks: list[list[Row]] = []
    for row in rows:
        if stacks and _continues(stacks[-1], row):
            stacks[-1].append(row)
        else:
            stacks.append([row])
    return [paragraph for stack in stacks for paragraph in _split_at_last_lines(stack)]


def _continues(stack: list[Row], row: Row) -> bool:
    """Say whether a row is set like the rows above it: size, distance and left edge."""
    if len(row) > 1 or len(stack[-1]) > 1:
        return False
    above, below = stack[-1][0], row[0]
    low, high = sorted((max(height(above), 1), max(height(below), 1)))
    pitch = (below.box[1] + below.box[3] - above.box[1] - above.box[3]) / (low + high)
    shift = (above.box[0] - below.box[0]) / high
    first_line_indented = len(stack) == 1 and 0 <= shift <= _INDENT
    return high <= low * _HEIGHTS and pitch <= _PITCH and (abs(shift) <= _SAME_EDGE or first_line_indented)


def _split_at_last_lines(stack: list[Row]) -> list[list[Row]]:
    """Break a stack after each line that ends although the next line's first word would have fitted."""
    right = max(row[0].box[2] for row in stack)
    paragraphs = [[stack[0]]]
    for above, below in pairwise(stack):
        room = right - above[0].box[2] - _SLACK * height(above[0])
        if room > _first_word_width(below[0]):
            paragraphs.append([])
        paragraphs[-1].append(below)
    return paragraphs


def _first_word_width(line: Line) -> float:
    word = line.text[0] if _CJK.match(line.text) else line.text.split()[0]
    return len(word) * (line.box[2] - line.box[0]) / len(line.text)


def text_of(rows: Iterable[Row]) -> str:
    """Return the running text of a paragraph."""
    text = ""
    for row in rows:
        text = join(text, row_text(row)) if text else row_text(row)
    return text


def row_text(row: Row) -> str:
    """Return the text of one row, a tab between cells that stand apart."""
    text = row[0].text.strip()
    for left, right in pairwise(row):
        apart = right.box[0] - left.box[2] >= _CELL_GAP * max(height(left), height(right))
        text = f"{text}\t{right.text.strip()}" if apart else join(text, right.text.strip(), hyphens=False)
    return text


def join(above: str, below: str, *, hyphens: bool = True) -> str:
    """Return two lines as one: Chinese without a space, and a word divided at the line's end in one piece.

    A hyphen goes when a small letter follows it; of a compound divided at its hyphen that is not right, but rare.
    """
    if hyphens and _HYPHENATED.search(above) and below[:1].islower():
        return above[:-1] + below
    touching = _CJK.match(above[-1:]) or _CJK.match(below[:1])
    return above + below if touching else f"{above} {below}"
