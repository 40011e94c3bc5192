"""A rotated page is read again upright, and its boxes are those of the original orientation."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from paddlevl_doctor.parsing.engines.base import SinglePageEngine, Task
from paddlevl_doctor.parsing.engines.embedded import ReaderEngine
from paddlevl_doctor.parsing.evaluate.cross_check_queue import CrossCheckQueue
from paddlevl_doctor.parsing.evaluate.reread_rotated import (
    may_have_rotated_pages,
    reread_page,
    reread_rotated_pages,
)
from paddlevl_doctor.parsing.input.page_source import PageSource, Picture
from paddlevl_doctor.parsing.run.page_store import PageRead, PageStore
from paddlevl_doctor.parsing.run.scheduler import DocumentJob
from paddlevl_doctor.values.errors import DoctorError
from paddlevl_doctor.values.pages import Block, Line, Page
from wording import worded

MARK = (30, 40, 90, 60)
"""Box of the only ink on the page, in the original orientation."""


class MarkEngine(SinglePageEngine):
    """Returns the box of the mark in the picture."""

    def read(self, task: Task) -> PageRead:
        picture = task.render(1.0)
        with Image.open(picture.path) as image:
            box = ImageChops.invert(image.convert("L")).getbbox()
        assert box is not None
        return PageRead(Page(task.index, picture.width, picture.height, (Block("text", "mark", box),), 0.1))


class LostEngine(SinglePageEngine):
    """Fails as an engine does whose device is gone."""

    calls = 0

    def read(self, task: Task) -> PageRead:
        self.calls += 1
        (task.folder / "half").touch()
        raise DoctorError("The device fell off.")


@pytest.fixture
def source(tmp_path: Path) -> Iterator[PageSource]:
    (tmp_path / "pictures").mkdir()
    made = PageSource(tmp_path / "pictures", os.environ)
    yield made
    made.close()


@pytest.fixture
def job(tmp_path: Path) -> DocumentJob:
    image = Image.new("RGB", (300, 200), "white")
    image.paste("black", MARK)
    image.save(tmp_path / "a.png")
    made = DocumentJob(tmp_path / "a.png", "a", 1, PageStore(tmp_path / "a.pages", "key"))
    made.pages[0] = PageRead(Page(0, 300, 200, (Block("text", "kram", MARK),), 0.1))
    made.store.save(made.pages[0])
    (made.store.folder_of(0) / "page.jpg").touch()
    return made


def files(job: DocumentJob) -> list[str]:
    """Return the files and folders in the folder of a document's pages."""
    folder = job.store.folder
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_page_is_read_rotated_and_reported_in_its_original_orientation(
    turn: int, job: DocumentJob, source: PageSource
) -> None:
    assert reread_page(job, 0, turn, [LostEngine(), MarkEngine()], source, [])
    read = job.pages[0]

    assert read.page == Page(0, 300, 200, (Block("text", "mark", MARK),), 0.1)
    note = f"Page 1 is not upright; it was rotated {turn} degrees counterclockwise before reading."
    assert (read.turned, worded(read.notes)) == (turn, (note,))
    assert job.store.load(0) == read
    assert sorted(os.listdir(job.store.folder)) == ["0001"]
    assert {"page.jpg", "page.json"} <= set(os.listdir(job.store.folder_of(0)))
    assert os.listdir(source.folder) == ["pages.log"]


class RotationReader(ReaderEngine):
    """An OCR engine that finds the rotation of a page by the shape of the mark."""

    def lines(self, picture: Picture, _page: int) -> tuple[tuple[Line, ...], int]:
        with Image.open(picture.path) as image:
            box = ImageChops.invert(image.convert("L")).getbbox()
        assert box is not None
        return (Line("mark", box, 0.99),), 90 if box[3] - box[1] > box[2] - box[0] else 0


def cross_checked(folder: Path, source: PageSource, *rotated: bool) -> tuple[DocumentJob, CrossCheckQueue]:
    """Cross-check a document; `rotated` says which of its pages are rotated."""
    page = Image.new("RGB", (300, 200), "white")
    page.paste("black", MARK)
    images = [page.transpose(Image.Transpose.ROTATE_90) if is_rotated else page for is_rotated in rotated]
    images[0].save(folder / "long.tif", save_all=True, append_images=images[1:])
    job = DocumentJob(folder / "long.tif", "long", len(images), PageStore(folder / "long.pages", "key"))
    checker = CrossCheckQueue(source, "auto", RotationReader({}, folder))
    for index, image in enumerate(images):
        job.pages[index] = PageRead(Page(index, *image.size, (Block("text", "mark", MARK),), 0.1))
        job.store.save(job.pages[index])
        checker.submit(job, job.pages[index])
    checker.wait()
    return job, checker


