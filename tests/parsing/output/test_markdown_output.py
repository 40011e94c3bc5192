"""A reading becomes Markdown in which nothing that was read is markup."""

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from paddlevl_doctor import __version__
from paddlevl_doctor.parsing.output.markdown import as_document, as_markdown
from paddlevl_doctor.values.pages import Block, Page, Reading
from samples import reading

BOX = (0, 0, 10, 10)
RENDER = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render


def markdown(*pairs):
    return as_markdown(reading(*(Block(kind, text, BOX) for kind, text in pairs)))


def test_titles_headings_and_paragraphs():
    expected = "# A title\n\n## A heading\n\nOne.\n\nTwo.\n"

    assert (
        markdown(("title", "A title"), ("heading", "A heading"), ("text", "One."), ("text", "Two."))
        == expected
    )


def test_labels_of_the_native_layout_model_are_known():
    expected = "# T\n\n## H\n\n```math\nE = mc^2\n```\n"

    assert (
        markdown(("doc_title", "T"), ("paragraph_title", "H"), ("display_formula", "E =\nmc^2")) == expected
    )


def test_a_grid_keeps_its_rows():
    assert markdown(("text", "A\tB\n1\t2")) == "A | B\\\n1 | 2\n"


def test_a_table_in_html_becomes_a_table_of_plain_cells():
    table = "<table><tr><td>A</td><td>B</td></tr><tr><td>1 | 2</td><td><b>3</b>&lt;i&gt;</td></tr></table>"

    assert markdown(("table", table)) == "| A | B |\n| --- | --- |\n| 1 \\| 2 | 3&lt;i&gt; |\n"


def test_pages_are_divided_by_a_rule_and_empty_blocks_leave_no_trace():
    pages = tuple(
        Page(n, 10, 10, (Block("text", t, BOX), Block("figure", "", BOX)), 0) for n, t in enumerate("ab")
    )

    assert as_markdown(Reading("native", "cpu", pages, {}, 1)) == "a\n\n---\n\nb\n"


@pytest.mark.parametrize("kind", ["text", "title", "heading", "formula", "table"])
@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "a\n\n<img src=x onerror=alert(1)>",
        "[click](javascript:alert(1))",
        "![x](http://evil/x.png)",
        "```\n<script>\n```",
        "<table><tr><td><script>alert(1)</script></td><td>&lt;script&gt;</td></tr></table>",
        "<!-- comment",
        "\x00\x1b[31m\u202egnp.exe",
    ],
)
def test_hostile_text_never_becomes_markup(kind, hostile):
    shown = RENDER(markdown((kind, hostile)))

    tags = set(re.findall(r"<\s*/?\s*([a-zA-Z!][a-zA-Z0-9]*)", shown))
    harmless = {"p", "h1", "h2", "br", "table", "thead", "tbody", "tr", "th", "td", "pre", "code"}
    assert tags <= harmless
    assert not set("\x00\x1b\u202e") & set(shown)


PRINTABLE = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp", "Cf")), min_size=1
)


@given(PRINTABLE.filter(lambda text: text.strip()))
def test_a_paragraph_is_shown_as_it_was_read(text):
    shown = RENDER(markdown(("text", text)))

    assert re.fullmatch(r"<p>.*</p>\n", shown, re.DOTALL)
    assert "".join(html.unescape(shown[3:-5]).split()) == "".join(text.split())


def test_the_document_names_its_schema_and_holds_the_whole_reading():
    one = reading(Block("text", "字", (1, 2, 3, 4)))

    assert as_document(one) == {
        "schema": "paddlevl-doctor/reading/1",
        "doctor": {"version": __version__},
        "engine": "reader",
        "device": "cpu",
        "pages": [
            {
                "index": 0,
                "width": 1240,
                "height": 1754,
                "blocks": [{"kind": "text", "text": "字", "box": [1, 2, 3, 4]}],
                "seconds": 1.5,
            }
        ],
        "stages": {"read": 1.5},
        "rss_mb": 600,
        "vram_mb": None,
        "notes": [],
    }
