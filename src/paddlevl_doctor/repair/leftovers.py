"""Moves folders out of site-packages and back. Nothing is copied: each move is one rename on one device."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePath

from paddlevl_doctor.errors import DoctorError
from paddlevl_doctor.messages import text
from paddlevl_doctor.system_files import sync_folder


def move_away(site: Path, names: Sequence[str], keep: Path) -> None:
    """Move entries of `site` into the new folder `keep`; one that is already gone is left out.

    Raises DoctorError for a name that is no plain entry of `site`, OSError where the system refuses.
    """
    for name in names:
        if PurePath(name).name != name or name in ("", ".", ".."):
            raise DoctorError(text("patch-outside", path=name, site=site))
    keep.mkdir(parents=True)
    for name in names:
        if os.path.lexists(site / name):
            (site / name).rename(keep / name)
    sync_folder(keep)
    sync_folder(site)


def bring_back(site: Path, names: Sequence[str], keep: Path) -> None:
    """Move back whatever was moved away; what has taken its place meanwhile stays."""
    for name in names:
        if os.path.lexists(keep / name) and not os.path.lexists(site / name):
            (keep / name).rename(site / name)
    sync_folder(site)
