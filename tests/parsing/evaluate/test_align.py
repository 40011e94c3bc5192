"""Texts are located in order, and the similarity of long texts is that of a comparison in one piece."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from paddlevl_doctor.parsing.evaluate.align import (
    TextMatch,
    locate_all,
    longest_ordered_chain,
    occurrences,
    similarity,
)
from paddlevl_doctor.parsing.evaluate.verdict import repetitions

short = st.text(alphabet="abc", max_size=6)
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def noise(words: str, share: float, rng: random.Random) -> str:
    return "".join(rng.choice(LETTERS) if rng.random() < share else sign for sign in words)


@given(st.lists(short, max_size=5), st.text(alphabet="abc", max_size=40))
def test_all_exact_occurrences_are_found(wanted: list[str], words: str) -> None:
    assert occurrences(wanted, words) == {
        one: [at for at in range(len(words)) if words.startswith(one, at)] for one in wanted if one
    }


def test_long_texts_with_the_same_beginning_are_distinguished() -> None:
    one, other = "same beginning " * 4 + "one", "same beginning " * 4 + "other"

    assert occurrences([one, other], one + other) == {one: [0], other: [len(one)]}


def test_a_misread_text_is_found_near_the_previous_one_or_elsewhere() -> None:
    rng = random.Random(3)  # noqa: S311 - no secret
    parts = ["".join(rng.choice(LETTERS) for _ in range(80)) for _ in range(100)]
    read = [noise(part, 0.1, rng) for part in (*parts[:40], *parts[60:], *parts[40:60])]
    starts = {
        part: read.index(one) * 80
        for part, one in zip((*parts[:40], *parts[60:], *parts[40:60]), read, strict=True)
    }
    text = "".join(read)
    found = locate_all(parts, text, occurrences(parts, text))

    assert [abs(place.start - starts[part]) < 4 for part, place in zip(parts, found, strict=True)] == [
        True
    ] * 100
    assert min(place.score for place in found) > 0.75


def test_a_match_exists_for_a_text_longer_than_the_reading_and_for_an_empty_reading() -> None:
    assert locate_all(["abcd"], "ab", {}) == [TextMatch(0, 2, 0.5)]
    assert locate_all(["ab"], "", {}) == [TextMatch(0, 0, 0.0)]


@pytest.mark.parametrize(
    ("candidates", "chain"),
    [
        ([], []),
        ([[5], [1], [7]], [(1, 1), (2, 7)]),
        ([[0], [9, 3], [5]], [(0, 0), (1, 3), (2, 5)]),
        ([[0], [], [2]], [(0, 0), (2, 2)]),
        ([[4], [4]], [(1, 4)]),
    ],
)
def test_the_chain_uses_one_position_of_each_text(
    candidates: list[list[int]], chain: list[tuple[int, int]]
) -> None:
    assert longest_ordered_chain(candidates) == chain


@given(st.permutations(range(8)))
def test_the_chain_is_the_longest_one(order: list[int]) -> None:
    longest = max(
        sum(1 for n in range(8) if mask >> n & 1)
        for mask in range(256)
        if (picked := [order[n] for n in range(8) if mask >> n & 1]) == sorted(picked)
    )
    assert len(longest_ordered_chain([[place] for place in order])) == longest


def test_the_similarity_of_long_texts_is_that_of_a_comparison_in_one_piece() -> None:
    rng = random.Random(5)  # noqa: S311 - no secret
    parts = ["".join(rng.choice(LETTERS) for _ in range(400)) for _ in range(200)]
    read = [noise(part, 0.02 * (n % 2), rng) for n, part in enumerate(parts) if n != 77]
    same = [(n * 400, (n - (n > 77)) * 400) for n in range(0, 200, 2)]
    known, words = "".join(parts), "".join(read)

    assert similarity(known, words, same) == pytest.approx(
        Levenshtein.normalized_similarity(known, words, score_hint=0.95), abs=1e-4
    )
    assert similarity(known, "x" * 90_000, []) == pytest.approx(0.03, abs=0.02)


PLAIN_PATTERN = re.compile(r"(.{4,80}?)\1{5,}", re.DOTALL)


@given(st.lists(st.tuples(st.text(alphabet="abcd", max_size=12), st.integers(1, 9)), max_size=6))
def test_repetitions_are_those_that_the_plain_pattern_finds(pieces: list[tuple[str, int]]) -> None:
    words = "".join(unit * times for unit, times in pieces)
    first, plain = next(repetitions(words, ""), None), PLAIN_PATTERN.search(words)

    assert (first is None) == (plain is None)
    assert first is None or plain is None or first.text == plain[1]


def test_a_repetition_in_the_document_itself_is_ignored() -> None:
    dots, words = "." * 60, "gone " * 9

    assert [found.text for found in repetitions(f"Contents{dots}7 {words}", f"Contents{dots}7")] == [" gone"]
