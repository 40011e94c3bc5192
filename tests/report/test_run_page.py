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

from paddlevl_doctor.errors import DoctorError
from paddlevl_doctor.messages import set_language
from paddlevl_doctor.parsing.model import Block
from paddlevl_doctor.parsing.story import (
    Difference,
    DifferenceKind,
    DocumentStory,
    PageStory,
    RunStory,
    Sample,
)
from paddlevl_doctor.report.run_page import run_page, write_page

HOME = Path("/home/somebody")
TAGS = frozenset(
    re.findall(
        r"\w+",
        "html head meta title style body main header h1 h2 h4 h5 p table thead tbody tr th td a b section div details "
        "summary pre span ul li img svg g rect text line polyline figure figcaption footer",
    )
)
ATTRIBUTES = frozenset(
    re.findall(
        r"\S+",
        "lang charset name content http-equiv class id href open dir title role scope colspan rowspan src alt loading "
        "width height x y x1 y1 x2 y2 points viewbox preserveaspectratio font-size text-anchor aria-label aria-hidden",
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
    "x" * 100_000,
    "<td>" * 30_000,
)


class Elements(HTMLParser):
    """Collects every element with its attributes, and the text of the page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def elements(page: str) -> Elements:
    parser = Elements()
    parser.feed(page)
    parser.close()
    return parser


def story(words: str, picture: Path | None = None) -> RunStory:
    box = (10, 20, 90, 40)
    kinds = ("title", "text", "table", "display_formula", words)
    blocks = tuple(Block(kind, words, box) for kind in kinds)
    found = tuple(Difference(kind, 0, words, box) for kind in DifferenceKind)
    page = PageStory(0, 100, 200, blocks, 1.5, "cpu", picture, found, (words,))
    document = DocumentStory(words, (page,), False, words, (words,), (words,), f"-{words}\n+{words}")
    samples = (Sample(0, 100, 50), Sample(60, 160, 80), Sample(120, 220, 80))
    return RunStory(words, words, words, (document, document), {"read": 2.0}, samples, (words,))


def assert_harmless(page: str) -> None:
    found = elements(page).found
    assert {tag for tag, _ in found} <= TAGS
    assert {name for _, attributes in found for name in attributes} <= ATTRIBUTES
    links = [a[name] or "" for _, a in found for name in ("href", "src", "xlink:href") if name in a]
    assert all(link.startswith(("#", "data:image/jpeg;base64,")) for link in links)
    assert sum(tag == "style" for tag, _ in found) == 1


@pytest.mark.parametrize("words", HOSTILE, ids=range(len(HOSTILE)))
def test_what_was_read_is_text_and_never_markup(words: str) -> None:
    page = run_page(story(words), HOME)

    assert_harmless(page)
    assert not set("\u202e\u202c\u200f\u061c\ufeff\ud800\udfff\x00\x1b") & set(page)
    assert page.encode()


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet="<>&\"'/= \nabconscript{}%-;:()", max_size=60))
def test_no_text_whatever_becomes_markup(words: str) -> None:
    assert_harmless(run_page(story(words), HOME))


def small(folder: Path) -> RunStory:
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
    first = PageStory(0, 200, 300, blocks, 1.25, "gpu:0", picture, found, ("Scaled down.",))
    blank = (Difference(DifferenceKind.BLANK, 1, "All of it", (0, 0, 200, 300)),)
    second = PageStory(1, 200, 300, (), 0.5, "cpu", None, blank)
    document = DocumentStory(
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
    return RunStory("report.pdf", "native", "gpu:0", (document,), seconds, samples, ("A worker was ended.",))


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_what_the_page_looks_like(lang: str, tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    set_language(lang)
    try:
        page = run_page(small(tmp_path), HOME)
    finally:
        set_language("en")
    assert page.partition("</style>")[2] == snapshot


def test_a_document_that_nothing_was_there_to_judge_by_is_neither_good_nor_bad() -> None:
    good, bad = (DocumentStory("a.png", (), passed, "Summary.") for passed in (True, False))
    unjudged = replace(good, judged=False)
    page = run_page(RunStory("a", "native", "cpu", (good, bad, unjudged)), HOME)

    assert re.findall(r'<tr class="(\w+)"><td class="verdict">(.)</td>', page) == MARKS
    assert re.findall(r'<div class="card (\w+)">\s*<p class="verdict">(.) ', page) == MARKS


def test_a_difference_is_marked_in_the_list_on_the_picture_and_in_what_was_read(tmp_path: Path) -> None:
    page = run_page(small(tmp_path), HOME)
    made_up, lost, blank = (page.count(f'"{place}"') for place in ("differs made-up", "lost", "blank"))
    on_picture = re.findall(r'<g class="difference ([\w-]+)"><title>(Δ\d)', page)

    assert (made_up, lost, blank) == (1, 1, 1)
    assert on_picture == [("made-up", "Δ1"), ("lost", "Δ2"), ("blank", "Δ1")]


def test_a_table_is_shown_as_its_cells_with_their_spans(tmp_path: Path) -> None:
    page = run_page(small(tmp_path), HOME)

    assert '<tr><th colspan="2" dir="auto">Both</th></tr>' in page
    assert '<tr><td dir="auto">one</td><td dir="auto">two &amp; three</td></tr>' in page


def test_secrets_and_the_home_folder_are_not_on_the_page() -> None:
    words = f"{HOME}/secret/page.png from https://me:hunter2@example.org is damaged"
    pages = (PageStory(0, 10, 10, (), 0.1, words, notes=(words,)),)
    document = DocumentStory(words, pages, False, words, (words,), (words + "!",))
    page = run_page(RunStory(words, words, words, (document, document), incidents=(words,)), HOME)

    assert (page.count(str(HOME)), page.count("hunter2")) == (0, 0)
    assert page.count("~/secret/page.png from https://***@example.org is damaged") == 20


def test_what_a_model_wrote_without_end_is_cut_and_said() -> None:
    block = Block("text", "x" * 100_000, (0, 0, 10, 10))
    found = Difference(DifferenceKind.REPEATED, 0, "y" * 100_000, (0, 0, 10, 10))
    pages = (PageStory(0, 10, 10, (block,), 1.0, "cpu", None, (found,)),)
    document = DocumentStory("a", pages, False, "Repeated.")
    page = run_page(RunStory("a", "native", "cpu", (document,)), HOME)

    assert (page.count("x" * 20_000), page.count("y" * 600 + "…")) == (1, 1)
    assert len(page) < 50_000
    assert "80,000 more characters are not shown here." in page


def test_of_many_pages_the_first_and_those_that_differ_are_open_and_each_can_be_reached() -> None:
    found = (Difference(DifferenceKind.LOST, 0, "words", (0, 0, 9, 9)),)
    pages = tuple(PageStory(n, 10, 10, (), 1.0, "cpu", None, found if n >= 480 else ()) for n in range(500))
    page = run_page(RunStory("a", "native", "cpu", (DocumentStory("a", pages, False, "Lost."),)), HOME)
    state = re.findall(r'<details class="page"( open)?>', page)
    targets = [words for words in re.findall(r'href="#([^"]+)"', page) if "page" in words]

    assert [n for n, is_open in enumerate(state) if is_open] == [0, 1, 2, *range(480, 490)]
    assert (
        targets == re.findall(r'<div id="([^"]+)"', page) == [f"document-1-page-{n}" for n in range(1, 501)]
    )


def test_a_page_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()

    with pytest.raises(DoctorError, match=r"report\.html"):
        write_page(story("x"), tmp_path)


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
    shown, complaints = in_a_browser(write_page(story(script, tmp_path / "page.jpg"), tmp_path))

    assert complaints == []
    assert_harmless(shown)
    assert "<title>What was read" in shown


def test_a_script_that_came_onto_the_page_all_the_same_would_not_run(tmp_path: Path) -> None:
    page = write_page(story("x"), tmp_path)
    words = page.read_text(encoding="utf-8")
    page.write_text(
        words.replace("</main>", "<script>document.title = 'owned'</script></main>"), encoding="utf-8"
    )
    shown, complaints = in_a_browser(page)

    assert "<title>owned" not in shown
    assert "Content Security Policy" in " ".join(complaints)
