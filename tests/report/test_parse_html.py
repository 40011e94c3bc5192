"""The page about a run: complete, alone, and safe against whatever was read."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from syrupy.assertion import SnapshotAssertion

from paddlevl_doctor.messages import set_language
from paddlevl_doctor.parsing.output.run_report_model import (
    Difference,
    DifferenceKind,
    DocumentSection,
    EngineSection,
    OtherReading,
    PageSection,
    RunReport,
    Sample,
)
from paddlevl_doctor.report.parse_html import run_page, write_page
from paddlevl_doctor.values.errors import DoctorError
from paddlevl_doctor.values.pages import Block

HOME = Path("/home/somebody")
TAGS = frozenset(
    re.findall(
        r"\w+",
        "html head meta title style body main header h1 h2 h3 h4 h5 p table thead tbody tr th td a b section div "
        "details summary pre span ul ol li hr br i u strong em code sup sub blockquote img svg g rect text line "
        "polyline figure figcaption footer",
    )
)
ATTRIBUTES = frozenset(
    re.findall(
        r"\S+",
        "lang start charset name content http-equiv class id href open dir title role scope colspan rowspan src alt "
        "loading width height x y x1 y1 x2 y2 points viewbox preserveaspectratio font-size text-anchor aria-label "
        "aria-hidden",
    )
)
MARKS = [("ok", "✓"), ("bad", "✗"), ("unjudged", "-")]
HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<table><tr><td><script>alert(1)</script><a href='javascript:alert(1)'>x</a></td></tr></table>",
    "</pre></p></style><style>*{display:none}</style>",
    '"><svg onload=alert(1)>',
    "{{ 7 * 7 }}{% raw %}",
    "\u202ereversed\u202c \x00\x1b[31m",
    "<table><tr onclick=alert(1)><td style='x' colspan='9\" onload=\"alert(1)' rowspan=-1>x</td></tr></table>",
    "<table><tr><td colspan=99999999>x<iframe src=//example.org></td></tr></table>",
    "half a surrogate \ud800, the other \udfff, and \ufeff\u061c\u200f",
    "</title></textarea><!--<![CDATA[",
    "[x](javascript:alert(1)) ![y](http://example.org/z.png) <http://example.org> [a]: data:text/html,x",
    "```js onclick=alert(1)\n</code></pre><script>alert(1)</script>\n```",
    "<b><script>alert(1)</script></b> <sup onclick=x>1</sup> <b>open </i> $</code><script>$ &#60;script&#62; &#x202e;",
    '<img src="imgs/../../secret.png"><img src=\'imgs/x.png" onerror="alert(1)\'><IMG SRC=imgs/x.png onerror=alert(1)>',
    "| a | b |\n| :-: | -: |\n| <td onclick=x> | `</table>` |",
    "# one\n\n> - 3. deep\n" + "> " * 200 + "- " * 200,
    "$a" * 10_000 + "\\(" * 10_000 + "**_`" * 5_000,
    "x" * 100_000,
    "<td>" * 30_000,
)


class Elements(HTMLParser):
    """Collects every element with its attributes; the text between them is of no interest here."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def elements(page: str) -> Elements:
    parser = Elements()
    parser.feed(page)
    parser.close()
    return parser


def run_report(words: str, picture: Path | None = None) -> RunReport:
    box = (10, 20, 90, 40)
    kinds = ("title", "text", "table", "display_formula", words)
    blocks = tuple(Block(kind, words, box) for kind in kinds)
    found = tuple(Difference(kind, 0, words, box) for kind in DifferenceKind)
    page = PageSection(0, 100, 200, blocks, 1.5, "cpu", picture, found, (words,))
    document = DocumentSection(words, (page,), False, words, (words,), (words,), f"-{words}\n+{words}")
    samples = (Sample(0, 100, 50), Sample(60, 160, 80), Sample(120, 220, 80))
    other = OtherReading("server", replace(document, others=()), 0.5, f"-{words}\n+{words}")
    engines = (EngineSection(words, words, 1.0, words), EngineSection("server", words, 1.0, ""))
    documents = (document, replace(document, others=(other,)))
    return RunReport(words, words, words, documents, {"read": 2.0}, samples, (words,), engines)


