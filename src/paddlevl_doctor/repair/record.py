"""What a distribution's RECORD promises of one file: the proof that a published content is this version's own."""

from __future__ import annotations

import base64
import csv
from collections.abc import Iterator
from pathlib import Path

from paddlevl_doctor.facts.model import Distribution, Target
from paddlevl_doctor.system import System


def promised(system: System, target: Target, name: str, relative: str) -> tuple[str, ...]:
    """Return the SHA-256 (hexadecimal) that the distribution's RECORD promises for a file; empty without one.

    An interrupted upgrade leaves two records; then both count.
    """
    found = (d for d in target.distributions if d.name == name)
    return tuple(digest for d in found for digest in _hashes(system, d, relative))


def _hashes(system: System, found: Distribution, relative: str) -> Iterator[str]:
    record = system.read_text(Path(found.path) / "RECORD") or ""
    name = relative.rpartition("/")[2]
    rows = csv.reader(line for line in record.splitlines() if name in line)  # of thousands, a few
    for row in rows:
        if len(row) > 1 and row[0].replace("\\", "/") == relative and row[1].startswith("sha256="):
            yield base64.urlsafe_b64decode(row[1][7:] + "=").hex()
