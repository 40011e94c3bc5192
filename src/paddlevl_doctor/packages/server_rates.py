"""Measures how fast servers send the beginning of one large file, all at the same time and within one time limit.

A server has no rate if it sent a page, an empty body or a file that is not a wheel, announced far too few bytes, or did
not answer in time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from queue import Empty, SimpleQueue

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import Message, Text, message
from paddlevl_doctor.packages.http_range import (
    DownloadRequest,
    FileVersion,
    RefusalError,
    ResponseHead,
    check_response,
    error_text,
    require_http,
)
from paddlevl_doctor.system.http import Response, stream

SAMPLE = 1 << 20
"""Bytes of the file that are read at most."""
ENOUGH = 3.0
"""Seconds after which a rate is known well enough."""
_GRACE = 0.2
"""Seconds that the other servers of a race have after the first one has sent its sample."""
_MARGIN = 0.25
"""Seconds before the deadline at which the rate of a slow server is taken, so that it counts."""
_CHUNK_BYTES = 1 << 16
_MEGA, _KILO = 1e6, 1e3


@dataclass(frozen=True)
class ServerRate:
    """The rate of one server."""

    name: Text
    url: str
    bytes_per_second: int | None = None
    reason: Text | None = None
    """Why there is no rate."""

    def describe(self) -> Message:
        """Return the rate, or the reason why there is none."""
        rate = self.bytes_per_second
        if rate is None:
            return message("with-label", label=self.name, text=self.reason)
        shown = f"{rate / _MEGA:.2f} MB/s" if rate >= _MEGA / 10 else f"{rate / _KILO:.1f} kB/s"
        return message("with-label", label=self.name, text=shown)

    def __str__(self) -> str:
        """Return the description in English."""
        return str(self.describe())


@dataclass(frozen=True)
class Measurement:
    """The limits of one measurement, for all servers."""

    deadline: float
    """On the clock of `time.monotonic`."""
    least: int
    """Bytes; a smaller file cannot be the one that is measured."""
    decided: threading.Event
    """Set when one server has won a race."""

    def seconds_left(self) -> float:
        """Return the time limit of a connection."""
        return max(self.deadline - time.monotonic(), 0.01)

    def is_over(self) -> bool:
        """Return whether to stop reading and compute the rate of the received bytes."""
        return self.decided.is_set() or time.monotonic() >= self.deadline - _MARGIN


def measure_servers(
    servers: Mapping[Text, str],
    find: Callable[[str, Measurement], str],
    *,
    timeout: float,
    least: int = _CHUNK_BYTES,
    race: bool = False,
) -> tuple[ServerRate, ...]:
    """Return the rate of each server (URL by name) within `timeout` seconds, the fastest first.

    `find` returns the address of the file at one of those URLs, and may raise what `measure_rate` raises. In a race
    the first complete sample ends the measurement, and the other servers have the rates until then.
    """
    measurement = Measurement(time.monotonic() + timeout, least, threading.Event())
    rates: SimpleQueue[ServerRate] = SimpleQueue()

    def ask(name: Text, url: str) -> None:
        rates.put(_rate_of(name, url, find, measurement))

    for item in servers.items():
        threading.Thread(target=ask, args=item, daemon=True).start()
    found, seconds = _collect(rates, len(servers), measurement, timeout, race=race)
    silence = message("no-answer-in", seconds=f"{seconds:.2g}")
    given = [found.get(name) or ServerRate(name, url, reason=silence) for name, url in servers.items()]
    return tuple(sorted(given, key=lambda rate: -(rate.bytes_per_second or 0)))


def _collect(
    rates: SimpleQueue[ServerRate], count: int, measurement: Measurement, timeout: float, *, race: bool
) -> tuple[dict[Text, ServerRate], float]:
    """Return the rates that came, by name, and the seconds after which no other was waited for."""
    found: dict[Text, ServerRate] = {}
    end = measurement.deadline
    while len(found) < count:
        try:
            rate = rates.get(timeout=max(end - time.monotonic(), 0))
        except Empty:
            break
        found[rate.name] = rate
        if race and rate.bytes_per_second and not measurement.decided.is_set():
            measurement.decided.set()
            end = min(end, time.monotonic() + _GRACE)
    return found, timeout - (measurement.deadline - end)


def _rate_of(
    name: Text, url: str, find: Callable[[str, Measurement], str], measurement: Measurement
) -> ServerRate:
    try:
        require_http(url)
        return ServerRate(name, url, measure_rate(find(url, measurement), measurement))
    except (RefusalError, OSError, ValueError) as error:
        return ServerRate(name, url, reason=error_text(error))


def refuse_error(response: Response) -> None:
    """Raise RefusalError for a status that is an error."""
    if response.status >= HTTPStatus.BAD_REQUEST:
        raise RefusalError(f"HTTP {response.status}")


def measure_rate(url: str, measurement: Measurement) -> int:
    """Return the bytes a second over the first part of a file; raises RefusalError if it is no wheel, OSError."""
    started = time.monotonic()
    headers = {"Range": f"bytes=0-{SAMPLE - 1}"}
    with stream(url, timeout=measurement.seconds_left(), headers=headers) as response:
        refuse_error(response)
        head = ResponseHead(response.status, response.headers, url)
        request = DownloadRequest("", (), least=measurement.least)
        promised = check_response(head, 0, FileVersion(), request).version.total
        size, ended = _read_sample(response, started, measurement)
    seconds = max(time.monotonic() - started, 1e-6)
    if ended and size < SAMPLE:
        if promised is not None and size < promised:
            raise RefusalError(message("download-cut", size=size))
        if size < measurement.least:
            raise RefusalError(message("download-too-small", size=size))
    if not size:
        raise RefusalError(message("no-answer-in", seconds=f"{seconds:.2g}"))
    return max(1, int(size / seconds))


def _read_sample(response: Response, started: float, measurement: Measurement) -> tuple[int, bool]:
    """Read until the sample is complete or the time is over; return the bytes, and whether the body ended."""
    size = 0
    while size < SAMPLE and not measurement.is_over() and time.monotonic() - started < ENOUGH:
        if not (data := response.read1(_CHUNK_BYTES)):
            return size, True
        if not size and not data.startswith(b"PK"[: len(data)]):
            raise RefusalError(message("download-no-wheel"))
        size += len(data)
    return size, False
