"""The fallback strategies: what is tried next when reading a page failed, one change at a time, the mildest first."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paddlevl_doctor.facts.run_probes import user_cache
from paddlevl_doctor.messages import Text
from paddlevl_doctor.system.machine import System

STRATEGY = "FLAGS_allocator_strategy"
_NO_MEMORY = re.compile("out of memory|ResourceExhausted|bad_alloc|MemoryError|ALLOC_FAILED", re.IGNORECASE)
_CONSECUTIVE_PAGES = 2
"""Pages in a row that only a strategy that does not persist could read: then the following pages begin with it."""
_RETRY_AFTER_PAGES = 20
"""Pages read with such a strategy, which costs quality or speed; then the next page begins with a milder one again."""
_DAY = 86400.0
_DAYS_KEPT = {True: 7, False: 1}
"""How long a strategy is remembered, by whether it persists: after that a run begins with the first one again."""


@dataclass(frozen=True)
class Strategy:
    """One way to read. Everything is relative to the first strategy."""

    name: str
    """As in messages: rung-NAME."""
    device: str
    env: Mapping[str, str] = field(default_factory=dict)
    """Variables of the worker's process, which Paddle reads when it is imported."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Additional arguments of `predict`."""
    scale: float = 1.0
    """Of the page's width and height."""
    persists: bool = True
    """Whether the following pages begin with it where it helped: the environment needs it, not the page."""

    def same_process(self, other: Strategy) -> bool:
        """Say whether a worker started for one can read for the other."""
        return (self.device, dict(self.env)) == (other.device, dict(other.env))


def strategies_for(device: str, pipeline: str) -> tuple[Strategy, ...]:
    """Return the strategies for a device (`cpu`, `gpu:0`) and a pipeline, the first one first.

    PaddleOCR-VL gives its memory back with naive_best_fit only, PP-StructureV3 is faster with auto_growth
    (failures.md: ram-growth); where one of them fails, the other is tried. No strategy turns the layout on: it is
    never off here, and its models are downloaded where they are missing. Models that cannot be loaded need no
    strategy either: they are downloaded again as soon as that is found.
    """
    gpu = device.startswith("gpu")
    vl = pipeline == "PaddleOCR-VL"
    first, second = ("naive_best_fit", "auto_growth") if vl else ("auto_growth", "naive_best_fit")
    usual, other = ({STRATEGY: first}, {STRATEGY: second}) if gpu else ({}, {})
    queues = {"use_queues": False} if vl else {}
    found = [Strategy("first", device, usual), Strategy("again", device, usual)]
    if gpu:
        found.append(Strategy("allocator", device, other))
    if vl:
        found.append(Strategy("queues-off", device, usual, queues))
    found.append(Strategy("smaller", device, usual, queues, 0.5, persists=False))
    if gpu:
        found.append(Strategy("cpu", "cpu", {}, queues, 0.5, persists=False))
    return tuple(found)


def server_strategies(*, layout: bool) -> tuple[Strategy, ...]:
    """Return the strategies where a server runs the language model: they change neither its memory nor its device.

    `layout` says whether the layout is detected here. Where it is not, the queues stay on: both off together is what
    makes PaddleOCR-VL hang (failures.md: gpu-decode-hang).
    """
    queues = {"use_queues": False} if layout else {}
    found = [Strategy("first", "cpu"), Strategy("again", "cpu")]
    if layout:
        found.append(Strategy("queues-off", "cpu", {}, queues))
    return (*found, Strategy("smaller", "cpu", {}, queues, 0.5, persists=False))


@dataclass(frozen=True)
class Failure:
    """One failed attempt. Equal failures with two strategies are the page's fault."""

    stage: str
    """In which the worker was."""
    kind: str
    """raised, died or stalled."""
    detail: Text
    """One line about it."""


