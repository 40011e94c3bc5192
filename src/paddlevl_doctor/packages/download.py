"""Downloads one large wheel over a bad connection: resumes after a cut, changes the server, verifies the file.

urllib3 sends the requests, but neither it nor requests, httpx or pooch resumes a body: Range with If-Range, a partial
file that outlives the process, a lowest rate, and distrust of a server's response are here.
"""

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
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import Text, message
from paddlevl_doctor.packages.http_range import (
    DownloadRequest,
    FileVersion,
    OtherFileError,
    RefusalError,
    ResponseHead,
    TransferError,
    check_response,
    error_text,
    range_headers,
    require_http,
)
from paddlevl_doctor.packages.server_rates import ServerRate
from paddlevl_doctor.system.files import load_json, open_file
from paddlevl_doctor.system.http import Response, stream
from paddlevl_doctor.values.errors import DoctorError
from paddlevl_doctor.values.findings import Bar, no_bar

_CHUNK = 1 << 20
_PROGRESS = 1 << 16
"""Bytes that a connection has to bring to count as progress."""
_LONGEST_PAUSE = 5.0


class DownloadError(DoctorError):
    """No server sent the file; the message has the reason of each, and says whether a partial file is kept."""


class _CutError(TransferError):
    """The connection ended before the file did; another request may help."""


class _SlowError(_CutError):
    """The server sends almost no bytes, or far fewer than another server."""

    def __init__(self, rate: int) -> None:
        super().__init__(message("download-drips", rate=rate))
        self.rate = rate


@dataclass(frozen=True)
class Limits:
    """The limits after which a download uses another server, or fails."""

    stall: float = 30.0
    """Seconds without a byte, for the connection too."""
    slowest: int = 2048
    """Bytes a second; slower than this over a `window` counts as silence."""
    part: float = 0.25
    """The part of the measured rate of another server; a slower server is left for that one."""
    window: float = 60.0
    """Seconds."""
    attempts: int = 6
    """Connections without progress, over all servers."""
    pause: float = 1.0
    """Seconds before the second of them; it doubles with each."""


@dataclass(frozen=True)
class Fetched:
    """A verified file, the URL of its last bytes, and the problems on the way."""

    path: Path
    size: int
    url: str | None
    """None if the file already existed."""
    troubles: tuple[Text, ...] = ()
    measured: tuple[ServerRate, ...] = ()
    """The rates of the servers, the fastest first, if they were compared."""


class PartialDownload:
    """The partial file and, beside it, a note of its version; both outlive the process."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f".{name}.part"
        self._note = folder / f".{name}.part.json"

    def size(self) -> int:
        """Return the number of bytes on the disk."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def version(self) -> FileVersion:
        """Return the version that the first bytes belong to; an empty one if the note cannot be read."""
        try:
            note = load_json(self._note.read_text(encoding="utf-8"))
            url, validator, total = note["url"], note["validator"], note["total"]
        except (OSError, ValueError, KeyError, TypeError):
            return FileVersion()
        return FileVersion(url, validator, total if isinstance(total, int) else None)

    def restart(self, version: FileVersion) -> None:
        """Remove the bytes; those of `version` follow."""
        self.drop()
        note = {"url": version.url, "validator": version.validator, "total": version.total}
        self._note.write_text(json.dumps(note), encoding="utf-8")

    def drop(self) -> None:
        """Remove both files."""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def finish(self, path: Path) -> None:
        """Give the complete file its name."""
        self.path.replace(path)
        self._note.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    digest = hashlib.sha256()
    with open_file(path) as file:
        while data := file.read(_CHUNK):
            digest.update(data)
    return digest.hexdigest()


