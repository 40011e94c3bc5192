"""Finds what a model says again and again because it no longer stops."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_TIMES, _LEAST, _MOST = 6, 4, 80
"""So often on end, and from and to so many characters."""
_LOOP = re.compile(rf"(.{{{_LEAST},{_MOST}}}?)\1{{{_TIMES - 1},}}", re.DOTALL)
_GRAM = 8
"""So many characters that come again within the longest unit are worth a closer look; in prose that is rare."""


class Loop(NamedTuple):
    """A text and how many times on end it stands."""

    text: str
    times: int


def endless(read: str, known: str) -> Iterator[Loop]:
    """Yield every text of 4 to 80 characters that was read six times on end and stands nowhere so in the document.

    The pattern alone would try every length at every place, which takes seconds for a book. A loop comes again at its
    own length wherever one looks in its first round, so that every fourth place is enough.
    """
    at = 0
    while at < len(read):
        loop = _loop_at(read, at)
        if loop is None:
            at += _LEAST
            continue
        if loop[1] * _TIMES not in known:
            yield Loop(loop[1], len(loop[0]) // len(loop[1]))
        at = loop.end()


def _loop_at(read: str, at: int) -> re.Match[str] | None:
    again = read.find(read[at : at + _GRAM], at + _LEAST, at + _MOST + _GRAM)
    if again < 0:
        return None
    start = max(0, at - _LEAST + 1)
    near = _LOOP.search(read, start, at + _TIMES * _MOST)
    return _LOOP.match(read, near.start()) if near is not None else None
