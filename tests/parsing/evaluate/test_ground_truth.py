"""The ground truth comes from JSON like the demo's, from Markdown, or from plain text."""

import json

import pytest

from paddlevl_doctor.commands.parse import ASSETS
from paddlevl_doctor.parsing.evaluate.ground_truth import Truth, TruthBlock, TruthPage, load_truth
from paddlevl_doctor.parsing.evaluate.verdict import READER_CLAIMS, compare_with_truth
from paddlevl_doctor.parsing.output.markdown import as_markdown
from paddlevl_doctor.values.errors import UsageError
from paddlevl_doctor.values.pages import Block
from samples import reading


def written(tmp_path, name, content):
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def test_the_ground_truth_of_the_demo_page_has_all_parts():
    truth = load_truth(ASSETS / "demo.json")
    (page,) = truth.pages

    assert (truth.name, page.width, page.height, len(page.blocks)) == ("demo.json", 1240, 1754, 19)
    assert page.blocks[0] == TruthBlock("title", "How a Machine Reads a Page", page.blocks[0].box)
    assert [block.latex for block in page.blocks if block.kind == "formula"] == [
        r"E = \frac{S + D + I}{N} = 1 - \frac{C - I}{N}"
    ]
    assert [block.rows[2] for block in page.blocks if block.rows] == [("A4", "210", "297", "1240 × 1754")]


def test_plain_text_is_split_into_paragraphs(tmp_path):
    file = written(tmp_path, "page.txt", "\ufeff# One\nline\n\n\n*Two*\n")

    blocks = (TruthBlock("text", "# One\nline"), TruthBlock("text", "*Two*"))
    assert load_truth(file) == Truth("page.txt", (TruthPage(blocks),))


def test_markdown_is_read_without_its_markup(tmp_path):
    text = "# A *title*\n\n| a | b |\n| --- | :-: |\n| 1 | \\*2 |\n\n- a &amp; <b>b</b>\n\n```math\nx^2\n```\n\nEnd"
    file = written(tmp_path, "page.md", text)

    (page,) = load_truth(file).pages

    words = [" ".join(block.text.split()) for block in page.blocks if block.kind == "text"]
    assert words == ["A title", "a & b", "End"]
    assert [block.rows for block in page.blocks if block.kind == "table"] == [(("a", "b"), ("1", "*2"))]
    assert [block.latex for block in page.blocks if block.kind == "formula"] == ["x^2"]


def test_tables_in_markdown_become_rows(tmp_path):
    html = "<table>\n<tr><td colspan=2>A &amp; B</td></tr>\n\n<tr><td>1</td><td>2</td></tr></table>"
    pipes = "| a \\| b | **c** |\n|---|:-:|\n|  | d |\n"
    file = written(tmp_path, "page.md", f"Before\n\n{html}\n\nBetween | the\n\n{pipes}\nAfter\n")

    (page,) = load_truth(file).pages

    assert page.blocks == (
        TruthBlock("text", "Before"),
        TruthBlock("table", "", rows=(("A & B", ""), ("1", "2"))),
        TruthBlock("text", "Between  the"),
        TruthBlock("table", "", rows=(("a | b", "c"), ("", "d"))),
        TruthBlock("text", "After"),
    )


def test_the_markdown_of_a_reading_is_a_ground_truth_that_the_reading_passes(tmp_path):
    box = (0, 0, 1, 1)
    one = reading(
        Block("title", "A | *hard* title_", box),
        Block("text", "1. <b> & `x` [y](z) ~ $5 \\ #", box),
        Block("text", "a\tb\n- c\td", box),
        Block("text", "+ plus and 中文，标点。", box),
    )
    file = written(tmp_path, "page.md", as_markdown(one))

    verdict = compare_with_truth(one, load_truth(file), claims=READER_CLAIMS, threshold=1.0)

    assert (verdict.passed, verdict.similarity, verdict.reasons) == (True, 1.0, ())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"one\ntwo \xff\xfe\x00", "is not UTF-8 (line 2)"),
        ("a.json", '{"pages":\n{', "(Expecting property name enclosed in double quotes: line 2 column 2"),
        ("a.json", "[]", "is not the ground truth of a page (the file: "),
        ("a.json", '{"blocks": []}', "is not the ground truth of a page (the file: no 'pages')"),
        ("a.json", '{"pages": [{"blocks": []}]}', "(pages[0]: no 'width')"),
        (
            "a.json",
            '{"pages": [{"width": 1, "height": 1, "blocks": [{"kind": "text"}]}]}',
            "(pages[0].blocks[0]: no 'text')",
        ),
        (
            "a.json",
            '{"pages": [{"width": 1, "height": 1, "blocks": [{"kind": "text", "text": "", "box": [1]}]}]}',
            "(pages[0].blocks[0]: not enough values to unpack",
        ),
        ("a.json", '{"pages": []}', "contains no text"),
        ("a.md", " \n\n", "contains no text"),
    ],
)
def test_an_unusable_ground_truth_is_a_usage_error(tmp_path, name, content, message):
    file = written(tmp_path, name, content)

    with pytest.raises(UsageError) as caught:
        load_truth(file)

    assert str(file) in str(caught.value.message)
    assert message in str(caught.value.message)


def test_a_missing_ground_truth_and_a_folder_are_usage_errors(tmp_path):
    for path, detail in ((tmp_path / "no.md", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(UsageError) as caught:
            load_truth(path)
        assert str(caught.value.message) == f"The ground truth {path} cannot be read: {detail}."


def test_the_json_result_can_be_a_ground_truth(tmp_path):
    from paddlevl_doctor.parsing.output.markdown import as_document

    one = reading(Block("text", "What was read.", (0, 0, 9, 9)))
    file = written(tmp_path, "page.json", json.dumps(as_document(one)))

    assert load_truth(file).pages == (
        TruthPage((TruthBlock("text", "What was read.", (0, 0, 9, 9)),), 1240, 1754),
    )


def test_a_table_in_html_becomes_rows(tmp_path):
    from paddlevl_doctor.parsing.output.markdown import as_document

    one = reading(Block("table", "<table><tr><td>A</td><td>1</td></tr></table>", (0, 0, 9, 9)))
    file = written(tmp_path, "page.json", json.dumps(as_document(one)))

    (block,) = load_truth(file).pages[0].blocks
    assert block.rows == (("A", "1"),)
