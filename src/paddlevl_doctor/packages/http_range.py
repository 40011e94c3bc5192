"""Decides how the response of a server continues a partly downloaded file: append, start over, or refuse. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from http import HTTPStatus
from urllib.parse import urlsplit

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import Text, message

_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")
_TRANSIENT = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)
"""4xx after which the same request may succeed (RFC 9110, RFC 6585)."""


class TransferError(Exception):
    """A response that is not the file, or not all of it. `message` is the reason."""

    def __init__(self, message: Text) -> None:
        super().__init__(message)
        self.message = message


class RefusalError(TransferError):
    """The server does not have the file, or sends another one; it gets no further request."""


class OtherFileError(RefusalError):
    """The file of this server has another length than the one that was partly downloaded."""


def error_text(error: Exception) -> Text:
    """Return the reason of a failed request; the words of the operating system are not translated."""
    if isinstance(error, TransferError):
        return error.message
    return str(error) or type(error).__name__


@dataclass(frozen=True)
class DownloadRequest:
    """A file to download: its URLs, the best first, and its known properties."""

    name: str
    urls: tuple[str, ...]
    sha256: str | None = None
    size: int | None = None
    """Bytes, as an index promises them."""
    least: int = 512
    """Bytes; a smaller response cannot be the file."""
    rates: Mapping[str, int] = field(default_factory=dict)
    """The measured rates of servers in bytes per second, by URL."""
    tag: str | None = None
    """The CUDA variant (cu126) of a wheel; the file names of all variants are the same."""


@dataclass(frozen=True)
class FileVersion:
    """One version of a file on a server: its URL, its validator, its length in bytes."""

    url: str | None = None
    validator: str | None = None
    """A strong ETag, else Last-Modified, as If-Range requires (RFC 9110, 13.1.5)."""
    total: int | None = None


@dataclass(frozen=True)
class ResponseHead:
    """The status and the headers of a response."""

    status: int
    headers: Mapping[str, str]
    url: str
    """The requested URL, before redirects."""

    def length(self) -> int | None:
        """Return the promised length of this body, None if none is promised."""
        value = self.headers.get("Content-Length", "")
        return int(value) if value.isdecimal() else None

    def range_start(self) -> int | None:
        """Return the position of the first byte of a partial response."""
        found = _CONTENT_RANGE.match(self.headers.get("Content-Range", ""))
        return int(found[1]) if found and found[1] else None

    def range_total(self) -> int | None:
        """Return the length of the whole file from a partial response, or from a refused range."""
        found = _CONTENT_RANGE.match(self.headers.get("Content-Range", ""))
        return int(found[3]) if found and found[3].isdecimal() else None

    def version(self, total: int | None) -> FileVersion:
        """Return the version of the file; a weak ETag does not promise equal bytes and does not count."""
        tag = self.headers.get("ETag")
        validator = tag if tag and not tag.startswith("W/") else self.headers.get("Last-Modified")
        return FileVersion(self.url, validator, total)

    def is_transient(self) -> bool:
        """Return whether the same request may succeed later."""
        return self.status >= HTTPStatus.INTERNAL_SERVER_ERROR or self.status in _TRANSIENT


@dataclass(frozen=True)
class BodyPlan:
    """How to write a body: into a new file or appended; its first `skip` bytes are on the disk already."""

    restart: bool
    skip: int
    version: FileVersion


def require_http(url: str) -> None:
    """Raise RefusalError for a URL that is not http or https."""
    scheme = urlsplit(url).scheme
    if scheme not in ("http", "https"):
        raise RefusalError(message("download-scheme", scheme=scheme))


def range_headers(url: str, start: int, known: FileVersion) -> dict[str, str]:
    """Return the headers that request a file from byte `start` on, if it is still the version `known`."""
    if not start:
        return {}
    condition = {"If-Range": known.validator} if known.validator and known.url == url else {}
    return {"Range": f"bytes={start}-", **condition}


def check_response(head: ResponseHead, start: int, known: FileVersion, request: DownloadRequest) -> BodyPlan:
    """Return how to write the body of a successful response to a request from byte `start` on.

    `known` is the version that the bytes before `start` belong to. If the whole file is compared with a hash at the
    end, another server may continue it. Raises RefusalError for a response that cannot be the file, OtherFileError
    for one whose length differs from that of the partial file.
    """
    partial = head.status == HTTPStatus.PARTIAL_CONTENT
    total = head.range_total() if partial else head.length()
    _refuse_unlikely(head, total, request)
    if partial:
        if None not in (total, known.total) and total != known.total:
            raise OtherFileError(message("wheel-size", found=total, size=known.total))
        if head.range_start() != start:
            raise RefusalError(message("download-other-range"))
        return BodyPlan(False, 0, FileVersion(known.url, known.validator, total or known.total))
    if head.status != HTTPStatus.OK:
        raise RefusalError(f"HTTP {head.status}")
    version = head.version(total)
    same = bool(request.sha256) or (version.validator is not None and version.validator == known.validator)
    # A server without ranges sends the whole file: the bytes on the disk are skipped, so a second cut loses nothing.
    return BodyPlan(False, start, version) if start and same else BodyPlan(True, 0, version)


def _refuse_unlikely(head: ResponseHead, total: int | None, request: DownloadRequest) -> None:
    kind = head.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind in ("text/html", "application/xhtml+xml", "application/json"):
        raise RefusalError(message("download-page", kind=kind))
    if head.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise RefusalError(message("download-encoded"))
    if total is not None and total < request.least:
        raise RefusalError(message("download-too-small", size=total))
    if None not in (total, request.size) and total != request.size:
        raise RefusalError(message("wheel-size", found=total, size=request.size))
