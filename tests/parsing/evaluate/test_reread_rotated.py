"""A page that lies on its side is read again upright, and its boxes are where they are on the page as it lies."""

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
from paddlevl_doctor.parsing.evaluate.reread_rotated import may_lie, read_upright, set_upright
from paddlevl_doctor.parsing.input.page_source import PageSource, Picture
from paddlevl_doctor.parsing.run.page_store import PageRead, PageStore
from paddlevl_doctor.parsing.run.scheduler import DocumentJob
from paddlevl_doctor.values.errors import DoctorError
from paddlevl_doctor.values.pages import Block, Line, Page
from wording import worded

MARK = (30, 40, 90, 60)
"""Where something stands on the page as it lies."""


class Sees(SinglePageEngine):
    """Reads where the mark is in the picture that it is given."""

    def read(self, task: Task) -> PageRead:
        picture = task.render(1.0)
        with Image.open(picture.path) as image:
            box = ImageChops.invert(image.convert("L")).getbbox()
        assert box is not None
        return PageRead(Page(task.index, picture.width, picture.height, (Block("text", "mark", box),), 0.1))


class Lost(SinglePageEngine):
    """Reads nothing any more."""

    asked = 0

    def read(self, task: Task) -> PageRead:
        self.asked += 1
        (task.folder / "half").touch()
        raise DoctorError("The device fell off.")


@pytest.fixture
def source(tmp_path: Path) -> Iterator[PageSource]:
    (tmp_path / "pictures").mkdir()
    made = PageSource(tmp_path / "pictures", os.environ)
    yield made
    made.close()


@pytest.fixture
def work(tmp_path: Path) -> DocumentJob:
    image = Image.new("RGB", (300, 200), "white")
    image.paste("black", MARK)
    image.save(tmp_path / "a.png")
    made = DocumentJob(tmp_path / "a.png", "a", 1, PageStore(tmp_path / "a.pages", "key"))
    made.pages[0] = PageRead(Page(0, 300, 200, (Block("text", "kram", MARK),), 0.1))
    made.store.save(made.pages[0])
    (made.store.folder_of(0) / "page.jpg").touch()
    return made


def files(work: DocumentJob) -> list[str]:
    """Return what lies in the folder of a document's pages."""
    folder = work.store.folder
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_the_page_is_read_turned_and_told_as_it_lies(
    turn: int, work: DocumentJob, source: PageSource
) -> None:
    assert read_upright(work, 0, turn, [Lost(), Sees()], source, [])
    read = work.pages[0]

    assert read.page == Page(0, 300, 200, (Block("text", "mark", MARK),), 0.1)
    note = f"Page 1 is not upright; it was rotated {turn} degrees counterclockwise before reading."
    assert (read.turned, worded(read.notes)) == (turn, (note,))
    assert work.store.load(0) == read
    assert sorted(os.listdir(work.store.folder)) == ["0001"]
    assert {"page.jpg", "page.json"} <= set(os.listdir(work.store.folder_of(0)))
    assert os.listdir(source.folder) == ["pages.log"]


class Turns(ReaderEngine):
    """A witness that sees by the shape of the mark how a page lies."""

    def lines(self, picture: Picture, _page: int) -> tuple[tuple[Line, ...], int]:
        with Image.open(picture.path) as image:
            box = ImageChops.invert(image.convert("L")).getbbox()
        assert box is not None
        return (Line("mark", box, 0.99),), 90 if box[3] - box[1] > box[2] - box[0] else 0


def looked(folder: Path, source: PageSource, *lying: bool) -> tuple[DocumentJob, CrossCheckQueue]:
    """Let the witness look at a document, as the run that has read it does."""
    page = Image.new("RGB", (300, 200), "white")
    page.paste("black", MARK)
    images = [page.transpose(Image.Transpose.ROTATE_90) if one else page for one in lying]
    images[0].save(folder / "long.tif", save_all=True, append_images=images[1:])
    work = DocumentJob(folder / "long.tif", "long", len(images), PageStore(folder / "long.pages", "key"))
    look = CrossCheckQueue(source, "auto", Turns({}, folder))
    for index, image in enumerate(images):
        work.pages[index] = PageRead(Page(index, *image.size, (Block("text", "mark", MARK),), 0.1))
        work.store.save(work.pages[index])
        look.page(work, work.pages[index])
    look.wait()
    return work, look


