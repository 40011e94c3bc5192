"""Which pages the witness looks at, and that it looks once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from paddlevl_doctor.parsing.engines.base import PageFailedError
from paddlevl_doctor.parsing.engines.embedded import ReaderEngine
from paddlevl_doctor.parsing.evaluate.cross_check_queue import CrossCheckQueue, PageCheck
from paddlevl_doctor.parsing.input.page_source import PageSource, Picture
from paddlevl_doctor.parsing.run.page_store import PageRead, PageStore
from paddlevl_doctor.parsing.run.scheduler import DocumentJob
from paddlevl_doctor.values.pages import Block, Line, Page
from sessions import document

BOX = (5, 5, 30, 12)
WORDS = "What stands at the head of the page"
ENDLESS = "again and again " * 40


class Witness(ReaderEngine):
    """Sees the same line on every page but one that it cannot read."""

    asked: list[int]
    turn: int = 0

    def lines(self, picture: Picture, page: int) -> tuple[tuple[Line, ...], int]:
        assert picture.path.is_file()
        self.asked = [*getattr(self, "asked", []), page]
        if page == 4:
            raise PageFailedError("Page 5 cannot be read.")
        return (Line(WORDS, BOX, 0.99),), self.turn


@pytest.fixture
def source(tmp_path: Path) -> Iterator[PageSource]:
    folder = tmp_path / "pictures"
    folder.mkdir()
    made = PageSource(folder, os.environ)
    yield made
    made.close()


def looked(
    source: PageSource, folder: Path, scope: str, *texts: str
) -> tuple[list[int], CrossCheckQueue, DocumentJob]:
    """Let a witness look at pages that were read as `texts`."""
    folder.mkdir(exist_ok=True)
    work = DocumentJob(document(folder, 0, len(texts)), "a", len(texts), PageStore(folder / "pages", "key"))
    witness = Witness({}, folder)
    second = CrossCheckQueue(source, scope, witness)
    for index, words in enumerate(texts):
        work.store.folder_of(index).mkdir(parents=True, exist_ok=True)
        second.page(work, PageRead(Page(index, 100, 40, (Block("text", words, BOX),), 0.1)))
    second.wait()
    second.close()
    return getattr(witness, "asked", []), second, work


def test_of_a_long_document_the_first_page_and_those_that_look_wrong_are_looked_at(
    source: PageSource, tmp_path: Path
) -> None:
    texts = (WORDS, WORDS, "", ENDLESS)
    assert looked(source, tmp_path / "short", "auto", *texts[:3])[0] == [0, 1, 2]
    assert looked(source, tmp_path / "long", "auto", *texts)[0] == [0, 2, 3]
    assert looked(source, tmp_path / "all", "all", *texts)[0] == [0, 1, 2, 3]
    assert looked(source, tmp_path / "none", "none", *texts)[0] == []


def test_what_the_witness_saw_is_remembered_and_compared_anew(source: PageSource, tmp_path: Path) -> None:
    _, first, work = looked(source, tmp_path / "a", "all", WORDS)
    assert first.of(work) == {0: PageCheck(1, ())}

    asked, again, work = looked(source, tmp_path / "a", "all", "Something else altogether")
    assert asked == []
    assert [found.text for found in again.of(work)[0].differences if found.kind.value == "lost"] == [WORDS]


def test_a_page_that_the_witness_cannot_read_is_one_sentence_and_no_verdict(
    source: PageSource, tmp_path: Path
) -> None:
    _, second, work = looked(source, tmp_path / "a", "all", *[WORDS] * 5)
    assert sorted(second.of(work)) == [0, 1, 2, 3]
    assert second.troubles == ["Page 5 cannot be read."]


def test_a_page_that_was_read_lying_is_looked_at_again_and_one_that_was_turned_is_not(
    source: PageSource, tmp_path: Path
) -> None:
    work = DocumentJob(document(tmp_path, 0, 1), "a", 1, PageStore(tmp_path / "pages", "key"))
    work.store.folder_of(0).mkdir(parents=True)
    witness = Witness({}, tmp_path)
    witness.turn = 90
    second = CrossCheckQueue(source, "all", witness)
    seen = []
    for turned in (0, 90, 0):
        page = Page(0, 100, 40, (Block("text", WORDS, BOX),), 0.1)
        second.page(work, PageRead(page, turned=turned))
        second.wait()
        seen.append(second.of(work)[0])
    second.close()

    assert seen == [PageCheck(1, (), lies=90), PageCheck(1, ()), PageCheck(1, ())]
    assert witness.asked == [0, 0], "what was seen of a page that was read upright is remembered"
