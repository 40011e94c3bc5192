"""Writes a safetensors file with bfloat16 tensors, as the released checkpoints have them.

Format: an 8-byte little-endian header length, a JSON header, the raw tensors (huggingface/safetensors, README).
"""

import json
import struct

import numpy as np

_ALIGNMENT = 8


def bfloat16(array):
    """Return the little-endian bytes of a float32 array, rounded to the nearest bfloat16 (ties to even)."""
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32).astype(np.uint64)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    return rounded.astype("<u2").tobytes()


def write(path, tensors):
    """Write the named float32 arrays in the order of their names."""
    header, blobs, offset = {"__metadata__": {"format": "pt"}}, [], 0
    for name in sorted(tensors):
        blob = bfloat16(tensors[name])
        ends = [offset, offset + len(blob)]
        header[name] = {"dtype": "BF16", "shape": list(tensors[name].shape), "data_offsets": ends}
        offset = ends[1]
        blobs.append(blob)
    text = json.dumps(header, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % _ALIGNMENT)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.writelines(blobs)
