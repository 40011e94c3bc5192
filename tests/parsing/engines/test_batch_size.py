"""How many pages a call of the pipeline has: long calls where results come in pieces, short ones where they do not."""

from __future__ import annotations

import pytest

from paddlevl_doctor.parsing.engines.native import FIRST_BATCH, next_batch


def grown(seconds_of_a_page: float, *, together: int, calls: int = 8) -> list[int]:
    """Return the sizes of calls, one after the other, of a pipeline that gives so many results at a time."""
    sizes = [FIRST_BATCH]
    while len(sizes) < calls:
        pages = sizes[-1]
        longest = seconds_of_a_page * min(pages, together)
        sizes.append(next_batch(pages, pages, seconds_of_a_page * pages, longest))
    return sizes


def test_where_results_come_in_eights_calls_grow_up_to_what_memory_is_spared_for() -> None:
    assert grown(1.8, together=8) == [2, 11, 22, 32, 32, 32, 32, 32]


def test_where_results_come_all_at_once_a_call_takes_no_longer_than_may_be_lost() -> None:
    assert grown(1.8, together=1000) == [2, 11, 11, 11, 11, 11, 11, 11]


def test_where_eight_pages_take_longer_than_may_be_lost_calls_stay_short() -> None:
    assert grown(4.0, together=8) == [2, 5, 5, 5, 5, 5, 5, 5]
    assert next_batch(40, pages=40, seconds=160.0, longest=32.0) == 25


def test_a_page_of_minutes_is_asked_for_alone() -> None:
    assert grown(100.0, together=8, calls=4) == [2, 1, 1, 1]


def test_the_last_pages_of_a_document_make_no_later_call_shorter() -> None:
    assert [next_batch(30, pages, seconds=1.8 * pages, longest=14.0) for pages in (8, 9, 14)] == [30, 30, 30]


@pytest.mark.parametrize("now", [1, 30])
def test_one_page_alone_which_may_be_empty_lets_a_call_grow_no_further(now: int) -> None:
    assert next_batch(now, pages=1, seconds=0.0, longest=0.0) == max(FIRST_BATCH, now)
