"""A window of a log in memory: maps an offset in its visible ASCII (logs/normalise.py) to the lines around it."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from functools import cached_property
from itertools import accumulate

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.logs.normalise import VISIBLE, decoded, normal, split_prefix, strip_to_visible_ascii

_BLOCK, _STEP = 2048, 32
_LINES_BEFORE = 4
"""The number of lines before a hit that can belong to its message."""
_LINES_AFTER = 12
_MAX_LINE_CHARS = 1000
_MAX_BYTES = 3000
"""The number of bytes before and after a hit that can belong to its message."""


@dataclass(frozen=True)
class Line:
    """One line: its number, the offset of its first byte, its prefix (see `split_prefix`) and the rest."""

    number: int
    start: int
    prefix: str
    text: str


class LogWindow:
    """Bytes of a log after `strip_escapes`. The first byte belongs to line `first_line` (lines count from 1)."""

    def __init__(self, data: bytes, first_line: int = 1) -> None:
        self.data, self.first_line = data, first_line
        self.squeezed = strip_to_visible_ascii(data)
        self._block, self._within = -1, [0]

    @cached_property
    def _visible(self) -> list[int]:
        """The number of visible ASCII bytes before each block."""
        blocks = range(0, len(self.data), _BLOCK)
        return list(
            accumulate((len(strip_to_visible_ascii(self.data[i : i + _BLOCK])) for i in blocks), initial=0)
        )

    @cached_property
    def _breaks(self) -> list[int]:
        """The number of line breaks before each block."""
        blocks = range(0, len(self.data), _BLOCK)
        return list(accumulate((self.data.count(b"\n", i, i + _BLOCK) for i in blocks), initial=0))

    def offset_of(self, place: int) -> int:
        """Return the offset in `data` of the byte at `place` in `squeezed`."""
        number = bisect.bisect_right(self._visible, place) - 1
        if number != self._block:  # calls come in the order of the text, often several for one block
            begin = number * _BLOCK
            steps = range(begin, min(begin + _BLOCK, len(self.data)), _STEP)
            counts = (len(strip_to_visible_ascii(self.data[i : i + _STEP])) for i in steps)
            self._block, self._within = number, list(accumulate(counts, initial=self._visible[number]))
        step = bisect.bisect_right(self._within, place) - 1
        offset = number * _BLOCK + step * _STEP
        rest = place - self._within[step]
        for code in self.data[offset : offset + _STEP]:
            rest -= code in VISIBLE
            if rest < 0:
                break
            offset += 1
        return offset

    def number_of(self, offset: int) -> int:
        """Return the number of the line that contains the byte at `offset`."""
        block = offset // _BLOCK
        return self.first_line + self._breaks[block] + self.data.count(b"\n", block * _BLOCK, offset)

    def line_of(self, offset: int) -> bytes:
        """Return the line that contains the byte at `offset`; of a very long line the part around it."""
        begin = self.data.rfind(b"\n", max(0, offset - _MAX_LINE_CHARS), offset) + 1 or max(
            0, offset - _MAX_LINE_CHARS
        )
        end = self.data.find(b"\n", offset, offset + _MAX_LINE_CHARS)
        return self.data[begin : end if end >= 0 else offset + _MAX_LINE_CHARS]

    def around(self, offset: int) -> tuple[int, bytes, int]:
        """Return the bytes that can belong to the message at `offset`: their offset, the bytes, the line of the hit.

        The result is the same for all offsets in a line (of a very long line: in a part of it), so it can be cached.
        """
        data = self.data
        start = data.rfind(b"\n", max(0, offset - _MAX_LINE_CHARS), offset) + 1
        middle = start or max(0, offset - offset % _MAX_LINE_CHARS)
        low, high = max(0, middle - _MAX_BYTES), min(len(data), middle + _MAX_LINE_CHARS + _MAX_BYTES)
        begin = middle
        for _ in range(_LINES_BEFORE if start else 0):
            begin = max(low, data.rfind(b"\n", low, max(low, begin - 1)) + 1)
        begin = begin if start else low
        end = offset
        for _ in range(_LINES_AFTER):
            end = data.find(b"\n", end, high) + 1
            if end == 0:
                return begin, data[begin:high], data.count(b"\n", begin, offset)
        return begin, data[begin : end - 1], data.count(b"\n", begin, offset)

    def lines(self, offset: int, most: int) -> Iterator[Line]:
        """Yield at most `most` lines from the one that contains `offset`; of a very long line only the beginning."""
        begin = self.data.rfind(b"\n", max(0, offset - _MAX_BYTES), offset) + 1 or max(0, offset - _MAX_BYTES)
        number = self.number_of(begin)
        for line in range(number, number + most):
            end = self.data.find(b"\n", begin)
            stop = end if end >= 0 else len(self.data)
            yield parse_line(line, begin, decoded(self.data[begin : min(stop, begin + 2 * _MAX_BYTES)]))
            if end < 0:
                return
            begin = end + 1


def parse_line(number: int, start: int, text: str) -> Line:
    """Split a line into prefix and text."""
    return Line(number, start, *split_prefix(normal(text)))
