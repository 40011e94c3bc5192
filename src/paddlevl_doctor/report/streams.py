"""Lets stdout and stderr take every character, whatever their encoding is.

A pipe on Windows has the encoding of the system (cp1252, cp936), and Python raises UnicodeEncodeError for a character
that is not in it. What a stream cannot encode is written as a similar ASCII character or as an escape instead.
"""

from __future__ import annotations

import codecs
import io
import json
import sys

_REPLACE, _ESCAPE = "paddlevl-doctor-replace", "paddlevl-doctor-escape"
_SIMILAR = {
    **dict(zip("✓✅✗❌×·•→�ℹ⚠❓⏸➖–—━", "++xxx.*>?i!?.----", strict=True)),
    **dict.fromkeys(map(chr, range(0x2800, 0x2900)), "*"),  # a spinner is drawn in braille
    "…": "...",
    "\N{VARIATION SELECTOR-16}": "",
}


def accept_every_character() -> None:
    """Let stdout and stderr replace what they cannot encode instead of raising UnicodeEncodeError."""
    codecs.register_error(_REPLACE, _replaced)
    codecs.register_error(_ESCAPE, _escaped)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # it is None without a console, and something else in tests
            stream.reconfigure(errors=_REPLACE)


def for_stdout(words: str, format_name: str) -> str:
    """Return a document so that it stays valid and says the same on a stdout that is not Unicode: as ASCII."""
    if (getattr(sys.stdout, "encoding", None) or "utf-8").lower().startswith("utf"):
        return words
    errors = {"json": _ESCAPE, "junit": "xmlcharrefreplace", "html": "xmlcharrefreplace"}.get(format_name)
    return words if errors is None else words.encode("ascii", errors).decode("ascii")


def _replaced(error: UnicodeError) -> tuple[str, int]:
    return _each(error, _SIMILAR)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    return _each(error, {})


def _each(error: UnicodeError, similar: dict[str, str]) -> tuple[str, int]:
    """Return what is written instead; an escape is JSON's, so that it means the same inside a JSON string."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    found = error.object[error.start : error.end]
    return "".join(similar.get(c, json.dumps(c)[1:-1]) for c in found), error.end
