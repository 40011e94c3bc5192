"""Distributes the pages of documents to engines, stores each page that is read, and finishes each document.

Each engine has its own thread and takes the next pages when it is free. The pages of an engine that is lost (its device
failed, its environment broke) go back to the queue for the other engines. A page that cannot be read does not stop its
document.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from paddlevl_doctor.messages import Text, message
from paddlevl_doctor.parsing.engines.base import Engine, PageFailedError, Task
from paddlevl_doctor.parsing.input.page_source import PageSource, Picture, PictureError
from paddlevl_doctor.parsing.run.page_store import PageRead, PageStore, with_portable_text
from paddlevl_doctor.values.errors import DoctorError

PREVIEW = "page.jpg"
"""File name of the small picture of a page, in the page's folder."""
_PAGES_AHEAD = 16
"""Pages per engine that are rendered ahead."""
_PARTS_PER_ENGINE = 3
"""An engine takes at most 1/(parts x engines) of the waiting pages, so that the end of the run does not wait for an
engine of half the usual speed."""


@dataclass
class DocumentJob:
    """A document of a run, and its pages so far."""

    path: Path
    name: str
    """The name of its results, relative to the output folder, without a suffix."""
    count: int
    """Number of pages."""
    store: PageStore
    notes: list[Text] = field(default_factory=list)
    pages: dict[int, PageRead] = field(default_factory=dict)
    failed: dict[int, Text] = field(default_factory=dict)
    """The reasons of pages that could not be read, by page."""
    kept: frozenset[int] = frozenset()
    """Pages that an earlier run has read."""
    markdown: str | None = None
    """The Markdown of all pages as the engine joined them; None if no engine joined them."""

    @property
    def resumed(self) -> int:
        """Return the number of pages that an earlier run read."""
        return len(self.kept)

    @property
    def is_done(self) -> bool:
        """Return whether each page was read or has failed."""
        return len(self.pages) + len(self.failed) == self.count

    def missing(self) -> list[int]:
        """Return the pages that were neither read nor have failed."""
        return [index for index in range(self.count) if index not in self.pages and index not in self.failed]

    def pages_in_order(self) -> list[PageRead]:
        """Return the pages that were read, in order."""
        return [self.pages[index] for index in sorted(self.pages)]

    def resume(self) -> None:
        """Load the pages that an earlier run stored."""
        stored_pages = (self.store.load(index) for index in range(self.count))
        self.pages = {page.page.index: page for page in stored_pages if page is not None}
        self.kept = frozenset(self.pages)


