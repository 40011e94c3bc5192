"""Reads a log as a stream of byte chunks that end at a line break.

UTF-16 (which PowerShell writes) is converted to UTF-8. UTF-8 and GBK are not converted: one log often has lines of
both, so logs/normalise.py decodes each line that is shown. No content of a log raises an error.
"""

from __future__ import annotations

import codecs
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from paddlevl_doctor.messages import message, text
from paddlevl_doctor.system import processes
from paddlevl_doctor.system.files import open_file
from paddlevl_doctor.values.errors import UsageError

CHUNK = 1 << 20
"""The number of bytes that one call reads."""
STDIN = "-"

_MARKS = ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_SAMPLE = 4096


@contextlib.contextmanager
def open_log(source: str | None) -> Iterator[BinaryIO]:
    """Open a file, or standard input for `-` and None. Raises UsageError if it cannot be read."""
    if source is None or source == STDIN:
        if sys.stdin is None:
            raise UsageError(message("log-none"))
        if sys.stdin.isatty():
            sys.stderr.write(text("log-paste", end="Ctrl-Z, Enter" if processes.WINDOWS else "Ctrl-D"))
            sys.stderr.write("\n")
            sys.stderr.flush()
        yield sys.stdin.buffer
        return
    try:
        if Path(source).is_dir():
            raise UsageError(message("log-is-folder", path=source))
        # It is closed below, because errors of reading must not be caught here.
        stream = open_file(Path(source), pipes=True)
    except FileNotFoundError:
        raise UsageError(message("log-missing", path=source)) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise UsageError(message("log-unreadable", path=source, reason=reason)) from error
    with stream:
        yield stream


def chunks(stream: BinaryIO, size: int = CHUNK) -> Iterator[bytes]:
    """Yield the log in chunks of about `size` bytes that end at a line break; a very long line is split."""
    rest = b""
    for data in _utf8(stream, size):
        cut = data.rfind(b"\n") + 1
        if cut == 0 and len(rest) < size:
            rest += data
            continue
        if rest or cut:
            yield rest + data[:cut]
        rest = data[cut:]
    if rest:
        yield rest


def _utf8(stream: BinaryIO, size: int) -> Iterator[bytes]:
    data = stream.read(size)
    encoding, mark = encoding_of(data)
    decoder = codecs.getincrementaldecoder(encoding)("replace") if encoding != "utf-8" else None
    while data:
        part = data[mark:]
        yield part if decoder is None else decoder.decode(part).encode("utf-8", "replace")
        data, mark = stream.read(size), 0
    if decoder is not None and (tail := decoder.decode(b"", final=True)):
        yield tail.encode("utf-8", "replace")


def encoding_of(beginning: bytes) -> tuple[str, int]:
    """Return utf-16-le, utf-16-be or utf-8 (for every other encoding), and the length of the byte order mark."""
    if beginning.startswith(codecs.BOM_UTF8):
        return "utf-8", len(codecs.BOM_UTF8)
    for mark, name in _MARKS:
        if beginning.startswith(mark):
            return name, len(mark)
    sample = beginning[: min(_SAMPLE, len(beginning) // 2 * 2)]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    half = len(sample) // 2
    # In UTF-16, every second byte of Latin letters is 0; Chinese text lowers this share.
    if odd > half * 0.4 and even < odd * 0.05:
        return "utf-16-le", 0
    if even > half * 0.4 and odd < even * 0.05:
        return "utf-16-be", 0
    return "utf-8", 0
