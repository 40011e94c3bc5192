"""Fetches one large wheel over a bad line: goes on after a cut, changes the mirror, believes only what it can check.

The connection is the standard library's `urllib.request`: proxies, redirects, TLS and its certificates are all that
is needed of a client, and the doctor stays without another dependency. The rest (Range with If-Range, a partial file
that outlives the process, a limit for silence, distrust of what a mirror sends) is in none of the well-kept clients:
urllib3, requests and httpx repeat a request only before its body, pooch starts a cut file again from nothing."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import time
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

from paddlevl_doctor.messages import text
from paddlevl_doctor.packages.http_range import (
    Answered,
    Origin,
    OtherFileError,
    RefusalError,
    Wanted,
    judge,
    request,
)
from paddlevl_doctor.packages.server_rates import Measured
from paddlevl_doctor.values.errors import DoctorError
from paddlevl_doctor.values.findings import Bar, no_bar

_PART_CHUNK = 1 << 20


class Part:
    """The partial file and, beside it, where it came from; both outlive the process."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f".{name}.part"
        self._note = folder / f".{name}.part.json"

    def size(self) -> int:
        """Return how many bytes are there."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def origin(self) -> Origin:
        """Return where the first bytes came from; an unreadable note says nothing."""
        try:
            said = json.loads(self._note.read_text(encoding="utf-8"))
            url, validator, total = said["url"], said["validator"], said["total"]
        except (OSError, ValueError, KeyError, TypeError):
            return Origin()
        return Origin(url, validator, total if isinstance(total, int) else None)

    def begin(self, origin: Origin) -> None:
        """Forget what is there: the bytes of another file, or version, follow."""
        self.drop()
        said = {"url": origin.url, "validator": origin.validator, "total": origin.total}
        self._note.write_text(json.dumps(said), encoding="utf-8")

    def drop(self) -> None:
        """Remove what is there."""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def finish(self, path: Path) -> None:
        """Give the complete file its name."""
        self.path.replace(path)
        self._note.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(_PART_CHUNK):
            digest.update(data)
    return digest.hexdigest()


def wrong_wheel(path: Path, sha256: str | None, size: int | None) -> str | None:
    """Return what is wrong with a wheel's file, None where it is right.

    Without a SHA-256 every file in the archive is compared with its CRC, which takes longer.
    """
    try:
        found = path.stat().st_size
    except FileNotFoundError:
        return text("wheel-missing")
    if size is not None and found != size:
        return text("wheel-size", found=found, size=size)
    if sha256 is not None:
        return None if sha256_of(path) == sha256 else text("wheel-sha256")
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, OSError, NotImplementedError, EOFError) as error:
        return text("wheel-broken", reason=error)
    return text("wheel-broken", reason=broken) if broken else None


_CHUNK = 1 << 20
_PROGRESS = 1 << 16
"""Bytes that a connection has to bring to count as one that got further."""
_LONGEST_PAUSE = 5.0


class DownloadError(DoctorError):
    """No server gave the file; the message says of each why, and whether a part is kept for the next time."""


class _CutError(Exception):
    """The connection ended before the file did; asking again may help."""


class _StallError(_CutError):
    """The server is there and sends next to nothing, or far less than another one would."""

    def __init__(self, rate: int) -> None:
        super().__init__(text("download-drips", rate=rate))
        self.rate = rate


@dataclass(frozen=True)
class Limits:
    """When a server is given up."""

    stall: float = 30.0
    """Seconds without a byte, for the connection too."""
    slowest: int = 2048
    """Bytes a second; slower than this over a `window` is as bad as silence."""
    part: float = 0.25
    """The part of the rate that another server was measured to give; slower than that is left for it, too."""
    window: float = 60.0
    attempts: int = 6
    """Connections without progress, over all servers."""
    pause: float = 1.0
    """Seconds before the second of them; it doubles with each."""


@dataclass(frozen=True)
class Fetched:
    """A file that was checked, where its last bytes came from, and what went wrong on the way."""

    path: Path
    size: int
    url: str | None
    troubles: tuple[str, ...] = ()
    measured: tuple[Measured, ...] = ()
    """What the servers gave when they were compared, the fastest first."""


def fetch(wanted: Wanted, folder: Path, bar: Bar = no_bar, limits: Limits | None = None) -> Fetched:
    """Fetch a wheel into `folder`, going on where a former call was cut off; raises DownloadError, OSError.

    A wheel of that name that is there already and right is not fetched again.
    """
    path = folder / wanted.name
    if path.is_file() and wrong_wheel(path, wanted.sha256, wanted.size) is None:
        return Fetched(path, path.stat().st_size, None)
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        return _Download(wanted, Part(folder, wanted.name), limits or Limits(), bar, stack).run(path)


class _Download:
    """The state of one download: which servers are left, what failed, how far the bar is."""

    def __init__(
        self, wanted: Wanted, part: Part, limits: Limits, bar: Bar, stack: contextlib.ExitStack
    ) -> None:
        self._wanted, self._part, self._limits = wanted, part, limits
        self._bar, self._stack = bar, stack
        self._told: Callable[[int], None] | None = None
        self._shown = 0
        self._urls = list(wanted.urls)
        self._rates = dict(wanted.rates)
        self._troubles: list[str] = []
        self._failures = 0
        self._others: list[str] = []
        """Servers that were refused only because a part is here whose whole has another length."""

    def run(self, path: Path) -> Fetched:
        while self._urls and self._failures < self._limits.attempts:
            url = self._urls[0]
            if self._get_further(url) and self._is_right(url):
                self._part.finish(path)
                return Fetched(path, path.stat().st_size, url, tuple(self._troubles))
            self._begin_again()
        reasons = "; ".join(dict.fromkeys(self._troubles)) or text("download-nowhere")
        key = "download-failed" if self._part.size() else "download-failed-bare"
        mirror = (
            "" if self._wanted.tag else text("download-mirror")
        )  # only Paddle's servers have the CUDA wheels
        raise DownloadError(text(key, name=self._wanted.name, reasons=reasons, mirror=mirror))

    def _begin_again(self) -> None:
        """Drop a part that nobody has the rest of: it is of another file. Happens once, as no part is left then."""
        if self._urls or not self._others:
            return
        self._urls, self._others = self._others, []
        self._troubles.append(text("download-other-part", size=self._part.size()))
        self._part.drop()

    def _get_further(self, url: str) -> bool:
        """Say whether the file seems complete; else the servers are in the order to be asked next."""
        before = self._part.size()
        try:
            self._connect(url)
        except RefusalError as refusal:
            self._note(url, str(refusal))
            self._urls.remove(url)
            self._others += [url] * isinstance(refusal, OtherFileError)
            return False
        except (_CutError, HTTPException, OSError) as error:
            if isinstance(error, OSError) and _is_ours(error):
                raise
            self._after_cut(url, error, self._part.size() - before)
            return False
        return True

    def _after_cut(self, url: str, error: Exception, gained: int) -> None:
        self._note(url, str(error) or type(error).__name__)
        if isinstance(error, _StallError):  # so that nobody comes back for what it once gave
            self._rates[url] = error.rate
        further = gained >= self._progress(error)
        if not further or isinstance(error, (TimeoutError, _StallError)):
            self._urls.append(self._urls.pop(0))
        if further:
            self._failures = 0
            return
        if self._failures:
            pause = self._limits.pause * 2 ** (self._failures - 1)
            time.sleep(min(pause, _LONGEST_PAUSE))
        self._failures += 1

    def _progress(self, error: Exception) -> float:
        """Return the bytes that count as getting further; who drips brings some all the time, and the file never."""
        return 2 * self._limits.slowest * self._limits.window if isinstance(error, _StallError) else _PROGRESS

    def _note(self, url: str, reason: str) -> None:
        self._troubles.append(f"{urlsplit(url).hostname}: {reason}")

    def _is_right(self, url: str) -> bool:
        reason = wrong_wheel(self._part.path, self._wanted.sha256, self._wanted.size)
        if reason is None:
            return True
        self._note(url, reason)
        self._failures += 1
        if self._part.origin().url == url:  # of a file from two servers nobody knows which one was wrong
            self._urls.remove(url)
        self._part.drop()
        return False

    def _connect(self, url: str) -> None:
        origin, start = self._part.origin(), self._part.size()
        if start and origin.total == start:
            return
        try:
            with urlopen(request(url, start, origin), timeout=self._limits.stall) as answer:  # noqa: S310 - checked
                answered = Answered(answer.status, answer.headers, url)
                self._take(answer.read1, answered, start, origin)
        except HTTPError as error:
            with error:
                self._take_error(Answered(error.code, error.headers, url), start)
        except URLError as error:
            raise _CutError(str(error.reason)) from error

    def _take_error(self, answered: Answered, start: int) -> None:
        if answered.status == 416 and start:  # noqa: PLR2004 - the range is not there: complete, or another file
            if answered.range_total() != start:
                self._part.drop()
                raise _CutError(text("download-other-file"))
            return
        if answered.may_pass():
            raise _CutError(f"HTTP {answered.status}")
        raise RefusalError(f"HTTP {answered.status}")

    def _take(self, read: Callable[[int], bytes], answered: Answered, start: int, origin: Origin) -> None:
        body = judge(answered, start, origin, self._wanted)
        if body.begin:
            self._part.begin(body.origin)
        self._show(body.origin.total)
        self._refuse_tight(body.origin.total)
        self._copy(read, body.skip, body.origin.total)

    def _refuse_tight(self, total: int | None) -> None:
        """Raise OSError where the rest does not fit on the disk, before a gigabyte of it was fetched."""
        folder, missing = self._part.path.parent, (total or 0) - self._part.size()
        if shutil.disk_usage(folder).free < missing:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))

    def _copy(self, read: Callable[[int], bytes], skip: int, total: int | None) -> None:
        """Append what comes; `skip` bytes of it are here already."""
        pace = _Pace(self._limits.window, self._slowest())
        with self._part.path.open("ab") as file:
            while data := read(_CHUNK):
                pace.add(len(data))
                fresh, skip = data[skip:], max(0, skip - len(data))
                if fresh and file.tell() == 0 and not fresh.startswith(b"PK"[: len(fresh)]):
                    raise RefusalError(text("download-no-wheel"))
                file.write(fresh)
                self._show(total, file.tell())
                if total is not None and file.tell() > total:
                    raise RefusalError(text("download-too-long", size=total))
        if skip or self._is_cut(total):
            raise _CutError(text("download-cut", size=self._part.size()))

    def _is_cut(self, total: int | None) -> bool:
        """Say whether more must come; without any length, whether the archive's directory, its end, is missing."""
        total = total if total is not None else self._wanted.size
        return self._part.size() < total if total is not None else not zipfile.is_zipfile(self._part.path)

    def _slowest(self) -> float:
        """Return the bytes a second below which the present server is left."""
        others = (self._rates.get(url, 0) for url in self._urls[1:])
        return max(self._limits.slowest, self._limits.part * max(others, default=0))

    def _show(self, total: int | None, size: int | None = None) -> None:
        if self._told is None:
            self._told = self._stack.enter_context(self._bar(self._wanted.name, total or 0))
        now = self._part.size() if size is None else size
        self._told(now - self._shown)
        self._shown = now


class _Pace:
    """Raises _StallError where a server drips: each byte comes in time, and the file never."""

    def __init__(self, window: float, slowest: float) -> None:
        self._window, self._slowest = window, slowest
        self._since, self._bytes = time.monotonic(), 0

    def add(self, count: int) -> None:
        self._bytes += count
        elapsed = time.monotonic() - self._since
        if elapsed < self._window:
            return
        if self._bytes < self._slowest * elapsed:
            raise _StallError(round(self._bytes / elapsed))
        self._since, self._bytes = time.monotonic(), 0


def _is_ours(error: OSError) -> bool:
    """Say whether this machine failed and not the connection: a full or read-only disk."""
    return error.filename is not None or error.errno in (errno.ENOSPC, errno.EROFS, errno.EDQUOT)
