"""Whether a file of a model can be right, told without reading the gigabytes in it."""

from __future__ import annotations

import json
import struct
from pathlib import Path

from paddlevl_doctor.facts.model import DamagedFile
from paddlevl_doctor.system import System

_LENGTH = struct.Struct("<Q")
_LONGEST_HEADER = 100_000_000
"""Bytes; what the safetensors library itself accepts."""


def damage_of(system: System, path: Path) -> DamagedFile | None:
    """Return what is wrong with a file that exists, None where nothing is."""
    size = system.file_size(path)
    if size is None:
        return None  # a folder, or gone meanwhile
    if size == 0:
        return DamagedFile(path.name, "empty", "0 bytes")
    if path.suffix == ".safetensors":
        return _safetensors(system, path, size)
    if path.name == "generation_config.json":
        return _end_mark(system, path)
    return _json(system, path) if path.suffix == ".json" else None


def _json(system: System, path: Path) -> DamagedFile | None:
    """Say whether a file is JSON; huggingface_hub compares sizes alone, so wrong bytes stay unnoticed."""
    try:
        json.loads((system.read_bytes(path) or b"").decode("utf-8-sig"))
    except ValueError:
        return DamagedFile(path.name, "not-json", "no JSON")
    return None


def _safetensors(system: System, path: Path, size: int) -> DamagedFile | None:
    """Compare a file's size with what its header promises (format: safetensors README).

    A file is 8 bytes with the header's length, the header (JSON) and the tensors; the largest end of all
    data_offsets is where the tensors end.
    """
    promised = _promised_size(system, path)
    if promised is None:
        return DamagedFile(path.name, "not-safetensors", f"{size} bytes")
    if promised == size:
        return None
    return DamagedFile(
        path.name, "truncated" if size < promised else "too-long", f"{size} of {promised} bytes"
    )


def _promised_size(system: System, path: Path) -> int | None:
    """Return the size that the header promises, None where there is no header of this format.

    A file that ends inside its header promises at least the header.
    """
    start = system.read_head(path, _LENGTH.size) or b""
    if len(start) < _LENGTH.size:
        return None
    length = _LENGTH.size + _LENGTH.unpack(start)[0]
    if length > _LONGEST_HEADER:
        return None
    head = system.read_head(path, length) or b""
    if len(head) < length:
        return length if head[_LENGTH.size :].lstrip().startswith(b"{") else None
    return _end_of_tensors(head[_LENGTH.size :], length)


def _end_of_tensors(header: bytes, start: int) -> int | None:
    try:
        tensors = json.loads(header)
        ends = [entry["data_offsets"][1] for name, entry in tensors.items() if name != "__metadata__"]
        return start + max(ends, default=0)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return None


def _end_mark(system: System, path: Path) -> DamagedFile | None:
    """Say whether generation_config.json names the end mark, and the same one as config.json.

    PaddleX takes it from here alone; a wrong one has the effect of none (failures.md, generation-config-missing).
    """
    try:
        named = _end_marks(json.loads(system.read_text(path) or ""))
    except ValueError:
        return DamagedFile(path.name, "not-json")
    if not named:
        return DamagedFile(path.name, "no-end-mark", "eos_token_id")
    wanted = _end_marks(_config(system, path.with_name("config.json")))
    if wanted and not named & wanted:
        seen = f"eos_token_id {min(named)}, config.json says {min(wanted)}"
        return DamagedFile(path.name, "other-end-mark", seen)
    return None


def token_ids(system: System, config: Path) -> dict[str, int]:
    """Return the special tokens that a config.json names, without those that it does not."""
    document = _config(system, config)
    found = document if isinstance(document, dict) else {}
    names = ("bos_token_id", "eos_token_id", "pad_token_id")
    return {n: found[n] for n in names if isinstance(found.get(n), int) and not isinstance(found[n], bool)}


def _config(system: System, path: Path) -> object:
    try:
        return json.loads(system.read_text(path) or "")
    except ValueError:
        return None


def _end_marks(document: object) -> frozenset[int]:
    """Return the token ids under eos_token_id, which is one number or a list of them."""
    value = document.get("eos_token_id") if isinstance(document, dict) else None
    values = value if isinstance(value, list) else [value]
    return frozenset(item for item in values if isinstance(item, int) and not isinstance(item, bool))