class Scheduler:
    """Reads the missing pages of documents with one or more engines.

    `on_page` is called for each page that was read and stored or has failed, before the engine reads its next page.
    `on_document` is called once for each document whose pages are all done, when its engine is between two batches and
    therefore can join pages. Both are called in the thread of an engine; `on_document` is called in the caller's thread
    if an earlier run has read all pages.
    """

    def __init__(
        self,
        jobs: Sequence[DocumentJob],
        source: PageSource,
        on_page: Callable[[DocumentJob, PageRead | Text], None],
        on_document: Callable[[DocumentJob], None],
    ) -> None:
        self._jobs, self._source = jobs, source
        self._on_page, self._on_document = on_page, on_document
        self._tasks: list[Task] = []
        """All pages to read, in order."""
        self._waiting: list[Task] = []
        """Pages that no engine has taken; the next page is the last one."""
        self._open: dict[int, set[int]] = {}
        """The pages that are not done, by document; a document that is done has no entry."""
        self._complete: list[DocumentJob] = []
        """Documents whose pages are done, but which are not joined and reported yet."""
        self._engines = self._threads = 0
        """Number of engines that are not lost, and of threads that have not ended."""
        self._pages_ahead = 0
        """Number of pages that are rendered ahead."""
        self._lost: list[Text] = []
        self._error: BaseException | None = None
        self._is_stopped = False
        self._changed = threading.Condition()
        self._wake: queue.Queue[None] = queue.Queue()
        """Gets an entry from each thread that ends."""

    def run(self, engines: Sequence[Engine]) -> list[Text]:
        """Read every missing page, and return the reasons why engines were lost.

        Raises DoctorError if no engine is left, and the errors of the page store and the callbacks (a full disk).
        On KeyboardInterrupt no engine gets more pages.
        """
        missing = [(n, index) for n, job in enumerate(self._jobs) for index in job.missing()]
        self._tasks = [self._create_task(position, *page) for position, page in enumerate(missing)]
        self._waiting = self._tasks[::-1]
        for task in self._tasks:
            self._open.setdefault(task.document, set()).add(task.index)
        for job in self._jobs:
            if job.is_done:
                self._on_document(job)
        self._engines = self._threads = len(engines) if self._tasks else 0
        self._pages_ahead = _PAGES_AHEAD * self._threads
        self._render_ahead(0)  # while the engines load their models
        for engine in engines[: self._threads]:
            threading.Thread(target=self._run_engine, args=(engine,), daemon=True).start()
        try:
            while self._threads and not self._is_stopped:
                self._wake.get()  # Ctrl-C would not interrupt Thread.join
        finally:
            self._stop()
        if self._error is not None:
            raise self._error
        return self._lost

    def _run_engine(self, engine: Engine) -> None:
        """Read pages with an engine until none is left, and finish documents between batches."""
        try:
            while (tasks := self._take(engine.batch)) and self._read_batch(engine, tasks):
                self._finish_documents(engine)
        except BaseException as error:  # raised again by `run`
            self._stop(error)
        finally:
            with self._changed:
                self._threads -= 1
            self._wake.put(None)

    def _take(self, limit: int) -> list[Task]:
        """Take up to `limit` pages, leaving a share to the other engines; empty when all pages are done.

        A free engine waits until the last page is done, because a lost engine may give pages back.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or not self._open or self._is_stopped)
            if self._is_stopped:
                return []
            waiting, parts = len(self._waiting), _PARTS_PER_ENGINE * self._engines
            share = -(-waiting // parts) if self._engines > 1 else limit
            return [self._waiting.pop() for _ in range(min(limit, share, waiting))]

    def _read_batch(self, engine: Engine, tasks: Sequence[Task]) -> bool:
        """Read and record pages; returns False if the engine is lost, raises its error if it was the last engine."""
        left, results = list(tasks), engine.read_batch(tasks)
        while True:
            try:
                result = next(results, None)
            except DoctorError as error:
                engine.lost = True
                if not self._give_back(left, error):
                    self._finish_documents(engine)
                    raise
                return False
            if result is None:
                return True
            self._record(left[0], result)
            del left[0]

    def _give_back(self, tasks: Sequence[Task], error: DoctorError) -> int:
        """Return the pages of a lost engine to the queue; returns the number of engines left."""
        with self._changed:
            self._waiting.extend(reversed(tasks))
            self._engines -= 1
            self._lost.append(error.message)
            self._changed.notify_all()
            return self._engines

    def _record(self, task: Task, result: PageRead | Text) -> None:
        """Store a page that was read or the reason why it failed, and mark it as done."""
        job = self._jobs[task.document]
        if isinstance(result, PageRead):
            page = with_render_notes(result, self._render(job, task.index))
            result = with_portable_text(page, f"{job.store.folder.name}/{task.folder.name}")
            job.store.save(result)
            job.pages[task.index] = result
        else:
            job.failed[task.index] = result
        self._on_page(job, result)
        with self._changed:
            open_pages = self._open[task.document]
            open_pages.remove(task.index)
            if not open_pages:
                del self._open[task.document]
                self._complete.append(job)
            self._changed.notify_all()
        self._source.forget(job.path, task.index)

    def _finish_documents(self, engine: Engine) -> None:
        """Join and report the documents whose pages are done; another engine may have read them."""
        with self._changed:
            jobs, self._complete = ([], []) if self._is_stopped else (self._complete, [])
        for job in jobs:
            job.markdown = engine.join([page.markdown for page in job.pages_in_order()])
            self._on_document(job)

    def _stop(self, error: BaseException | None = None) -> None:
        """Stop giving pages to engines; `run` raises the first error."""
        with self._changed:
            self._is_stopped, self._error = True, self._error or error
            self._changed.notify_all()

    def _create_task(self, position: int, document: int, index: int) -> Task:
        job = self._jobs[document]
        folder = job.store.clear(index)

        def render(scale: float) -> Picture:
            picture = self._render(job, index, scale)
            self._render_ahead(position + 1)
            return picture

        return Task(index, folder, render, document)

    def _render(self, job: DocumentJob, index: int, scale: float = 1.0) -> Picture:
        try:
            return self._source.render(job.path, index, scale, job.store.folder_of(index) / PREVIEW)
        except PictureError as error:
            raise PageFailedError(error.args[0]) from error

    def _render_ahead(self, start: int) -> None:
        """Start to render the next pages of the list, from `start`.

        Pages that are done are skipped: on behalf of a slow engine, pages would be rendered that others have read.
        """
        for task in self._tasks[start : start + self._pages_ahead]:
            with self._changed:
                if task.index in self._open.get(task.document, ()):
                    job = self._jobs[task.document]
                    self._source.prepare(job.path, task.index, task.folder / PREVIEW)


def with_render_notes(page: PageRead, picture: Picture) -> PageRead:
    """Return the page with a note if its picture was scaled down or is blank."""
    notes, number = list(page.notes), page.page.index + 1
    if picture.share < 1:
        notes.append(message("page-scaled", page=number, percent=round(picture.share * 100)))
    if picture.blank:
        notes.append(message("page-blank", page=number))
    return replace(page, notes=tuple(notes), blank=picture.blank)
