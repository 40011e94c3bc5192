"""How fast servers give the beginning of one large file: all are asked side by side, and nobody waits for a silent one.

A server is judged by its rate, however slow, and by what it says of the file's length. One that sends a page, an
empty body, something that is no wheel, or promises far too few bytes has no rate.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from paddlevl_doctor.messages import text
from paddlevl_doctor.packages.http_range import Answered, Origin, RefusalError, Wanted, judge, request

SAMPLE = 1 << 20
"""Bytes that are read of the file at most."""
ENOUGH = 3.0
"""Seconds after which a rate is known well enough."""
_GRACE = 0.2
"""Seconds that the others still have once the first one of a race has brought its sample."""
_MARGIN = 0.25
"""Seconds before the end at which a slow server's rate is taken, so that it counts."""
_PIECE = 1 << 16
_MEGA, _KILO = 1e6, 1e3


@dataclass(frozen=True)
class Measured:
    """What one server gave."""

    name: str
    url: str
    bytes_per_second: int | None = None
    reason: str | None = None
    """Why there is no rate."""

    def __str__(self) -> str:
        """Return the words for people."""
        rate = self.bytes_per_second
        if rate is None:
            return f"{self.name}: {self.reason}"
        shown = f"{rate / _MEGA:.2f} MB/s" if rate >= _MEGA / 10 else f"{rate / _KILO:.1f} kB/s"
        return f"{self.name}: {shown}"


@dataclass(frozen=True)
class Trial:
    """The rules for all who are asked: how long, and from when on nobody needs to go on."""

    deadline: float
    """On the clock of `time.monotonic`."""
    least: int
    """Bytes; a file that is smaller cannot be the one that is meant."""
    decided: threading.Event

    def rest(self) -> float:
        """Return the seconds that are left, as a limit for a connection."""
        return max(self.deadline - time.monotonic(), 0.01)

    def over(self) -> bool:
        """Say whether what was read until now has to do."""
        return self.decided.is_set() or time.monotonic() >= self.deadline - _MARGIN


def side_by_side(
    servers: Mapping[str, str],
    find: Callable[[str, Trial], str],
    *,
    timeout: float,
    least: int = _PIECE,
    race: bool = False,
) -> tuple[Measured, ...]:
    """Return what each server (URL by name) gave within `timeout` seconds, the fastest first.

    `find` returns the address of the file at one of those URLs, and may raise like `sample`. In a race the first
    one that has brought its sample ends it, and the others are judged by what they brought until then.
    """
    trial = Trial(time.monotonic() + timeout, least, threading.Event())
    answers: SimpleQueue[Measured] = SimpleQueue()

    def ask(name: str, url: str) -> None:
        answers.put(_measured(name, url, find, trial))

    for item in servers.items():
        threading.Thread(target=ask, args=item, daemon=True).start()
    found, seconds = _collected(answers, len(servers), trial, timeout, race=race)
    silence = text("no-answer-in", seconds=f"{seconds:.2g}")
    given = [found.get(name) or Measured(name, url, reason=silence) for name, url in servers.items()]
    return tuple(sorted(given, key=lambda one: -(one.bytes_per_second or 0)))


def _collected(
    answers: SimpleQueue[Measured], count: int, trial: Trial, timeout: float, *, race: bool
) -> tuple[dict[str, Measured], float]:
    """Return who answered, by name, and after how many seconds nobody was waited for any more."""
    found: dict[str, Measured] = {}
    end = trial.deadline
    while len(found) < count:
        try:
            one = answers.get(timeout=max(end - time.monotonic(), 0))
        except Empty:
            break
        found[one.name] = one
        if race and one.bytes_per_second and not trial.decided.is_set():
            trial.decided.set()
            end = min(end, time.monotonic() + _GRACE)
    return found, timeout - (trial.deadline - end)


def _measured(name: str, url: str, find: Callable[[str, Trial], str], trial: Trial) -> Measured:
    try:
        return Measured(name, url, sample(find(url, trial), trial))
    except (HTTPError, RefusalError) as error:
        reason = f"HTTP {error.code}" if isinstance(error, HTTPError) else str(error)
    except (OSError, URLError, ValueError) as error:
        reason = str(getattr(error, "reason", None) or error) or type(error).__name__
    return Measured(name, url, reason=reason)


def sample(url: str, trial: Trial) -> int:
    """Return the bytes a second over the first part of a file; raises RefusalError for what is no wheel, OSError."""
    asked = request(url, 0, Origin())
    asked.add_header("Range", f"bytes=0-{SAMPLE - 1}")
    started = time.monotonic()
    with urlopen(asked, timeout=trial.rest()) as answer:  # noqa: S310 - checked in request
        answered = Answered(answer.status, answer.headers, url)
        promised = judge(answered, 0, Origin(), Wanted("", (), least=trial.least)).origin.total
        size, ended = _read(answer, started, trial)
    seconds = max(time.monotonic() - started, 1e-6)
    if ended and size < SAMPLE:
        _refuse_short(size, promised, trial.least)
    if not size:
        raise RefusalError(text("no-answer-in", seconds=f"{seconds:.2g}"))
    return max(1, int(size / seconds))


def _read(answer: Any, started: float, trial: Trial) -> tuple[int, bool]:
    """Read until the sample is there, the time is over or nothing more comes; return the bytes and whether it ended."""
    size = 0
    while size < SAMPLE and not trial.over() and time.monotonic() - started < ENOUGH:
        if not (data := answer.read1(_PIECE)):
            return size, True
        if not size and not data.startswith(b"PK"[: len(data)]):
            raise RefusalError(text("download-no-wheel"))
        size += len(data)
    return size, False


def _refuse_short(size: int, promised: int | None, least: int) -> None:
    if promised is not None and size < promised:
        raise RefusalError(text("download-cut", size=size))
    if size < least:
        raise RefusalError(text("download-too-small", size=size))
