"""The difference between a known text and what was read, for people: a unified diff."""

from __future__ import annotations

import difflib
import unicodedata
from itertools import islice

MAX_LINES = 200
"""A longer diff is not read by anybody, and would drown the report that it stands in."""
_MAX_WIDTH = 300
"""Characters of one line."""
_MAX_COMPARED = 5000
"""Lines that are compared of each text: difflib's time grows with the square of them."""
_MORE = "…"
_UNSHOWN = frozenset({"Cc", "Cf", "Cs"})
"""Unicode categories of what steers a terminal or turns the direction of text, and of what cannot be encoded."""


def readable_diff(known: str, read: str, names: tuple[str, str] = ("known", "read")) -> str:
    """Return a unified diff of two texts, line by line, "" where they say the same.

    Whitespace is folded, empty lines and control characters are left out. It has at most MAX_LINES lines; "…" stands
    for the rest of it, and for the end of a very long line.
    """
    old, new = (_clean(name) for name in names)
    changes = difflib.unified_diff(_lines(known), _lines(read), old, new, n=1, lineterm="")
    shown = list(islice(changes, MAX_LINES + 1))
    if len(shown) > MAX_LINES:
        shown[MAX_LINES - 1 :] = [_MORE]
    return "\n".join(line if len(line) <= _MAX_WIDTH else line[: _MAX_WIDTH - 1] + _MORE for line in shown)


def _lines(text: str) -> list[str]:
    folded = (_clean(line) for line in text.splitlines())
    return list(islice((line for line in folded if line), _MAX_COMPARED))


def _clean(line: str) -> str:
    """Return one line with single spaces and nothing that is not shown."""
    spaced = " ".join(line.split())
    return "".join(sign for sign in spaced if unicodedata.category(sign) not in _UNSHOWN).strip()
