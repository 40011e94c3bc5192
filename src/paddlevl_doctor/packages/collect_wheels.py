"""Collects a wheelhouse for a machine, this one or another: resolves, downloads, verifies, lists."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import Message, Text, message
from paddlevl_doctor.packages.download import Limits, PartialDownload, fetch, sha256_of
from paddlevl_doctor.packages.gpu_wheel import cuda_tag_of
from paddlevl_doctor.packages.http_range import DownloadRequest
from paddlevl_doctor.packages.mirrors import fetch_from_fastest
from paddlevl_doctor.packages.resolve import LockedWheel, TargetPlatform, lock
from paddlevl_doctor.packages.server_rates import ServerRate
from paddlevl_doctor.packages.uv import RESOLVE_TIMEOUT, UvError, index_options, run_uv
from paddlevl_doctor.packages.wheelhouse import (
    INDEX,
    WheelEntry,
    Wheelhouse,
    cuda_tag_of_list,
    wheels_in,
    write,
)
from paddlevl_doctor.patching.patched_wheel import published, repack
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.errors import DoctorError, UsageError
from paddlevl_doctor.values.facts import Distribution
from paddlevl_doctor.values.findings import Advance, Bar, no_bar

NAME = "paddlevl-doctor"
EXTRA = "reader"
"""The extra with the embedded reader, the only engine of a machine without a network and models."""
_MARK = ".collecting"
"""Marks a folder whose collection was stopped, so that the next run may continue there."""
_CONNECTIONS = 8


@dataclass(frozen=True)
class WheelhouseSpec:
    """The contents of a wheelhouse to collect."""

    set: str
    requirements: tuple[str, ...]
    machine: TargetPlatform
    tested: Path | None = None
    """A requirements file with the tested versions."""
    large: tuple[DownloadRequest, ...] = ()
    """Wheels to download first, because uv cannot resume a download; uv then reads them from the folder."""
    links: Path | None = None
    """A folder with further wheels."""
    index: str | None = None
    """URL of an index to use instead of the default one."""
    extra_indexes: tuple[str, ...] = ()
    """URLs of additional indexes."""

    @property
    def tag(self) -> str | None:
        """The CUDA variant of the large wheel, None without one."""
        return next((wheel.tag for wheel in self.large), None)


@dataclass(frozen=True)
class CollectedWheelhouse:
    """A finished wheelhouse, and notes about its collection."""

    wheelhouse: Wheelhouse
    untested: Text | None = None
    """The reason why it has the newest versions that fit instead of the tested ones."""
    measured: tuple[ServerRate, ...] = ()
    """The rates of the servers of a large wheel, the fastest first."""
    dropped: tuple[Text, ...] = ()
    """The wheels of another CUDA variant that were removed from the folder, one message for each."""


def export_wheelhouse(
    system: System, spec: WheelhouseSpec, folder: Path, bar: Bar = no_bar, limits: Limits | None = None
) -> CollectedWheelhouse:
    """Collect every wheel into `folder`; a run that was stopped is continued.

    Raises UsageError for a folder with other files, UvError if the requirements cannot be met, DownloadError if a
    wheel cannot be downloaded, DoctorError if the disk is full; the downloaded wheels stay, and the folder is not
    valid yet.
    """
    spec.machine.uv_platform()  # raises for a machine without wheels, before anything is written
    dropped = _prepare(folder, spec)
    try:
        large = [fetch_from_fastest(wheel, folder, bar, limits) for wheel in spec.large]
        locked, untested = _lock_tested_or_newest(system, spec, folder)
        total = sum(wheel.size or 0 for wheel in locked)
        with bar(message("stage-collect", count=len(locked)), total) as advance:
            wheels = fetch_all(locked, folder, advance, limits)
        wheelhouse = Wheelhouse(folder, spec.set, spec.machine, spec.requirements, wheels, spec.tag)
        measured = tuple(rate for fetched in large for rate in fetched.measured)
        return CollectedWheelhouse(_finish(wheelhouse, tested=untested is None), untested, measured, dropped)
    except OSError as error:
        params = {"path": error.filename or folder, "reason": error.strerror or error}
        raise DoctorError(message("house-not-written", **params)) from error


def _prepare(folder: Path, spec: WheelhouseSpec) -> tuple[Text, ...]:
    """Create the folder, or reuse an empty folder or a wheelhouse; its list is removed until the end.

    Returns which large wheels of another CUDA variant were removed: all variants have the same file name.
    """
    mark = folder / _MARK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()) and not ((folder / INDEX).is_file() or mark.is_file()):
            raise UsageError(message("house-occupied", path=folder))
        marked = mark.read_text(encoding="utf-8", errors="replace") if mark.is_file() else ""
        before = marked or cuda_tag_of_list(folder)
        dropped = tuple(note for wheel in spec.large for note in _drop_other_variant(folder, wheel, before))
        mark.write_text(spec.tag or "", encoding="utf-8")
        (folder / INDEX).unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(
            message("cannot-write", option="--export", path=folder, reason=error.strerror)
        ) from error
    return dropped


def _drop_other_variant(folder: Path, request: DownloadRequest, before: str | None) -> Iterator[Message]:
    """Remove a wheel, or a part of one, of another or unknown CUDA variant than `request`; yield a note for each.

    `before` is the variant that the folder was collected for.
    """
    if request.tag is None:
        return
    path, part = folder / request.name, PartialDownload(folder, request.name)
    tag = cuda_tag_of(path) or before
    if path.is_file() and tag != request.tag:
        path.unlink()
        yield message("house-line-dropped", name=path.name, line=tag or "?", tag=request.tag)
    if part.size() and before != request.tag:
        part.drop()
        yield message("house-line-dropped", name=part.path.name, line=before or "?", tag=request.tag)


def _lock_tested_or_newest(
    system: System, spec: WheelhouseSpec, folder: Path
) -> tuple[tuple[LockedWheel, ...], Text | None]:
    """Resolve with the tested versions, or with the newest that fit if an index lacks the tested ones.

    Also returns why the versions are not the tested ones, None if they are.
    """
    folders = (*((folder,) if spec.large else ()), *((spec.links,) if spec.links else ()))
    options = [word for path in folders for word in ("--find-links", str(path))]
    options += index_options(spec.index, spec.extra_indexes)
    untested = None
    with tempfile.TemporaryDirectory(prefix="paddlevl-doctor-") as work:
        if spec.tested is not None:
            constrained = (*options, "--constraints", str(spec.tested))
            try:
                return lock(system, spec.requirements, spec.machine, Path(work), constrained), None
            except UvError as error:
                if not error.unsolvable:
                    raise
                untested = error.message
        return lock(system, spec.requirements, spec.machine, Path(work), options), untested


def fetch_all(
    locked: Sequence[LockedWheel], folder: Path, advance: Advance, limits: Limits | None
) -> tuple[WheelEntry, ...]:
    """Download the wheels concurrently, and return them in the same order; raises like `fetch`.

    If one fails, or the user stops, the others are stopped. `advance` is called with the bytes of all wheels.
    """
    stop = threading.Event()

    @contextlib.contextmanager
    def shared_bar(_title: Text, _total: int) -> Iterator[Advance]:
        yield _StoppableAdvance(advance, stop)

    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        futures = [pool.submit(_fetch_one, wheel, folder, shared_bar, limits) for wheel in locked]
        try:
            for done in as_completed(futures):
                done.result()
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return tuple(done.result() for done in futures)


class _StoppedError(Exception):
    """The collection has ended; the downloaded part of this wheel is kept."""


class _StoppableAdvance(Advance):
    """Moves the bar of all wheels by the bytes of one, until `stop` is set."""

    def __init__(self, advance: Advance, stop: threading.Event) -> None:
        self._advance, self._stop = advance, stop

    def __call__(self, done: int) -> None:
        if self._stop.is_set():
            raise _StoppedError
        self._advance(done)


def _fetch_one(wheel: LockedWheel, folder: Path, bar: Bar, limits: Limits | None) -> WheelEntry:
    path = folder / wheel.file
    if wheel.url.startswith("file:"):
        source = Path(url2pathname(wheel.url.removeprefix("file:").removeprefix("//")))
        if source.resolve() != path.resolve():
            shutil.copyfile(source, path)
        if wheel.sha256 not in (None, sha256_of(path)):
            fault = message("with-label", label=path.name, text=message("wheel-sha256"))
            raise DoctorError(message("house-damaged", path=folder, faults=fault))
    else:
        fetch(DownloadRequest(wheel.file, (wheel.url,), wheel.sha256, wheel.size), folder, bar, limits)
    sha256 = wheel.sha256 or sha256_of(path)
    return WheelEntry(wheel.name, wheel.version, wheel.file, path.stat().st_size, sha256)


def _finish(wheelhouse: Wheelhouse, *, tested: bool) -> Wheelhouse:
    """Remove the wheels of earlier runs that are not needed, write the lists, and verify the whole folder."""
    folder, needed = wheelhouse.folder, {wheel.file for wheel in wheelhouse.wheels}
    unneeded = [path for path in wheels_in(folder) if path.name not in needed]
    for path in (*unneeded, *folder.glob(".*.whl.part"), *folder.glob(".*.whl.part.json")):
        path.unlink()
    write(wheelhouse, tested=tested)
    (folder / _MARK).unlink(missing_ok=True)
    return Wheelhouse.check(folder)


def own_wheel(system: System, folder: Path) -> Path:
    """Put the doctor's wheel into an empty folder and return its path.

    Raises DoctorError if neither the sources of a development installation nor the installed files are complete,
    UvError if the wheel cannot be built.
    """
    try:
        found = metadata.distribution(NAME)
    except metadata.PackageNotFoundError as error:
        raise DoctorError(message("own-wheel-none")) from error
    sources = _editable_sources(found)
    if sources is None:
        info = Path(str(found.locate_file(""))) / f"{NAME.replace('-', '_')}-{found.version}.dist-info"
        if not (info / "RECORD").is_file():
            raise DoctorError(message("own-wheel-none"))
        installed = Distribution(NAME, found.version, str(info), has_record=True)
        return repack(published(system, installed, sys.executable), folder)
    if not (sources / "pyproject.toml").is_file():
        raise DoctorError(message("own-wheel-sources", path=sources))
    command = ("uv", "build", "--quiet", "--wheel", "--out-dir", str(folder), str(sources))
    run_uv(system, command, timeout=RESOLVE_TIMEOUT)
    return next(folder.glob("*.whl"))


def _editable_sources(found: metadata.Distribution) -> Path | None:
    """Return the folder of an editable installation (PEP 610), None for one with its files in its environment."""
    origin = json.loads(found.read_text("direct_url.json") or "{}")
    if not origin.get("dir_info", {}).get("editable"):
        return None
    return Path(url2pathname(urlsplit(origin["url"]).path))
