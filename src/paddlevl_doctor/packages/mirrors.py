"""Compares the mirrors of the package index, or the servers of one wheel, by their rates from here."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

from paddlevl_doctor.messages import Message, Text, message
from paddlevl_doctor.packages.download import Fetched, Limits, fetch
from paddlevl_doctor.packages.http_range import DownloadRequest, RefusalError
from paddlevl_doctor.packages.server_rates import Measurement, ServerRate, measure_servers, refuse_error
from paddlevl_doctor.system.http import stream
from paddlevl_doctor.values.findings import Bar, no_bar

RACE_TIMEOUT = 8.0
"""Seconds for all servers of one wheel; the first complete sample ends the measurement."""
_MAX_PAGE_BYTES = 8 << 20
_CHUNK_BYTES = 1 << 16
_LINK = re.compile(r"""href=["']([^"']+)["']""")


def measure_mirrors(
    mirrors: Mapping[Text, str], project: str, version: str, *, timeout: float, least: int
) -> tuple[ServerRate, ...]:
    """Return the rate of each mirror (simple index by name) within `timeout` seconds, the fastest first.

    Any wheel of that project and version is the sample. A mirror whose wheel has less than `least` bytes has no rate.
    """

    def find(url: str, measurement: Measurement) -> str:
        base, page = _read_page(f"{url.rstrip('/')}/{project}/", measurement)
        for link in links(page, base):
            if _is_wheel_of(file_name(link), project, version):
                return link
        raise RefusalError(message("mirror-lacks"))

    return measure_servers(mirrors, find, timeout=timeout, least=least)


def links(page: str, base: str) -> Iterator[str]:
    """Yield the URLs that a page at `base` links to."""
    return (urljoin(base, link) for link in _LINK.findall(page))


def file_name(url: str) -> str:
    """Return the last part of the path of a URL."""
    return unquote(urlsplit(url).path.rpartition("/")[2])


def _is_wheel_of(name: str, project: str, version: str) -> bool:
    try:
        return parse_wheel_filename(name)[:2] == (project, Version(version))
    except InvalidWheelFilename:
        return False


def _read_page(url: str, measurement: Measurement) -> tuple[str, str]:
    """Return the URL that the links of a project's page are relative to, and the page.

    Raises RefusalError with the rate if the page does not come in time.
    """
    data, started = b"", time.monotonic()
    with stream(url, timeout=measurement.seconds_left()) as response:
        refuse_error(response)
        while len(data) < _MAX_PAGE_BYTES and (piece := response.read1(_CHUNK_BYTES)):
            data += piece
            if measurement.is_over():
                rate = round(len(data) / (time.monotonic() - started))
                raise RefusalError(message("download-drips", rate=rate))
    return response.url, data.decode("utf-8", errors="replace")


def fetch_from_fastest(
    request: DownloadRequest, folder: Path, bar: Bar = no_bar, limits: Limits | None = None
) -> Fetched:
    """Download like `fetch`, from the fastest server; `measured` of the result has the rates if there is a choice."""
    if len(request.urls) == 1 or (folder / request.name).is_file():
        return fetch(request, folder, bar, limits)
    servers: dict[Text, str] = {}
    for url in request.urls:  # of two at one host the first one
        parts = urlsplit(url)
        servers.setdefault(f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname), url)
    found = measure_servers(servers, lambda url, _: url, timeout=RACE_TIMEOUT, least=request.least, race=True)
    rates = {one.url: one.bytes_per_second for one in found if one.bytes_per_second}
    # A server without a rate stays behind the others: it may still be the only one that has the end of the file.
    ordered = replace(request, urls=tuple(dict.fromkeys((*rates, *request.urls))), rates=rates)
    return replace(fetch(ordered, folder, bar, limits), measured=found)


def rates_note(measured: Sequence[ServerRate]) -> Message:
    """Return the rates of the servers of a CUDA wheel."""
    return message("servers-measured", numbers=tuple(rate.describe() for rate in measured))
