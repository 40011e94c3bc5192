"""Wraps paragraphs for a terminal without a line break in a command, so that every command can be copied."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from rich.cells import cell_len
from rich.text import Text

_WIDE = "\u2e80-\uffff"
"""Scripts that are written without spaces, with their punctuation."""


def wrapped(paragraph: Text, width: int) -> Iterator[Text]:
    """Yield the lines of a paragraph. A word that is longer than a line is not broken; the terminal wraps it."""
    for line in paragraph.split("\n", allow_blank=True):
        for part in line.divide(_breaks(line.plain, width)):
            part.rstrip()
            yield part


def _breaks(line: str, width: int) -> list[int]:
    """Return the offsets at which the lines begin, except the first."""
    offsets, column, gap = [], 0, 0
    for piece in _pieces(wide=max(line, default="") >= _WIDE[0]).finditer(line):
        length = cell_len(piece[0])
        if piece["space"]:
            gap = length
        elif column and column + gap + length > width:
            offsets.append(piece.start())
            column, gap = length, 0
        else:
            column, gap = column + gap + length, 0
    return offsets


@functools.cache
def _pieces(*, wide: bool) -> re.Pattern[str]:
    """Return what matches spaces, a code span with what is attached to it, a character of a wide script, or a word.

    A text without wide scripts needs no set of 50,000 characters, whose compilation would take 8 of a check's 180 ms.
    """
    if not wide:
        return re.compile(r"(?P<space>[ \t]+)|[^\s`]*`[^`\n]+`[^\s`]*|[^\s`]+|`")
    return re.compile(
        rf"(?P<space>[ \t]+)|(?:[^\s`{_WIDE}]*`[^`\n]+`[^\s`{_WIDE}]*|[{_WIDE}]|[^\s`{_WIDE}]+|`)[，。；：、）！？]*"
    )
