"""What a server's answer means for a file of which a part may be here: go on, begin again, or not believe it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from urllib.parse import urldefrag, urlsplit, urlunsplit
from urllib.request import Request

from paddlevl_doctor.messages import text
from paddlevl_doctor.system.http import without_login

_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")
_PASSING = (408, 425, 429)
"""4xx that another attempt may cure (RFC 9110, RFC 6585)."""
_OK, _PARTIAL, _SERVER = 200, 206, 500


class RefusalError(Exception):
    """This server does not have the file, or is not believed; it is not asked again."""


class OtherFileError(RefusalError):
    """This server's file has another length than the one that a part is here of: one of the two is another file."""


@dataclass(frozen=True)
class Wanted:
    """A file to fetch: where it is to be had, the best place first, and what is known of it."""

    name: str
    urls: tuple[str, ...]
    sha256: str | None = None
    size: int | None = None
    """Bytes, as an index promises them."""
    least: int = 512
    """Bytes; what is smaller cannot be the file, whatever the server says."""
    rates: Mapping[str, int] = field(default_factory=dict)
    """Bytes a second that servers, by URL, were measured to give."""
    tag: str | None = None
    """The CUDA line (cu126) of a wheel whose name does not tell it: those of all lines have one name."""


@dataclass(frozen=True)
class Origin:
    """Which version of a file is meant: where it came from, its validator, its length in bytes."""

    url: str | None = None
    validator: str | None = None
    """A strong ETag, else Last-Modified: what If-Range takes (RFC 9110, 13.1.5)."""
    total: int | None = None


@dataclass(frozen=True)
class Answered:
    """The head of an answer."""

    status: int
    headers: Message
    url: str
    """What was asked for, before redirects."""

    def length(self) -> int | None:
        """Return the promised length of this body, None where none is promised."""
        value = self.headers.get("Content-Length", "")
        return int(value) if value.isdecimal() else None

    def range_start(self) -> int | None:
        """Return the first byte of a partial answer."""
        found = _RANGE.match(self.headers.get("Content-Range", ""))
        return int(found[1]) if found and found[1] else None

    def range_total(self) -> int | None:
        """Return the whole file's length as a partial answer, or a refused range, tells it."""
        found = _RANGE.match(self.headers.get("Content-Range", ""))
        return int(found[3]) if found and found[3].isdecimal() else None

    def validator(self) -> str | None:
        """Return what names this version of the file; a weak ETag does not promise equal bytes."""
        tag = self.headers.get("ETag")
        return tag if tag and not tag.startswith("W/") else self.headers.get("Last-Modified")

    def may_pass(self) -> bool:
        """Say whether the same request may succeed later."""
        return self.status >= _SERVER or self.status in _PASSING


@dataclass(frozen=True)
class Body:
    """How to take a body: `begin` a new file or append; the first `skip` bytes are here already."""

    begin: bool
    skip: int
    origin: Origin


def request(url: str, start: int, origin: Origin) -> Request:
    """Return the request for a file from byte `start` on; raises RefusalError for what is not http or https.

    Credentials in the URL become a header that no redirect carries to another host.
    """
    scheme = urlsplit(url).scheme
    if scheme not in ("http", "https"):
        raise RefusalError(text("download-scheme", scheme=scheme))
    bare, login = without_login(urldefrag(url).url)
    asked = Request(bare, headers={"Accept-Encoding": "identity", "User-Agent": "paddlevl-doctor"})  # noqa: S310 - checked
    for name, value in login.items():
        asked.add_unredirected_header(name, value)
    if start:
        asked.add_header("Range", f"bytes={start}-")
        if origin.validator and origin.url == url:
            asked.add_header("If-Range", origin.validator)
    return asked


def base_of(asked: str, final: str) -> str:
    """Return what the links of a page are relative to: where redirects led to.

    The credentials of the address that was asked for stay, as long as it is that server.
    """
    first, last = urlsplit(asked), urlsplit(final)
    same = (last.scheme, last.netloc) == (first.scheme, first.netloc.rpartition("@")[2])
    return urlunsplit(last._replace(netloc=first.netloc)) if same else final


def judge(answered: Answered, start: int, known: Origin, wanted: Wanted) -> Body:
    """Say how to take a successful answer to a request from byte `start` on; raises RefusalError for an unlikely one,
    OtherFileError for a part of a file that has another length.

    `known` is the version that the bytes before `start` belong to. Where the whole is compared with a hash at the
    end, a part may be continued from another server.
    """
    partial = answered.status == _PARTIAL
    total = answered.range_total() if partial else answered.length()
    _refuse_unlikely(answered, total, wanted.size, wanted.least)
    if partial:
        if None not in (total, known.total) and total != known.total:
            raise OtherFileError(text("wheel-size", found=total, size=known.total))
        if answered.range_start() != start:
            raise RefusalError(text("download-other-range"))
        return Body(False, 0, Origin(known.url, known.validator, total or known.total))
    if answered.status != _OK:
        raise RefusalError(f"HTTP {answered.status}")
    here = Origin(answered.url, answered.validator(), total)
    same = bool(wanted.sha256) or (here.validator is not None and here.validator == known.validator)
    # A server without ranges sends all of it again: what is here already is left out, and not lost at a second cut.
    return Body(False, start, here) if start and same else Body(True, 0, here)


def _refuse_unlikely(answered: Answered, total: int | None, expected: int | None, least: int) -> None:
    kind = answered.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind in ("text/html", "application/xhtml+xml", "application/json"):
        raise RefusalError(text("download-page", kind=kind))
    if answered.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise RefusalError(text("download-encoded"))
    if total is None:
        return
    if total < least:
        raise RefusalError(text("download-too-small", size=total))
    if expected is not None and total != expected:
        raise RefusalError(text("wheel-size", found=total, size=expected))
