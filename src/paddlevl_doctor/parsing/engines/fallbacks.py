"""What is tried next when reading a page failed: one change at a time, from the mildest to the hardest. Pure."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paddlevl_doctor.facts.run_probes import user_cache
from paddlevl_doctor.system.machine import System

_DAY = 86400.0
_DAYS = {True: 7, False: 1}
"""How long a rung is remembered, by whether it lasts: after that a run begins with the first one again."""


@dataclass(frozen=True)
class Memory:
    """What is known of one device of one target with one pipeline."""

    system: System
    target: str
    """Which environment, and which versions are in it: others may need no help."""
    device: str
    pipeline: str
    now: Callable[[], float] = time.time

    def rung(self) -> str | None:
        """Return the name of the rung that helped last time, None where none was needed or that was long ago."""
        kept = self._known().get(f"{self.device} {self.pipeline}", {})
        try:
            return str(kept["rung"]) if self.now() < float(kept["until"]) else None
        except (TypeError, KeyError, ValueError):
            return None

    def keep(self, rung: str | None, *, lasting: bool = True) -> None:
        """Remember a rung, or forget it; a cache folder that cannot be written costs only the memory."""
        path, name = self._path(), f"{self.device} {self.pipeline}"
        known = {key: kept for key, kept in self._known().items() if key != name}
        if rung is not None:
            known[name] = {"rung": rung, "until": self.now() + _DAYS[lasting] * _DAY}
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_suffix(".new")
            new.write_text(json.dumps(known), encoding="utf-8")
            new.replace(path)

    def _known(self) -> dict[str, Any]:
        try:
            known = json.loads(self._path().read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}

    def _path(self) -> Path:
        key = hashlib.sha256(self.target.encode()).hexdigest()[:16]
        return user_cache(self.system) / "rungs" / f"{key}.json"


STRATEGY = "FLAGS_allocator_strategy"
_NO_MEMORY = re.compile("out of memory|ResourceExhausted|bad_alloc|MemoryError|ALLOC_FAILED", re.IGNORECASE)


@dataclass(frozen=True)
class Rung:
    """One way to read. Everything is relative to how the first rung reads."""

    name: str
    """As in messages: rung-NAME."""
    device: str
    env: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    """What `predict` gets besides."""
    scale: float = 1.0
    """Of the page's width and height."""
    lasting: bool = True
    """What helped here is kept for the following pages: it is the environment, and not the page, that needs it."""

    def same_process(self, other: Rung) -> bool:
        """Say whether a worker started for one can read for the other."""
        return (self.device, dict(self.env)) == (other.device, dict(other.env))


def rungs(device: str, pipeline: str) -> tuple[Rung, ...]:
    """Return the ladder for a device (`cpu`, `gpu:0`) and a pipeline.

    PaddleOCR-VL gives its memory back with naive_best_fit only, PP-StructureV3 is faster with auto_growth
    (failures.md: ram-growth); where one of them fails, the other is tried. Both are variables of the worker's
    process, which Paddle reads when it is imported. There is no rung `layout on`: the layout is never off here, and
    its models are downloaded where they are missing. Models that cannot be loaded are no rung either: they are
    downloaded anew on whichever rung that is found.
    """
    gpu = device.startswith("gpu")
    vl = pipeline == "PaddleOCR-VL"
    first, second = ("naive_best_fit", "auto_growth") if vl else ("auto_growth", "naive_best_fit")
    usual, other = ({STRATEGY: first}, {STRATEGY: second}) if gpu else ({}, {})
    queues = {"use_queues": False} if vl else {}
    ladder = [Rung("first", device, usual), Rung("again", device, usual)]
    if gpu:
        ladder.append(Rung("allocator", device, other))
    if vl:
        ladder.append(Rung("queues-off", device, usual, queues))
    ladder.append(Rung("smaller", device, usual, queues, 0.5, lasting=False))
    if gpu:
        ladder.append(Rung("cpu", "cpu", {}, queues, 0.5, lasting=False))
    return tuple(ladder)


