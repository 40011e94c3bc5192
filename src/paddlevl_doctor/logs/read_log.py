"""Reads a log as a stream of UTF-8 chunks that end at a line break, whatever it was written in.

UTF-16 (as PowerShell writes it) is translated; UTF-8 and GBK are passed on as they are, and told apart where a
line is shown (knowledge/squeeze.py), because one log often has lines of both. Nothing in a log raises.
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
from paddlevl_doctor.values.errors import UsageError

CHUNK = 1 << 20
"""Bytes that are read at a time."""
STDIN = "-"

_MARKS = ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_SAMPLE = 4096


@contextlib.contextmanager
def open_log(source: str | None) -> Iterator[BinaryIO]:
    """Open a file, or standard input for `-` and None; raises UsageError for what cannot be read."""
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
        stream = Path(source).open("rb")  # noqa: SIM115 - closed below; the reading itself may raise
    except FileNotFoundError:
        raise UsageError(message("log-missing", path=source)) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise UsageError(message("log-unreadable", path=source, reason=_reason(error))) from error
    with stream:
        yield stream


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def chunks(stream: BinaryIO, size: int = CHUNK) -> Iterator[bytes]:
    """Give the log in pieces of about `size` bytes that end at a line break where one is near."""
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
    """Return utf-16-le, utf-16-be or utf-8 (which stands for all others), and the length of the byte order mark."""
    if beginning.startswith(codecs.BOM_UTF8):
        return "utf-8", len(codecs.BOM_UTF8)
    for mark, name in _MARKS:
        if beginning.startswith(mark):
            return name, len(mark)
    sample = beginning[: min(_SAMPLE, len(beginning) // 2 * 2)]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    half = len(sample) // 2
    # In a log of Latin letters every second byte is 0; Chinese text in it makes that fewer.
    if odd > half * 0.4 and even < odd * 0.05:
        return "utf-16-le", 0
    if even > half * 0.4 and odd < even * 0.05:
        return "utf-16-be", 0
    return "utf-8", 0
