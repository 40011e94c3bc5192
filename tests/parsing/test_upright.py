"""A page that lies on its side is read again upright, and its boxes are where they are on the page as it lies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from paddlevl_doctor.errors import DoctorError
from paddlevl_doctor.parsing.model import Block, Line, Page
from paddlevl_doctor.parsing.page_store import PageRead, PageStore
from paddlevl_doctor.parsing.pages import PageSource, Picture
from paddlevl_doctor.parsing.pool import OneByOne, Task
from paddlevl_doctor.parsing.reader import ReaderEngine
from paddlevl_doctor.parsing.second_look import SecondLook
from paddlevl_doctor.parsing.session import Work
from paddlevl_doctor.parsing.upright import may_lie, read_upright, set_upright

MARK = (30, 40, 90, 60)
"""Where something stands on the page as it lies."""


class Sees(OneByOne):
    """Reads where the mark is in the picture that it is given."""

    def read(self, task: Task) -> PageRead:
        picture = task.picture(1.0)
        with Image.open(picture.path) as image:
            box = ImageChops.invert(image.convert("L")).getbbox()
        assert box is not None
        return PageRead(Page(task.index, picture.width, picture.height, (Block("text", "mark", box),), 0.1))


class Lost(OneByOne):
    """Reads nothing any more."""

    def read(self, task: Task) -> PageRead:
        (task.folder / "half").touch()
        raise DoctorError("The device fell off.")


@pytest.fixture
def source(tmp_path: Path) -> Iterator[PageSource]:
    (tmp_path / "pictures").mkdir()
    made = PageSource(tmp_path / "pictures", os.environ)
    yield made
    made.close()


@pytest.fixture
def work(tmp_path: Path) -> Work:
    image = Image.new("RGB", (300, 200), "white")
    image.paste("black", MARK)
    image.save(tmp_path / "a.png")
    made = Work(tmp_path / "a.png", "a", 1, PageStore(tmp_path / "a.pages", "key"))
    made.pages[0] = PageRead(Page(0, 300, 200, (Block("text", "kram", MARK),), 0.1))
    made.store.keep(made.pages[0])
    (made.store.place(0) / "page.jpg").touch()
    return made


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_the_page_is_read_turned_and_told_as_it_lies(turn: int, work: Work, source: PageSource) -> None:
    assert read_upright(work, 0, turn, [Lost(), Sees()], source)
    read = work.pages[0]

    assert read.page == Page(0, 300, 200, (Block("text", "mark", MARK),), 0.1)
    note = f"Page 1 does not stand upright; it was turned by {turn} degrees against the clock to be read."
    assert (read.turned, read.notes) == (turn, (note,))
    assert work.store.found(0) == read
    assert sorted(os.listdir(work.store.folder)) == ["0001"]
    assert {"page.jpg", "page.json"} <= set(os.listdir(work.store.place(0)))
    assert os.listdir(source.folder) == ["pages.log"]


class Turns(ReaderEngine):
    """A witness that sees by the shape of the mark how a page lies."""

    def lines(self, picture: Picture, _page: int) -> tuple[tuple[Line, ...], int]:
        with Image.open(picture.path) as image:
            box = ImageChops.invert(image.convert("L")).getbbox()
        assert box is not None
        return (Line("mark", box, 0.99),), 90 if box[3] - box[1] > box[2] - box[0] else 0


def looked(folder: Path, source: PageSource, *lying: bool) -> tuple[Work, SecondLook]:
    """Let the witness look at a document, as the run that has read it does."""
    page = Image.new("RGB", (300, 200), "white")
    page.paste("black", MARK)
    images = [page.transpose(Image.Transpose.ROTATE_90) if one else page for one in lying]
    images[0].save(folder / "long.tif", save_all=True, append_images=images[1:])
    work = Work(folder / "long.tif", "long", len(images), PageStore(folder / "long.pages", "key"))
    look = SecondLook(source, "auto", Turns({}, folder))
    for index, image in enumerate(images):
        work.pages[index] = PageRead(Page(index, *image.size, (Block("text", "mark", MARK),), 0.1))
        work.store.keep(work.pages[index])
        look.page(work, work.pages[index])
    look.wait()
    return work, look


def test_once_a_page_lies_all_pages_of_its_document_are_looked_at_and_those_that_lie_are_read_upright(
    tmp_path: Path, source: PageSource
) -> None:
    work, look = looked(tmp_path, source, True, True, False, True, True)
    assert (sorted(look.of(work)), may_lie(work, look)) == ([0], True)
    assert set_upright(work, look, [Sees()], source)

    assert [page.turned for page in work.in_order()] == [90, 90, 0, 90, 90]
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
    assert read_upright(work, 0, 90, [Sees()], source)
    again = SecondLook(source, "auto", look.reader)
    for page in work.in_order():
        again.page(work, page)
    again.wait()
    assert (again.lying(work), may_lie(work, again)) == ({}, True)
    assert set_upright(work, again, [Sees()], source)

    assert [page.turned for page in work.in_order()] == [90] * 4


def test_a_page_that_cannot_be_read_again_stays_as_it_was(work: Work, source: PageSource) -> None:
    before = work.pages[0]

    assert not read_upright(work, 0, 90, [Lost()], source)
    assert (work.pages[0], work.store.found(0)) == (before, before)
    assert sorted(os.listdir(work.store.place(0))) == ["page.jpg", "page.json"]
