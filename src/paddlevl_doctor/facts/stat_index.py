"""Remembers which files were found right, so that the next comparison reads only files that changed since.

As in git's index, a file counts as unchanged if its size, its inode, and the times of its last change of content and of
metadata are the same; the latter also shows an edit that keeps size and time. The index is a file in the user's cache
folder, one for each site-packages folder, and never in the target. Whatever is wrong with it, it is ignored.

Windows does not report the time of the last change of metadata to Python, so no index is kept there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from paddlevl_doctor.system.files import WINDOWS, load_json

_FORMAT = 1
_LONGEST_HEAD = 1 << 16
_TOO_NEW_NS = 2_000_000_000
"""Nanoseconds. A file that changed less than this before the look is not remembered: it may change again without
another time, because file systems store times in steps of up to two seconds."""


def newest_time_to_remember() -> int:
    """Return the time, in nanoseconds since 1970, before which a file must have changed to be remembered."""
    return time.time_ns() - _TOO_NEW_NS


def state_of(status: os.stat_result, wanted: str) -> str:
    """Return what must stay the same for a file to count as unchanged; `wanted` is its hash in RECORD."""
    return (
        f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino} {status.st_dev} {wanted}"
    )


def index_file(cache: Path, site: str) -> Path:
    """Return the file with the index of a site-packages folder."""
    return cache / "stat-index" / f"{hashlib.sha256(os.fsencode(site)).hexdigest()[:16]}.json"


def read_index(path: Path, site: str) -> Mapping[str, str]:
    """Return the states of the files that were right, by path relative to `site`; empty without a usable index."""
    if WINDOWS:
        return {}
    try:
        head, _, body = _read_own(path).partition(b"\n")
        states = load_json(body) if load_json(head) == _head(site) else {}
    except (OSError, ValueError):
        return {}
    return states if isinstance(states, dict) else {}


def _head(site: str) -> dict[str, object]:
    return {"format": _FORMAT, "site": site}


def _read_own(path: Path) -> bytes:
    """Return the content of a file that only this user can write. Raises OSError for any other."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        others = stat.S_IWGRP | stat.S_IWOTH
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & others:
            raise PermissionError
        return file.read()


def write_index(path: Path, site: str, states: Mapping[str, str]) -> None:
    """Replace an index atomically, and remove those of site-packages folders that no longer exist; never raises."""
    if WINDOWS:
        return
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, part = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".part")  # mode 0600
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(f"{json.dumps(_head(site))}\n{json.dumps(states)}")
            Path(part).replace(path)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise
        _remove_stale(path.parent)


def _remove_stale(folder: Path) -> None:
    for path in folder.glob("*.json"):
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError), path.open("rb") as file:
            if not Path(load_json(file.readline(_LONGEST_HEAD))["site"]).exists():
                path.unlink()
