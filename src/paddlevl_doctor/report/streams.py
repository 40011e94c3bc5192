"""Lets stdout and stderr accept every character in any encoding.

A pipe on Windows has the encoding of the system (cp1252, cp936), and Python raises UnicodeEncodeError for a character
that is not in it. Such a character is replaced by a similar ASCII character or an escape. A stream that the caller
closed is None in Python; it becomes the null device.
"""

from __future__ import annotations

import codecs
import io
import json
import os
import sys

_REPLACE, _ESCAPE = "paddlevl-doctor-replace", "paddlevl-doctor-escape"
_SIMILAR = {
    **dict(zip("✓✅✗❌×·•→�ℹ⚠❓⏸➖–—━", "++xxx.*>?i!?.----", strict=True)),
    **dict.fromkeys(map(chr, range(0x2800, 0x2900)), "*"),  # a spinner is drawn in braille
    "…": "...",
    "\N{VARIATION SELECTOR-16}": "",
}


def accept_every_character() -> None:
    """Let stdout and stderr replace characters that they cannot encode, and open the null device for a closed one."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - open until the end
    codecs.register_error(_REPLACE, _replaced)
    codecs.register_error(_ESCAPE, _escaped)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # another type in tests
            stream.reconfigure(errors=_REPLACE)


def for_stdout(document: str, format_name: str) -> str:
    """Return a document in ASCII, with escapes of its format, if the encoding of stdout is not Unicode."""
    if (getattr(sys.stdout, "encoding", None) or "utf-8").lower().startswith("utf"):
        return document
    errors = {"json": _ESCAPE, "junit": "xmlcharrefreplace", "html": "xmlcharrefreplace"}.get(format_name)
    return document if errors is None else document.encode("ascii", errors).decode("ascii")


def _replaced(error: UnicodeError) -> tuple[str, int]:
    return _each(error, _SIMILAR)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    return _each(error, {})


def _each(error: UnicodeError, similar: dict[str, str]) -> tuple[str, int]:
    """Return the replacement; an escape has the syntax of JSON, so that JSON strings keep their value."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    found = error.object[error.start : error.end]
    return "".join(similar.get(c, json.dumps(c)[1:-1]) for c in found), error.end
