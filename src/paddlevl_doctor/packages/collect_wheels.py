"""Collects a wheelhouse for a machine, this one or another: resolves, fetches, checks, lists."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from paddlevl_doctor.messages import Text, text
from paddlevl_doctor.packages.download import Limits, Part, fetch, sha256_of
from paddlevl_doctor.packages.http_range import Wanted
from paddlevl_doctor.packages.mirrors import fetch_from_fastest
from paddlevl_doctor.packages.resolve import LockedWheel, Machine, lock
from paddlevl_doctor.packages.server_rates import Measured
from paddlevl_doctor.packages.uv import RESOLVE_TIMEOUT, UvError, index_words, run_uv
from paddlevl_doctor.packages.wheel_cache import line_in
from paddlevl_doctor.packages.wheelhouse import INDEX, HouseWheel, Wheelhouse, line_of_list, wheels_in, write
from paddlevl_doctor.patching.patched_wheel import published, repack
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.errors import DoctorError, UsageError
from paddlevl_doctor.values.facts import Distribution
from paddlevl_doctor.values.findings import Advance, Bar, no_bar

_MARK = ".collecting"
"""Stands in a folder that a run was stopped in, so that the next one may go on there."""
_CONNECTIONS = 8


@dataclass(frozen=True)
class Contents:
    """What a wheelhouse is to hold."""

    set: str
    requirements: tuple[str, ...]
    machine: Machine
    tested: Path | None = None
    """A requirements file with the versions that were tested there."""
    large: tuple[Wanted, ...] = ()
    """Wheels whose index promises nothing: fetched first, so that uv reads them here and not over the line."""
    links: Path | None = None
    """A folder with further wheels."""
    index: str | None = None
    """URL of an index to use instead of the default one."""
    extra_indexes: tuple[str, ...] = ()
    """URLs of indexes to look into besides."""

    @property
    def tag(self) -> str | None:
        """The CUDA line of the large wheel, None without one."""
        return next((wanted.tag for wanted in self.large), None)


@dataclass(frozen=True)
class Collected:
    """A finished wheelhouse, and what whoever made it should know."""

    house: Wheelhouse
    untested: Text | None = None
    """Why it holds the newest versions that fit and not the tested ones."""
    measured: tuple[Measured, ...] = ()
    """What the servers of a large wheel gave, the fastest first."""
    dropped: tuple[Text, ...] = ()
    """What the folder held of another CUDA line, and lost, in sentences."""


def export_wheelhouse(
    system: System, contents: Contents, folder: Path, bar: Bar = no_bar, limits: Limits | None = None
) -> Collected:
    """Collect every wheel into `folder`; a run that was stopped goes on where it was.

    Raises UsageError for a folder with other things in it, UvError where nothing fits, DownloadError where a wheel
    cannot be had, DoctorError where the disk is full; what was fetched is kept then, and the folder is not valid yet.
    """
    contents.machine.platform()  # refuses what nothing is published for, before anything is made
    dropped = _prepare(folder, contents)
    try:
        return replace(_collected(system, contents, folder, bar, limits), dropped=dropped)
    except OSError as error:
        told = {"path": error.filename or folder, "reason": error.strerror or error}
        raise DoctorError(text("house-not-written", **told)) from error


def _collected(
    system: System, contents: Contents, folder: Path, bar: Bar, limits: Limits | None
) -> Collected:
    large = [fetch_from_fastest(wanted, folder, bar, limits) for wanted in contents.large]
    locked, untested = _locked(system, contents, folder)
    with bar(text("stage-collect", count=len(locked)), sum(wheel.size or 0 for wheel in locked)) as told:
        wheels = fetch_all(locked, folder, told, limits)
    house = Wheelhouse(folder, contents.set, contents.machine, contents.requirements, wheels, contents.tag)
    measured = tuple(one for fetched in large for one in fetched.measured)
    return Collected(_finish(house, tested=untested is None), untested, measured)


def _prepare(folder: Path, contents: Contents) -> tuple[str, ...]:
    """Make the folder, or take one that is empty or ours; an old list is void from now on.

    Returns what was dropped: large wheels of another CUDA line, which have the same names.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()) and not ((folder / INDEX).is_file() or (folder / _MARK).is_file()):
            raise UsageError(text("house-occupied", path=folder))
        before = _text_of(folder / _MARK) or line_of_list(folder)
        dropped = tuple(
            name for wanted in contents.large for name in _drop_other_line(folder, wanted, before)
        )
        (folder / _MARK).write_text(contents.tag or "", encoding="utf-8")
        (folder / INDEX).unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(text("cannot-write", path=folder, reason=error.strerror)) from error
    return dropped


def _text_of(mark: Path) -> str:
    return mark.read_text(encoding="utf-8", errors="replace") if mark.is_file() else ""


def _drop_other_line(folder: Path, wanted: Wanted, before: str | None) -> Iterator[str]:
    """Remove a wheel, or a part of one, that is not known to be of the wanted CUDA line; yield a sentence for each.

    `before` is the line that the folder was collected for.
    """
    if wanted.tag is None:
        return
    path, part = folder / wanted.name, Part(folder, wanted.name)
    line = line_in(path) or before
    if path.is_file() and line != wanted.tag:
        path.unlink()
        yield text("house-line-dropped", name=path.name, line=line or "?", tag=wanted.tag)
    if part.size() and before != wanted.tag:
        part.drop()
        yield text("house-line-dropped", name=part.path.name, line=before or "?", tag=wanted.tag)


