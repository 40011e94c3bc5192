"""Groups lines of text into blocks in reading order, by their boxes only.

The page is split into strips at each horizontal gap. Strips whose cells form narrow aligned columns are a grid, which
is read row by row. Adjacent strips that share a vertical gutter are columns, each of which is split recursively. The
rest is read from top to bottom. This is the recursive XY cut (Nagy and Seth, 1984) with corrections of two known
weaknesses: the rows of a table stay together, and a strip on one side of a gutter is not assigned to the columns by
mistake.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import median

from paddlevl_doctor.values.pages import Block, Box, Line

Row = tuple[Line, ...]
"""Lines at the same height, from left to right; usually one line."""

_MAX_EDGE_SHIFT = 0.8
"""Maximum shift between the left edges of a paragraph. The unit of these constants is the height of a line."""
_MAX_INDENT = 3.0
_MAX_LINE_PITCH = 1.45
"""Maximum distance between the lines of a paragraph; measured 1.0 to 1.2, next to headings 1.2 to 1.5."""
_MAX_HEIGHT_RATIO = 1.3
"""Maximum ratio of the heights of two lines of a paragraph, as detectors measure them."""
_MAX_LINE_END_ROOM = 2.0
"""A line is the last of its paragraph if the next word plus this space would have fitted."""
_MIN_CELL_GAP = 0.8

_CJK = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]")  # signs, kana, Han, full-width forms
_HYPHENATED = re.compile(r"[^\W\d_]{2}[-\u2010\u00ad]$")


def height(line: Line) -> int:
    """Return the height of a line in pixels."""
    return line.box[3] - line.box[1]


def bounding_box(boxes: Iterable[Box]) -> Box:
    """Return the smallest box that contains all boxes."""
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def paragraphs_of(rows: Sequence[Row]) -> list[list[Row]]:
    """Group the rows of one column, from top to bottom, into paragraphs."""
    stacks: list[list[Row]] = []
    for row in rows:
        if stacks and _continues_paragraph(stacks[-1], row):
            stacks[-1].append(row)
        else:
            stacks.append([row])
    return [paragraph for stack in stacks for paragraph in _split_at_last_lines(stack)]


def _continues_paragraph(stack: list[Row], row: Row) -> bool:
    """Return whether a row has the height, distance and left edge of the rows above it."""
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
    """Split a stack after each line that the first word of the next line would have fitted into."""
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
    """Return the text of a paragraph."""
    text = ""
    for row in rows:
        text = join_lines(text, row_text(row)) if text else row_text(row)
    return text


def row_text(row: Row) -> str:
    """Return the text of one row, with tabs between distant cells."""
    text = row[0].text.strip()
    for left, right in pairwise(row):
        apart = right.box[0] - left.box[2] >= _MIN_CELL_GAP * max(height(left), height(right))
        text = (
            f"{text}\t{right.text.strip()}" if apart else join_lines(text, right.text.strip(), hyphens=False)
        )
    return text


def join_lines(above: str, below: str, *, hyphens: bool = True) -> str:
    """Join two lines: without a space next to Chinese characters, and without the hyphen of a divided word.

    A hyphen is removed if a lower-case letter follows. This is wrong for a compound divided at its own hyphen, which is
    rare.
    """
    if hyphens and _HYPHENATED.search(above) and below[:1].islower():
        return above[:-1] + below
    touching = _CJK.match(above[-1:]) or _CJK.match(below[:1])
    return above + below if touching else f"{above} {below}"


Span = tuple[int, int]
"""Start and end, in pixels or as positions in a list."""

_MAX_OVERLAP = 0.15
"""Boxes of adjacent lines may overlap by this part of their height at each side; measured up to 0.06."""
_MIN_GUTTER = 0.8
"""Minimum width of a gutter between columns. The unit of these constants is the median height of a line."""
_MAX_CELL_WIDTH = 8.0
"""Maximum width of a cell of a grid, less than a column of text. One cell per row may be wider ..."""
_LOOSE_ROW_GAP = 0.3
"""... if the gaps between the rows are at least this large; gaps between lines of text are smaller."""
_MIN_TITLE_HEIGHT = 1.5
"""Minimum height of the lines of a title."""


def blocks_of(lines: Iterable[Line]) -> tuple[Block, ...]:
    """Return the blocks of one page in reading order; each line with text is in exactly one block.

    The kind is `title` for lines much higher than the median, else `text`.
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
    """Return the paragraphs and grids of a region of the page, in reading order."""
    strips, segments, done = _split_into_strips(lines), [], 0
    for start, end in [*_find_grids(strips, size), (len(strips), len(strips))]:
        segments += _read_columns_and_text(strips[done:start], size)
        segments += [strips[start:end]] if start < end else []
        done = end
    return segments


