"""Lines of text into blocks in reading order. Pure geometry; a page is taken apart along its white space.

The page is cut into strips at every horizontal gap. Strips whose cells stand in narrow aligned columns are a grid,
read row by row; neighbouring strips that share a vertical gutter are columns, each read on its own in the same way;
the rest is read from top to bottom. This is the recursive XY cut (Nagy and Seth, 1984) with answers to its two known
weaknesses: rows of a table stay together, and what merely stands beside a gutter stays out of the columns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import median

from paddlevl_doctor.values.pages import Block, Box, Line

Row = tuple[Line, ...]
"""What stands on one level, from left to right; usually one line."""

_MAX_EDGE_SHIFT = 0.8
"""Left edges of one paragraph differ by less than this part of the line height (all numbers here are in that unit)."""
_MAX_INDENT = 3.0
_MAX_LINE_PITCH = 1.45
"""Distance of two baselines of one paragraph; measured 1.0 to 1.2, with headings 1.2 to 1.5."""
_MAX_HEIGHT_RATIO = 1.3
"""A detector measures the lines of one paragraph up to this factor apart."""
_MAX_LINE_END_ROOM = 2.0
"""So much room may be left at the end of a line, beside the word that did not fit, before it counts as a last line."""
_MIN_CELL_GAP = 0.8

_CJK = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]")  # signs, kana, Han, full-width forms
_HYPHENATED = re.compile(r"[^\W\d_]{2}[-\u2010\u00ad]$")


def height(line: Line) -> int:
    """Return the height of a line in pixels."""
    return line.box[3] - line.box[1]


def bounding_box(boxes: Iterable[Box]) -> Box:
    """Return the smallest box around some boxes."""
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def paragraphs_of(rows: Sequence[Row]) -> list[list[Row]]:
    """Return the rows of one column, top to bottom, as paragraphs."""
    stacks: list[list[Row]] = []
    for row in rows:
        if stacks and _continues_paragraph(stacks[-1], row):
            stacks[-1].append(row)
        else:
            stacks.append([row])
    return [paragraph for stack in stacks for paragraph in _split_at_last_lines(stack)]


def _continues_paragraph(stack: list[Row], row: Row) -> bool:
    """Say whether a row is set like the rows above it: size, distance and left edge."""
    if len(row) > 1 or len(stack[-1]) > 1:
        return False
    above, below = stack[-1][0], row[0]
    low, high = sorted((max(height(above), 1), max(height(below), 1)))
    pitch = (below.box[1] + below.box[3] - above.box[1] - above.box[3]) / (low + high)
    shift = (above.box[0] - below.box[0]) / high
    first_line_indented = len(stack) == 1 and 0 <= shift <= _MAX_INDENT
    return (
        high <= low * _MAX_HEIGHT_RATIO
        and pitch <= _MAX_LINE_PITCH
        and (abs(shift) <= _MAX_EDGE_SHIFT or first_line_indented)
    )


def _split_at_last_lines(stack: list[Row]) -> list[list[Row]]:
    """Break a stack after each line that ends although the next line's first word would have fitted."""
    right = max(row[0].box[2] for row in stack)
    paragraphs = [[stack[0]]]
    for above, below in pairwise(stack):
        room = right - above[0].box[2] - _MAX_LINE_END_ROOM * height(above[0])
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
        text = join_lines(text, row_text(row)) if text else row_text(row)
    return text


def row_text(row: Row) -> str:
    """Return the text of one row, a tab between cells that stand apart."""
    text = row[0].text.strip()
    for left, right in pairwise(row):
        apart = right.box[0] - left.box[2] >= _MIN_CELL_GAP * max(height(left), height(right))
        text = (
            f"{text}\t{right.text.strip()}" if apart else join_lines(text, right.text.strip(), hyphens=False)
        )
    return text


def join_lines(above: str, below: str, *, hyphens: bool = True) -> str:
    """Return two lines as one: Chinese without a space, and a word divided at the line's end in one piece.

    A hyphen goes when a small letter follows it; of a compound divided at its hyphen that is not right, but rare.
    """
    if hyphens and _HYPHENATED.search(above) and below[:1].islower():
        return above[:-1] + below
    touching = _CJK.match(above[-1:]) or _CJK.match(below[:1])
    return above + below if touching else f"{above} {below}"


Span = tuple[int, int]
"""From and to, in pixels or as places in a list."""

_MAX_OVERLAP = 0.15
"""Boxes of neighbouring lines may overlap by this part of their height at either side; measured up to 0.06."""
_MIN_GUTTER = 0.8
"""White space of this width divides columns (in heights of a usual line, like all numbers below)."""
_MAX_CELL_WIDTH = 8.0
"""A cell of a grid is narrower than this; columns of prose are not. One cell in a row may be wider ..."""
_LOOSE_ROW_GAP = 0.3
"""... when the rows stand this far apart, which lines of prose beside a table do not."""
_MIN_TITLE_HEIGHT = 1.5
"""A title's lines are this many times as high as the usual line."""


def blocks_of(lines: Iterable[Line]) -> tuple[Block, ...]:
    """Return the blocks of one page in reading order; every line with text is in exactly one of them.

    The kind is title for lines much higher than the usual, else text: more cannot be told from lines.
    """
    ordered = tuple(sorted((line for line in lines if line.text.strip()), key=_position))
    if not ordered:
        return ()
    size = max(median(height(line) for line in ordered), 1.0)
    return tuple(_block(rows, size) for rows in _segments(ordered, size))


def _position(line: Line) -> tuple[int, int, Box, str, float]:
    return line.box[0], line.box[1], line.box, line.text, line.score


