"""Rotated pages: by how much a page is rotated, and where a box of the upright page is on the page as it came. Pure.

Turns are degrees against the clock by which a page has to be turned to be read: 0, 90, 180, 270.
"""

from __future__ import annotations

from collections.abc import Sequence

from paddlevl_doctor.values.pages import Box

_MIN_TALL = 1.5
"""Height by width from which RapidOCR turns a line's picture by a quarter against the clock before it reads it."""
_MIN_SHARE = 0.7
"""Share of the lines that have to agree: a page may have some vertical lines, and misjudged ones."""
_MIN_LINES = 3


def turn_of(boxes: Sequence[Box], heads: Sequence[bool]) -> int:
    """Return the turn of a page whose lines have these boxes; `heads` is which ones stand on their heads.

    The classifier sees a tall line after RapidOCR has laid it down, and also lines that came to nothing.
    """
    if min(len(boxes), len(heads)) < _MIN_LINES:
        return 0
    tall = sum(bottom - top >= _MIN_TALL * (right - left) for left, top, right, bottom in boxes) / len(boxes)
    head = sum(heads) / len(heads)
    if tall >= _MIN_SHARE:
        return 270 if head > 1 - head else 90
    return 180 if head >= _MIN_SHARE else 0


def turned_back(box: Box, turn: int, width: int, height: int) -> Box:
    """Return a box of the turned page in pixels of the page as it came, which is `width` x `height`."""
    left, top, right, bottom = box
    return {
        0: box,
        90: (width - bottom, left, width - top, right),
        180: (width - right, height - bottom, width - left, height - top),
        270: (top, height - right, bottom, height - left),
    }[turn]