def next_strategy(failures: tuple[Failure, ...], step: int, strategies: tuple[Strategy, ...]) -> int | None:
    """Return which strategy comes after `step`, None where it is pointless to go on.

    An exception raised twice in the same words, by a process that lives, is a property of the page; except memory that
    ran out, which has the same words until a strategy needs less. A page that begins with a later strategy, which read
    other pages, is first tried with it once more, in a fresh process.
    """
    raised = [str(failure.detail) for failure in failures if failure.kind == "raised"]
    if len(raised) > 1 and raised[-1] == raised[-2] and not _NO_MEMORY.search(raised[-1]):
        return None
    following = step + 1
    if failures[-1].kind == "raised" and step == 0:
        following = next((i for i, one in enumerate(strategies) if one.name != "again" and i > 0), 1)
    is_only = len(failures) == 1 and step > 0
    if is_only and (failures[0].kind != "raised" or following == len(strategies)):
        return step
    return following if following < len(strategies) else None


@dataclass(frozen=True)
class FallbackCache:
    """Keeps which strategy helped last time, for one device of one target with one pipeline."""

    system: System
    target: str
    """The environment and its versions: others may need no fallback."""
    device: str
    pipeline: str
    now: Callable[[], float] = time.time

    def load(self) -> str | None:
        """Return the name of the strategy that helped, None where none was needed or that was long ago."""
        kept = self._entries().get(f"{self.device} {self.pipeline}", {})
        try:
            return str(kept["rung"]) if self.now() < float(kept["until"]) else None
        except (TypeError, KeyError, ValueError):
            return None

    def save(self, name: str | None, *, persists: bool = True) -> None:
        """Remember a strategy, or forget it; where the cache folder cannot be written, nothing is remembered."""
        path, key = self._path(), f"{self.device} {self.pipeline}"
        entries = {other: kept for other, kept in self._entries().items() if other != key}
        if name is not None:
            entries[key] = {"rung": name, "until": self.now() + _DAYS_KEPT[persists] * _DAY}
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_suffix(".new")
            new.write_text(json.dumps(entries), encoding="utf-8")
            new.replace(path)

    def _entries(self) -> dict[str, Any]:
        try:
            entries = json.loads(self._path().read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return entries if isinstance(entries, dict) else {}

    def _path(self) -> Path:
        key = hashlib.sha256(self.target.encode()).hexdigest()[:16]
        return user_cache(self.system) / "rungs" / f"{key}.json"


@dataclass
class FallbackState:
    """With which strategy an engine begins the next page; `cache` keeps it for the next run."""

    strategies: tuple[Strategy, ...]
    cache: FallbackCache | None = None
    step: int = 0
    """The strategy that the next page begins with."""
    remembered: str = ""
    """The name of the strategy that an earlier run has kept; empty where it kept none."""
    _persistent: int = 0
    """The last strategy that persists and helped."""
    _temporary: int = 0
    """The last strategy that does not persist and helped, and for how many pages in a row."""
    _row: int = 0
    _pages: int = 0
    """Read since pages begin with a strategy that does not persist."""

    def __post_init__(self) -> None:
        """Begin with the strategy that the last run ended with."""
        known = self.cache.load() if self.cache else None
        names = [strategy.name for strategy in self.strategies]
        if known in names:
            self.step, self.remembered = names.index(known), known
            self._persistent = self.step if self.strategies[self.step].persists else 0
            self._temporary, self._row = self.step, _CONSECUTIVE_PAGES

    def record_success(self, step: int, pages: int = 1) -> None:
        """Note that a strategy has read some pages, and begin with it where it is not the page that needed it."""
        if self.strategies[step].persists:
            self._row = 0
            if self.strategies[step].name != "again":
                self.step = self._persistent = step
            self._save(self._persistent)
            return
        self._row = self._row + 1 if step == self._temporary else 1
        self._pages = self._pages + pages if step == self.step else 0
        self._temporary = step
        if self._pages >= _RETRY_AFTER_PAGES:
            self.step = self._persistent
        elif self._row >= _CONSECUTIVE_PAGES:
            self.step = step
            self._save(step)

    def _save(self, step: int) -> None:
        name = self.strategies[step].name if step else ""
        if self.cache is not None and name != self.remembered:
            self.cache.save(name or None, persists=self.strategies[step].persists)
        self.remembered = name
