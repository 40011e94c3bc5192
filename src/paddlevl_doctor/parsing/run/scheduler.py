"""Reads documents: hands their pages to engines, keeps every page that was read, and finishes each document.

Each engine has a thread of its own and takes the next pages when it is free. An engine that is lost (its device fell
off the bus, its environment broke) gives its pages back to the others. A page that no engine can read does not stop
its document.
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
"""The picture of a page for people, beside the page's results."""
_PAGES_AHEAD = 16
"""Pages that are drawn for each engine before the engine asks for them."""
_PARTS_PER_ENGINE = 3
"""The waiting pages are divided into this many parts for each engine, so that the end of the run does not wait for an
engine of half the usual speed."""


@dataclass
class DocumentJob:
    """One document of a run, and its pages so far."""

    path: Path
    name: str
    """Of its results, relative to the output folder, without a suffix."""
    count: int
    """How many pages it has."""
    store: PageStore
    notes: list[Text] = field(default_factory=list)
    pages: dict[int, PageRead] = field(default_factory=dict)
    failed: dict[int, Text] = field(default_factory=dict)
    """Why a page could not be read, by page."""
    kept: frozenset[int] = frozenset()
    """Pages that an earlier run has read."""
    markdown: str | None = None
    """All pages in one, as the engine's pipeline joined them; None where no engine did."""

    @property
    def resumed(self) -> int:
        """Return how many pages an earlier run has read."""
        return len(self.kept)

    @property
    def is_done(self) -> bool:
        """Say whether no page is left to read."""
        return len(self.pages) + len(self.failed) == self.count

    def missing(self) -> list[int]:
        """Return the pages that were neither read nor given up."""
        return [index for index in range(self.count) if index not in self.pages and index not in self.failed]

    def pages_in_order(self) -> list[PageRead]:
        """Return the pages that were read, in order."""
        return [self.pages[index] for index in sorted(self.pages)]

    def resume(self) -> None:
        """Take over the pages that an earlier run has stored."""
        stored = (self.store.load(index) for index in range(self.count))
        self.pages = {page.page.index: page for page in stored if page is not None}
        self.kept = frozenset(self.pages)


