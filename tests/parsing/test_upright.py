"""A page that lies on its side is read again upright, and its boxes are where they are on the page as it lies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from paddlevl_doctor.errors import DoctorError
from paddlevl_doctor.parsing.model import Block, Page
from paddlevl_doctor.parsing.page_store import PageRead, PageStore
from paddlevl_doctor.parsing.pages import PageSource
from paddlevl_doctor.parsing.pool import OneByOne, Task
from paddlevl_doctor.parsing.session import Work
from paddlevl_doctor.parsing.upright import read_upright

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


def test_a_page_that_cannot_be_read_again_stays_as_it_was(work: Work, source: PageSource) -> None:
    before = work.pages[0]

    assert not read_upright(work, 0, 90, [Lost()], source)
    assert (work.pages[0], work.store.found(0)) == (before, before)
    assert sorted(os.listdir(work.store.place(0))) == ["page.jpg", "page.json"]
