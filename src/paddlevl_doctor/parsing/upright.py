"""Reads pages again, upright, that the witness saw lying on their sides: a pipeline reads a page as it lies."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace

from paddlevl_doctor.errors import DoctorError
from paddlevl_doctor.messages import text
from paddlevl_doctor.parsing.page_store import PageRead, presentable
from paddlevl_doctor.parsing.pages import PageSource, Picture, PictureError
from paddlevl_doctor.parsing.pool import Engine, PageFailedError, Task
from paddlevl_doctor.parsing.second_look import SecondLook
from paddlevl_doctor.parsing.session import PREVIEW, Work, noted
from paddlevl_doctor.parsing.turning import turned_back

_ASIDE = ".lying"
"""What is added to the name of a page's folder while the page is read again."""


def may_lie(work: Work, look: SecondLook) -> bool:
    """Say whether pages of a document may lie that the witness has passed over: where one does, or did, others do."""
    turned = any(page.turned for page in work.pages.values())
    return look.reader is not None and (turned or bool(look.lying(work)))


def set_upright(work: Work, look: SecondLook, engines: Sequence[Engine], source: PageSource) -> bool:
    """Read every page of a document again that lies, and let the witness look at it once more.

    The pages that it had passed over are looked at first. Returns whether any page was read again. Raises OSError.
    """
    look.pages(work, sorted(work.pages.keys() - look.of(work).keys()))
    lying = sorted(look.lying(work).items())
    turned = [index for index, turn in lying if read_upright(work, index, turn, engines, source)]
    look.pages(work, turned)
    return bool(turned)


def read_upright(work: Work, index: int, turn: int, engines: Sequence[Engine], source: PageSource) -> bool:
    """Read a page turned by so many degrees against the clock, in place of how it was read before.

    Returns whether that could be done; where not, what was read before stays. Raises OSError.
    """
    place = work.store.place(index)
    aside = place.with_name(place.name + _ASIDE)
    shutil.rmtree(aside, ignore_errors=True)
    place.rename(aside)
    task = _Upright(work, index, turn, source).task()
    found = next(filter(None, (_read(engine, task) for engine in engines)), None)
    if found is None:
        shutil.rmtree(place)
        aside.rename(place)
        return False
    if (aside / PREVIEW).exists():
        (aside / PREVIEW).replace(place / PREVIEW)
    shutil.rmtree(aside)
    page = _as_it_lies(noted(found, task.picture(1.0)), turn)
    source.forget(work.path, index)
    work.pages[index] = presentable(page, f"{work.store.folder.name}/{place.name}")
    work.store.keep(work.pages[index])
    return True


class _Upright:
    """A page that is drawn turned."""

    def __init__(self, work: Work, index: int, turn: int, source: PageSource) -> None:
        self._work, self._index, self._turn, self._source = work, index, turn, source

    def task(self) -> Task:
        return Task(self._index, self._work.store.clear(self._index), self._picture)

    def _picture(self, scale: float) -> Picture:
        try:
            return self._source.turned(self._work.path, self._index, scale, self._turn)
        except PictureError as error:
            raise PageFailedError(str(error)) from error


def _read(engine: Engine, task: Task) -> PageRead | None:
    heard: list[PageRead | str] = []
    try:
        engine.read_all((task,), lambda _task, found: heard.append(found))
    except DoctorError:  # the engine is lost; another one may be left
        return None
    return next((found for found in heard if isinstance(found, PageRead)), None)


def _as_it_lies(read: PageRead, turn: int) -> PageRead:
    """Return a page that was read upright with its size and boxes as it lies, and with a note of that."""
    page = read.page
    size = (page.width, page.height) if turn == 180 else (page.height, page.width)  # noqa: PLR2004 - degrees
    blocks = tuple(replace(block, box=turned_back(block.box, turn, *size)) for block in page.blocks)
    note = text("page-turned", page=page.index + 1, degrees=turn)
    seen = replace(page, width=size[0], height=size[1], blocks=blocks)
    return replace(read, page=seen, notes=(*read.notes, note), turned=turn)
