"""The fallback strategies: if reading a page fails, the next strategy changes one setting; the mildest is first."""

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
from paddlevl_doctor.system.files import load_json
from paddlevl_doctor.system.machine import System

ALLOCATOR_FLAG = "FLAGS_allocator_strategy"
_OUT_OF_MEMORY = re.compile(
    "out of memory|ResourceExhausted|bad_alloc|MemoryError|ALLOC_FAILED", re.IGNORECASE
)
_CONSECUTIVE_PAGES = 2
"""After this many consecutive pages that needed the same non-persistent strategy, the next pages begin with it."""
_RETRY_AFTER_PAGES = 20
"""After this many pages with a non-persistent strategy, which costs quality or speed, a milder one is tried again."""
_DAY_SECONDS = 86400.0
_DAYS_KEPT = {True: 7, False: 1}
"""For how many days a strategy is remembered, by whether it persists; then runs begin with the first one again."""


@dataclass(frozen=True)
class Strategy:
    """Settings to read a page with."""

    name: str
    """The name; the id of its message is rung-NAME."""
    device: str
    env: Mapping[str, str] = field(default_factory=dict)
    """Environment variables of the worker; Paddle reads them when it is imported."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Additional arguments of `predict`."""
    scale: float = 1.0
    """The scale of the page's width and height."""
    persists: bool = True
    """Whether the next pages begin with this strategy if it succeeded: the environment needs it, not the page."""

    def same_process(self, other: Strategy) -> bool:
        """Return whether a worker that was started for one strategy can read with the other."""
        return (self.device, dict(self.env)) == (other.device, dict(other.env))


def strategies_for(device: str, pipeline: str) -> tuple[Strategy, ...]:
    """Return the strategies for a device (`cpu`, `gpu:0`) and a pipeline, in the order in which they are tried.

    PaddleOCR-VL releases memory with naive_best_fit only, PP-StructureV3 is faster with auto_growth (failures.md:
    ram-growth); if one of them fails, the other is tried. No strategy turns the layout detection on, because it is
    always on here. Models that cannot be loaded need no strategy: NativeEngine downloads them again.
    """
    gpu = device.startswith("gpu")
    vl = pipeline == "PaddleOCR-VL"
    first, second = ("naive_best_fit", "auto_growth") if vl else ("auto_growth", "naive_best_fit")
    usual, other = ({ALLOCATOR_FLAG: first}, {ALLOCATOR_FLAG: second}) if gpu else ({}, {})
    queues = {"use_queues": False} if vl else {}
    strategies = [Strategy("first", device, usual), Strategy("again", device, usual)]
    if gpu:
        strategies.append(Strategy("allocator", device, other))
    if vl:
        strategies.append(Strategy("queues-off", device, usual, queues))
    strategies.append(Strategy("smaller", device, usual, queues, 0.5, persists=False))
    if gpu:
        strategies.append(Strategy("cpu", "cpu", {}, queues, 0.5, persists=False))
    return tuple(strategies)


def server_strategies(*, layout: bool) -> tuple[Strategy, ...]:
    """Return the strategies for a server that runs the language model; they change neither memory nor device.

    `layout` is whether the layout is detected locally. Without it the queues stay on: PaddleOCR-VL hangs if both are
    off (failures.md: gpu-decode-hang).
    """
    queues = {"use_queues": False} if layout else {}
    found = [Strategy("first", "cpu"), Strategy("again", "cpu")]
    if layout:
        found.append(Strategy("queues-off", "cpu", {}, queues))
    return (*found, Strategy("smaller", "cpu", {}, queues, 0.5, persists=False))


@dataclass(frozen=True)
class Failure:
    """A failed attempt."""

    stage: str
    """The stage of the worker."""
    kind: str
    """raised, died or stalled."""
    detail: Text
    """The reason in one line."""


