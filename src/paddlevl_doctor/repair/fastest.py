"""Fetches a large wheel from the server that gives it fastest now: which one that is differs from place to place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from paddlevl_doctor.facts.rates import Measured, side_by_side
from paddlevl_doctor.messages import text
from paddlevl_doctor.repair.answers import Wanted
from paddlevl_doctor.repair.download import Fetched, Limits, fetch
from paddlevl_doctor.values import Bar, no_bar

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
