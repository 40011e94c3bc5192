"""Small documents for the tests, written byte by byte or with Pillow."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from paddlevl_doctor.values.pages import Block, Line, Page, Reading


def png(width: int, height: int, *, data: bytes | None = None) -> bytes:
    """Return a grey PNG, by default with all its pixels white."""
    rows = zlib.compress((b"\0" + b"\xff" * width) * height, 9) if data is None else data
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def chunk(name: bytes, data: bytes) -> bytes:
    """Return one chunk of a PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def line(text: str, left: int, top: int, right: int | None = None, height: int = 30) -> Line:
    """Return a line; without `right`, each character is half as wide as the line is high."""
    return Line(text, (left, top, right or left + len(text) * height // 2, top + height), 0.99)


def reading(*blocks: Block, width: int = 1240, height: int = 1754) -> Reading:
    """Return a reading of one page."""
    return Reading("reader", "cpu", (Page(0, width, height, blocks, 1.5),), {"read": 1.5}, 600)


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Give up root for a moment, since nothing is forbidden to root; does nothing for anybody else."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