def assert_harmless(page: str) -> None:
    found = elements(page).found
    assert {tag for tag, _ in found} <= TAGS
    assert {name for _, attributes in found for name in attributes} <= ATTRIBUTES
    links = [a[name] or "" for _, a in found for name in ("href", "src", "xlink:href") if name in a]
    assert all(link.startswith(("#", "data:image/jpeg;base64,", "data:image/png;base64,")) for link in links)
    assert sum(tag == "style" for tag, _ in found) == 1


@pytest.mark.parametrize("words", HOSTILE, ids=range(len(HOSTILE)))
def test_what_was_read_is_text_and_never_markup(words: str) -> None:
    page = run_page(run_report(words), HOME, "en")

    assert_harmless(page)
    assert not set("\u202e\u202c\u200f\u061c\ufeff\ud800\udfff\x00\x1b") & set(page)
    assert page.encode()


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet="<>&\"'/= \nabconscript{}%-;:()", max_size=60))
def test_no_text_whatever_becomes_markup(words: str) -> None:
    assert_harmless(run_page(run_report(words), HOME, "en"))


def small(folder: Path) -> RunReport:
    """A run that has one of everything."""
    picture = folder / "page.jpg"
    picture.write_bytes(b"a picture")
    table = (
        "<table><tr><th colspan=2>Both</th></tr><tr><td>one</td><td>two &amp; <b>three</b></td></tr></table>"
    )
    blocks = (
        Block("doc_title", "A title", (10, 10, 190, 30)),
        Block("text", "Words that nobody wrote.", (10, 40, 190, 60)),
        Block("table", table, (10, 70, 190, 120)),
        Block("display_formula", "a < b", (10, 130, 190, 150)),
        Block("image", "", (10, 160, 190, 280)),
    )
    found = (
        Difference(DifferenceKind.MADE_UP, 0, "nobody wrote", (60, 42, 150, 58)),
        Difference(DifferenceKind.LOST, 0, "The end.", (10, 284, 190, 299)),
    )
    first = PageSection(0, 200, 300, blocks, 1.25, "gpu:0", picture, found, ("Scaled down.",))
    blank = (Difference(DifferenceKind.BLANK, 1, "All of it", (0, 0, 200, 300)),)
    second = PageSection(1, 200, 300, (), 0.5, "cpu", None, blank)
    document = DocumentSection(
        name="report.pdf",
        pages=(first, second),
        passed=False,
        summary="80 % were read.",
        reasons=("Something was lost.",),
        failed=("Page 3 cannot be drawn.",),
        difference="--- known\n+++ read\n@@ -1,2 +1,2 @@\n A title\n-The end.\n+Words that nobody wrote.",
    )
    samples = tuple(Sample(n * 10, 1000 + n * 5, 500) for n in range(13))
    seconds = {"load": 2.0, "pages": 8.0}
    return RunReport("report.pdf", "native", "gpu:0", (document,), seconds, samples, ("A worker was ended.",))


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_what_the_page_looks_like(lang: str, tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    set_language(lang)
    try:
        page = run_page(small(tmp_path), HOME, lang)
    finally:
        set_language("en")
    assert page.partition("</style>")[2] == snapshot


def test_a_document_that_nothing_was_there_to_judge_by_is_neither_good_nor_bad() -> None:
    good, bad = (DocumentSection("a.png", (), passed, "Summary.") for passed in (True, False))
    unjudged = replace(good, judged=False)
    page = run_page(RunReport("a", "native", "cpu", (good, bad, unjudged)), HOME, "en")

    assert re.findall(r'<tr class="(\w+)"><td class="verdict">(.)</td>', page) == MARKS
    assert re.findall(r'<div class="card (\w+)">\s*<p class="verdict">(.) ', page) == MARKS


def test_a_difference_is_marked_in_the_list_on_the_picture_and_in_what_was_read(tmp_path: Path) -> None:
    page = run_page(small(tmp_path), HOME, "en")
    made_up, lost, blank = (page.count(f'"{place}"') for place in ("block differs made-up", "lost", "blank"))
    on_picture = re.findall(r'<g class="difference ([\w-]+)"><title>(Δ\d)', page)

    assert (made_up, lost, blank) == (1, 1, 1)
    assert on_picture == [("made-up", "Δ1"), ("lost", "Δ2"), ("blank", "Δ1")]


def test_a_table_is_shown_as_its_cells_with_their_spans(tmp_path: Path) -> None:
    page = run_page(small(tmp_path), HOME, "en")

    assert '<tr><th colspan="2" dir="auto">Both</th></tr>' in page
    assert '<tr><td dir="auto">one</td><td dir="auto">two &amp; three</td></tr>' in page


def read_as(engine: str, *blocks: Block, folder: Path | None = None) -> str:
    page = PageSection(0, 100, 200, blocks, 1.0, "cpu", folder=folder)
    page_words = run_page(
        RunReport("a", engine, "cpu", (DocumentSection("a", (page,), True, "Good."),)), HOME, "en"
    )
    return page_words.partition('<div class="read">')[2].partition("<section")[0]


MARKDOWN = "Some **bold** words, H<sub>2</sub>O and $x^2 < 3$.\n\n- one\n- two\n\n<b onclick=x>no</b>"


def test_the_markdown_that_an_engine_writes_is_shown_as_what_it_means() -> None:
    page = read_as(
        "native", Block("text", MARKDOWN, (0, 0, 9, 9)), Block("doc_title", "A *title*", (0, 9, 9, 19))
    )

    assert (
        "<p>Some <strong>bold</strong> words, H<sub>2</sub>O and <code>x^2 &lt; 3</code>.</p>\n"
        "<ul>\n<li>one</li>\n<li>two</li>\n</ul>\n<p>&lt;b onclick=x&gt;no&lt;/b&gt;</p>"
    ) in page
    assert '<h4 dir="auto">A <em>title</em></h4>' in page


def test_what_the_embedded_reader_read_is_no_markdown() -> None:
    page = read_as("reader", Block("text", "2 * 3 * 4\n1. **one**", (0, 0, 9, 9)))

    assert '<p class="plain" dir="auto">2 * 3 * 4\n1. **one**</p>' in page


def test_a_picture_that_was_cut_out_of_the_page_is_shown_where_it_is_small(tmp_path: Path) -> None:
    (tmp_path / "imgs").mkdir()
    for name, size in (("img_in_chart_box_1_2_30_40.jpg", (9, 9)), ("small.png", (9, 9))):
        Image.new("RGB", size, "white").save(tmp_path / "imgs" / name)
    (tmp_path / "imgs" / "huge.jpg").write_bytes(b"\xff\xd8\xff" + b"0" * 200_000)
    (tmp_path / "imgs" / "text.jpg").write_text("no picture")
    text = "".join(
        f'<img src="imgs/{name}" alt="Image">' for name in ("small.png", "huge.jpg", "text.jpg", "no.jpg")
    )
    page = read_as(
        "native", Block("chart", "", (1, 2, 30, 40)), Block("text", text, (0, 0, 9, 9)), folder=tmp_path
    )

    assert re.findall(r'<img src="(data:image/\w+;base64,)[^"]+" alt="([^"]+)">', page) == [
        ("data:image/jpeg;base64,", "chart"),
        ("data:image/png;base64,", "imgs/small.png"),
    ]
    assert re.findall(r"<code>(.+?)</code>", page) == ["imgs/huge.jpg", "imgs/text.jpg", "imgs/no.jpg"]


def test_a_comparison_shows_every_engine_beside_the_page() -> None:
    def told(words: str, *indexes: int) -> DocumentSection:
        blocks = (Block("text", words, (0, 0, 9, 9)),)
        pages = tuple(PageSection(n, 10, 10, blocks, 1.0, "cpu") for n in indexes)
        return DocumentSection("a.png", pages, True, f"{words} is good.")

    other = OtherReading("reader", told("two", 0, 1), 0.5, "--- native\n+++ reader\n-one\n+two")
    failed = EngineSection("server", "", 0.0, "No answer.")
    engines = (EngineSection("native", "gpu:0", 1.0, ""), EngineSection("reader", "cpu", 2.0, ""), failed)
    run_report = RunReport(
        "a", "native", "gpu:0", (replace(told("one", 0), others=(other,)),), engines=engines
    )
    page = run_page(run_report, HOME, "en")

    assert re.findall(r'<p class="verdict">(.+?)</p>', page) == [
        "✓ native: one is good.",
        "✓ reader: two is good.",
    ]
    assert re.findall(r"<h3>(\w+)", page) == ["native", "reader"] * 2
    assert [
        words in page for words in ("Differences between native and reader (similarity 50.0%)", "No answer.")
    ] == [True] * 2
    assert page.count(">two</p>") == 2, "also on the page that only this engine read"


def test_secrets_and_the_home_folder_are_not_on_the_page() -> None:
    words = f"{HOME}/secret/page.png from https://me:hunter2@example.org is damaged"
    pages = (PageSection(0, 10, 10, (), 0.1, words, notes=(words,)),)
    document = DocumentSection(words, pages, False, words, (words,), (words + "!",))
    page = run_page(RunReport(words, words, words, (document, document), incidents=(words,)), HOME, "en")

    assert (page.count(str(HOME)), page.count("hunter2")) == (0, 0)
    assert page.count("~/secret/page.png from https://***@example.org is damaged") == 18


def test_what_a_model_wrote_without_end_is_cut_and_said() -> None:
    block = Block("text", "x" * 100_000, (0, 0, 10, 10))
    found = Difference(DifferenceKind.REPEATED, 0, "y" * 100_000, (0, 0, 10, 10))
    pages = (PageSection(0, 10, 10, (block,), 1.0, "cpu", None, (found,)),)
    document = DocumentSection("a", pages, False, "Repeated.")
    page = run_page(RunReport("a", "native", "cpu", (document,)), HOME, "en")

    assert (page.count("x" * 20_000), page.count("y" * 600 + "…")) == (1, 1)
    assert len(page) < 50_000
    assert "80,000 more characters are not shown." in page


def test_of_many_pages_the_first_and_those_that_differ_are_open_and_each_can_be_reached() -> None:
    found = (Difference(DifferenceKind.LOST, 0, "words", (0, 0, 9, 9)),)
    pages = tuple(PageSection(n, 10, 10, (), 1.0, "cpu", None, found if n >= 480 else ()) for n in range(500))
    page = run_page(
        RunReport("a", "native", "cpu", (DocumentSection("a", pages, False, "Lost."),)), HOME, "en"
    )
    state = re.findall(r'<details class="page"( open)?>', page)
    targets = [words for words in re.findall(r'href="#([^"]+)"', page) if "page" in words]

    assert [n for n, is_open in enumerate(state) if is_open] == [0, 1, 2, *range(480, 490)]
    assert (
        targets == re.findall(r'<div id="([^"]+)"', page) == [f"document-1-page-{n}" for n in range(1, 501)]
    )


def test_a_page_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()

    with pytest.raises(DoctorError, match=r"report\.html"):
        write_page(run_report("x"), tmp_path, "en")


def in_a_browser(page: Path) -> tuple[str, list[str]]:
    """Return what the page became, and everything the browser had to say about it."""
    if shutil.which("chromium") is None:
        pytest.skip("needs a browser")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"]
    done = subprocess.run(
        ["chromium", *flags, page.as_uri()], capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def test_a_browser_shows_the_page_and_has_nothing_to_complain_of(tmp_path: Path) -> None:
    Image.new("RGB", (50, 100), "white").save(tmp_path / "page.jpg")
    script = "<script>document.title = 'owned'</script><img src=x onerror=\"document.title = 'owned'\">"
    shown, complaints = in_a_browser(write_page(run_report(script, tmp_path / "page.jpg"), tmp_path, "en"))

    assert complaints == []
    assert_harmless(shown)
    assert "<title>Recognition results" in shown


def test_a_script_that_came_onto_the_page_all_the_same_would_not_run(tmp_path: Path) -> None:
    page = write_page(run_report("x"), tmp_path, "en")
    words = page.read_text(encoding="utf-8")
    page.write_text(
        words.replace("</main>", "<script>document.title = 'owned'</script></main>"), encoding="utf-8"
    )
    shown, complaints = in_a_browser(page)

    assert "<title>owned" not in shown
    assert "Content Security Policy" in " ".join(complaints)
