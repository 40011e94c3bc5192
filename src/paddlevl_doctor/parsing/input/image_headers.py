"""Reads the format of a file and the size of an image from the headers, without decoding any pixel.

Layouts: PNG (ISO/IEC 15948), JPEG (ITU-T T.81, annex B), GIF89a, BMP (BITMAPINFOHEADER), TIFF 6.0, WebP (RFC 9649).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import BinaryIO

Size = tuple[int, int]
HEAD_BYTES = 64
"""The number of bytes that `format_of` and the fixed headers need."""

_PDF_HEAD_BYTES = 1024  # PDF readers accept %PDF- anywhere in the first kilobyte


def format_of(head: bytes) -> str | None:
    """Return png, jpeg, gif, bmp, tiff, webp or pdf for the first bytes of a file, None for anything else."""
    for name, signature in (
        ("png", b"\x89PNG\r\n\x1a\n"),
        ("jpeg", b"\xff\xd8\xff"),
        ("gif", b"GIF87a"),
        ("gif", b"GIF89a"),
        ("tiff", b"II*\0"),
        ("tiff", b"MM\0*"),
        ("tiff", b"II+\0"),
        ("tiff", b"MM\0+"),
    ):
        if head.startswith(signature):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[:2] == b"BM" and head[6:10] == b"\0\0\0\0":
        return "bmp"
    return "pdf" if b"%PDF-" in head[:_PDF_HEAD_BYTES] else None


def size_of(file: BinaryIO, image_format: str) -> Size | None:
    """Return width and height in pixels from the header, None if the header lacks them or is damaged."""
    readers: dict[str, Callable[[BinaryIO], Size | None]] = {
        "png": _png_size,
        "jpeg": _jpeg_size,
        "gif": _gif_size,
        "bmp": _bmp_size,
        "tiff": _tiff_size,
        "webp": _webp_size,
    }
    file.seek(0)
    try:
        return readers[image_format](file) if image_format in readers else None
    except (struct.error, OSError, OverflowError):
        return None


def png_damage(file: BinaryIO, length: int) -> tuple[str, int] | None:
    """Return the incomplete chunk of a PNG and the number of its missing bytes, None if IEND is reached.

    Checksums are not verified, because that would mean reading a whole file, which may be huge.
    """
    position = 8
    while position + 12 <= length:
        file.seek(position)
        size, name = struct.unpack(">I4s", file.read(8))
        position += 12 + size
        if position > length:
            return name.decode("ascii", errors="replace"), position - length
        if name == b"IEND":
            return None
    return "IEND", position + 12 - length


def _unpack(file: BinaryIO, layout: str, offset: int) -> tuple[int, ...]:
    file.seek(offset)
    numbers: tuple[int, ...] = struct.unpack(layout, file.read(struct.calcsize(layout)))
    return numbers


def _png_size(file: BinaryIO) -> Size:
    width, height = _unpack(file, ">II", 16)
    return width, height


def _gif_size(file: BinaryIO) -> Size:
    width, height = _unpack(file, "<HH", 6)
    return width, height


def _bmp_size(file: BinaryIO) -> Size:
    (header_size,) = _unpack(file, "<I", 14)
    width, height = _unpack(file, "<HH" if header_size == 12 else "<ii", 18)  # noqa: PLR2004 - OS/2 header
    return width, abs(height)  # a negative height means rows from top to bottom


def _jpeg_size(file: BinaryIO) -> Size | None:
    position = 2
    while True:
        fill, marker, length = _unpack(file, ">BBH", position)
        if fill != 0xFF:  # noqa: PLR2004 - the first byte of every marker
            return None
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # noqa: PLR2004 - frame headers
            height, width = _unpack(file, ">HH", position + 5)
            return width, height
        position += 1 if marker == 0xFF else 2 + length  # noqa: PLR2004 - 0xFF is padding


def _webp_size(file: BinaryIO) -> Size | None:
    file.seek(0)
    head = file.read(HEAD_BYTES)
    kind = head[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", head[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None


def _tiff_size(file: BinaryIO) -> Size | None:
    """Read ImageWidth (256) and ImageLength (257) of the first directory; None for BigTIFF (magic 43)."""
    file.seek(0)
    order = "<" if file.read(2) == b"II" else ">"
    magic, directory = _unpack(file, order + "HI", 2)
    if magic != 42:  # noqa: PLR2004 - classic TIFF
        return None
    (count,) = _unpack(file, order + "H", directory)
    tags = dict(_tiff_tag(file, order, directory + 2 + 12 * number) for number in range(count))
    return (tags[256], tags[257]) if {256, 257} <= tags.keys() else None


def _tiff_tag(file: BinaryIO, order: str, offset: int) -> tuple[int, int]:
    """Return a tag and its value; the value is correct for the types SHORT (3) and LONG (4) only."""
    tag, kind, _ = _unpack(file, order + "HHI", offset)
    (value,) = _unpack(file, order + ("H" if kind == 3 else "I"), offset + 8)  # noqa: PLR2004 - SHORT
    return tag, value
