"""The shipped demo page is what its generator draws from its ground truth, and the fonts for it are here."""

import json

import pytest
from fontTools.ttLib import TTFont
from PIL import Image, ImageChops, ImageStat

from demo.render import ASSETS, glyphs, render
from demo.subset import SOURCES, wanted
from demo.typeset import FONTS, Style, break_lines

TRUTH = json.loads((ASSETS / "demo.json").read_text(encoding="utf-8"))
BLOCKS = TRUTH["pages"][0]["blocks"]
MAX_MEAN_DIFFERENCE = 0.5  # of 255; other releases of FreeType smooth edges a little differently


@pytest.fixture(scope="module")
def drawn():
    return render(TRUTH)


def test_drawing_the_page_again_gives_the_shipped_picture(drawn):
    with Image.open(ASSETS / "demo.png") as shipped:
        difference = ImageStat.Stat(ImageChops.difference(drawn[0], shipped.convert("RGB"))).mean

    assert max(difference) < MAX_MEAN_DIFFERENCE


def test_a_page_without_its_last_paragraph_is_another_picture():
    blocks = [{**b, "text": " "} if b["id"] == "end" else b for b in BLOCKS]
    changed = {**TRUTH, "pages": [{**TRUTH["pages"][0], "blocks": blocks}]}
    with Image.open(ASSETS / "demo.png") as shipped:
        difference = ImageStat.Stat(ImageChops.difference(render(changed)[0], shipped.convert("RGB"))).mean

    assert max(difference) > MAX_MEAN_DIFFERENCE


def test_the_boxes_in_the_truth_are_where_the_parts_are_drawn(drawn):
    drawn_boxes = [block["box"] for block in drawn[1]["pages"][0]["blocks"]]

    assert [
        max(abs(a - b) for a, b in zip(block["box"], box, strict=True))
        for block, box in zip(BLOCKS, drawn_boxes, strict=True)
    ] == pytest.approx([0] * len(BLOCKS), abs=2)


def test_the_page_is_a4_at_150_dpi_and_small(drawn):
    file = ASSETS / "demo.png"

    assert (drawn[0].size, file.stat().st_size < 400_000) == ((1240, 1754), True)
    with Image.open(file) as shipped:
        assert [round(number) for number in shipped.info["dpi"]] == [150, 150]


def test_all_kinds_of_parts_are_on_the_page_and_inside_of_it():
    assert {b["kind"] for b in BLOCKS} == {
        "title",
        "heading",
        "text",
        "table",
        "formula",
        "figure",
        "caption",
    }
    for left, top, right, bottom in (b["box"] for b in BLOCKS):
        assert 0 <= left < right <= 1240 and 0 <= top < bottom <= 1754


def test_no_two_parts_overlap():
    for number, one in enumerate(BLOCKS):
        for other in BLOCKS[number + 1 :]:
            a, b = one["box"], other["box"]
            apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
            assert apart, (one["id"], other["id"])


def test_every_character_of_the_truth_has_a_glyph():
    text = glyphs(TRUTH)
    latin = "".join(c for c in text if c < "\u2e80")
    missing = {
        name: set(wanted(name, text, latin))
        - {chr(code) for code in TTFont(FONTS / f"{name}.otf").getBestCmap()}
        for name, _, _ in SOURCES
    }

    assert missing == {name: set() for name, _, _ in SOURCES}


def test_the_fonts_are_small_renamed_and_carry_their_licence():
    assert "SIL OPEN FONT LICENSE Version 1.1" in (FONTS / "OFL.txt").read_text(encoding="utf-8")
    for file in FONTS.glob("*.otf"):
        names = TTFont(file)["name"]
        assert file.stat().st_size < 60_000
        assert names.getDebugName(1) == f"Demo Page {file.stem}"
        assert "SIL Open Font License" in names.getDebugName(13)


def test_a_chinese_line_never_begins_with_a_full_stop():
    lines = break_lines("文字。" * 40, Style("serif", 22, 33), 200)

    assert len(lines) > 10
    assert not [line for line in lines if line.startswith("。")]