def test_one_rotated_page_causes_a_check_of_all_pages_and_rotated_ones_are_read_again(
    tmp_path: Path, source: PageSource
) -> None:
    job, checker = cross_checked(tmp_path, source, True, True, False, True, True)
    assert (sorted(checker.checks_of(job)), may_have_rotated_pages(job, checker)) == ([0], True)
    assert reread_rotated_pages(job, checker, [MarkEngine()], source)

    assert [page.turned for page in job.pages_in_order()] == [90, 90, 0, 90, 90]
    assert (sorted(checker.checks_of(job)), checker.rotated_pages(job)) == ([0, 1, 2, 3, 4], {})


def test_no_more_pages_of_an_upright_long_document_are_checked(tmp_path: Path, source: PageSource) -> None:
    job, checker = cross_checked(tmp_path, source, False, False, False, False)

    assert (sorted(checker.checks_of(job)), may_have_rotated_pages(job, checker)) == ([0], False)


def test_a_resumed_run_rereads_the_rotated_pages_that_an_earlier_one_did_not(
    tmp_path: Path, source: PageSource
) -> None:
    job, checker = cross_checked(tmp_path, source, True, True, True, True)
    assert reread_page(job, 0, 90, [MarkEngine()], source, [])
    again = CrossCheckQueue(source, "auto", checker.reader)
    for page in job.pages_in_order():
        again.submit(job, page)
    again.wait()
    assert (again.rotated_pages(job), may_have_rotated_pages(job, again)) == ({}, True)
    assert reread_rotated_pages(job, again, [MarkEngine()], source)

    assert [page.turned for page in job.pages_in_order()] == [90] * 4


def test_a_page_that_cannot_be_read_again_is_kept(job: DocumentJob, source: PageSource) -> None:
    before = job.pages[0]

    assert not reread_page(job, 0, 90, [LostEngine()], source, [])
    assert (job.pages[0], job.store.load(0)) == (before, before)
    assert files(job) == ["0001", "0001/page.jpg", "0001/page.json"]


def test_a_lost_engine_is_not_used_again(job: DocumentJob, source: PageSource) -> None:
    lost = LostEngine()
    results = [reread_page(job, 0, 90, [lost], source, []) for _ in range(2)]

    assert (results, lost.calls) == ([False, False], 1)


class InterruptedEngine(SinglePageEngine):
    """Is stopped with Ctrl-C in the middle of a page."""

    def read(self, task: Task) -> PageRead:
        (task.folder / "half").touch()
        raise KeyboardInterrupt


def test_ctrl_c_during_a_second_reading_keeps_the_page(job: DocumentJob, source: PageSource) -> None:
    before = job.pages[0]
    with pytest.raises(KeyboardInterrupt):
        reread_page(job, 0, 90, [InterruptedEngine()], source, [])

    assert (job.pages[0], job.store.load(0)) == (before, before)
    assert files(job) == ["0001", "0001/page.jpg", "0001/page.json"]


class ReplacesFolder(MarkEngine):
    """Reads the page, then replaces a folder by a file, so that the result cannot be written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, task: Task) -> PageRead:
        found = super().read(task)
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.touch()
        return found


def test_a_result_that_cannot_be_written_is_an_error_and_the_page_is_kept(
    job: DocumentJob, source: PageSource
) -> None:
    before, errors = job.pages[0], list[str]()
    taken = job.store.folder_of(0).with_suffix(".again")

    assert not reread_page(job, 0, 90, [ReplacesFolder(taken)], source, errors)
    assert (job.pages[0], job.store.load(0)) == (before, before)
    assert [sentence.partition(": ")[0] for sentence in errors] == [f"{taken} cannot be written"]


class HalfSizeEngine(SinglePageEngine):
    """Reads a picture of half the size, as the fallback strategy `smaller` does."""

    def read(self, task: Task) -> PageRead:
        picture = task.render(0.5)
        return PageRead(Page(task.index, picture.width, picture.height, (), 0.1))


def test_a_page_read_at_half_size_gets_no_note_about_a_large_page(
    job: DocumentJob, source: PageSource
) -> None:
    assert reread_page(job, 0, 90, [HalfSizeEngine()], source, [])
    assert worded(job.pages[0].notes) == (
        "Page 1 is not upright; it was rotated 90 degrees counterclockwise before reading.",
    )