def next_strategy(failures: tuple[Failure, ...], step: int, strategies: tuple[Strategy, ...]) -> int | None:
    """Return the index of the strategy after `step`, None if no further attempt is useful.

    Two equal exceptions from running processes are caused by the page, so that no other strategy helps; an exception is
    when memory runs out, because a later strategy may need less. If a page begins with a later strategy, which read
    other pages, this strategy is first tried again in a new process.
    """
    raised = [str(failure.detail) for failure in failures if failure.kind == "raised"]
    if len(raised) > 1 and raised[-1] == raised[-2] and not _OUT_OF_MEMORY.search(raised[-1]):
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
    """Stores the last successful strategy for one device, target environment and pipeline."""

    system: System
    target: str
    """The environment and its versions; the strategy is not used for others."""
    device: str
    pipeline: str
    now: Callable[[], float] = time.time

    def load(self) -> str | None:
        """Return the name of the stored strategy, None if there is none or if it has expired."""
        entry = self._entries().get(f"{self.device} {self.pipeline}", {})
        try:
            return str(entry["rung"]) if self.now() < float(entry["until"]) else None
        except (TypeError, KeyError, ValueError):
            return None

    def save(self, name: str | None, *, persists: bool = True) -> None:
        """Store a strategy, or remove the stored one; does nothing if the cache folder cannot be written."""
        path, key = self._path(), f"{self.device} {self.pipeline}"
        entries = {other: entry for other, entry in self._entries().items() if other != key}
        if name is not None:
            entries[key] = {"rung": name, "until": self.now() + _DAYS_KEPT[persists] * _DAY_SECONDS}
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_suffix(".new")
            new.write_text(json.dumps(entries), encoding="utf-8")
            new.replace(path)

    def _entries(self) -> dict[str, Any]:
        try:
            entries = load_json(self._path().read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return entries if isinstance(entries, dict) else {}

    def _path(self) -> Path:
        key = hashlib.sha256(self.target.encode()).hexdigest()[:16]
        return user_cache(self.system) / "rungs" / f"{key}.json"


@dataclass
class FallbackState:
    """The strategy with which an engine begins the next page; `cache` stores it for the next run."""

    strategies: tuple[Strategy, ...]
    cache: FallbackCache | None = None
    step: int = 0
    """The index of the strategy for the next page."""
    remembered: str = ""
    """The name of the stored strategy; empty if there is none."""
    _persistent: int = 0
    """The last persistent strategy that succeeded."""
    _temporary: int = 0
    """The last non-persistent strategy that succeeded."""
    _consecutive: int = 0
    """Number of consecutive pages that it read."""
    _pages_read: int = 0
    """Number of pages read since pages begin with a non-persistent strategy."""

    def __post_init__(self) -> None:
        """Begin with the stored strategy."""
        stored = self.cache.load() if self.cache else None
        names = [strategy.name for strategy in self.strategies]
        if stored in names:
            self.step, self.remembered = names.index(stored), stored
            self._persistent = self.step if self.strategies[self.step].persists else 0
            self._temporary, self._consecutive = self.step, _CONSECUTIVE_PAGES

    def record_success(self, step: int, pages: int = 1) -> None:
        """Record that a strategy read pages, and begin the next page with it if the environment seems to need it."""
        if self.strategies[step].persists:
            self._consecutive = 0
            if self.strategies[step].name != "again":
                self.step = self._persistent = step
            self._save(self._persistent)
            return
        self._consecutive = self._consecutive + 1 if step == self._temporary else 1
        self._pages_read = self._pages_read + pages if step == self.step else 0
        self._temporary = step
        if self._pages_read >= _RETRY_AFTER_PAGES:
            self.step = self._persistent
        elif self._consecutive >= _CONSECUTIVE_PAGES:
            self.step = step
            self._save(step)

    def _save(self, step: int) -> None:
        name = self.strategies[step].name if step else ""
        if self.cache is not None and name != self.remembered:
            self.cache.save(name or None, persists=self.strategies[step].persists)
        self.remembered = name