class Scheduler:
    """Reads the missing pages of some documents with some engines.

    `on_page` is called for every page that was read and stored, or has failed, before the engine gets its next page.
    `on_document` is called once for every document whose pages are all done; only then is no engine in the middle of
    a batch, so that it could join pages. Both are called in the thread of an engine; `on_document` is called in the
    caller's thread where an earlier run has read all pages.
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
        """Those that no engine has taken, the next one last."""
        self._open: dict[int, set[int]] = {}
        """The pages that are not done, by document; a document without any is not in it."""
        self._complete: list[DocumentJob] = []
        """Documents that are done and not finished yet."""
        self._engines = self._threads = 0
        """How many engines are not lost, and how many threads have not ended."""
        self._ahead = 0
        """How many pages are drawn before they are asked for."""
        self._lost: list[Text] = []
        self._error: BaseException | None = None
        self._is_stopped = False
        self._changed = threading.Condition()
        self._wake: queue.Queue[None] = queue.Queue()
        """Gets an entry for every thread that ends or stops the run."""

    def run(self, engines: Sequence[Engine]) -> list[Text]:
        """Read every page that is missing, and return why engines were lost.

        Raises DoctorError when no engine is left, and what storing a page and the callbacks raise (a full disk).
        KeyboardInterrupt passes on once no engine is given more pages.
        """
        missing = [(n, index) for n, job in enumerate(self._jobs) for index in job.missing()]
        self._tasks = [self._create_task(place, *page) for place, page in enumerate(missing)]
        self._waiting = self._tasks[::-1]
        for task in self._tasks:
            self._open.setdefault(task.document, set()).add(task.index)
        for job in self._jobs:
            if job.is_done:
                self._on_document(job)
        self._engines = self._threads = len(engines) if self._tasks else 0
        self._ahead = _PAGES_AHEAD * self._threads
        self._render_ahead(0)  # while the engines load their models
        for engine in engines[: self._threads]:
            threading.Thread(target=self._run_engine, args=(engine,), daemon=True).start()
        try:
            while self._threads and not self._is_stopped:
                self._wake.get()  # joining a thread would not be interrupted by Ctrl-C
        finally:
            self._stop()
        if self._error is not None:
            raise self._error
        return self._lost

    def _run_engine(self, engine: Engine) -> None:
        """Read pages with an engine until none is left, and finish documents between two batches."""
        try:
            while (tasks := self._take(engine.batch)) and self._read_batch(engine, tasks):
                self._finish_documents(engine)
        except BaseException as error:  # raised again by `run`
            self._stop(error)
        finally:
            with self._changed:
                self._threads -= 1
            self._wake.put(None)

    def _take(self, most: int) -> list[Task]:
        """Return the next pages, few enough to leave some to the other engines; none when all pages are done.

        A lost engine may give pages back, so an engine that is free waits until the last page is done.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or not self._open or self._is_stopped)
            if self._is_stopped:
                return []
            fair = (
                -(-len(self._waiting) // (_PARTS_PER_ENGINE * self._engines)) if self._engines > 1 else most
            )
            return [self._waiting.pop() for _ in range(min(most, max(1, fair), len(self._waiting)))]

    def _read_batch(self, engine: Engine, tasks: Sequence[Task]) -> bool:
        """Read and record some pages; returns False where the engine is lost, raises its error where it is the last."""
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
        """Let the other engines read the pages of a lost one; returns how many engines are left."""
        with self._changed:
            self._waiting.extend(reversed(tasks))
            self._engines -= 1
            self._lost.append(error.message)
            self._changed.notify_all()
            return self._engines

    def _record(self, task: Task, result: PageRead | Text) -> None:
        """Store a page that was read, and note that it is done."""
        job = self._jobs[task.document]
        if isinstance(result, PageRead):
            noted = with_render_notes(result, self._render(job, task.index))
            result = with_portable_text(noted, f"{job.store.folder.name}/{task.folder.name}")
            job.store.save(result)
            job.pages[task.index] = result
        else:
            job.failed[task.index] = result
        self._on_page(job, result)
        with self._changed:
            left = self._open[task.document]
            left.remove(task.index)
            if not left:
                del self._open[task.document]
                self._complete.append(job)
            self._changed.notify_all()
        self._source.forget(job.path, task.index)

    def _finish_documents(self, engine: Engine) -> None:
        """Finish the documents that are done, whichever engine read them."""
        with self._changed:
            jobs, self._complete = ([], []) if self._is_stopped else (self._complete, [])
        for job in jobs:
            job.markdown = engine.join([page.markdown for page in job.pages_in_order()])
            self._on_document(job)

    def _stop(self, error: BaseException | None = None) -> None:
        """Give no engine more pages; `run` raises the first error."""
        with self._changed:
            self._is_stopped, self._error = True, self._error or error
            self._changed.notify_all()

    def _create_task(self, place: int, document: int, index: int) -> Task:
        job = self._jobs[document]
        folder = job.store.clear(index)

        def render(scale: float) -> Picture:
            drawn = self._render(job, index, scale)
            self._render_ahead(place + 1)
            return drawn

        return Task(index, folder, render, document)

    def _render(self, job: DocumentJob, index: int, scale: float = 1.0) -> Picture:
        try:
            return self._source.render(job.path, index, scale, job.store.folder_of(index) / PREVIEW)
        except PictureError as error:
            raise PageFailedError(error.args[0]) from error

    def _render_ahead(self, start: int) -> None:
        """Begin to draw the pages that are read next, from a place in the list of all pages on.

        Pages that are done are left out: a slow engine must not have pages drawn that faster ones have long read.
        """
        for task in self._tasks[start : start + self._ahead]:
            with self._changed:
                if task.index in self._open.get(task.document, ()):
                    job = self._jobs[task.document]
                    self._source.prepare(job.path, task.index, task.folder / PREVIEW)


def with_render_notes(read: PageRead, picture: Picture) -> PageRead:
    """Return the page with notes on a picture that was made smaller or is blank."""
    notes = list(read.notes)
    if picture.share < 1:
        notes.append(message("page-scaled", page=read.page.index + 1, percent=round(picture.share * 100)))
    if picture.blank:
        notes.append(message("page-blank", page=read.page.index + 1))
    return replace(read, notes=tuple(notes), blank=picture.blank)