def _locked(system: System, contents: Contents, folder: Path) -> tuple[tuple[LockedWheel, ...], Text | None]:
    """Resolve with the tested versions; where an index does not have them (any more), with the newest that fit.

    Also returns why it had to be those, None where it had not.
    """
    links = (*((folder,) if contents.large else ()), *((contents.links,) if contents.links else ()))
    options = [word for place in links for word in ("--find-links", str(place))]
    options += index_words(contents.index, contents.extra_indexes)
    wanted, machine, untested = contents.requirements, contents.machine, None
    with tempfile.TemporaryDirectory(prefix="paddlevl-doctor-") as work:
        if contents.tested is not None:
            tested = ("--constraints", str(contents.tested))
            try:
                return lock(system, wanted, machine, Path(work), (*options, *tested)), None
            except UvError as error:
                if not error.unsolvable:
                    raise
                untested = error.message
        return lock(system, wanted, machine, Path(work), options), untested


def fetch_all(
    locked: Sequence[LockedWheel], folder: Path, told: Advance, limits: Limits | None
) -> tuple[HouseWheel, ...]:
    """Fetch the wheels side by side, and return them in the same order; raises like `fetch`.

    Where one fails, or the user stops, nobody goes on with the others. `told` is told of every byte.
    """
    stop = threading.Event()
    one = _one_bar(told, stop)
    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        fetched = [pool.submit(_have, wheel, folder, one, limits) for wheel in locked]
        try:
            for done in as_completed(fetched):
                done.result()
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return tuple(done.result() for done in fetched)


def _have(wheel: LockedWheel, folder: Path, bar: Bar, limits: Limits | None) -> HouseWheel:
    path = folder / wheel.file
    if wheel.url.startswith("file:"):
        source = Path(url2pathname(wheel.url.removeprefix("file:").removeprefix("//")))
        if source.resolve() != path.resolve():
            shutil.copyfile(source, path)
        if wheel.sha256 not in (None, sha256_of(path)):
            raise DoctorError(
                text("house-damaged", path=folder, faults=f"{path.name}: {text('wheel-sha256')}")
            )
    else:
        fetch(Wanted(wheel.file, (wheel.url,), wheel.sha256, wheel.size), folder, bar, limits)
    sha256 = wheel.sha256 or sha256_of(path)  # some indexes give none
    return HouseWheel(wheel.name, wheel.version, wheel.file, path.stat().st_size, sha256)


class _StoppedError(Exception):
    """The collection has ended meanwhile; what was fetched of this wheel is kept."""


class _Part(Advance):
    """Tells the bar of all wheels of the bytes of one, until `stop` is set."""

    def __init__(self, told: Advance, stop: threading.Event) -> None:
        self._told, self._stop = told, stop

    def __call__(self, done: int) -> None:
        if self._stop.is_set():
            raise _StoppedError
        self._told(done)


def _one_bar(told: Advance, stop: threading.Event) -> Bar:
    """Return a bar that adds to another one: many small files are one piece of work, which `stop` ends."""

    @contextlib.contextmanager
    def bar(_title: Text, _total: int) -> Iterator[Advance]:
        yield _Part(told, stop)

    return bar


def _finish(house: Wheelhouse, *, tested: bool) -> Wheelhouse:
    """Remove wheels that an earlier run wanted, write the lists, and look at everything once more."""
    _remove_others(house.folder, [wheel.file for wheel in house.wheels])
    write(house, tested=tested)
    (house.folder / _MARK).unlink(missing_ok=True)
    return Wheelhouse.check(house.folder)


def _remove_others(folder: Path, wanted: Sequence[str]) -> None:
    for path in wheels_in(folder):
        if path.name not in wanted:
            path.unlink()
    for part in (*folder.glob(".*.whl.part"), *folder.glob(".*.whl.part.json")):
        part.unlink()


NAME = "paddlevl-doctor"
EXTRA = "reader"
"""What brings the embedded reader along; a machine without a network has no other."""


def own_wheel(system: System, folder: Path) -> Path:
    """Put the doctor's wheel into an empty folder and return its path.

    Raises DoctorError where neither the sources of a development installation nor the installed files are whole,
    UvError where the wheel cannot be built.
    """
    try:
        found = metadata.distribution(NAME)
    except metadata.PackageNotFoundError as error:
        raise DoctorError(text("own-wheel-none")) from error
    sources = _sources(found)
    if sources is None:
        return repack(published(system, _installed(found)), folder)
    if not (sources / "pyproject.toml").is_file():
        raise DoctorError(text("own-wheel-sources", path=sources))
    words = ("uv", "build", "--quiet", "--wheel", "--out-dir", str(folder), str(sources))
    run_uv(system, words, timeout=RESOLVE_TIMEOUT)
    return next(folder.glob("*.whl"))


def _sources(found: metadata.Distribution) -> Path | None:
    """Return the folder of an editable installation (PEP 610), None for one that has its files in its environment."""
    said = json.loads(found.read_text("direct_url.json") or "{}")
    if not said.get("dir_info", {}).get("editable"):
        return None
    return Path(url2pathname(urlsplit(said["url"]).path))


def _installed(found: metadata.Distribution) -> Distribution:
    info = Path(str(found.locate_file(""))) / f"{NAME.replace('-', '_')}-{found.version}.dist-info"
    if not (info / "RECORD").is_file():
        raise DoctorError(text("own-wheel-none"))
    return Distribution(NAME, found.version, str(info), has_record=True)
