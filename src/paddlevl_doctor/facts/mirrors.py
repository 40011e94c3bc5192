"""Which mirror of the package index is the fastest from here: each is asked for the beginning of a real wheel.

All are asked side by side, each in a thread that nobody waits for longer than the limit (see `network`). A mirror
that does not list the wheel, sends a page, an empty body or something that is no archive has no rate.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import urlopen

from paddlevl_doctor.messages import text
from paddlevl_doctor.repair.answers import Origin, RefusalError, request

SAMPLE = 1 << 20
"""Bytes that are read of the wheel at most."""
ENOUGH = 3.0
"""Seconds after which a rate is known well enough."""
_PAGE_LIMIT = 8 << 20
_PIECE = 1 << 16


@dataclass(frozen=True)
class Mirror:
    """What one mirror gave."""

    name: str
    url: str
    bytes_per_second: int | None = None
    reason: str | None = None
    """Why there is no rate."""

    def __str__(self) -> str:
        """Return the words for people."""
        if self.bytes_per_second is None:
            return f"{self.name}: {self.reason}"
        return f"{self.name}: {self.bytes_per_second / 1e6:.2f} MB/s"


def measure(mirrors: Mapping[str, str], wheel: re.Pattern[str], timeout: float) -> tuple[Mirror, ...]:
    """Return what each mirror (simple index by name) gave within `timeout` seconds, the fastest first.

    `wheel` matches the file names that will do; the name of the project is what stands before their first hyphen.
    """
    found: dict[str, Mirror] = {}

    def ask(name: str, url: str) -> None:
        found[name] = _measured(name, url, wheel, timeout)

    threads = [threading.Thread(target=ask, args=item, daemon=True) for item in mirrors.items()]
    deadline = time.monotonic() + timeout
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    given = dict(found)
    silence = text("no-answer-in", seconds=f"{timeout:g}")
    answers = [given.get(name, Mirror(name, url, reason=silence)) for name, url in mirrors.items()]
    return tuple(sorted(answers, key=lambda mirror: -(mirror.bytes_per_second or 0)))


def _measured(name: str, url: str, wheel: re.Pattern[str], timeout: float) -> Mirror:
    try:
        page = f"{url.rstrip('/')}/{wheel.pattern.partition('-')[0]}/"
        return Mirror(name, url, _rate(_linked(page, wheel, timeout), timeout))
    except (HTTPError, RefusalError) as error:
        reason = f"HTTP {error.code}" if isinstance(error, HTTPError) else str(error)
    except (OSError, URLError, ValueError) as error:
        reason = str(getattr(error, "reason", None) or error) or type(error).__name__
    return Mirror(name, url, reason=reason)


def _linked(page: str, wheel: re.Pattern[str], timeout: float) -> str:
    with urlopen(request(page, 0, Origin()), timeout=timeout) as answer:  # noqa: S310 - checked in request
        words = answer.read(_PAGE_LIMIT).decode("utf-8", errors="replace")
    links: Iterator[str] = (urljoin(page, link) for link in re.findall(r"""href=["']([^"']+)""", words))
    found = next(
        (link for link in links if wheel.fullmatch(unquote(urlsplit(link).path.rpartition("/")[2]))), None
    )
    if found is None:
        raise RefusalError(text("mirror-lacks"))
    return found


def _rate(url: str, timeout: float) -> int:
    """Return the bytes a second over the first part of a file; raises RefusalError for what is no wheel."""
    asked = request(url, 0, Origin())
    asked.add_header("Range", f"bytes=0-{SAMPLE - 1}")
    started, size = time.monotonic(), 0
    with urlopen(asked, timeout=timeout) as answer:  # noqa: S310 - checked in request
        while size < SAMPLE and time.monotonic() - started < ENOUGH and (data := answer.read1(_PIECE)):
            if not size and not data.startswith(b"PK"):
                raise RefusalError(text("download-no-wheel"))
            size += len(data)
    if size < _PIECE:
        raise RefusalError(text("download-too-small", size=size))
    return int(size / max(time.monotonic() - started, 1e-6))
