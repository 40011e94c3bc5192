"""Removes what programs and people added to a log: colours, frames, quotes, prefixes, escapes.

`strip_escapes` and `strip_to_visible_ascii` process whole chunks and must be fast; the other functions process the few
lines around a hit.
"""

from __future__ import annotations

import html
import re

_ANSI = re.compile(rb"\x1b(?:\[[0-9;:?]*[ -/]*[@-~]|\][^\x07\x1b\n]{0,4096}(?:\x07|\x1b\\)|[@-Z\\^_])")
# `strip_escapes` searches for the first character of each pattern before it applies the pattern: ten times as fast.
_WRITTEN_ESC = re.compile(rb"\\(?:u001[bB]|x1[bB]|033)(?=\[)")
_WRITTEN_CHARACTER = re.compile(rb"\\u00(22|26|27|3[cC]|3[eE])")
_LOST_ESC = re.compile(rb"\[(?:\d{1,3};){0,4}\d{1,3}m")
_ENTITY = re.compile(rb"&(?:#39|#x27|#34|quot|gt|lt|amp);")

VISIBLE = frozenset(code for code in range(0x21, 0x7F) if chr(code) not in "\"'`|>\\")
"""The bytes that `strip_to_visible_ascii` keeps."""
_LEFT_OUT = bytes(code for code in range(256) if code not in VISIBLE)


def strip_escapes(data: bytes) -> bytes:
    """Return a chunk without colours and with escaped characters decoded; line breaks are kept."""
    if b"\\" in data:
        data = _WRITTEN_CHARACTER.sub(lambda found: bytes([int(found[1], 16)]), data)
        data = _WRITTEN_ESC.sub(b"\x1b", data)
    if b"\x1b" in data:
        data = _ANSI.sub(b"", data)
    if b"[" in data:
        data = _LOST_ESC.sub(b"", data)
    if b"&" in data:
        data = _ENTITY.sub(lambda found: html.unescape(found[0].decode()).encode(), data)
    return data


def strip_to_visible_ascii(data: bytes) -> bytes:
    """Return the visible ASCII bytes without quotes; quoting, wrapping, framing and a wrong encoding keep these."""
    return data.translate(None, _LEFT_OUT)


_TIME = (
    r"\[?(?:\d{4}[-/]\d\d[-/]\d\d[T ,])?\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|\s?[+-]\d\d:?\d\d)?\]?(?:[ ]?[-|])?[ ]"
)
_PREFIX = re.compile(
    rf"""(?:
      [ ]{{0,3}}(?:[>│┃┆║❱](?:[ ]|(?=[>│┃┆║❱])|$))+  # quoted, or in a frame
    | [|][ ]
    | \[?[Rr]ank[ ]?\d+\]?:?[ ]
    | \((?:[\w.:-]+[ ])?(?:pid|ip)=[^)\n]{{1,80}}\)[ ]
    | {_TIME}
    | (?:stdout|stderr)[ ][FP][ ]
    | [\w.-]{{1,40}}[ ]*[|][ ]
    | \#\d+[ ]\d+\.\d+[ ]
    | \[[\w./:-]{{1,40}}\][ ]
    | E[ ]{{3}}
    ){{0,5}}""",
    re.VERBOSE,
)
_FRAME_END = re.compile(r"[ ]*[│┃║][ ]*$")
_TICKING = re.compile(_TIME)
_ODD_QUOTES = str.maketrans("\u2018\u2019\u201c\u201d\u00a0\ufffe\ufeff", "''\"\"   ", "\x00\r\u200b")
_ESCAPED = re.compile(r"\\+(?:(n)|(t)|(r)|(\")|(')|(/))|\\\\")


def decoded(data: bytes) -> str:
    """Decode lines as UTF-8, else as the Chinese code page (GBK), else as UTF-8 with replacement characters."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    try:
        return data.decode("gb18030")
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace")


def split_prefix(line: str) -> tuple[str, str]:
    """Return the prefix of a line (frame, worker, container; without the time) and the rest."""
    match = _PREFIX.match(line)
    end = match.end() if match else 0
    return _TICKING.sub("", line[:end]).strip(), line[end:]


def normal(line: str) -> str:
    """Return a line without carriage returns, curly quotes and a frame at its end."""
    return _FRAME_END.sub("", line.translate(_ODD_QUOTES))


def unescaped(line: str) -> list[str]:
    """Return the lines that a quoted string or a line of JSON contains; without escapes, the line itself."""
    return _ESCAPED.sub(_written, line).split("\n") if "\\" in line else [line]


def _written(found: re.Match[str]) -> str:
    newline, tab, carriage, double, single, slash = found.groups()
    if newline:
        return "\n"
    if tab or carriage:
        return " " if tab else ""
    return double or single or slash or "\\"