def _split_into_strips(lines: Row) -> list[Row]:
    """Split lines at each horizontal gap; the lines of a strip are ordered from left to right."""
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
    """Return the first and the last strip (exclusive) of each grid."""
    grids, at = [], 0
    while at < len(strips):
        end = at
        while end < len(strips) and _is_grid(strips[at : end + 1], size):
            end += 1
        needed = 2 if max(map(len, strips[at : end + 1])) > 2 else 3  # noqa: PLR2004 - two rows of pairs are often accidental
        if end - at >= needed:
            grids.append((at, end))
        at = max(end, at + 1)
    return grids


def _is_grid(rows: list[Row], size: float) -> bool:
    """Return whether strips are rows of cells in common columns, nearly all of them narrow."""
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
    """Return the paragraphs of strips without grids: those of columns, and those of the strips between them."""
    segments, done, at = [], 0, 0
    while at < len(strips):
        start, end = _columns_around(strips, at, done, size)
        region = [line for strip in strips[start:end] for line in strip]
        if end - start > 1 or not _is_row(strips[at]):
            segments += paragraphs_of(strips[done:start]) + _read_columns(region, size)
            done = end
        at = max(end, at + 1)
    return segments + paragraphs_of(strips[done:])


def _read_columns(lines: list[Line], size: float) -> list[list[Row]]:
    """Return the segments on the left of the widest gutter, then those on the right."""
    gutters = _find_gutters(lines, _MIN_GUTTER * size)
    if not gutters:  # the lines overlap in both directions: read them from top to bottom
        return paragraphs_of(
            [(line,) for line in sorted(lines, key=lambda line: (line.box[1], _position(line)))]
        )
    middle = max(gutters, key=lambda gutter: gutter[1] - gutter[0])[0]
    left, right = (tuple(line for line in lines if (line.box[2] <= middle) is side) for side in (True, False))
    return _segments(left, size) + _segments(right, size)


def _columns_around(strips: list[Row], seed: int, first: int, size: float) -> Span:
    """Return the strips, not before `first`, that share columns with the strip `seed`; only `seed` without columns."""
    start, end = seed, seed + 1

    def have_gutter(start: int, end: int) -> bool:
        return bool(
            _find_gutters([line for strip in strips[start:end] for line in strip], _MIN_GUTTER * size)
        )

    if not have_gutter(start, end):
        return seed, seed + 1
    while end < len(strips) and have_gutter(start, end + 1):
        end += 1
    while start > first and have_gutter(start - 1, end):
        start -= 1
    return _trim_columns(strips, start, end, size)


def _trim_columns(strips: list[Row], start: int, end: int, size: float) -> Span:
    """Remove strips at both ends that are on one side only and closer to the text outside of the columns.

    An example is a heading below two columns: by geometry it could be the end of the left column.
    """
    both = [at for at in range(start, end) if _find_gutters(strips[at], _MIN_GUTTER * size)]
    gaps = [_gap(above, below) for above, below in pairwise(strips)]
    if start > 0:
        start = max(range(start, both[0] + 1), key=lambda at: (gaps[at - 1], at))
    if end < len(strips):
        end = max(range(both[-1] + 1, end + 1), key=lambda at: (gaps[at - 1], -at))
    return start, end


def _find_gutters(lines: Iterable[Line], width: float) -> list[Span]:
    """Return the vertical gaps of at least `width` pixels that no line enters, from left to right."""
    gutters: list[Span] = []
    right: int | None = None
    for line in sorted(lines, key=_position):
        if right is not None and line.box[0] - right >= max(width, 1):
            gutters.append((right, line.box[0]))
        right = line.box[2] if right is None else max(right, line.box[2])
    return gutters
