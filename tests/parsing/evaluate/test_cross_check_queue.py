"""Which pages are cross-checked, and that a resumed run does not repeat the OCR."""

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


class FakeReader(ReaderEngine):
    """Finds the same line on every page, except page 5, which it cannot read."""

    pages: list[int]
    turn: int = 0

    def lines(self, picture: Picture, page: int) -> tuple[tuple[Line, ...], int]:
        assert picture.path.is_file()
        self.pages = [*getattr(self, "pages", []), page]
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


def cross_checked(
    source: PageSource, folder: Path, scope: str, *texts: str
) -> tuple[list[int], CrossCheckQueue, DocumentJob]:
    """Cross-check pages that an engine read as `texts`; return the pages that OCR read, the queue and the job."""
    folder.mkdir(exist_ok=True)
    job = DocumentJob(document(folder, 0, len(texts)), "a", len(texts), PageStore(folder / "pages", "key"))
    reader = FakeReader({}, folder)
    checker = CrossCheckQueue(source, scope, reader)
    for index, words in enumerate(texts):
        job.store.folder_of(index).mkdir(parents=True, exist_ok=True)
        checker.submit(job, PageRead(Page(index, 100, 40, (Block("text", words, BOX),), 0.1)))
    checker.wait()
    checker.close()
    return getattr(reader, "pages", []), checker, job


def test_of_a_long_document_the_first_and_suspicious_pages_are_checked(
    source: PageSource, tmp_path: Path
) -> None:
    texts = (WORDS, WORDS, "", ENDLESS)
    assert cross_checked(source, tmp_path / "short", "auto", *texts[:3])[0] == [0, 1, 2]
    assert cross_checked(source, tmp_path / "long", "auto", *texts)[0] == [0, 2, 3]
    assert cross_checked(source, tmp_path / "all", "all", *texts)[0] == [0, 1, 2, 3]
    assert cross_checked(source, tmp_path / "none", "none", *texts)[0] == []


def test_stored_ocr_lines_are_compared_with_a_new_reading(source: PageSource, tmp_path: Path) -> None:
    _, first, job = cross_checked(source, tmp_path / "a", "all", WORDS)
    assert first.checks_of(job) == {0: PageCheck(1, ())}

    ocr_pages, again, job = cross_checked(source, tmp_path / "a", "all", "Something else altogether")
    assert ocr_pages == []
    assert [found.text for found in again.checks_of(job)[0].differences if found.kind.value == "lost"] == [
        WORDS
    ]


def test_a_page_that_ocr_cannot_read_is_an_error_and_has_no_check(source: PageSource, tmp_path: Path) -> None:
    _, checker, job = cross_checked(source, tmp_path / "a", "all", *[WORDS] * 5)
    assert sorted(checker.checks_of(job)) == [0, 1, 2, 3]
    assert checker.errors == ["Page 5 cannot be read."]


def test_ocr_is_repeated_for_a_page_that_was_read_rotated_and_not_for_an_upright_one(
    source: PageSource, tmp_path: Path
) -> None:
    job = DocumentJob(document(tmp_path, 0, 1), "a", 1, PageStore(tmp_path / "pages", "key"))
    job.store.folder_of(0).mkdir(parents=True)
    reader = FakeReader({}, tmp_path)
    reader.turn = 90
    checker = CrossCheckQueue(source, "all", reader)
    checks = []
    for degrees in (0, 90, 0):
        page = Page(0, 100, 40, (Block("text", WORDS, BOX),), 0.1)
        checker.submit(job, PageRead(page, turned=degrees))
        checker.wait()
        checks.append(checker.checks_of(job)[0])
    checker.close()

    assert checks == [PageCheck(1, (), rotation=90), PageCheck(1, ()), PageCheck(1, ())]
    assert reader.pages == [0, 0], "the lines of a page that was read upright are stored"
