"""Compares every file of an environment with the hashes in its distributions' RECORD, on all cores.

It runs in the doctor's process, in threads, because hashing releases the GIL. Files without a hash (bytecode, RECORD
itself) and files outside of site-packages (scripts, which installers generate) are not compared. The result has the
form of the probe `installed_files`, which compares only the stack. `overlaps` has the files that differ because another
distribution lists them with another hash.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import os
import stat
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import Text
from paddlevl_doctor.values.facts import Distribution, ProbeResult, Target
from paddlevl_doctor.values.findings import Bar

_BATCH = 128
"""The number of files in one job of a thread; with single files, the overhead would equal the reading."""
_WHOLE = 1 << 18
_CHUNK = 1 << 20
# A fifo or a device in the place of a file must not stop the reader.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True)
class _File:
    """One line of a RECORD: the index of its distribution, the file, and the promised SHA-256."""

    owner: int
    relative: str
    path: str
    wanted: str


def compare(target: Target, cores: int, bar: Bar, title: Text) -> ProbeResult:
    """Return the missing, altered and unreadable files of every distribution; never raises for a file.

    `bar` shows the number of compared files under `title`.
    """
    started = time.monotonic()
    found, files = _expected_files(target)
    differing: list[tuple[_File, dict[str, Any] | None]] = []
    batches = [files[at : at + _BATCH] for at in range(0, len(files), _BATCH)]
    with bar(title, len(files)) as advance, ThreadPoolExecutor(max(1, cores)) as pool:
        waiting = {pool.submit(_differing, batch): batch for batch in batches}
        try:
            for done in as_completed(waiting):
                differing += done.result()
                advance(len(waiting[done]))
        except BaseException:  # Ctrl-C: do not wait for 20,000 files
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    owners = _owners(files, {file.path for file, _ in differing})
    for file, what in differing:
        rivals = [found[other.owner]["name"] for other in owners[file.path] if other.wanted != file.wanted]
        if rivals:
            found[file.owner]["overlaps"].append({"path": file.relative, "by": sorted(set(rivals))})
        else:
            found[file.owner]["missing" if what is None else "altered"].append(what or file.relative)
    document = {"probe": "installed_files", "distributions": [_sorted(one) for one in found], "error": None}
    return ProbeResult("answered", document, "", round(time.monotonic() - started, 3))


def _owners(files: Sequence[_File], paths: Collection[str]) -> Mapping[str, Sequence[_File]]:
    """Return the lines of all RECORDs that list one of these paths."""
    owners: dict[str, list[_File]] = {path: [] for path in paths}
    for file in files if paths else ():
        if file.path in owners:
            owners[file.path].append(file)
    return owners


def _sorted(one: dict[str, Any]) -> dict[str, Any]:
    """Sort the results of the threads by name."""
    altered = sorted(one["altered"], key=lambda item: str(item["path"]))
    overlaps = sorted(one["overlaps"], key=lambda item: str(item["path"]))
    return {**one, "missing": sorted(one["missing"]), "altered": altered, "overlaps": overlaps}


def _expected_files(target: Target) -> tuple[list[dict[str, Any]], list[_File]]:
    """Return an empty result for every distribution, and all files with a hash."""
    found: list[dict[str, Any]] = []
    files: list[_File] = []
    for distribution in target.distributions:
        lines, trouble = _record_lines(distribution)
        site = str(Path(distribution.path).parent)
        files += [_File(len(found), path, os.path.join(site, path), wanted) for path, wanted in lines]  # noqa: PTH118
        found.append({
            "name": distribution.name,
            "version": distribution.version,
            "record": trouble is None,
            "files": len(lines),
            "missing": [],
            "altered": [],
            "overlaps": [],
            "trouble": trouble,
        })  # fmt: skip
    return found, files


def _record_lines(distribution: Distribution) -> tuple[list[tuple[str, str]], str | None]:
    """Return the (path, hash) pairs of a RECORD, and the reason if it is unreadable."""
    path = Path(distribution.path) / "RECORD"
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            rows = [row for row in csv.reader(file) if len(row) > 1 and row[1].startswith("sha256=")]
    except FileNotFoundError:
        return [], None if distribution.has_record or not distribution.path.endswith(
            ".dist-info"
        ) else "missing"
    except (OSError, csv.Error) as error:
        return [], str(getattr(error, "strerror", None) or error)
    return list(_below_site_packages(rows)), None


def _below_site_packages(rows: Sequence[Sequence[str]]) -> Iterator[tuple[str, str]]:
    """Yield the files of a RECORD that are below site-packages."""
    for row in rows:
        relative = row[0].replace("\\", "/")
        if not relative.startswith("/") and ":" not in relative and ".." not in relative.split("/"):
            yield relative, row[1][len("sha256=") :].rstrip("=")


def _differing(batch: Sequence[_File]) -> list[tuple[_File, dict[str, Any] | None]]:
    """Return the files that differ from RECORD: None for a missing one, else its actual content."""
    return [(file, what) for file in batch if (what := _actual_content(file)) is not _RIGHT]


_RIGHT: dict[str, Any] = {}


def _actual_content(file: _File) -> dict[str, Any] | None:
    try:
        digest, links = _digest(file.path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        shown = getattr(error, "strerror", None) or str(error)
        return {"path": file.relative, "sha256": None, "links": 0, "error": shown}
    if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == file.wanted:
        return _RIGHT
    return {"path": file.relative, "sha256": digest.hex(), "links": links, "error": None}


def _digest(path: str) -> tuple[bytes, int]:
    """Return a file's SHA-256 and its number of hard links. Raises OSError, also for anything but a regular file."""
    descriptor = os.open(path, _FLAGS)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "no regular file")
        data = os.read(descriptor, _WHOLE)
        state = hashlib.sha256(data)
        while len(data) > 0 and status.st_size > _WHOLE:
            data = os.read(descriptor, _CHUNK)
            state.update(data)
        return state.digest(), status.st_nlink
    finally:
        os.close(descriptor)
