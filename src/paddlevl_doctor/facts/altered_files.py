"""Compares single files with their RECORD lines: the files that decide, and those at the top of site-packages."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path

from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.facts import AlteredFile, RecordedFile, Target

_LARGEST_READ = 1 << 19
"""Bytes. Only the size of a larger file is compared: `check` has milliseconds."""


def altered_files(
    system: System, target: Target | None, deciding: Iterable[RecordedFile]
) -> tuple[AlteredFile, ...] | None:
    """Return the files that exist and differ from their RECORD; None without a target."""
    if target is None:
        return None
    recorded = {file.path: file for file in (*target.single_files, *deciding)}
    found = (_altered(system, file) for file in recorded.values())
    return tuple(one for one in found if one is not None)


def _altered(system: System, file: RecordedFile) -> AlteredFile | None:
    path = Path(file.path)
    size = system.file_size(path)
    if size is None:
        return None
    digest = system.digest(path, "sha256") if size <= _LARGEST_READ else None
    if size == file.size and (digest is None or digest == _hexadecimal(file.sha256)):
        return None
    return AlteredFile(file.path, file.distribution, digest)


def _hexadecimal(recorded: str) -> str:
    """Return a hash of RECORD in hexadecimal; empty for one that is damaged."""
    try:
        return base64.urlsafe_b64decode(f"{recorded}=").hex()
    except ValueError:
        return ""