def test_once_a_page_lies_all_pages_of_its_document_are_looked_at_and_those_that_lie_are_read_upright(
    tmp_path: Path, source: PageSource
) -> None:
    work, look = looked(tmp_path, source, True, True, False, True, True)
    assert (sorted(look.of(work)), may_lie(work, look)) == ([0], True)
    assert set_upright(work, look, [Sees()], source)

    assert [page.turned for page in work.pages_in_order()] == [90, 90, 0, 90, 90]
    assert (sorted(look.of(work)), look.lying(work)) == ([0, 1, 2, 3, 4], {})


def test_of_a_long_document_that_stands_upright_no_more_pages_are_looked_at(
    tmp_path: Path, source: PageSource
) -> None:
    work, look = looked(tmp_path, source, False, False, False, False)

    assert (sorted(look.of(work)), may_lie(work, look)) == ([0], False)


def test_a_run_that_goes_on_turns_what_an_earlier_one_had_no_time_for(
    tmp_path: Path, source: PageSource
) -> None:
    work, look = looked(tmp_path, source, True, True, True, True)
    assert read_upright(work, 0, 90, [Sees()], source, [])
    again = CrossCheckQueue(source, "auto", look.reader)
    for page in work.pages_in_order():
        again.page(work, page)
    again.wait()
    assert (again.lying(work), may_lie(work, again)) == ({}, True)
    assert set_upright(work, again, [Sees()], source)

    assert [page.turned for page in work.pages_in_order()] == [90] * 4


def test_a_page_that_cannot_be_read_again_stays_as_it_was(work: DocumentJob, source: PageSource) -> None:
    before = work.pages[0]

    assert not read_upright(work, 0, 90, [Lost()], source, [])
    assert (work.pages[0], work.store.load(0)) == (before, before)
    assert files(work) == ["0001", "0001/page.jpg", "0001/page.json"]


def test_an_engine_that_was_lost_is_not_asked_again(work: DocumentJob, source: PageSource) -> None:
    lost = Lost()
    asked = [read_upright(work, 0, 90, [lost], source, []) for _ in range(2)]

    assert (asked, lost.asked) == ([False, False], 1)


class Interrupted(SinglePageEngine):
    """Is stopped with Ctrl-C in the middle of a page."""

    def read(self, task: Task) -> PageRead:
        (task.folder / "half").touch()
        raise KeyboardInterrupt


def test_ctrl_c_while_a_page_is_turned_leaves_it_as_it_was(work: DocumentJob, source: PageSource) -> None:
    before = work.pages[0]
    with pytest.raises(KeyboardInterrupt):
        read_upright(work, 0, 90, [Interrupted()], source, [])

    assert (work.pages[0], work.store.load(0)) == (before, before)
    assert files(work) == ["0001", "0001/page.jpg", "0001/page.json"]


class Breaks(Sees):
    """Reads, and then takes away what the page is drawn from, or where it is written to."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, task: Task) -> PageRead:
        found = super().read(task)
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.touch()
        return found


def test_what_the_disk_refuses_is_a_trouble_and_the_page_stays(work: DocumentJob, source: PageSource) -> None:
    before, troubles = work.pages[0], list[str]()
    taken = work.store.folder_of(0).with_suffix(".again")

    assert not read_upright(work, 0, 90, [Breaks(taken)], source, troubles)
    assert (work.pages[0], work.store.load(0)) == (before, before)
    assert [sentence.partition(": ")[0] for sentence in troubles] == [f"{taken} cannot be written"]


class Half(SinglePageEngine):
    """Reads a picture of half the size, as the rung `smaller` does."""

    def read(self, task: Task) -> PageRead:
        picture = task.render(0.5)
        return PageRead(Page(task.index, picture.width, picture.height, (), 0.1))


def test_a_page_that_was_read_at_half_its_size_is_not_told_as_a_page_that_was_too_large(
    work: DocumentJob, source: PageSource
) -> None:
    assert read_upright(work, 0, 90, [Half()], source, [])
    assert worded(work.pages[0].notes) == (
        "Page 1 is not upright; it was rotated 90 degrees counterclockwise before reading.",
    )
