"""Reads the hashes of single files from the RECORD of an installed distribution."""

from __future__ import annotations

import base64
import contextlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.facts import Distribution, Target

_LENGTH = 43
"""The characters of a SHA-256 in RECORD: URL-safe base64 without padding."""


def record_hashes(
    system: System, target: Target, name: str, paths: Collection[str]
) -> Mapping[str, Collection[str]]:
    """Return the SHA-256 (hexadecimal) of files in the RECORD of their distribution by path; empty without one.

    The records beside the imported package count, if there are any. An interrupted upgrade leaves two; the hashes of
    both are returned.
    """
    found = [d for d in target.distributions if d.name == name]
    beside = [d for d in found if Path(d.path).parent == Path(target.folder_of(name))]
    hashes: defaultdict[str, list[str]] = defaultdict(list)
    for distribution in beside or found:
        for path, digest in _rows(system, distribution, paths):
            hashes[path].append(digest)
    return hashes


def _rows(system: System, found: Distribution, paths: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield the path and the hash of each of the files. A search for a text is faster than parsing 2,000 lines."""
    record = "\n" + (system.read_text(Path(found.path) / "RECORD") or "")
    for path in paths:
        for written in dict.fromkeys((path, path.replace("/", "\\"))):
            head = f"\n{written},sha256="
            start = record.find(head) + len(head)
            if start < len(head):
                continue
            with contextlib.suppress(ValueError):  # a damaged RECORD
                yield path, base64.urlsafe_b64decode(f"{record[start : start + _LENGTH]}=").hex()
