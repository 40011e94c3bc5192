"""The cross-check reports text that only the engine or only OCR found, with its box, and ignores noise."""

import dataclasses
import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paddlevl_doctor.commands.parse import ASSETS
from paddlevl_doctor.parsing.engines.embedded import ReaderEngine
from paddlevl_doctor.parsing.evaluate.cross_check import differences
from paddlevl_doctor.parsing.evaluate.ground_truth import load_truth
from paddlevl_doctor.parsing.input.page_source import Picture
from paddlevl_doctor.parsing.output.run_report_model import Difference, DifferenceKind
from paddlevl_doctor.values.pages import Block, Line, Page

SIZE = (1240, 1754)
LOST, MADE_UP, REPEATED, BLANK = (
    DifferenceKind.LOST,
    DifferenceKind.MADE_UP,
    DifferenceKind.REPEATED,
    DifferenceKind.BLANK,
)
ENGLISH = re.findall(
    r"\S+",
    "apple bridge candle desert engine forest garden harbour island jacket kitchen ladder mountain needle orange "
    "pepper quarter river summer tunnel umbrella valley winter yellow zebra anchor butter copper dragon elbow "
    "feather guitar hammer insect jungle kettle lemon marble number oyster pencil rabbit silver timber velvet window",
)
CHINESE = re.findall(
    r"\S+",
    "苹果 桥梁 蜡烛 沙漠 引擎 森林 花园 港口 岛屿 外套 厨房 梯子 山峰 钢针 橙汁 胡椒 季度 河流 夏天 隧道 雨伞 峡谷 "
    "冬季 黄色 斑马 船锚 奶油 紫铜 蛟龙 手肘 羽毛 吉他 锤头 昆虫 丛林 水壶 柠檬 弹珠 数字 牡蛎 铅笔 白兔 银器 木材",
)


def at(row, left=100, right=1100):
    """Return the box of a line of text in one of the rows of the page."""
    return left, 20 + row * 40, right, 50 + row * 40


def ocr_lines(*texts, score=0.98):
    return [Line(text, at(row), score) for row, text in enumerate(texts)]


def check(blocks, lines):
    return differences(Page(2, *SIZE, tuple(blocks), 1.0), lines)


def text(words, box, kind="text"):
    return Block(kind, words, box)


def difference(kind, words, box):
    return Difference(kind, 2, words, box)


def blocks_of(lines):
    return [text(line.text, line.box) for line in lines]


TITLE = "PaddleOCR-VL: Boosting"
BODY = "We present a compact model that reads documents in many languages."
LINES = ocr_lines(TITLE, BODY)


# --- lost -----------------------------------------------------------------------------------------------------


def test_a_page_without_any_text_has_no_difference():
    assert check([], []) == ()


def test_a_line_that_the_engine_did_not_read_is_lost():
    assert check([text(TITLE, at(0))], LINES) == (difference(LOST, BODY, at(1)),)


def test_a_title_of_which_the_engine_read_only_the_end_is_lost():
    blocks = [text("OCR-VL: Boosting", at(0), "doc_title"), text(BODY, at(1))]

    assert check(blocks, LINES) == (difference(LOST, TITLE, at(0)),)


def test_a_clipped_title_is_lost_although_its_first_word_is_elsewhere_on_the_page():
    lines = ocr_lines(TITLE, "PaddleOCR-VL is a compact model for documents in many languages.")
    blocks = [text("OCR-VL: Boosting", at(0), "doc_title"), text(lines[1].text, at(1))]

    assert check(blocks, lines) == (difference(LOST, TITLE, at(0)),)


def test_a_chinese_line_of_which_the_engine_has_only_the_beginning_is_lost():
    lines = ocr_lines("读者还要分清标题与正文，按顺序走完两栏文字。", "看懂表格的行和列。")
    blocks = [text("读者还要分清标题与正文。", at(0)), text("看懂表格的行和列。", at(1))]

    assert check(blocks, lines) == (difference(LOST, lines[0].text, at(0)),)


def test_words_left_out_in_the_middle_of_a_line_are_lost():
    blocks = [text(TITLE, at(0)), text("We present a compact model in many languages.", at(1))]

    assert check(blocks, LINES) == (difference(LOST, BODY, at(1)),)


