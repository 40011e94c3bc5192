"""Writes a SentencePiece model (tokenizer.model) without SentencePiece: the few protobuf fields that a reader needs.

Field numbers: sentencepiece_model.proto of google/sentencepiece (ModelProto, TrainerSpec, NormalizerSpec).
"""

import struct

_UNIGRAM = 1
_NO_PAD = -1
_BYTES_OF_64_BITS = (1 << 64) - 1


def _varint(number):
    number &= _BYTES_OF_64_BITS  # a negative number is written as its 64-bit two's complement
    out = bytearray()
    while number >> 7:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _integer(field, number):
    return _varint(field << 3) + _varint(number)


def _text(field, data):
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _float(field, number):
    return _varint(field << 3 | 5) + struct.pack("<f", number)


def _piece(text, score, kind):
    return _text(1, text.encode("utf-8")) + _float(2, score) + _integer(3, kind)


def _trainer(size):
    kind = _integer(3, _UNIGRAM) + _integer(4, size)
    byte_fallback = _integer(35, 1)
    ids = _integer(40, 0) + _integer(41, 1) + _integer(42, 2) + _integer(43, _NO_PAD)
    names = _text(45, b"<unk>") + _text(46, b"<s>") + _text(47, b"</s>") + _text(48, b"<pad>")
    return kind + byte_fallback + ids + names


def _normalizer():
    """Change nothing: no prefix space, no folding of spaces; a space is still written as U+2581."""
    return _text(1, b"identity") + _integer(3, 0) + _integer(4, 0) + _integer(5, 1)


def encode(pieces):
    """Return the file's bytes for tokens given as (text, score, type)."""
    body = b"".join(_text(1, _piece(*piece)) for piece in pieces)
    return body + _text(2, _trainer(len(pieces))) + _text(3, _normalizer())
