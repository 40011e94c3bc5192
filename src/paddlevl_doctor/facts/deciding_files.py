"""Compares the few files that decide whether the stack can be imported with the sizes in RECORD.

Only contradictions are facts. `check --integrity` compares every file with its hash.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.facts import Distribution, RecordedFile, SuspectFile, Target

_PADDLE = (
    "paddle/__init__.py",
    "paddle/base/__init__.py",
    "paddle/base/core.py",
    "paddle/base/libpaddle.so",
    "paddle/base/libpaddle.pyd",
    "paddle/libs/libphi.so",
    "paddle/libs/libphi_core.so",
    "paddle/libs/libcommon.so",
)
_FILES = {
    "paddlepaddle": _PADDLE,
    "paddlepaddle-gpu": _PADDLE,
    "paddle": _PADDLE,
    "paddlex": ("paddlex/__init__.py", "paddlex/inference/__init__.py"),
    "paddleocr": ("paddleocr/__init__.py",),
    "numpy": ("numpy/__init__.py",),
    "safetensors": ("safetensors/__init__.py",),
}
_OPENCV = ("cv2/__init__.py", "cv2/config.py", "cv2/cv2.abi3.so", "cv2/cv2.pyd")
_ELF_HEADER = 64
_LONGEST_REST = 100
"""Bytes; a hash in RECORD has 43, and a size at most 20."""


@dataclass(frozen=True)
class DecidingFiles:
    """The deciding files of a target that contradict a RECORD, and the RECORD lines of the others."""

    suspect: tuple[SuspectFile, ...] = ()
    """Those that are missing, empty or cut, or that several distributions claim."""
    recorded: tuple[RecordedFile, ...] = ()


def look_at_deciding_files(system: System, target: Target | None) -> DecidingFiles:
    """Compare the size of each deciding file with its RECORD."""
    if target is None:
        return DecidingFiles()
    records = _records(system, [d for d in target.distributions if deciding_files(d.name)])
    paths = dict.fromkeys(
        (str(Path(d.path).parent), path) for d, _ in records for path in deciding_files(d.name)
    )
    claims = {(site, path): tuple(_claims(records, site, path)) for site, path in paths}
    found = {key: _compared(system, target, claims[key], *key) for key in claims if claims[key]}
    return DecidingFiles(
        tuple(one for one in found.values() if one is not None),
        tuple(claims[key][0] for key, suspect in found.items() if suspect is None),
    )


def deciding_files(name: str) -> Sequence[str]:
    """Return the files of a distribution (normalised name) that are compared, relative to site-packages."""
    return _OPENCV if name.startswith("opencv-") else _FILES.get(name, ())


_Records = Sequence[tuple[Distribution, bytes]]


def _records(system: System, distributions: Sequence[Distribution]) -> _Records:
    """Return each distribution that has a RECORD with its content, after a line end, with forward slashes."""
    found = ((d, system.read_bytes(Path(d.path) / "RECORD")) for d in distributions)
    return [(d, b"\n" + data.replace(b"\\", b"/")) for d, data in found if data is not None]


def _compared(
    system: System, target: Target, recorded: Sequence[RecordedFile], site: str, path: str
) -> SuspectFile | None:
    """Return a file if it contradicts a RECORD or is claimed twice, else None."""
    claims = {one.distribution: one.size for one in recorded}
    size = system.file_size(Path(site, path))
    differs = any(size != wanted for wanted in claims.values())
    if not differs and len(claims) == 1:
        return None
    if differs and size is not None:  # another distribution may have written it
        others = [d for d in target.distributions if not deciding_files(d.name)]
        claims.update({c.distribution: c.size for c in _claims(_records(system, others), site, path)})
    cut = size == 0 or _is_cut(system, Path(site, path), size, max(claims.values()))
    if len(claims) == 1 and size is not None and not cut:  # an edit, or a library without its symbols
        return None
    return SuspectFile(path, size, cut, claims)


def _claims(records: _Records, site: str, path: str) -> Iterator[RecordedFile]:
    """Yield the line of each RECORD that lists a file."""
    begin = f"\n{path},sha256=".encode()
    for distribution, record in records:
        start = record.find(begin)
        if start >= 0 and os.path.dirname(distribution.path) == site:  # noqa: PTH120 - it is called often
            line = record[start + len(begin) : start + len(begin) + _LONGEST_REST].split(b"\n", 1)[0]
            digest, _, size = line.strip().partition(b",")
            if size.isdigit():
                wanted = digest.decode(errors="replace")
                yield RecordedFile(f"{site}/{path}", distribution.name, wanted, int(size))


def _is_cut(system: System, path: Path, size: int | None, recorded: int) -> bool:
    """Return whether a shared library ends too early.

    The section table of an ELF file is at its end, also after `strip` and `patchelf`.
    """
    if size is None or size >= recorded or path.suffix == ".py":
        return False
    head = system.read_head(path, _ELF_HEADER) or b""
    if len(head) < _ELF_HEADER or head[:5] != b"\x7fELF\x02":
        return True
    (offset,) = struct.unpack_from("<Q", head, 40)
    entry_size, entries = struct.unpack_from("<HH", head, 58)
    return bool(offset + entry_size * entries > size)