def server_rungs(*, layout: bool) -> tuple[Rung, ...]:
    """Return the ladder where the language model runs elsewhere: nothing here changes its memory or its device.

    `layout` says whether the layout is found here; it is where its model is there or can be had. Where it is not, the
    queues stay on: both off together is what makes PaddleOCR-VL hang (failures.md: gpu-decode-hang).
    """
    queues = {"use_queues": False} if layout else {}
    ladder = [Rung("first", "cpu"), Rung("again", "cpu")]
    if layout:
        ladder.append(Rung("queues-off", "cpu", {}, queues))
    return (*ladder, Rung("smaller", "cpu", {}, queues, 0.5, lasting=False))


@dataclass(frozen=True)
class Failure:
    """One failed attempt: where it was, and in one line what was seen. Equal ones on two rungs are the page's fault."""

    stage: str
    kind: str
    """raised, died or stalled."""
    detail: str


def following(failures: tuple[Failure, ...], step: int, ladder: tuple[Rung, ...]) -> int | None:
    """Return which rung comes next, None where it is pointless to go on.

    What was raised in the same words twice, by a process that lives, is a property of the page; but for memory that
    ran out, which the same words tell on every rung until one needs less. A page that begins further down, where others
    were read, gets a fresh process there before it goes on.
    """
    raised = [failure.detail for failure in failures if failure.kind == "raised"]
    if len(raised) > 1 and raised[-1] == raised[-2] and not _NO_MEMORY.search(raised[-1]):
        return None
    following_step = step + 1
    if failures[-1].kind == "raised" and step == 0:
        following_step = next((i for i, rung in enumerate(ladder) if rung.name != "again" and i > 0), 1)
    is_only = len(failures) == 1 and step > 0
    if is_only and (failures[0].kind != "raised" or following_step == len(ladder)):
        return step
    return following_step if following_step < len(ladder) else None


_IN_A_ROW = 2
"""Pages that only a rung that does not last could read: then the following ones begin there."""
_THEN_TRIED = 20
"""Pages read from such a rung, which costs quality or speed; the next one begins above it again."""


@dataclass
class Footing:
    """Where one engine begins. `memory` is where that is kept; None where nothing is."""

    ladder: Sequence[Rung]
    memory: Memory | None = None
    step: int = 0
    """The rung that the next page begins with."""
    remembered: str = ""
    """The name of the rung that an earlier run has left; empty where it left none."""
    _usual: int = 0
    """The last lasting rung that helped."""
    _alone: int = 0
    """The rung that does not last and read the last pages, and how many in a row those were."""
    _row: int = 0
    _pages: int = 0
    """Read since pages begin on a rung that does not last."""

    def __post_init__(self) -> None:
        """Begin where the last run got to."""
        known = self.memory.rung() if self.memory else None
        names = [rung.name for rung in self.ladder]
        if known in names:
            self.step, self.remembered = names.index(known), known
            self._usual = self.step if self.ladder[self.step].lasting else 0
            self._alone, self._row = self.step, _IN_A_ROW

    def stood(self, step: int, pages: int = 1) -> None:
        """Note that a rung has read some pages, and begin there where it is not the page that needed it."""
        if self.ladder[step].lasting:
            self._stood_for_good(step)
        else:
            self._stood_alone(step, pages)

    def _stood_for_good(self, step: int) -> None:
        self._row = 0
        if self.ladder[step].name != "again":
            self.step = self._usual = step
        self._remember(self._usual)

    def _stood_alone(self, step: int, pages: int) -> None:
        self._row = self._row + 1 if step == self._alone else 1
        self._pages = self._pages + pages if step == self.step else 0
        self._alone = step
        if self._pages >= _THEN_TRIED:
            self.step = self._usual
        elif self._row >= _IN_A_ROW:
            self.step = step
            self._remember(step)

    def _remember(self, step: int) -> None:
        name = self.ladder[step].name if step else ""
        if self.memory is not None and name != self.remembered:
            self.memory.keep(name or None, lasting=self.ladder[step].lasting)
        self.remembered = name
