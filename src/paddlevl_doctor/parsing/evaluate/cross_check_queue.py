"""Cross-checks pages with the embedded OCR engine in a thread of its own, while another engine reads the next pages."""

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
from paddlevl_doctor.system.files import load_json
from paddlevl_doctor.values.errors import DoctorError
from paddlevl_doctor.values.pages import Line, box_of

NAME = "witness.json"
"""File beside a page's results with the lines that OCR found, so that a resumed run does not repeat the OCR."""
_MAX_FULLY_CHECKED_PAGES = 3
"""All pages of a document up to this length are checked; of a longer one the first page and suspicious pages."""


@dataclass(frozen=True)
class PageCheck:
    """The result of the cross-check of one page."""

    lines: int
    """Number of lines that OCR found."""
    differences: tuple[Difference, ...]
    rotation: int = 0
    """Degrees counterclockwise by which a page that was read in a wrong orientation must be rotated, else 0."""


@dataclass
class CrossCheckQueue:
    """Checks pages one at a time in one thread; `scope` is auto, all or none."""

    source: PageSource
    scope: str
    reader: ReaderEngine | None
    """The embedded OCR engine; None if it is not installed: then only checks that need no OCR are made."""
    checks: dict[Path, dict[int, PageCheck]] = field(default_factory=dict)
    """Results by document and page."""
    errors: list[str] = field(default_factory=list)
    """Why pages could not be checked."""
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    _futures: list[Future[None]] = field(default_factory=list)

    def submit(self, job: DocumentJob, read: PageRead) -> None:
        """Check a page, now if no OCR is needed, else in the thread; pages outside the scope are not checked."""
        if self.scope == "none":
            return
        found = differences(read.page, ())  # text on a blank page and endless repetition need no OCR
        endless = [difference for difference in found if difference.kind is DifferenceKind.REPEATED]
        empty = not any(block.text.strip() for block in read.page.blocks)
        if read.blank:
            self._store(job, read, 0, found)
        elif self.reader is None:
            self._store(job, read, 0, endless)
        elif (
            self.scope == "all"
            or job.count <= _MAX_FULLY_CHECKED_PAGES
            or read.page.index == 0
            or endless
            or empty
        ):
            self._futures.append(self._thread.submit(self._check, job, read))

    def check_pages(self, job: DocumentJob, indices: Iterable[int]) -> None:
        """Check these pages of a document regardless of the scope, and wait for the results; raises as `wait` does."""
        for index in indices:
            self._futures.append(self._thread.submit(self._check, job, job.pages[index]))
        self.wait()

    def rotated_pages(self, job: DocumentJob) -> dict[int, int]:
        """Return the pages of a document that were read in a wrong orientation, and their rotation in degrees."""
        return {index: check.rotation for index, check in self.checks_of(job).items() if check.rotation}

    def pending(self) -> int:
        """Return the number of pages that are not checked yet."""
        return sum(not future.done() for future in self._futures)

    def wait(self) -> None:
        """Wait until all pages are checked; raises unexpected errors of the thread."""
        for future in self._futures:
            future.result()

    def close(self) -> None:
        """Cancel the pages that are not checked yet and close the OCR engine."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        if self.reader is not None:
            self.reader.close()

    def checks_of(self, job: DocumentJob) -> dict[int, PageCheck]:
        """Return the results for a document, by page."""
        return dict(self.checks.get(job.path, {}))

    def _check(self, job: DocumentJob, read: PageRead) -> None:
        path = job.store.folder_of(read.page.index) / NAME
        rotation = 0
        try:
            lines = _load_lines(path)
            if not lines:
                lines, rotation = self._recognise(job, read)
        except (PictureError, PageFailedError, DoctorError) as error:
            self.errors.append(str(error))
            return
        if not rotation:  # a rotated page is read and checked again
            with contextlib.suppress(OSError):
                path.write_text(
                    json.dumps([vars(line) for line in lines], ensure_ascii=False), encoding="utf-8"
                )
        self._store(job, read, len(lines), differences(read.page, lines), rotation)

    def _recognise(self, job: DocumentJob, read: PageRead) -> tuple[tuple[Line, ...], int]:
        """Return the lines that OCR finds and the rotation that the page still needs, in degrees."""
        assert self.reader is not None  # noqa: S101 - `submit` starts no OCR without it
        index = read.page.index
        with self.source.render_copy(job.path, index) as picture:
            lines, turn = self.reader.lines(picture, index)
        return lines, 0 if turn == read.turned else turn

    def _store(
        self, job: DocumentJob, read: PageRead, lines: int, found: Sequence[Difference], rotation: int = 0
    ) -> None:
        check = PageCheck(lines, tuple(found), rotation)
        self.checks.setdefault(job.path, {})[read.page.index] = check


def _load_lines(path: Path) -> tuple[Line, ...]:
    """Return the lines that OCR found in an earlier run; none if there is no readable file."""
    try:
        stored = load_json(path.read_text(encoding="utf-8"))
        return tuple(Line(str(o["text"]), box_of(o["box"]), float(o["score"])) for o in stored)
    except (OSError, ValueError, TypeError, KeyError):
        return ()
