"""What is tried next: the whole strategies of every device and pipeline, and which strategy follows which failure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import pytest

from paddlevl_doctor.parsing.engines.fallbacks import (
    Failure,
    Strategy,
    next_strategy,
    server_strategies,
    strategies_for,
)

BEST, GROWTH = ({"FLAGS_allocator_strategy": name} for name in ("naive_best_fit", "auto_growth"))
OFF = {"use_queues": False}
EVERY = [
    strategies_for(*pair)
    for pair in product(("gpu:0", "cpu", "npu:0"), ("PaddleOCR-VL", "PP-StructureV3", "OCR"))
]


def said(strategies: Sequence[Strategy]) -> list[tuple[object, ...]]:
    return [
        (
            strategy.name,
            strategy.device,
            dict(strategy.env),
            dict(strategy.options),
            strategy.scale,
            strategy.persists,
        )
        for strategy in strategies
    ]


def test_paddleocr_vl_on_a_gpu_begins_with_the_allocator_that_gives_memory_back() -> None:
    assert said(strategies_for("gpu:0", "PaddleOCR-VL")) == [
        ("first", "gpu:0", BEST, {}, 1.0, True),
        ("again", "gpu:0", BEST, {}, 1.0, True),
        ("allocator", "gpu:0", GROWTH, {}, 1.0, True),
        ("queues-off", "gpu:0", BEST, OFF, 1.0, True),
        ("smaller", "gpu:0", BEST, OFF, 0.5, False),
        ("cpu", "cpu", {}, OFF, 0.5, False),
    ]


@pytest.mark.parametrize("pipeline", ["PP-StructureV3", "OCR"])
def test_the_other_pipelines_on_a_gpu_begin_with_the_faster_allocator_and_have_no_queues(
    pipeline: str,
) -> None:
    assert said(strategies_for("gpu:0", pipeline)) == [
        ("first", "gpu:0", GROWTH, {}, 1.0, True),
        ("again", "gpu:0", GROWTH, {}, 1.0, True),
        ("allocator", "gpu:0", BEST, {}, 1.0, True),
        ("smaller", "gpu:0", GROWTH, {}, 0.5, False),
        ("cpu", "cpu", {}, {}, 0.5, False),
    ]


@pytest.mark.parametrize("device", ["cpu", "npu:0"])
@pytest.mark.parametrize(
    ("pipeline", "queues"), [("PaddleOCR-VL", True), ("PP-StructureV3", False), ("OCR", False)]
)
def test_elsewhere_there_is_no_allocator_to_choose(device: str, pipeline: str, queues: bool) -> None:
    off = OFF if queues else {}
    assert said(strategies_for(device, pipeline)) == [
        ("first", device, {}, {}, 1.0, True),
        ("again", device, {}, {}, 1.0, True),
        *([("queues-off", device, {}, off, 1.0, True)] if queues else []),
        ("smaller", device, {}, off, 0.5, False),
    ]


def test_a_server_without_a_layout_keeps_its_queues_on() -> None:
    assert said(server_strategies(layout=True)) == [
        ("first", "cpu", {}, {}, 1.0, True),
        ("again", "cpu", {}, {}, 1.0, True),
        ("queues-off", "cpu", {}, OFF, 1.0, True),
        ("smaller", "cpu", {}, OFF, 0.5, False),
    ]
    assert said(server_strategies(layout=False)) == [
        ("first", "cpu", {}, {}, 1.0, True),
        ("again", "cpu", {}, {}, 1.0, True),
        ("smaller", "cpu", {}, {}, 0.5, False),
    ]


def climbed(strategies: Sequence[Strategy], first: int, failures: Sequence[Failure]) -> list[str]:
    """Return the rungs that are tried when each attempt fails as told, the last one for ever."""
    names, step, seen = [], first, ()
    while True:
        names.append(strategies[step].name)
        seen = (*seen, failures[min(len(seen), len(failures) - 1)])
        found = next_strategy(seen, step, tuple(strategies))
        if found is None:
            return names
        step = found


DIED, STALLED = Failure("read", "died", "SIGSEGV"), Failure("read", "stalled", "stood still")
RAISED, OTHER = Failure("read", "raised", "KeyError: 'a'"), Failure("read", "raised", "KeyError: 'b'")
FULL = Failure("read", "raised", "ResourceExhaustedError: Out of memory error on GPU 0")


@pytest.mark.parametrize(
    "strategies", EVERY, ids=lambda strategies: "-".join(strategy.name for strategy in strategies)
)
@pytest.mark.parametrize("failure", [DIED, STALLED], ids=lambda failure: failure.kind)
def test_a_page_that_ends_its_process_is_tried_on_every_rung(
    strategies: Sequence[Strategy], failure: Failure
) -> None:
    assert climbed(strategies, 0, [failure]) == [strategy.name for strategy in strategies]


@pytest.mark.parametrize(
    "strategies", EVERY, ids=lambda strategies: "-".join(strategy.name for strategy in strategies)
)
def test_memory_that_runs_out_needs_no_fresh_process_and_is_tried_on_every_other_rung(
    strategies: Sequence[Strategy],
) -> None:
    assert climbed(strategies, 0, [FULL]) == [
        strategy.name for strategy in strategies if strategy.name != "again"
    ]


@pytest.mark.parametrize(
    "strategies", EVERY, ids=lambda strategies: "-".join(strategy.name for strategy in strategies)
)
def test_the_same_words_twice_are_the_pages_fault(strategies: Sequence[Strategy]) -> None:
    assert len(climbed(strategies, 0, [RAISED])) == 2
    assert (
        climbed(strategies, 0, [RAISED, OTHER, RAISED])
        == [strategy.name for strategy in strategies if strategy.name != "again"][:4]
    )


@pytest.mark.parametrize(
    "strategies", EVERY, ids=lambda strategies: "-".join(strategy.name for strategy in strategies)
)
@pytest.mark.parametrize("failure", [DIED, STALLED, FULL], ids=["died", "stalled", "full"])
def test_a_page_has_two_attempts_wherever_it_begins(strategies: Sequence[Strategy], failure: Failure) -> None:
    names = [strategy.name for strategy in strategies]
    for first in range(1, len(names)):
        again = failure.kind != "raised" or first == len(names) - 1
        assert climbed(strategies, first, [failure]) == [*names[first : first + 1] * again, *names[first:]]
