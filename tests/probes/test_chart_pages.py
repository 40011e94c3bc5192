"""The charts and their answers: nothing but the right answer passes."""

# mypy: disable-error-code="no-untyped-call"
# (probes carry no annotations)

from __future__ import annotations

import copy

import pytest

from paddlevl_doctor.probes.selftest import pages

CHARTS = [
    ("red", "green", "blue", "yellow"),
    ("white", "black", "cyan", "magenta"),
    ("red", "red", "blue", "green"),
    ("cyan", "yellow", "magenta", "black"),
]
AS_THEY_ARE = [
    ["doc_title", "TL:red TR:green BL:blue BR:yellow [OCR]"],
    ["text", "TL:white TR:black BL:cyan BR:magenta [OCR]"],
    [
        "table",
        "<table><tr><td>TL=red</td><td>TR=red</td></tr><tr><td>BL=blue</td><td>BR=green</td></tr></table>",
    ],
    ["display_formula", "TL:cyan TR:yellow BL:magenta BR:black [Formula]"],
]
EXCHANGED = [
    ["doc_title", "TL:blue TR:green BL:red BR:cyan [OCR]"],
    ["text", "TL:white TR:black BL:yellow BR:magenta [OCR]"],
    [
        "table",
        "<table><tr><td>TL=blue</td><td>TR=blue</td></tr><tr><td>BL=red</td><td>BR=green</td></tr></table>",
    ],
    ["display_formula", "TL:yellow TR:cyan BL:magenta BR:black [Formula]"],
]


def test_the_answer_tells_the_order_of_the_colour_channels() -> None:
    assert pages.expected_blocks(CHARTS) == AS_THEY_ARE
    assert pages.expected_blocks(pages.swapped(CHARTS)) == EXCHANGED
    assert pages.colour_order(CHARTS, AS_THEY_ARE) == "rgb"
    assert pages.colour_order(CHARTS, EXCHANGED) == "bgr"


@pytest.mark.parametrize("right", [AS_THEY_ARE, EXCHANGED])
def test_an_answer_with_any_one_character_changed_does_not_pass(right: list[list[str]]) -> None:
    tampered = 0
    for block, (label, content) in enumerate(right):
        for index, field in enumerate((label, content)):
            for place in range(len(field)):
                answer = copy.deepcopy(right)
                answer[block][index] = f"{field[:place]}#{field[place + 1 :]}"
                assert pages.colour_order(CHARTS, answer) is None
                tampered += 1
    assert tampered > 200


@pytest.mark.parametrize(
    "answer",
    [
        [],
        AS_THEY_ARE[:3],
        AS_THEY_ARE[::-1],
        [*AS_THEY_ARE, ["text", ""]],
        [*AS_THEY_ARE[:2], *EXCHANGED[2:]],
        [[label, content + " "] for label, content in AS_THEY_ARE],
    ],
    ids=[
        "empty",
        "one block lost",
        "other order",
        "one block more",
        "both orders at once",
        "text after the end",
    ],
)
def test_an_answer_that_is_nearly_right_does_not_pass(answer: list[list[str]]) -> None:
    assert pages.colour_order(CHARTS, answer) is None


def test_different_seeds_give_different_pages_and_the_same_seed_the_same() -> None:
    drawn = [pages.draw_charts(seed) for seed in range(2000)]
    assert len({tuple(charts) for charts in drawn}) == 2000
    assert drawn == [pages.draw_charts(seed) for seed in range(2000)]


def test_every_page_has_ink_in_every_band_and_shows_the_order_of_the_channels() -> None:
    for seed in range(2000):
        charts = pages.draw_charts(seed)
        assert all(set(chart) != {"white"} for chart in charts)
        assert pages.expected_blocks(charts) != pages.expected_blocks(pages.swapped(charts))
