"""Writes a whole text file and takes it back: activation files, and files of models that are a few lines.

The former entry is kept beside the journal, so that undo restores its bytes, mode and link.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from paddlevl_doctor.errors import DoctorError
from paddlevl_doctor.messages import text
from paddlevl_doctor.repair import patcher
from paddlevl_doctor.system_files import sync_folder

_MODE = 0o644


def as_event(path: Path, content: str) -> dict[str, Any]:
    """Describe a change for the journal: SHA-256 before (None: no such file) and after.

    Raises DoctorError where something else than a file is in the way, or the folder is missing.
    """
    if not path.parent.is_dir() or (os.path.lexists(path) and not path.is_file()):
        raise DoctorError(text("file-in-the-way", path=path))
    before = patcher.sha256_of(path.read_bytes()) if path.exists() else None
    return {"path": str(path), "before": before, "after": patcher.sha256_of(content.encode())}


def write(event: Mapping[str, Any], content: str, keep: Path) -> None:
    """Put the content in place in one step; the former entry is kept as `keep`. Raises OSError, FileMovedError."""
    path = Path(event["path"])
    keep.parent.mkdir(parents=True, exist_ok=True)
    if event["before"] is not None:
        patcher.replace_file(path.parent, path.name, content.encode(), expect=event["before"], keep=keep)
        return
    staged = patcher.stage(patcher.staging_folder(keep.parent, path.parent), content.encode(), _MODE)
    try:
        os.link(staged, path)  # fails where a file has appeared meanwhile; a rename would replace it
    except FileExistsError as error:
        raise patcher.FileMovedError(text("file-moved", path=path)) from error
    finally:
        staged.unlink()
    sync_folder(path.parent)


def is_edited(event: Mapping[str, Any]) -> bool:
    """Say whether the file is neither what was written nor what was there before."""
    path = Path(event["path"])
    now = patcher.sha256_of(path.read_bytes()) if path.is_file() else None
    return now not in (event["before"], event["after"])


def take_back(event: Mapping[str, Any], keep: Path) -> None:
    """Restore the former entry, or remove the file that was not there; raises FileMovedError for an edited one."""
    path = Path(event["path"])
    if event["before"] is not None:
        patcher.restore_file(path.parent, path.name, expect=event["after"], keep=keep)
    elif path.is_file():
        if is_edited(event):
            raise patcher.FileMovedError(text("file-moved", path=path))
        path.unlink()