def test_a_short_heading_is_lost_where_the_engine_has_no_block():
    lines = ocr_lines(BODY, "摘要")

    assert check([text(BODY, at(0))], lines) == (difference(LOST, "摘要", at(1)),)


def test_a_short_cell_misread_by_ocr_is_not_lost():
    lines = [*ocr_lines(BODY), Line("29T", at(1, 100, 160), 0.97)]
    table = text("<table><tr><td>297</td><td>420</td></tr></table>", at(1), "table")

    assert check([text(BODY, at(0)), table], lines) == ()


def test_an_unreliable_line_and_stray_characters_are_not_lost():
    lines = [*ocr_lines(BODY), Line("scribbled by hand here", at(3), 0.6), Line("O1", at(5), 0.99)]

    assert check([text(BODY, at(0))], lines) == ()


@pytest.mark.parametrize("kind", ["image", "chart", "seal", "figure", "display_formula", "formula"])
def test_text_inside_figures_and_formulas_is_not_lost(kind):
    lines = [*ocr_lines(BODY), Line("millions of pixels", (300, 300, 500, 330), 0.99)]

    assert check([text(BODY, at(0)), text("", (200, 200, 900, 800), kind)], lines) == ()


@pytest.mark.parametrize("kind", ["header", "footer", "number"])
def test_a_header_a_footer_and_a_page_number_are_read_like_any_text(kind):
    lines = ocr_lines(BODY, "Journal of Documents 117")

    assert check([text(BODY, at(0)), text(lines[1].text, at(1), kind)], lines) == ()
    assert check([text(BODY, at(0)), text("", at(1), kind)], lines) == (
        difference(LOST, lines[1].text, at(1)),
    )


# --- noise ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("read", "ocr"),
    [
        ("Route 10, hall B2: the café opens", "Route lO, hall B2: the cafe opens"),
        ("（一）阅读一页文档，不只是认字：Ａ４ １２", "(一)阅读一页文档,不只是认字:A4 12"),
        ("A printed page is made for the eye.", "A printcd page is made for tbe eye."),
        ("阅读一页文档，不只是认出每一个字", "阅读一贞文档，不只是认出每—个字"),
        ("## **Reading** a page, `word` by word", "Reading a page, word by word"),
        ("See <sup>1</sup> the note &amp; the table<br>below", "See 1 the note & the table below"),
        (
            "where $\\alpha_{i}$ is the share of \\( \\sum_{j} x_{j} \\) in it",
            "where ai is the share of Ex in it",
        ),
        ("it costs $5 today and $6 tomorrow", "it costs $5 today and $6 tomorrow"),
        ("한국어 문서를 읽는 모델입니다", "한국어 문서를 읽는 모델입니다"),
    ],
)
def test_a_few_misread_characters_and_markup_are_no_difference(read, ocr):
    assert check([text(read, at(0))], ocr_lines(ocr)) == ()


def test_joined_lines_and_a_joined_hyphenated_word_are_no_difference():
    lines = ocr_lines(
        "Whoever reads the page has to find all the infor-", "mation again, a person or a program alike."
    )
    joined = "Whoever reads the page has to find all the information again, a person or a program alike."

    assert check([text(joined, (100, 20, 1100, 90))], lines) == ()


def test_a_line_that_ocr_read_across_two_columns_is_no_difference():
    left, right = "Columns are the classic trap", "Here C counts the characters"
    blocks = [
        text(left, at(0, 100, 550)),
        text("Another line.", at(1, 100, 550)),
        text(right, at(0, 650, 1100)),
    ]

    assert check(blocks, ocr_lines(f"{left} {right}", "Another line.")) == ()


def test_a_table_in_html_is_no_difference_in_any_order_of_ocr_cells():
    rows = [("Format", "Width (mm)", "Pixels"), ("A5", "148", "874 × 1240"), ("A4", "210", "1240 × 1754")]
    cells = "".join("<tr>" + "".join(f'<td rowspan="1">{c}</td>' for c in row) + "</tr>" for row in rows)
    table = text(f'<table border=1 style="margin: auto">{cells}</table>', (100, 100, 1100, 300), "table")
    by_column = [
        Line(row[n].replace(" ", ""), (100 + 300 * n, 110 + 60 * r, 300 + 300 * n, 150 + 60 * r), 0.97)
        for n in range(3)
        for r, row in enumerate(rows)
    ]

    assert check([table], by_column) == ()


