"""The embedded reader reads what another engine has read, beside it, so that nobody waits for it before the end."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from paddlevl_doctor.parsing.engines.base import PageFailedError
from paddlevl_doctor.parsing.engines.embedded import ReaderEngine
from paddlevl_doctor.parsing.evaluate.cross_check import differences
from paddlevl_doctor.parsing.input.page_source import PageSource, PictureError
from paddlevl_doctor.parsing.output.run_report_model import Difference, DifferenceKind
from paddlevl_doctor.parsing.run.page_store import PageRead
from paddlevl_doctor.parsing.run.scheduler import DocumentJob
from paddlevl_doctor.values.errors import DoctorError
from paddlevl_doctor.values.pages import Line, box_of

NAME = "witness.json"
"""Beside a page's results: the lines that the witness saw, so that a resumed run need not look again."""
_WHOLE = 3
"""Pages of a document that is looked at wholly; of longer ones the first page, and pages that look wrong."""


@dataclass(frozen=True)
class PageCheck:
    """What the witness says of one page."""

    seen: int
    """Lines that it saw."""
    differences: tuple[Difference, ...]
    lies: int = 0
    """Of a page that does not stand upright and was read so: degrees against the clock by which it is to be turned."""


@dataclass
class CrossCheckQueue:
    """Looks at pages, one at a time in a thread of its own; `scope` is auto, all or none."""

    source: PageSource
    scope: str
    reader: ReaderEngine | None
    """None where the reader is not installed: then only what needs no second reader is said."""
    looks: dict[Path, dict[int, PageCheck]] = field(default_factory=dict)
    """By document and page."""
    troubles: list[str] = field(default_factory=list)
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    _waiting: list[Future[None]] = field(default_factory=list)

    def page(self, work: DocumentJob, read: PageRead) -> None:
        """Look at a page now or later, if it is one that is looked at."""
        alone = differences(
            read.page, ()
        )  # text on a blank page, and what is said without end, need no witness
        endless = tuple(found for found in alone if found.kind is DifferenceKind.REPEATED)
        empty = not any(block.text.strip() for block in read.page.blocks)
        if self.scope == "none":
            return
        if read.blank:
            self._keep(work, read, 0, alone)
        elif self.reader is None:
            self._keep(work, read, 0, endless)
        elif self.scope == "all" or work.count <= _WHOLE or read.page.index == 0 or endless or empty:
            self._waiting.append(self._thread.submit(self._look, work, read))

    def pages(self, work: DocumentJob, indices: Iterable[int]) -> None:
        """Look at these pages of a document, whatever they look like; raises as `wait` does."""
        for index in indices:
            self._waiting.append(self._thread.submit(self._look, work, work.pages[index]))
        self.wait()

    def lying(self, work: DocumentJob) -> dict[int, int]:
        """Return the pages of a document that were read as they lie, and by how many degrees they are to be turned."""
        return {index: look.lies for index, look in self.of(work).items() if look.lies}

    def left(self) -> int:
        """Return how many pages are still to be looked at."""
        return sum(not future.done() for future in self._waiting)

    def wait(self) -> None:
        """Wait until every page has been looked at; raises what went wrong in the doctor itself."""
        for future in self._waiting:
            future.result()

    def close(self) -> None:
        """Look at no more pages."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        if self.reader is not None:
            self.reader.close()

    def of(self, work: DocumentJob) -> dict[int, PageCheck]:
        """Return what was said of the pages of a document."""
        return dict(self.looks.get(work.path, {}))

    def _look(self, work: DocumentJob, read: PageRead) -> None:
        place = work.store.folder_of(read.page.index) / NAME
        try:
            lines, lies = _remembered(place), 0
            if not lines:
                lines, lies = self._lines(work, read)
        except (PictureError, PageFailedError, DoctorError) as error:
            self.troubles.append(str(error))
            return
        if not lies:  # what is to be read again will be looked at again
            with contextlib.suppress(OSError):
                words = json.dumps([vars(line) for line in lines], ensure_ascii=False)
                place.write_text(words, encoding="utf-8")
        self._keep(work, read, len(lines), differences(read.page, lines), lies)

    def _lines(self, work: DocumentJob, read: PageRead) -> tuple[tuple[Line, ...], int]:
        assert self.reader is not None  # noqa: S101 - `page` looked
        index = read.page.index
        with self.source.render_copy(work.path, index) as picture:
            lines, turn = self.reader.lines(picture, index)
        return lines, 0 if turn == read.turned else turn

    def _keep(
        self, work: DocumentJob, read: PageRead, seen: int, found: Sequence[Difference], lies: int = 0
    ) -> None:
        self.looks.setdefault(work.path, {})[read.page.index] = PageCheck(seen, tuple(found), lies)


def _remembered(place: Path) -> tuple[Line, ...]:
    """Return the lines that an earlier run saw; none where it did not look."""
    try:
        found = json.loads(place.read_text(encoding="utf-8"))
        return tuple(Line(str(o["text"]), box_of(o["box"]), float(o["score"])) for o in found)
    except (OSError, ValueError, TypeError, KeyError):
        return ()
