"""Compares every file of an environment with the hashes in its distributions' RECORD, on all cores.

It runs in the doctor's process, in threads, because hashing releases the GIL. Files without a hash (bytecode, RECORD
itself) and files outside of site-packages (scripts, which installers generate) are not compared. Files of the target's
own site-packages that were right and have not changed since are not read again (`stat_index`). The result has the form
of the probe `installed_files`, which compares only the stack. Beyond that, `overlaps` has the files that differ because
another distribution lists them with another hash, `unowned` the files with code that no distribution lists, and
`unread` the folders that cannot be listed.
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
from typing import Any, NamedTuple

from paddlevl_doctor.facts.site_walk import Walk, walk
from paddlevl_doctor.facts.stat_index import index_file, newest_time_to_remember, read_index, write_index
from paddlevl_doctor.messages import Text
from paddlevl_doctor.values.facts import Distribution, ProbeResult, Target
from paddlevl_doctor.values.findings import Bar

_BATCH = 128
"""The number of files in one job of a thread; with single files, the overhead would equal the reading."""
_WHOLE = 1 << 18
# A fifo or a device in the place of a file must not stop the reader.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class _File(NamedTuple):
    """One line of a RECORD: the index of its distribution, the file, and the SHA-256, empty if there is none."""

    owner: int
    site: str
    relative: str
    wanted: str

    @property
    def path(self) -> str:
        return f"{self.site}/{self.relative}"


_Differing = list[tuple[_File, "dict[str, Any] | None"]]


def compare(target: Target, cores: int, bar: Bar, title: Text, cache: Path | None = None) -> ProbeResult:
    """Return the missing, altered and unreadable files of every distribution; never raises for a file.

    `bar` shows the number of compared files under `title`. `cache` is the folder with the indexes of right files.
    """
    started, newest = time.monotonic(), newest_time_to_remember()
    found, listed = _listed_files(target)
    hashed = [file for file in listed if file.wanted]
    walks = {site: _Site(site, listed, newest, cache) for site in target.site_folders}
    with bar(title, len(hashed)) as advance:
        unknown = [file for file in hashed if file.site not in walks or not walks[file.site].is_known(file)]
        advance(len(hashed) - len(unknown))
        differing = _compared(unknown, cores, advance)
    _sort_in(found, hashed, differing)
    for one in walks.values():
        one.remember(differing)
    document = {
        "probe": "installed_files",
        "distributions": [_sorted(one) for one in found],
        "error": None,
        "unowned": [path for one in walks.values() for path in one.absolute(one.walk.unowned)],
        "unread": [path for one in walks.values() for path in one.absolute(one.walk.unread)],
    }
    return ProbeResult("answered", document, "", round(time.monotonic() - started, 3))


class _Site:
    """A site-packages folder of the target: what it contains, and what an earlier look found right in it."""

    def __init__(self, site: str, listed: Sequence[_File], newest: int, cache: Path | None) -> None:
        self._site = site
        wanted: dict[str, str] = {}
        self._ambiguous: set[str] = set()
        for file in listed:
            if file.site == site and wanted.setdefault(file.relative, file.wanted) != file.wanted:
                self._ambiguous.add(file.relative)
        self._index = index_file(cache, site) if cache else None
        self._known = read_index(self._index, site) if self._index else {}
        self.walk: Walk = walk(site, wanted, newest)

    def is_known(self, file: _File) -> bool:
        """Return whether a file is as it was when it was found right."""
        state = self.walk.states.get(file.relative)
        return state is not None and self._known.get(file.relative) == state

    def remember(self, differing: _Differing) -> None:
        """Write the states of all files that are right."""
        wrong = {file.relative for file, _ in differing if file.site == self._site} | self._ambiguous
        states = {path: state for path, state in self.walk.states.items() if path not in wrong}
        if self._index is not None and states != self._known:
            write_index(self._index, self._site, states)

    def absolute(self, paths: Sequence[str]) -> list[str]:
        """Return paths in this folder as absolute paths, the separator at the end of folders included."""
        return [f"{self._site}{os.sep}{path.replace('/', os.sep)}" for path in paths]


def _compared(files: Sequence[_File], cores: int, advance: Any) -> _Differing:
    """Read files in threads and return those that differ."""
    differing: _Differing = []
    batches = [files[at : at + _BATCH] for at in range(0, len(files), _BATCH)]
    with ThreadPoolExecutor(max(1, cores)) as pool:
        waiting = {pool.submit(_differing, batch): batch for batch in batches}
        try:
            for done in as_completed(waiting):
                differing += done.result()
                advance(len(waiting[done]))
        except BaseException:  # Ctrl-C: do not wait for 20,000 files
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return differing


def _sort_in(found: list[dict[str, Any]], files: Sequence[_File], differing: _Differing) -> None:
    """Add each file that differs to its distribution: as missing, altered, or overwritten by another one."""
    owners = _owners(files, {file.path for file, _ in differing})
    for file, what in differing:
        rivals = [found[other.owner]["name"] for other in owners[file.path] if other.wanted != file.wanted]
        if rivals:
            found[file.owner]["overlaps"].append({"path": file.relative, "by": sorted(set(rivals))})
        else:
            found[file.owner]["missing" if what is None else "altered"].append(what or file.relative)


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


def _listed_files(target: Target) -> tuple[list[dict[str, Any]], list[_File]]:
    """Return an empty result for every distribution, and the files of all RECORDs."""
    found: list[dict[str, Any]] = []
    files: list[_File] = []
    parents = {Path(distribution.path).parent for distribution in target.distributions}
    sites = {parent: os.path.realpath(parent) for parent in parents}  # as Target.site_folders
    for distribution in target.distributions:
        lines, trouble = _record_lines(distribution)
        site, owner = sites[Path(distribution.path).parent], len(found)
        files += [_File(owner, site, path, wanted) for path, wanted in lines]
        found.append({
            "name": distribution.name,
            "version": distribution.version,
            "record": trouble is None,
            "files": sum(1 for _, wanted in lines if wanted),
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
            rows = list(csv.reader(file))
    except FileNotFoundError:
        return _installed_files(
            distribution
        ), None if distribution.has_record or not distribution.path.endswith(".dist-info") else "missing"
    except (OSError, csv.Error) as error:
        return [], str(getattr(error, "strerror", None) or error)
    return list(_below_site_packages(rows)), None


def _installed_files(distribution: Distribution) -> list[tuple[str, str]]:
    """Return the files that an .egg-info folder lists; it has no hashes, and paths are relative to that folder."""
    try:
        text = Path(distribution.path, "installed-files.txt").read_text("utf-8", "surrogateescape")
    except OSError:
        return []
    lines = (line.replace("\\", "/") for line in text.splitlines())
    return [(line[3:], "") for line in lines if line.startswith("../") and not line.startswith("../../")]


def _below_site_packages(rows: Sequence[Sequence[str]]) -> Iterator[tuple[str, str]]:
    """Yield the files of a RECORD that are below site-packages, with their hashes."""
    for row in rows:
        relative = row[0].replace("\\", "/") if row else ""
        if not relative or relative[0] == "/" or ":" in relative:
            continue
        if "./" in relative or "//" in relative:
            if ".." in relative.split("/"):
                continue
            relative = os.path.normpath(relative).replace("\\", "/")
        hashed = len(row) > 1 and row[1][:7] == "sha256="
        yield relative, row[1][7:].rstrip("=") if hashed else ""


def _differing(batch: Sequence[_File]) -> _Differing:
    """Return the files that differ from RECORD: None for a missing one, else its actual content."""
    buffer = memoryview(bytearray(_WHOLE))
    return [(file, what) for file in batch if (what := _actual_content(file, buffer)) is not _RIGHT]


_RIGHT: dict[str, Any] = {}


def _actual_content(file: _File, buffer: memoryview) -> dict[str, Any] | None:
    try:
        digest, links = _digest(file.path, buffer)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        shown = getattr(error, "strerror", None) or str(error)
        return {"path": file.relative, "sha256": None, "links": 0, "error": shown}
    if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == file.wanted:
        return _RIGHT
    return {"path": file.relative, "sha256": digest.hex(), "links": links, "error": None}


def _digest(path: str, buffer: memoryview) -> tuple[bytes, int]:
    """Return a file's SHA-256 and its number of hard links. Raises OSError, also for anything but a regular file."""
    descriptor = os.open(path, _FLAGS)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "no regular file")
        count = _read_into(descriptor, buffer)
        state = hashlib.sha256(buffer[:count])
        while count > 0 and status.st_size > _WHOLE:
            count = _read_into(descriptor, buffer)
            state.update(buffer[:count])
        return state.digest(), status.st_nlink
    finally:
        os.close(descriptor)


def _read_into(descriptor: int, buffer: memoryview) -> int:
    """Read into a buffer that is used again, where the system can: new memory for each file takes longer."""
    if hasattr(os, "readv"):
        return os.readv(descriptor, [buffer])
    data = os.read(descriptor, len(buffer))
    buffer[: len(data)] = data
    return len(data)
