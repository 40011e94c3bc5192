"""Which rung pages begin with, in a run and in the next one, and when that is forgotten."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from fake_system import FakeSystem
from paddlevl_doctor.parsing.engines.fallbacks import FallbackCache, FallbackState, strategies_for
from sessions import Stage, document, texts

STRATEGIES = strategies_for("gpu:0", "PaddleOCR-VL")
FIRST, AGAIN, ALLOCATOR, QUEUES_OFF, SMALLER, CPU = range(6)
DAY = 86400


@dataclass
class Days:
    """A clock that is set by hand."""

    day: float = 0

    def __call__(self) -> float:
        return self.day * DAY


@pytest.fixture
def days() -> Days:
    return Days()


@pytest.fixture
def cache(tmp_path: Path, days: Days) -> FallbackCache:
    return FallbackCache(
        FakeSystem(env={"XDG_CACHE_HOME": str(tmp_path)}), "target", "gpu:0", "PaddleOCR-VL", days
    )


def begun(cache: FallbackCache | None = None) -> FallbackState:
    return FallbackState(STRATEGIES, cache)


def steps(state: FallbackState, *helped: int) -> list[int]:
    """Return where pages begin after each rung that has read one."""
    found = []
    for step in helped:
        state.record_success(step)
        found.append(state.step)
    return found


def test_a_rung_that_lasts_is_where_the_next_page_begins() -> None:
    assert steps(begun(), FIRST, AGAIN, ALLOCATOR, ALLOCATOR) == [FIRST, FIRST, ALLOCATOR, ALLOCATOR]


def test_one_page_that_needs_less_is_the_page_and_two_in_a_row_are_the_environment() -> None:
    assert steps(begun(), SMALLER, FIRST, SMALLER, CPU, FIRST, CPU, CPU) == [FIRST] * 6 + [CPU]
    assert steps(begun(), ALLOCATOR, SMALLER, SMALLER) == [ALLOCATOR, ALLOCATOR, SMALLER]


def test_after_twenty_pages_there_one_begins_above_again_and_decides() -> None:
    state = begun()
    state.record_success(SMALLER)
    state.record_success(SMALLER)
    assert steps(state, *[SMALLER] * 20) == [SMALLER] * 19 + [FIRST]
    assert steps(state, SMALLER, *[SMALLER] * 20, FIRST) == [SMALLER] * 20 + [FIRST, FIRST]


def test_what_helped_is_remembered_for_this_target_device_and_pipeline(
    cache: FallbackCache, tmp_path: Path
) -> None:
    steps(begun(cache), ALLOCATOR)

    others = [
        FallbackCache(cache.system, *words, cache.now)
        for words in (("other", "gpu:0", "OCR"), ("target", "cpu", "OCR"))
    ]
    assert (begun(cache).step, begun(cache).remembered) == (ALLOCATOR, "allocator")
    assert [begun(other).step for other in others] == [FIRST, FIRST]
    (path,) = tmp_path.rglob("*.json")
    assert json.loads(path.read_text()) == {"gpu:0 PaddleOCR-VL": {"rung": "allocator", "until": 7 * DAY}}


@pytest.mark.parametrize(("rung", "row", "last"), [(ALLOCATOR, 1, 7), (SMALLER, 2, 1), (CPU, 2, 1)])
def test_it_is_forgotten_after_some_days(
    cache: FallbackCache, days: Days, rung: int, row: int, last: int
) -> None:
    steps(begun(cache), *[rung] * row)
    days.day = last - 0.01
    assert begun(cache).step == rung
    days.day = last
    assert begun(cache).step == FIRST


def test_a_page_that_needs_it_no_more_forgets_it_at_once(cache: FallbackCache) -> None:
    steps(begun(cache), SMALLER, SMALLER)
    state = begun(cache)
    assert (state.step, steps(state, *[SMALLER] * 20, FIRST)[-2:]) == (SMALLER, [FIRST, FIRST])
    assert begun(cache).step == FIRST


@pytest.mark.parametrize(
    "words", ["", "[]", "{", '{"gpu:0 PaddleOCR-VL": "cpu"}', '{"gpu:0 PaddleOCR-VL": {"rung": "cpu"}}']
)
def test_a_file_that_says_nothing_useful_is_no_memory(
    cache: FallbackCache, tmp_path: Path, words: str
) -> None:
    steps(begun(cache), ALLOCATOR)
    (path,) = tmp_path.rglob("*.json")
    path.write_text(words)
    assert (begun(cache).step, begun(cache).remembered) == (FIRST, "")


def test_an_environment_that_always_runs_out_of_memory_fails_for_two_pages_only(
    tmp_path: Path, cache: FallbackCache
) -> None:
    stage = Stage(tmp_path)
    engine = stage.engine("gpu:0", cache=cache)
    (job,) = stage.run([document(tmp_path, 0, 12)], [engine], fits=60)

    assert texts(job) == [f"This is page {n}." for n in range(12)]
    assert [page.rung for page in job.pages_in_order()] == ["smaller"] * 12
    assert [incident.partition(":")[0] for incident in stage.incidents] == [
        f"Page {page}, {rung}"
        for page in (1, 2)
        for rung in ("first try", "with the other GPU memory allocator", "without queues")
    ]

    stage.recorded.clear()
    (job,) = stage.run([document(tmp_path, 20, 3)], [stage.engine("gpu:0", cache=cache)], fits=60)
    assert texts(job) == [f"This is page {n}." for n in range(20, 23)]
    assert stage.incidents == [
        "An earlier run needed this in this environment, so reading starts at half the size."
    ]
