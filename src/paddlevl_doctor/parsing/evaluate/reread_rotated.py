"""Reads pages again after rotating them upright: an engine reads a page in the orientation that it has."""

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


def may_have_rotated_pages(job: DocumentJob, checker: CrossCheckQueue) -> bool:
    """Return whether unchecked pages of a document may be rotated: true if any other page is or was rotated."""
    was_rotated = any(page.turned for page in job.pages.values())
    return checker.reader is not None and (was_rotated or bool(checker.rotated_pages(job)))


def reread_rotated_pages(
    job: DocumentJob, checker: CrossCheckQueue, engines: Sequence[Engine], source: PageSource
) -> bool:
    """Read every rotated page of a document again and cross-check it again; unchecked pages are checked first.

    Returns whether any page was read again.
    """
    checker.check_pages(job, sorted(job.pages.keys() - checker.checks_of(job).keys()))
    reread = [
        index
        for index, degrees in sorted(checker.rotated_pages(job).items())
        if reread_page(job, index, degrees, engines, source, checker.errors)
    ]
    checker.check_pages(job, reread)
    return bool(reread)


def reread_page(
    job: DocumentJob,
    index: int,
    degrees: int,
    engines: Sequence[Engine],
    source: PageSource,
    errors: list[str],
) -> bool:
    """Rotate a page counterclockwise, read it, and replace the former result; returns whether that worked.

    If not, the former result is kept; the reason is added to `errors` unless it is only that no engine could read it.
    """
    page = _RotatedPage(job, index, degrees, source)
    try:
        read = page.read(engines)
        if read is not None:
            job.store.replace_page(read)
            job.pages[index] = read
    except (PageFailedError, DoctorError) as error:
        errors.append(str(error))
        return False
    finally:
        page.clean_up()
    return read is not None


class _RotatedPage:
    """A page that is rendered rotated and read into a folder of its own."""

    def __init__(self, job: DocumentJob, index: int, degrees: int, source: PageSource) -> None:
        self._job, self._index, self._degrees, self._source = job, index, degrees, source
        self._pictures: dict[float, Picture] = {}
        """The rendered pictures, by scale."""

    def read(self, engines: Sequence[Engine]) -> PageRead | None:
        """Return the page in its original orientation, None if no engine could read it.

        Raises PageFailedError and DoctorError.
        """
        store = self._job.store
        task = Task(self._index, store.make_reread_folder(self._index), self._render)
        attempts = (_read(engine, task) for engine in engines if not engine.lost)
        read = next(filter(None, attempts), None)
        if read is None:
            return None
        folder = store.folder_of(self._index)
        with contextlib.suppress(OSError):  # the page can be kept without its preview
            shutil.copyfile(folder / PREVIEW, task.folder / PREVIEW)
        page = _in_original_orientation(with_render_notes(read, self._render(1.0)), self._degrees)
        return with_portable_text(page, f"{store.folder.name}/{folder.name}")

    def _render(self, scale: float) -> Picture:
        if scale not in self._pictures:
            try:
                self._pictures[scale] = self._source.render_rotated(
                    self._job.path, self._index, scale, self._degrees
                )
            except PictureError as error:
                raise PageFailedError(str(error)) from error
        return self._pictures[scale]

    def clean_up(self) -> None:
        """Remove the pictures, and the folder of the new result if it has not replaced the former one."""
        self._source.forget(self._job.path, self._index)
        self._job.store.drop_reread_folder(self._index)


def _read(engine: Engine, task: Task) -> PageRead | None:
    try:
        results = list(engine.read_batch((task,)))
    except DoctorError:  # another engine may be able to read the page
        engine.lost = True
        return None
    return next((result for result in results if isinstance(result, PageRead)), None)


def _in_original_orientation(read: PageRead, degrees: int) -> PageRead:
    """Return a page that was read rotated with the size and boxes of the original page, and with a note about it."""
    page = read.page
    width, height = (page.width, page.height) if degrees == 180 else (page.height, page.width)  # noqa: PLR2004
    blocks = tuple(
        replace(block, box=unrotate_box(block.box, degrees, width, height)) for block in page.blocks
    )
    note = message("page-turned", page=page.index + 1, degrees=degrees)
    original = replace(page, width=width, height=height, blocks=blocks)
    return replace(read, page=original, notes=(*read.notes, note), turned=degrees)
