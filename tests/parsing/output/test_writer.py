"""The results of a document, and how its pages are joined without a pipeline."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from PIL import Image

from paddlevl_doctor.parsing.input.page_source import PageSource
from paddlevl_doctor.parsing.output.writer import join_markdown, write_outputs
from paddlevl_doctor.parsing.run.page_store import PageRead, PageStore, with_portable_text
from paddlevl_doctor.parsing.run.scheduler import DocumentJob
from paddlevl_doctor.values.pages import Block, Page, Reading


def markdown(words: str, starts: bool = True, ends: bool = True) -> dict[str, Any]:
    return {"markdown_texts": words, "page_continuation_flags": [starts, ends]}


@pytest.mark.parametrize(
    ("pages", "words"),
    [
        ([], ""),
        ([markdown("One."), markdown("Two.")], "One.\n\nTwo."),
        ([markdown("It goes", ends=False), markdown("on.", starts=False)], "It goes on."),
        ([markdown("它继", ends=False), markdown("续。", starts=False)], "它继续。"),
        ([markdown("It ends.", ends=False), markdown("New.")], "It ends.\n\nNew."),
        (
            [{"markdown_texts": "One."}, {"markdown_texts": "Two.", "page_continuation_flags": None}],
            "One.\n\nTwo.",
        ),
    ],
)
def test_a_paragraph_is_joined_across_pages(pages: list[dict[str, Any]], words: str) -> None:
    assert join_markdown(pages) == words


def test_pictures_are_named_from_the_folder_of_the_results() -> None:
    words = '<img src="imgs/img_in_image_box_1_2_3_4.jpg" alt="x"> and ![](imgs/c.png) and "images"'
    page = PageRead(Page(0, 1, 1, (), 0), markdown(words))

    assert with_portable_text(page, "my doc.pages/0001").markdown["markdown_texts"] == (
        '<img src="my%20doc.pages/0001/imgs/img_in_image_box_1_2_3_4.jpg" alt="x">'
        ' and ![](my%20doc.pages/0001/imgs/c.png) and "images"'
    )
    bare = PageRead(Page(0, 1, 1, (), 0))
    assert with_portable_text(bare, "x") == bare


def test_half_of_a_surrogate_pair_is_written_as_a_replacement_character(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """A model may stop in the middle of a character: half of a pair of surrogates."""
    half, stands = "a\ud83d b", "a\ufffd b"
    page = Page(0, 1, 1, (Block("text", half, (0, 0, 1, 1)), Block("text", "😀", (0, 0, 1, 1))), 0)
    read = with_portable_text(PageRead(page, markdown(half), notes=(half,)), "x")
    store = PageStore(tmp_path, "key")
    store.save(read)

    assert [block.text for block in read.page.blocks] == [stands, "😀"]
    assert (read.markdown, read.notes) == (markdown(stands), (stands,))
    assert store.load(0) == read


def test_a_page_is_found_again_only_under_its_key_and_when_it_is_whole(tmp_path) -> None:  # type: ignore[no-untyped-def]
    read = PageRead(Page(2, 10, 20, (), 0.5), markdown("x"), "gpu:0", "allocator", 99, ("note",), False)
    store = PageStore(tmp_path, "key")
    store.save(read)

    assert store.load(2) == read
    assert store.load(1) is None
    assert PageStore(tmp_path, "other").load(2) is None
    path = store.folder_of(2) / "page.json"
    for cut in range(0, path.stat().st_size, 40):
        whole = path.read_bytes()
        path.write_bytes(whole[:cut])
        assert store.load(2) is None
        path.write_bytes(whole)


TABLE = "<table><tr><td>=1+1</td><td colspan='2'>two</td></tr><tr><td>-3</td></tr></table>"
PLACED = (Block("table", TABLE, (100, 100, 300, 200)), Block("text", "x", (100, 300, 300, 400)))


def written(folder: Path, *pages: tuple[Block, ...], drawn: bool = True) -> list[str]:
    """Write a document of pages with these blocks, each 400 by 600 pixels; return what was written."""
    work = DocumentJob(Path("a.pdf"), "a", len(pages), PageStore(folder / "out" / "a.pages", "key"))
    for index, blocks in enumerate(pages):
        work.pages[index] = PageRead(Page(index, 400, 600, blocks, 0))
        place = work.store.clear(index)
        Image.new("RGB", (200, 300), "white").save(place / "page.jpg")
        if drawn:
            Image.new("RGB", (400, 600), "grey").save(place / "page_layout_det_res.png")
    source = PageSource(folder, os.environ)
    try:
        reading = Reading("native", "cpu", tuple(read.page for read in work.pages_in_order()), {}, 0)
        return [Path(path).name for path in write_outputs(work, reading, folder / "out", source)]
    finally:
        source.close()


def test_every_page_has_its_layout_and_its_order_in_a_pdf(tmp_path: Path) -> None:
    names = written(tmp_path, PLACED, (), PLACED[1:])
    assert names == ["a.md", "a.json", "a.tables.xlsx", "a.layout.pdf", "a.order.pdf"]
    assert len(pypdfium2.PdfDocument(tmp_path / "out" / "a.layout.pdf")) == 3
    pages = [page.render().to_pil() for page in pypdfium2.PdfDocument(tmp_path / "out" / "a.order.pdf")]
    dark = [page.resize((2, 3), Image.Resampling.BOX).convert("L").point(lambda v: v < 254) for page in pages]
    # Where the boxes are, on each page reduced to two columns and three rows.
    assert [list(page.get_flattened_data()) for page in dark] == [
        [True, True, True, True, False, False],
        [False] * 6,
        [False, False, True, True, False, False],
    ]


def test_only_stale_results_of_an_earlier_run_are_removed(tmp_path: Path) -> None:
    written(tmp_path, PLACED, PLACED, PLACED)
    out = tmp_path / "out"
    for name in ("a.notes.md", "a.tables.csv", "b.tables.xlsx", "a.pages/notes.txt"):
        (out / name).touch()
    for name in ("0001.lying", "0002.again", "2024-drafts", "2024.mine"):
        (out / "a.pages" / name).mkdir()
    names = written(tmp_path, (Block("text", "x", (0, 0, 400, 600)),), drawn=False)

    assert names == ["a.md", "a.json"]
    assert sorted(path.relative_to(out).as_posix() for path in out.glob("*")) == [
        "a.json", "a.md", "a.notes.md", "a.pages", "a.tables.csv", "b.tables.xlsx",
    ]  # fmt: skip
    assert sorted(os.listdir(out / "a.pages")) == ["0001", "2024-drafts", "2024.mine", "notes.txt"]


def test_without_layout_pictures_or_boxes_there_is_no_pdf(tmp_path: Path) -> None:
    whole = (Block("text", "x", (0, 0, 400, 600)),)
    assert written(tmp_path, whole, drawn=False) == ["a.md", "a.json"]
    assert written(tmp_path, PLACED[1:], drawn=False) == ["a.md", "a.json", "a.order.pdf"]