def _block(rows: Sequence[Row], size: float) -> Block:
    cells = [cell for row in rows for cell in row]
    is_grid = len(rows) > 1 and any(len(row) > 1 for row in rows)
    text = "\n".join(map(row_text, rows)) if is_grid else text_of(rows)
    is_title = all(height(cell) >= _MIN_TITLE_HEIGHT * size for cell in cells)
    return Block("title" if is_title else "text", text, bounding_box(cell.box for cell in cells))


def _segments(lines: Row, size: float) -> list[list[Row]]:
    """Return the paragraphs and grids of a part of the page, in reading order."""
    strips, found, done = _split_into_strips(lines), [], 0
    for start, end in [*_find_grids(strips, size), (len(strips), len(strips))]:
        found += _read_columns_and_text(strips[done:start], size)
        found += [strips[start:end]] if start < end else []
        done = end
    return found


def _split_into_strips(lines: Row) -> list[Row]:
    """Return the lines cut at every horizontal gap, each strip from left to right."""
    strips: list[list[Line]] = []
    bottom = float("-inf")
    for line in sorted(lines, key=lambda line: (line.box[1] + _MAX_OVERLAP * height(line), _position(line))):
        top = line.box[1] + _MAX_OVERLAP * height(line)
        if top >= bottom:
            strips.append([])
        strips[-1].append(line)
        bottom = max(bottom, line.box[3] - _MAX_OVERLAP * height(line))
    return [tuple(sorted(strip, key=_position)) for strip in strips]


# --- grids ----------------------------------------------------------------------------------------------------


def _find_grids(strips: list[Row], size: float) -> list[Span]:
    """Return where the rows of each grid begin and end."""
    found, at = [], 0
    while at < len(strips):
        end = at
        while end < len(strips) and _is_grid(strips[at : end + 1], size):
            end += 1
        needed = 2 if max(map(len, strips[at : end + 1])) > 2 else 3  # noqa: PLR2004 - pairs are common by chance
        if end - at >= needed:
            found.append((at, end))
        at = max(end, at + 1)
    return found


def _is_grid(rows: list[Row], size: float) -> bool:
    """Say whether strips are rows of cells, nearly all of them narrow, that stand in common columns."""
    if not all(len(row) > 1 and _is_row(row) for row in rows):
        return False
    wide = [sum(cell.box[2] - cell.box[0] > _MAX_CELL_WIDTH * size for cell in row) for row in rows]
    loose = all(_gap(above, below) >= _LOOSE_ROW_GAP * size for above, below in pairwise(rows))
    columns = len(_find_gutters([cell for row in rows for cell in row], 0.1 * size)) + 1
    return max(wide) <= (1 if loose else 0) and columns >= max(map(len, rows))


def _is_row(strip: Row) -> bool:
    return all(left.box[2] <= right.box[0] for left, right in pairwise(strip))


def _gap(above: Row, below: Row) -> int:
    return min(line.box[1] for line in below) - max(line.box[3] for line in above)


# --- columns --------------------------------------------------------------------------------------------------


def _read_columns_and_text(strips: list[Row], size: float) -> list[list[Row]]:
    found, done, at = [], 0, 0
    while at < len(strips):
        start, end = _columns_around(strips, at, done, size)
        region = [line for strip in strips[start:end] for line in strip]
        if end - start > 1 or not _is_row(strips[at]):
            found += paragraphs_of(strips[done:start]) + _read_columns(region, size)
            done = end
        at = max(end, at + 1)
    return found + paragraphs_of(strips[done:])


def _read_columns(lines: list[Line], size: float) -> list[list[Row]]:
    """Read what is left of the widest gutter, then what is right of it."""
    gutters = _find_gutters(lines, _MIN_GUTTER * size)
    if not gutters:  # lines that overlap in both directions: nothing better than from top to bottom
        return paragraphs_of(
            [(line,) for line in sorted(lines, key=lambda line: (line.box[1], _position(line)))]
        )
    middle = max(gutters, key=lambda gutter: gutter[1] - gutter[0])[0]
    left, right = (tuple(line for line in lines if (line.box[2] <= middle) is side) for side in (True, False))
    return _segments(left, size) + _segments(right, size)


def _columns_around(strips: list[Row], seed: int, first: int, size: float) -> Span:
    """Return which strips, not before `first`, stand in columns with the strip `seed`; only itself if none does."""
    start, end = seed, seed + 1

    def divided(start: int, end: int) -> bool:
        return bool(
            _find_gutters([line for strip in strips[start:end] for line in strip], _MIN_GUTTER * size)
        )

    if not divided(start, end):
        return seed, seed + 1
    while end < len(strips) and divided(start, end + 1):
        end += 1
    while start > first and divided(start - 1, end):
        start -= 1
    return _trim_columns(strips, start, end, size)


def _trim_columns(strips: list[Row], start: int, end: int, size: float) -> Span:
    """Drop from both ends what stands on one side only and is nearer to what lies outside of the columns.

    A heading below two columns is such a strip: by geometry it could be the end of the left one.
    """
    both = [at for at in range(start, end) if _find_gutters(strips[at], _MIN_GUTTER * size)]
    gaps = [_gap(above, below) for above, below in pairwise(strips)]
    if start > 0:
        start = max(range(start, both[0] + 1), key=lambda at: (gaps[at - 1], at))
    if end < len(strips):
        end = max(range(both[-1] + 1, end + 1), key=lambda at: (gaps[at - 1], -at))
    return start, end


def _find_gutters(lines: Iterable[Line], width: float) -> list[Span]:
    """Return the vertical stripes of at least `width` pixels between lines that no line enters, from the left."""
    gutters: list[Span] = []
    right: int | None = None
    for line in sorted(lines, key=_position):
        if right is not None and line.box[0] - right >= max(width, 1):
            gutters.append((right, line.box[0]))
        right = line.box[2] if right is None else max(right, line.box[2])
    return gutters
