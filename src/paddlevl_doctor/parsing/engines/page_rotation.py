"""Detects the rotation of a page, and maps boxes of the upright page back to the original page. Does no I/O.

A rotation is the number of degrees counterclockwise by which a page must be rotated to be upright: 0, 90, 180 or 270.
"""

from __future__ import annotations

from collections.abc import Sequence

from paddlevl_doctor.values.pages import Box

_MIN_TALL_ASPECT = 1.5
"""Ratio of height to width from which RapidOCR rotates a line by 90 degrees counterclockwise before reading it."""
_MIN_SHARE = 0.7
"""Minimum share of lines that agree: a page may have some vertical lines, and lines that were misjudged."""
_MIN_LINES = 3


def rotation_of(boxes: Sequence[Box], upside_down: Sequence[bool]) -> int:
    """Return the rotation of a page from the boxes of its lines, and from the classifier's result for each line.

    The classifier gets a tall line after RapidOCR has rotated it, and also lines without recognized text.
    """
    if min(len(boxes), len(upside_down)) < _MIN_LINES:
        return 0
    tall_share = sum(
        bottom - top >= _MIN_TALL_ASPECT * (right - left) for left, top, right, bottom in boxes
    ) / len(boxes)
    upside_down_share = sum(upside_down) / len(upside_down)
    if tall_share >= _MIN_SHARE:
        return 270 if upside_down_share > 1 - upside_down_share else 90
    return 180 if upside_down_share >= _MIN_SHARE else 0


def unrotate_box(box: Box, rotation: int, width: int, height: int) -> Box:
    """Map a box of the rotated page to the original page, which has `width` x `height` pixels."""
    left, top, right, bottom = box
    return {
        0: box,
        90: (width - bottom, left, width - top, right),
        180: (width - right, height - bottom, width - left, height - top),
        270: (top, height - right, bottom, height - left),
    }[rotation]
