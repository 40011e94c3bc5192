"""Which mirror of the package index is the fastest from here: each is asked for the beginning of a real wheel."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import urlopen

from paddlevl_doctor.messages import text
from paddlevl_doctor.packages.download import Fetched, Limits, fetch
from paddlevl_doctor.packages.http_range import Origin, RefusalError, Wanted, base_of, request
from paddlevl_doctor.packages.server_rates import Measured, Trial, side_by_side
from paddlevl_doctor.values.findings import Bar, no_bar

_PAGE_LIMIT = 8 << 20
_PIECE = 1 << 16
_LINK = re.compile(r"""href=["']([^"']+)["']""")


def measure(
    mirrors: Mapping[str, str], wheel: re.Pattern[str], timeout: float, least: int
) -> tuple[Measured, ...]:
    """Return what each mirror (simple index by name) gave within `timeout` seconds, the fastest first.

    `wheel` matches the file names that will do; the name of the project is what stands before their first hyphen.
    A mirror whose wheel has less than `least` bytes is not believed.
    """

    def find(url: str, trial: Trial) -> str:
        return _linked(f"{url.rstrip('/')}/{wheel.pattern.partition('-')[0]}/", wheel, trial)

    return side_by_side(mirrors, find, timeout=timeout, least=least)


def _linked(page: str, wheel: re.Pattern[str], trial: Trial) -> str:
    base, words = _page(page, trial)
    links: Iterator[str] = (urljoin(base, link) for link in _LINK.findall(words))
    found = next(
        (link for link in links if wheel.fullmatch(unquote(urlsplit(link).path.rpartition("/")[2]))), None
    )
    if found is None:
        raise RefusalError(text("mirror-lacks"))
    return found


def _page(url: str, trial: Trial) -> tuple[str, str]:
    """Read a project's page, and return what its links are relative to, too.

    Raises RefusalError with the rate where it does not come in time.
    """
    words, started = b"", time.monotonic()
    with urlopen(request(url, 0, Origin()), timeout=trial.rest()) as answer:  # noqa: S310 - checked in request
        base = base_of(url, answer.geturl())
        while len(words) < _PAGE_LIMIT and (piece := answer.read1(_PIECE)):
            words += piece
            if trial.over():
                rate = round(len(words) / (time.monotonic() - started))
                raise RefusalError(text("download-drips", rate=rate))
    return base, words.decode("utf-8", errors="replace")


TIMEOUT = 8.0
"""Seconds for all servers together; as soon as one has brought its sample, nobody waits for the others."""


def fetch_from_fastest(
    wanted: Wanted, folder: Path, bar: Bar = no_bar, limits: Limits | None = None
) -> Fetched:
    """Fetch like `fetch`; where there is a choice of servers, `measured` says what each gave just before."""
    if len(wanted.urls) == 1 or (folder / wanted.name).is_file():
        return fetch(wanted, folder, bar, limits)
    servers: dict[str, str] = {}
    for url in wanted.urls:  # of two at one host the better place
        servers.setdefault(_name(url), url)
    found = side_by_side(servers, lambda url, _: url, timeout=TIMEOUT, least=wanted.least, race=True)
    return replace(fetch(_ordered(wanted, found), folder, bar, limits), measured=found)


def shown(measured: Sequence[Measured]) -> str:
    """Return the numbers for people."""
    return text("servers-measured", numbers="; ".join(map(str, measured)))


def _ordered(wanted: Wanted, found: Sequence[Measured]) -> Wanted:
    """Put the servers that have the wheel in front, the fastest first; the others may still be better than nothing."""
    rates = {one.url: one.bytes_per_second for one in found if one.bytes_per_second}
    return replace(wanted, urls=tuple(dict.fromkeys((*rates, *wanted.urls))), rates=rates)


def _name(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
