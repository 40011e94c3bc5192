"""The number of pages per call: calls are long if results arrive in groups, short if they arrive all at once."""

from __future__ import annotations

import pytest

from paddlevl_doctor.parsing.engines.native import FIRST_BATCH, next_batch


def call_sizes(seconds_per_page: float, *, group: int, calls: int = 8) -> list[int]:
    """Return the sizes of consecutive calls of a pipeline that returns its results in groups."""
    sizes = [FIRST_BATCH]
    while len(sizes) < calls:
        pages = sizes[-1]
        longest_wait = seconds_per_page * min(pages, group)
        sizes.append(next_batch(pages, pages, seconds_per_page * pages, longest_wait))
    return sizes


def test_calls_with_results_in_groups_of_eight_grow_up_to_the_memory_limit() -> None:
    assert call_sizes(1.8, group=8) == [2, 11, 22, 32, 32, 32, 32, 32]


def test_a_call_with_all_results_at_once_takes_no_longer_than_the_maximum_silence() -> None:
    assert call_sizes(1.8, group=1000) == [2, 11, 11, 11, 11, 11, 11, 11]


def test_calls_stay_short_if_eight_pages_take_longer_than_the_maximum_silence() -> None:
    assert call_sizes(4.0, group=8) == [2, 5, 5, 5, 5, 5, 5, 5]
    assert next_batch(40, pages=40, seconds=160.0, longest_wait=32.0) == 25


def test_a_page_that_takes_minutes_is_read_in_a_separate_call() -> None:
    assert call_sizes(100.0, group=8, calls=4) == [2, 1, 1, 1]


def test_a_call_with_the_last_pages_of_a_document_does_not_shorten_later_calls() -> None:
    assert [next_batch(30, pages, seconds=1.8 * pages, longest_wait=14.0) for pages in (8, 9, 14)] == [
        30,
        30,
        30,
    ]


@pytest.mark.parametrize("limit", [1, 30])
def test_a_call_with_one_page_which_may_be_blank_does_not_enlarge_later_calls(limit: int) -> None:
    assert next_batch(limit, pages=1, seconds=0.0, longest_wait=0.0) == max(FIRST_BATCH, limit)