def test_a_formula_read_as_latex_is_no_difference():
    lines = [
        Line("S+D+I", (300, 100, 400, 130), 0.95),
        Line("E =", (200, 120, 260, 150), 0.9),
        *ocr_lines(BODY),
    ]
    formula = text("$$ E = \\frac{S + D + I}{N} $$", (190, 95, 600, 180), "display_formula")

    assert check([text(BODY, at(0)), formula], lines) == ()


def test_wrong_boxes_are_no_difference_if_the_text_is_the_same():
    assert check([text(line.text, (0, 0, 0, 0)) for line in LINES], LINES) == ()


# --- made up --------------------------------------------------------------------------------------------------


INVENTED = "The quick harbour master counted eleven barges before the fog rolled in."


def test_text_where_ocr_found_nothing_is_made_up():
    assert check([*blocks_of(LINES), text(INVENTED, at(9))], LINES) == (difference(MADE_UP, INVENTED, at(9)),)


def test_chinese_text_where_ocr_reliably_found_other_text_is_made_up():
    lines = ocr_lines("如果不一致，报告会指出最先出错的段落。", "中英文混排，内容短小而完整。")
    invented = "春天来了，湖边的柳树发出了新芽。"

    assert check([text(invented, at(0)), text(lines[1].text, at(1))], lines) == (
        difference(LOST, lines[0].text, at(0)),
        difference(MADE_UP, invented, at(0)),
    )


def test_a_text_on_an_empty_page_is_made_up():
    assert check([text(INVENTED, at(9))], []) == (difference(MADE_UP, INVENTED, at(9)),)


@pytest.mark.parametrize(
    "block",
    [
        text(INVENTED, (100, 700, 300, 712)),  # letters of five pixels
        text("竖排的文字写在页边上面", (20, 100, 50, 700)),
        text("\\frac{made}{up} = barges", at(9), "display_formula"),
        text("A bar chart with eleven barges", at(9), "chart"),
        text("Yes", at(9)),
    ],
)
def test_text_that_ocr_may_miss_is_not_made_up(block):
    assert check([*blocks_of(LINES), block], LINES) == ()


def test_text_where_ocr_found_an_unreliable_line_is_not_made_up():
    lines = [*LINES, Line("Ihe guik habnr", at(9), 0.6)]

    assert check([*blocks_of(LINES), text(INVENTED, at(9))], lines) == ()


ROWS = (("Name", "Size"), ("Alpha", "100"), ("Gamma lost row here", "300"), ("Delta", "400"))
TABLE_BOX = (100, 100, 1100, 300)


def table_of(*rows):
    cells = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return text(f"<table>{cells}</table>", TABLE_BOX, "table")


def ocr_cells(*rows, score=0.97):
    return [
        Line(cell, (120 + 500 * n, 105 + 50 * r, 420 + 500 * n, 145 + 50 * r), score)
        for r, row in enumerate(rows)
        for n, cell in enumerate(row)
        if cell
    ]


def test_a_replaced_row_is_made_up_and_the_original_row_lost():
    lines = ocr_cells(*ROWS)

    assert check([table_of(ROWS[0], ROWS[1], ("Beta", "200"), ROWS[3])], lines) == (
        difference(LOST, "Gamma lost row here", lines[4].box),
        difference(MADE_UP, "Beta 200", (100, 200, 1100, 250)),
    )


def test_a_long_additional_row_is_made_up():
    invented = ("Epsilon and others", "1500")

    assert check([table_of(*ROWS, invented)], ocr_cells(*ROWS)) == (
        difference(MADE_UP, "Epsilon and others 1500", (100, 260, 1100, 300)),
    )


@pytest.mark.parametrize(
    ("read", "ocr"),
    [
        ((*ROWS, ("Eta", "50")), ROWS),  # short, and OCR found nothing else in its place
        ((*ROWS, ("Beta", "200")), (*ROWS, ("8eta", "2OO"))),
        ((*ROWS, ("12", "34"), ("-", "")), (*ROWS, ("I2", "84"))),
        ((*ROWS, ("Epsilon and others", "1500")), ROWS[:2]),  # OCR found too little of the table
        ((*ROWS, ("$\\alpha_{i}$ of $x^2$ in $y_{j}$", "")), ROWS),
    ],
)
def test_a_row_that_ocr_may_have_missed_or_misread_is_not_made_up(read, ocr):
    kinds = [difference.kind for difference in check([table_of(*read)], ocr_cells(*ocr))]

    assert MADE_UP not in kinds


