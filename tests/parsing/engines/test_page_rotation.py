"""Pages that do not stand upright are read as if they did, and their boxes are where the text really is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from paddlevl_doctor.commands.parse import ASSETS
from paddlevl_doctor.parsing.engines.base import Task
from paddlevl_doctor.parsing.engines.embedded import ReaderEngine
from paddlevl_doctor.parsing.engines.page_rotation import rotation_of, unrotate_box
from paddlevl_doctor.parsing.evaluate.ground_truth import load_truth
from paddlevl_doctor.parsing.evaluate.verdict import READER_CLAIMS, compare_with_truth
from paddlevl_doctor.parsing.input.page_source import Picture
from paddlevl_doctor.values.pages import Box, Page, Reading

DEMO = ASSETS / "demo.png"
TRUTH = load_truth(ASSETS / "demo.json")
WIDE, TALL = (10, 10, 200, 30), (10, 10, 30, 200)


@pytest.mark.parametrize(
    ("boxes", "heads", "turn"),
    [
        ([WIDE] * 5, [False] * 5, 0),
        ([WIDE] * 5, [True] * 5, 180),
        ([WIDE] * 6 + [TALL], [True, *[False] * 6], 0),
        ([TALL] * 5, [False] * 5, 90),
        ([TALL] * 5, [True] * 5, 270),
        ([TALL] * 2, [False] * 2, 0),
        ([], [], 0),
    ],
)
def test_the_turn_of_a_page_is_what_most_of_its_lines_say(
    boxes: list[Box], heads: list[bool], turn: int
) -> None:
    assert rotation_of(boxes, heads) == turn


@given(st.tuples(*[st.integers(0, 50)] * 4), st.sampled_from([0, 90, 180, 270]))
def test_a_box_of_a_turned_page_comes_back_to_where_its_pixels_are(corner: Box, turn: int) -> None:
    left, top, wide, high = corner
    box = (left, top, left + wide + 1, top + high + 1)
    turned = Image.new("L", (110, 120))
    turned.paste(255, box)
    upright = turned.rotate(-turn, expand=True)

    assert unrotate_box(box, turn, *upright.size) == upright.getbbox()


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReaderEngine]:
    engine = ReaderEngine(os.environ, tmp_path_factory.mktemp("reader"), 2)
    yield engine
    engine.close()


def read_lying(reader: ReaderEngine, upright: Image.Image, turn: int, folder: Path) -> Page:
    """Lay a page on its side or on its head, let it be read, and look that this was noticed."""
    lying = upright.rotate(-turn, expand=True)
    lying.save(folder / "page.png")
    picture = Picture(folder / "page.png", *lying.size)
    found = reader.read(Task(0, folder, lambda _scale: picture))

    assert tuple(map(str, found.notes)) == (
        f"Page 1 is not upright; it was rotated {turn} degrees counterclockwise before reading.",
    )
    assert (found.page.width, found.page.height) == lying.size
    return found.page


@pytest.mark.xdist_group("reader")
def test_a_page_on_its_side_is_read_as_well_as_upright(reader: ReaderEngine, tmp_path: Path) -> None:
    with Image.open(DEMO) as upright:
        page = read_lying(reader, upright, 90, tmp_path)
    reading = Reading("reader", "cpu", (page,), {}, 0)
    truth = type(TRUTH)(TRUTH.name, tuple(type(p)(p.blocks) for p in TRUTH.pages))

    assert compare_with_truth(reading, truth, claims=READER_CLAIMS, threshold=0.9).similarity > 0.9


@pytest.mark.xdist_group("reader")
@pytest.mark.parametrize("turn", [180, 270])
def test_the_lines_of_a_page_on_its_head_or_its_other_side_are_read_in_their_order(
    reader: ReaderEngine, turn: int, tmp_path: Path
) -> None:
    lines = [f"Line {number} of a page that lies" for number in range(1, 7)]
    upright = Image.new("RGB", (640, 480), "white")
    for number, line in enumerate(lines):
        ImageDraw.Draw(upright).text((40, 40 + 70 * number), line, fill="black", font_size=28)
    page = read_lying(reader, upright, turn, tmp_path)

    assert " ".join(" ".join(block.text for block in page.blocks).split()) == " ".join(lines)
