"""Reads pages again, upright, that the witness saw lying on their sides: a pipeline reads a page as it lies."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Sequence
from dataclasses import replace

from paddlevl_doctor.messages import message
from paddlevl_doctor.parsing.engines.base import Engine, PageFailedError, Task
from paddlevl_doctor.parsing.engines.page_rotation import unrotate_box
from paddlevl_doctor.parsing.evaluate.cross_check_queue import CrossCheckQueue
from paddlevl_doctor.parsing.input.page_source import PageSource, Picture, PictureError
from paddlevl_doctor.parsing.run.page_store import PageRead, with_portable_text
from paddlevl_doctor.parsing.run.scheduler import PREVIEW, DocumentJob, with_render_notes
from paddlevl_doctor.values.errors import DoctorError


def may_lie(work: DocumentJob, look: CrossCheckQueue) -> bool:
    """Say whether pages of a document may lie that the witness has passed over: where one does, or did, others do."""
    turned = any(page.turned for page in work.pages.values())
    return look.reader is not None and (turned or bool(look.lying(work)))


def set_upright(
    work: DocumentJob, look: CrossCheckQueue, engines: Sequence[Engine], source: PageSource
) -> bool:
    """Read every page of a document again that lies, and let the witness look at it once more.

    The pages that it had passed over are looked at first. Returns whether any page was read again.
    """
    look.pages(work, sorted(work.pages.keys() - look.of(work).keys()))
    lying = sorted(look.lying(work).items())
    turned = [
        index for index, turn in lying if read_upright(work, index, turn, engines, source, look.troubles)
    ]
    look.pages(work, turned)
    return bool(turned)


def read_upright(
    work: DocumentJob,
    index: int,
    turn: int,
    engines: Sequence[Engine],
    source: PageSource,
    troubles: list[str],
) -> bool:
    """Read a page turned by so many degrees against the clock, in place of how it was read before.

    Returns whether that could be done. Where not, what was read before stays, and what is no fault of an engine (a full
    disk) is added to `troubles`.
    """
    pages = _Upright(work, index, turn, source)
    try:
        found = pages.read(engines)
        if found is not None:
            work.store.replace_page(found)
            work.pages[index] = found
    except (PageFailedError, DoctorError) as error:
        troubles.append(str(error))
        return False
    finally:
        pages.forget()
    return found is not None


class _Upright:
    """A page that is drawn turned, and read into a folder of its own."""

    def __init__(self, work: DocumentJob, index: int, turn: int, source: PageSource) -> None:
        self._work, self._index, self._turn, self._source = work, index, turn, source
        self._drawn: dict[float, Picture] = {}

    def read(self, engines: Sequence[Engine]) -> PageRead | None:
        """Return the page as it lies, None where no engine could read it; raises PageFailedError and DoctorError."""
        store = self._work.store
        task = Task(self._index, store.make_reread_folder(self._index), self._picture)
        found = next(filter(None, (_read(engine, task) for engine in engines if not engine.lost)), None)
        if found is None:
            return None
        with contextlib.suppress(OSError):  # there is none, or no room: the page itself was read
            shutil.copyfile(store.folder_of(self._index) / PREVIEW, task.folder / PREVIEW)
        page = _as_it_lies(with_render_notes(found, self._picture(1.0)), self._turn)
        return with_portable_text(page, f"{store.folder.name}/{store.folder_of(self._index).name}")

    def _picture(self, scale: float) -> Picture:
        if scale not in self._drawn:
            try:
                self._drawn[scale] = self._source.render_rotated(
                    self._work.path, self._index, scale, self._turn
                )
            except PictureError as error:
                raise PageFailedError(str(error)) from error
        return self._drawn[scale]

    def forget(self) -> None:
        """Remove what was drawn, and what was read where it has not taken the page's place."""
        self._source.forget(self._work.path, self._index)
        self._work.store.drop_reread_folder(self._index)


def _read(engine: Engine, task: Task) -> PageRead | None:
    try:
        results = list(engine.read_batch((task,)))
    except DoctorError:  # another one may be left
        engine.lost = True
        return None
    return next((found for found in results if isinstance(found, PageRead)), None)


def _as_it_lies(read: PageRead, turn: int) -> PageRead:
    """Return a page that was read upright with its size and boxes as it lies, and with a note of that."""
    page = read.page
    size = (page.width, page.height) if turn == 180 else (page.height, page.width)  # noqa: PLR2004 - degrees
    blocks = tuple(replace(block, box=unrotate_box(block.box, turn, *size)) for block in page.blocks)
    note = message("page-turned", page=page.index + 1, degrees=turn)
    seen = replace(page, width=size[0], height=size[1], blocks=blocks)
    return replace(read, page=seen, notes=(*read.notes, note), turned=turn)