def test_no_row_is_made_up_in_a_table_with_unreliable_lines():
    lines = [*ocr_cells(*ROWS), Line("Ebsi1on", (120, 260, 400, 290), 0.6)]

    assert check([table_of(*ROWS, ("Epsilon and others", "1500"))], lines) == ()


# --- repeated -------------------------------------------------------------------------------------------------


def test_a_block_read_at_two_places_and_found_by_ocr_at_one_is_repeated():
    assert check([*blocks_of(LINES), text(BODY, at(9))], LINES) == (difference(REPEATED, BODY, at(9)),)


def test_a_block_that_is_on_the_page_twice_is_not_repeated():
    lines = ocr_lines(BODY, TITLE, BODY)

    assert check(blocks_of(lines), lines) == ()


def test_a_third_copy_of_what_is_on_the_page_twice_is_repeated_once():
    lines = ocr_lines(BODY, TITLE, BODY)
    copies = [text(BODY, at(9)), text(BODY, at(10))]

    assert check([*blocks_of(lines), *copies], lines) == (difference(REPEATED, BODY, at(9)),)


@pytest.mark.parametrize(
    ("phrase", "loop"),
    [
        ("the", "the the the the the the the"),
        ("in the wide gap", "in the wide gap, " * 30),
        ("行和列", "行和列" * 5),
    ],
)
def test_an_endless_phrase_is_reported_once(phrase, loop):
    assert check([text(TITLE, at(0)), text(f"{BODY} {loop}", at(1))], LINES) == (
        difference(REPEATED, phrase, at(1)),
    )


@pytest.mark.parametrize(
    "words", ["ha ha ha ha ha ha, said he", "哈哈哈哈哈哈，他笑着说", "0 0 0 0 0 0 0 0", "10000000"]
)
def test_text_that_ocr_found_as_often_is_not_repeated(words):
    assert check([text(words, at(0))], ocr_lines(words)) == ()


# --- blank ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "blocks", [[], [text(" \n", at(0))], [text('<img src="a.jpg" />', (0, 0, 900, 900), "image")]]
)
def test_a_page_of_which_the_engine_read_nothing_is_blank_and_its_beginning_is_quoted(blocks):
    words = "PaddleOCR-VL: Boosting We present a compact model that reads…"

    assert check(blocks, LINES) == (difference(BLANK, words, (0, 0, *SIZE)),)


def test_a_page_on_which_ocr_found_only_specks_is_not_blank():
    assert check([], [Line("..", at(0), 0.99), Line("some noise", at(1), 0.5)]) == ()


# --- any page -------------------------------------------------------------------------------------------------

boxes = st.tuples(*[st.integers(0, 600)] * 4).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))
any_lines = st.lists(st.builds(Line, st.text(max_size=60), boxes, st.floats(0, 1)), min_size=1, max_size=8)


@given(any_lines)
def test_equal_texts_have_no_difference_except_blank_on_any_page(lines):
    assert [d for d in check(blocks_of(lines), lines) if d.kind is not BLANK] == []


@st.composite
def pages(draw):
    """Return two to eight lines, no word of which is in another one, in English or Chinese."""
    words, space, long = draw(st.sampled_from([(ENGLISH, " ", 5), (CHINESE, "", 5)]))
    shuffled = draw(st.permutations(words))
    count = draw(st.integers(2, 8))
    return ocr_lines(*(space.join(shuffled[n * long : (n + 1) * long]) for n in range(count)))


@given(pages())
def test_equal_lines_and_paragraphs_have_no_difference_on_any_page(lines):
    assert check(blocks_of(lines), lines) == ()
    paragraph = Block("text", " ".join(line.text for line in lines), (100, 20, 1100, lines[-1].box[3]))
    assert check([paragraph], lines) == ()


@given(pages(), st.data())
def test_any_line_that_the_engine_dropped_is_lost_at_its_place(lines, data):
    dropped = data.draw(st.sampled_from(lines))
    kept = blocks_of(line for line in lines if line is not dropped)

    assert check(kept, lines) == (difference(LOST, dropped.text, dropped.box),)


