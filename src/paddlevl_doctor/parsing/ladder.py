"""What is tried next when reading a page failed: one change at a time, from the mildest to the hardest. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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
