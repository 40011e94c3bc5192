"""Lines become blocks in the order in which a person reads them."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paddlevl_doctor.parsing.engines.reading_order import blocks_of, join_lines
from paddlevl_doctor.values.pages import Block, Line
from samples import line


def texts(*lines):
    return [block.text for block in blocks_of(lines)]


def prose(name, left, top, count, right=None, pitch=33):
    """Return lines that fill a column; the last one is short."""
    full = [
        line(f"{name}{n} " + "word " * 6, left, top + n * pitch, right or left + 480)
        for n in range(count - 1)
    ]
    return [*full, line(f"{name} ends.", left, top + (count - 1) * pitch)]


def test_no_lines_are_no_blocks():
    assert blocks_of([]) == ()
    assert blocks_of([line("  ", 0, 0)]) == ()


def test_lines_of_a_paragraph_become_one_text_and_one_box():
    lines = [line("The first line of this", 100, 100, 500), line("paragraph.", 100, 133)]

    assert blocks_of(lines) == (Block("text", "The first line of this paragraph.", (100, 100, 500, 163)),)


def test_a_gap_ends_a_paragraph():
    assert texts(*prose("a", 100, 100, 3), *prose("b", 100, 220, 2)) == [
        "a0 word word word word word word a1 word word word word word word a ends.",
        "b0 word word word word word word b ends.",
    ]


def test_a_short_last_line_ends_a_paragraph_without_any_gap():
    found = texts(*prose("a", 100, 100, 3), *prose("b", 100, 199, 2))

    assert [text[:2] for text in found] == ["a0", "b0"]


def test_an_indented_first_line_belongs_to_its_paragraph():
    lines = [line("这一段的首行缩进两个字，", 160, 100, 600), line("后面各行顶格。", 100, 133)]

    assert texts(*lines) == ["这一段的首行缩进两个字，后面各行顶格。"]


def test_a_full_width_title_two_columns_and_a_full_width_foot():
    page = [
        line("A title", 100, 50, 600, 60),
        *prose("l", 100, 150, 6),
        *prose("r", 640, 150, 5),
        *prose("f", 100, 400, 3, right=1120),
    ]

    assert [text.split()[0] for text in texts(*page)] == ["A", "l0", "r0", "f0"]


@pytest.mark.parametrize("offset", range(0, 33, 3))
def test_columns_need_no_common_base_lines(offset):
    page = [*prose("l", 100, 150, 8), *prose("r", 640, 150 + offset, 6), *prose("f", 100, 500, 3, right=1120)]

    assert [text.split()[0] for text in texts(*page)] == ["l0", "r0", "f0"]


def test_three_columns_are_read_one_after_the_other():
    page = [*prose("a", 50, 100, 5, 400), *prose("b", 440, 100, 5, 790), *prose("c", 830, 100, 5, 1180)]

    assert [text.split()[0] for text in texts(*page)] == ["a0", "b0", "c0"]


def test_a_right_column_that_begins_above_the_left_one_is_still_second():
    page = [*prose("h", 100, 100, 2, 1120), *prose("r", 640, 240, 6), *prose("l", 100, 339, 6)]

    assert [text.split()[0] for text in texts(*page)] == ["h0", "l0", "r0"]


def test_a_heading_below_two_columns_belongs_to_what_follows():
    page = [
        *prose("l", 100, 150, 6),
        *prose("r", 640, 150, 6),
        line("Heading", 100, 380, height=36),
        *prose("f", 100, 424, 3, right=1120),
    ]

    assert [text.split()[0] for text in texts(*page)] == ["l0", "r0", "Heading", "f0"]


def test_a_grid_is_read_row_by_row():
    cells = [["Name", "Size", "Price"], ["Apple", "3", "1.20"], ["Pear", "12", "0.90"]]
    lines = [
        line(cell, 100 + 300 * c, 100 + 42 * r) for r, row in enumerate(cells) for c, cell in enumerate(row)
    ]

    assert texts(*lines) == ["Name\tSize\tPrice\nApple\t3\t1.20\nPear\t12\t0.90"]


def test_a_grid_between_prose_and_columns_stays_whole():
    grid = [line(f"{c}{r}", 120 + 250 * i, 300 + 42 * r) for r in range(4) for i, c in enumerate("wxyz")]
    page = [*prose("t", 100, 100, 4, 1120), *grid, *prose("l", 100, 520, 4), *prose("r", 640, 520, 4)]

    assert [text.split()[0] for text in texts(*page)] == ["t0", "w0", "l0", "r0"]


def test_words_that_the_detector_took_apart_are_put_together():
    assert texts(line("left", 100, 100, 200), line("right", 210, 100, 300)) == ["left right"]


def test_only_lines_much_higher_than_the_others_are_a_title():
    page = [line("Big", 100, 20, height=60), *prose("a", 100, 150, 4), line("Same", 100, 350, height=33)]

    assert [block.kind for block in blocks_of(page)] == ["title", "text", "text"]


@pytest.mark.parametrize(
    ("above", "below", "joined"),
    [
        ("one", "two", "one two"),
        ("中文", "文字", "中文文字"),
        ("中文", "word", "中文word"),
        ("exam-", "ple", "example"),
        ("A-", "B", "A- B"),
        ("1990-", "2000", "1990- 2000"),
        ("Anglo-", "Saxon", "Anglo- Saxon"),
        ("ends，", "“then", "ends，“then"),
    ],
)
def test_lines_are_joined_as_their_script_asks(above, below, joined):
    assert join_lines(above, below) == joined


BOXES = st.tuples(st.integers(0, 1000), st.integers(0, 1500), st.integers(0, 700), st.integers(0, 60)).map(
    lambda n: (n[0], n[1], n[0] + n[2], n[1] + n[3])
)
PAGES = st.lists(BOXES, max_size=25)


def numbered(boxes):
    return [Line(f"<{number}>", box, 0.9) for number, box in enumerate(boxes)]


@given(PAGES)
def test_every_line_is_in_exactly_one_block(boxes):
    lines = numbered(boxes)

    together = "".join(block.text for block in blocks_of(lines))

    assert sorted("".join(together.split())) == sorted("".join(one.text for one in lines))
    assert all(together.count(one.text) == 1 for one in lines)


@given(PAGES, st.randoms(use_true_random=False))
def test_the_order_in_which_lines_were_found_does_not_matter(boxes, chance: random.Random):
    lines = numbered(boxes)
    shuffled = chance.sample(lines, len(lines))

    assert blocks_of(shuffled) == blocks_of(lines)


@given(PAGES)
def test_the_box_of_all_blocks_is_that_of_all_lines(boxes):
    found = blocks_of(numbered(boxes))

    assert {(min, i): min(b.box[i] for b in found) for i in (0, 1) if found} == {
        (min, i): min(box[i] for box in boxes) for i in (0, 1) if boxes
    }
    assert {(max, i): max(b.box[i] for b in found) for i in (2, 3) if found} == {
        (max, i): max(box[i] for box in boxes) for i in (2, 3) if boxes
    }