def wheel_fault(path: Path, sha256: str | None, size: int | None) -> Text | None:
    """Return the fault of the file of a wheel, None if it has none.

    Without a SHA-256 every file in the archive is compared with its CRC, which takes longer.
    """
    try:
        found = path.stat().st_size
    except FileNotFoundError:
        return message("wheel-missing")
    if size is not None and found != size:
        return message("wheel-size", found=found, size=size)
    if sha256 is not None:
        return None if sha256_of(path) == sha256 else message("wheel-sha256")
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, OSError, NotImplementedError, EOFError) as error:
        return message("wheel-broken", reason=error)
    return message("wheel-broken", reason=broken) if broken else None


def fetch(request: DownloadRequest, folder: Path, bar: Bar = no_bar, limits: Limits | None = None) -> Fetched:
    """Download a wheel into `folder`, and resume an earlier download; raises DownloadError, OSError.

    An intact wheel of that name in `folder` is not downloaded again.
    """
    path = folder / request.name
    if path.is_file() and wheel_fault(path, request.sha256, request.size) is None:
        return Fetched(path, path.stat().st_size, None)
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        part = PartialDownload(folder, request.name)
        return _Download(request, part, limits or Limits(), bar, stack).run(path)


class _Download:
    """The state of one download: the servers that are left, the problems, the position of the bar."""

    def __init__(
        self,
        request: DownloadRequest,
        part: PartialDownload,
        limits: Limits,
        bar: Bar,
        stack: contextlib.ExitStack,
    ) -> None:
        self._request, self._part, self._limits = request, part, limits
        self._bar, self._stack = bar, stack
        self._advance: Callable[[int], None] | None = None
        self._shown = 0
        self._urls = list(request.urls)
        self._rates = dict(request.rates)
        self._troubles: list[Text] = []
        self._failures = 0
        self._other_lengths: list[str] = []
        """Servers that were refused only because their file and the partial file have different lengths."""

    def run(self, path: Path) -> Fetched:
        while self._urls and self._failures < self._limits.attempts:
            url = self._urls[0]
            if self._request_rest(url) and self._verify(url):
                self._part.finish(path)
                return Fetched(path, path.stat().st_size, url, tuple(self._troubles))
            if not self._urls and self._other_lengths:
                # Start over with the servers that have another file than the partial one. Happens once: no
                # part is left.
                self._urls, self._other_lengths = self._other_lengths, []
                self._troubles.append(message("download-other-part", size=self._part.size()))
                self._part.drop()
        reasons = tuple(dict.fromkeys(self._troubles)) or message("download-nowhere")
        key = "download-failed" if self._part.size() else "download-failed-bare"
        # Only Paddle's own servers have the CUDA wheels: another mirror does not help.
        mirror = "" if self._request.tag else message("download-mirror")
        raise DownloadError(message(key, name=self._request.name, reasons=reasons, mirror=mirror))

    def _request_rest(self, url: str) -> bool:
        """Return whether the file seems complete; if not, the servers are in the order of the next requests."""
        before = self._part.size()
        try:
            self._connect(url)
        except RefusalError as refusal:
            self._note(url, refusal.message)
            self._urls.remove(url)
            self._other_lengths += [url] * isinstance(refusal, OtherFileError)
            return False
        except (_CutError, OSError) as error:
            if isinstance(error, OSError) and _is_local(error):
                raise
            self._after_cut(url, error, self._part.size() - before)
            return False
        return True

    def _after_cut(self, url: str, error: Exception, gained: int) -> None:
        self._note(url, error_text(error))
        least: float = _PROGRESS
        if isinstance(error, _SlowError):
            self._rates[url] = error.rate  # its old rate must not bring the download back
            least = 2 * self._limits.slowest * self._limits.window  # a slow server always brings some bytes
        progress = gained >= least
        if not progress or isinstance(error, (TimeoutError, _SlowError)):
            self._urls.append(self._urls.pop(0))
        if progress:
            self._failures = 0
            return
        if self._failures:
            time.sleep(min(self._limits.pause * 2 ** (self._failures - 1), _LONGEST_PAUSE))
        self._failures += 1

    def _note(self, url: str, reason: Text) -> None:
        self._troubles.append(message("with-label", label=urlsplit(url).hostname, text=reason))

    def _verify(self, url: str) -> bool:
        reason = wheel_fault(self._part.path, self._request.sha256, self._request.size)
        if reason is None:
            return True
        self._note(url, reason)
        self._failures += 1
        if self._part.version().url == url:  # of a file from two servers either may have sent the wrong bytes
            self._urls.remove(url)
        self._part.drop()
        return False

    def _connect(self, url: str) -> None:
        require_http(url)
        version, start = self._part.version(), self._part.size()
        if start and version.total == start:
            return
        headers = range_headers(url, start, version)
        with stream(url, timeout=self._limits.stall, headers=headers) as response:
            head = ResponseHead(response.status, response.headers, url)
            if head.status >= HTTPStatus.BAD_REQUEST:
                self._raise_for_status(head, start)
                return
            plan = check_response(head, start, version, self._request)
            if plan.restart:
                self._part.restart(plan.version)
            self._show(self._part.size(), plan.version.total)
            # Raise OSError if the rest does not fit on the disk, before a gigabyte of it is downloaded.
            folder, missing = self._part.path.parent, (plan.version.total or 0) - self._part.size()
            if shutil.disk_usage(folder).free < missing:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
            self._copy(response, plan.skip, plan.version.total)

    def _raise_for_status(self, head: ResponseHead, start: int) -> None:
        if head.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and start:
            if head.range_total() == start:
                return  # the partial file is complete
            self._part.drop()
            raise _CutError(message("download-other-file"))
        raise (_CutError if head.is_transient() else RefusalError)(f"HTTP {head.status}")

    def _copy(self, response: Response, skip: int, total: int | None) -> None:
        """Append the body without its first `skip` bytes."""
        others = (self._rates.get(url, 0) for url in self._urls[1:])
        watch = _RateWatch(
            self._limits.window, max(self._limits.slowest, self._limits.part * max(others, default=0))
        )
        with self._part.path.open("ab") as file:
            while data := response.read1(_CHUNK):
                watch.add(len(data))
                fresh, skip = data[skip:], max(0, skip - len(data))
                if fresh and file.tell() == 0 and not fresh.startswith(b"PK"[: len(fresh)]):
                    raise RefusalError(message("download-no-wheel"))
                file.write(fresh)
                self._show(file.tell(), total)
                if total is not None and file.tell() > total:
                    raise RefusalError(message("download-too-long", size=total))
        if skip or self._is_cut(total if total is not None else self._request.size):
            raise _CutError(message("download-cut", size=self._part.size()))

    def _is_cut(self, total: int | None) -> bool:
        """Return whether bytes are missing; without any length, whether the end of the archive, its directory, is."""
        return self._part.size() < total if total is not None else not zipfile.is_zipfile(self._part.path)

    def _show(self, size: int, total: int | None) -> None:
        if self._advance is None:
            self._advance = self._stack.enter_context(self._bar(self._request.name, total or 0))
        self._advance(size - self._shown)
        self._shown = size


class _RateWatch:
    """Raises _SlowError if the rate stays too low for a window; single bytes reset the time limit of a socket."""

    def __init__(self, window: float, slowest: float) -> None:
        self._window, self._slowest = window, slowest
        self._since, self._bytes = time.monotonic(), 0

    def add(self, count: int) -> None:
        self._bytes += count
        elapsed = time.monotonic() - self._since
        if elapsed < self._window:
            return
        if self._bytes < self._slowest * elapsed:
            raise _SlowError(round(self._bytes / elapsed))
        self._since, self._bytes = time.monotonic(), 0


def _is_local(error: OSError) -> bool:
    """Return whether this machine failed and not the connection: a full or read-only disk."""
    return error.filename is not None or error.errno in (errno.ENOSPC, errno.EROFS, errno.EDQUOT)
