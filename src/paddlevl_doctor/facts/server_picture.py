"""The picture that a server is asked about: a word in large black letters, drawn without any library."""

from __future__ import annotations

import struct
import zlib

WORD = "TEST"
_LETTERS = {
    "E": ("#####", "#....", "#....", "####.", "#....", "#....", "#####"),
    "S": (".####", "#....", "#....", ".###.", "....#", "....#", "####."),
    "T": ("#####", "..#..", "..#..", "..#..", "..#..", "..#..", "..#.."),
}
_DOT = 8
"""Pixels of one dot of a letter in each direction."""
_SIDE = 224
"""Pixels: four of the model's patches of 56 in each direction; smaller pictures are enlarged by some clients."""


def picture() -> bytes:
    """Return a white PNG with `WORD` in its middle, so that a model that sees has something to say."""
    lines = [".".join(_LETTERS[letter][y] for letter in WORD) for y in range(7)]
    left, top = (_SIDE - len(lines[0]) * _DOT) // 2, (_SIDE - len(lines) * _DOT) // 2
    return _png(
        [[_shade(lines, (x - left) // _DOT, (y - top) // _DOT) for x in range(_SIDE)] for y in range(_SIDE)]
    )


def _shade(lines: list[str], column: int, row: int) -> int:
    inside = 0 <= row < len(lines) and 0 <= column < len(lines[0])
    return 0 if inside and lines[row][column] == "#" else 255


def _png(rows: list[list[int]]) -> bytes:
    """Return rows of grey values as an 8-bit PNG. Source: the PNG specification, RFC 2083."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\x00" + bytes(row) for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