@given(pages(), st.data())
def test_any_line_dropped_from_a_paragraph_is_lost_at_its_place(lines, data):
    dropped = data.draw(st.sampled_from(lines))
    words = " ".join(line.text for line in lines if line is not dropped)

    assert check([text(words, (100, 20, 1100, lines[-1].box[3]))], lines) == (
        difference(LOST, dropped.text, dropped.box),
    )


@given(pages(), st.data())
def test_any_block_read_twice_is_repeated(lines, data):
    block = data.draw(st.sampled_from(blocks_of(lines)))

    assert check([*blocks_of(lines), block], lines) == (difference(REPEATED, block.text, block.box),)


# --- the demo page, as the embedded OCR engine reads it -----------------------------------------------------


TRUTH = load_truth(ASSETS / "demo.json").pages[0].blocks
real_page = pytest.mark.xdist_group("witness")


def native(block):
    if block.rows:
        rows = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in block.rows)
        return Block("table", f"<table border=1>{rows}</table>", block.box)
    if block.latex:
        return Block("display_formula", f"$$ {block.latex} $$", block.box)
    return Block({"title": "doc_title", "figure": "chart"}.get(block.kind, block.kind), block.text, block.box)


PERFECT = tuple(map(native, TRUTH))
PARAGRAPH = 5
"""The first of the left column."""


@pytest.fixture(scope="module")
def demo_lines(tmp_path_factory):
    reader = ReaderEngine(os.environ, tmp_path_factory.mktemp("witness"), 2)
    try:
        return reader.lines(Picture(ASSETS / "demo.png", *SIZE), 0)[0]
    finally:
        reader.close()


def on_demo(blocks, lines):
    return differences(Page(0, *SIZE, tuple(blocks), 1.0), lines)


def replaced(number, **changes):
    return [*PERFECT[:number], dataclasses.replace(PERFECT[number], **changes), *PERFECT[number + 1 :]]


@real_page
def test_a_perfect_reading_of_the_demo_page_has_no_difference(demo_lines):
    assert on_demo(PERFECT, demo_lines) == ()


@real_page
def test_the_clipped_title_of_the_demo_page_is_lost_at_its_place(demo_lines):
    title = demo_lines[0]

    assert on_demo(replaced(0, text="Machine Reads a Page"), demo_lines) == (
        Difference(LOST, 0, "How a Machine Reads a Page", title.box),
    )


@real_page
def test_a_dropped_paragraph_of_the_demo_page_is_lost_line_by_line(demo_lines):
    blocks = [*PERFECT[:PARAGRAPH], *PERFECT[PARAGRAPH + 1 :]]
    first, last = 11, 19
    column = [line for line in demo_lines[first : last + 1] if line.box[2] < SIZE[0] / 2]

    assert on_demo(blocks, demo_lines) == tuple(Difference(LOST, 0, line.text, line.box) for line in column)
    assert (column[0].text, column[-1].text) == ("Before a word is read, the page is divided.", "lines.")


@real_page
def test_a_paragraph_of_the_demo_page_that_comes_twice_is_repeated(demo_lines):
    copy = PERFECT[PARAGRAPH]

    assert on_demo([*PERFECT, copy], demo_lines) == (Difference(REPEATED, 0, copy.text, copy.box),)


@real_page
def test_an_invented_paragraph_on_the_demo_page_is_made_up(demo_lines):
    box = (110, 1690, 1122, 1744)

    assert on_demo([*PERFECT, Block("text", INVENTED, box)], demo_lines) == (
        Difference(MADE_UP, 0, INVENTED, box),
    )


@real_page
def test_an_invented_row_in_the_table_of_the_demo_page_is_made_up(demo_lines):
    number = next(n for n, block in enumerate(TRUTH) if block.rows)
    invented = PERFECT[number].text.replace("A4", "Tabloid").replace("1240 × 1754", "none at all")
    invented = invented.replace("210", "ninety").replace("297", "twenty")

    (difference,) = (d for d in on_demo(replaced(number, text=invented), demo_lines) if d.kind is MADE_UP)
    assert difference.text == "Tabloid ninety twenty none at all"


@real_page
def test_a_demo_page_that_came_back_empty_is_blank(demo_lines):
    words = "How a Machine Reads a Page A printed page is made for the ey…"

    assert on_demo([], demo_lines) == (Difference(BLANK, 0, words, (0, 0, *SIZE)),)
