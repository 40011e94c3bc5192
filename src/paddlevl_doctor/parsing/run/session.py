"""Reads documents with engines: all pages of all documents through one pool, each document finished as it is over."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from paddlevl_doctor.messages import Text, text
from paddlevl_doctor.parsing.engines.base import Engine, PageFailedError, Task
from paddlevl_doctor.parsing.input.page_source import PageSource, Picture, PictureError
from paddlevl_doctor.parsing.run.page_queue import read_pages
from paddlevl_doctor.parsing.run.page_store import PageRead, PageStore, presentable

PREVIEW = "page.jpg"
"""The picture of a page for people, beside what was read from it."""


_AHEAD = 16
"""Pages that are drawn for each engine before it asks for them."""


@dataclass
class Work:
    """One document of a run, and what has come of its pages so far."""

    path: Path
    name: str
    count: int
    store: PageStore
    notes: list[str] = field(default_factory=list)
    pages: dict[int, PageRead] = field(default_factory=dict)
    failed: dict[int, Text] = field(default_factory=dict)
    kept: frozenset[int] = frozenset()
    """Pages that an earlier run has read."""
    markdown: str | None = None
    """All pages in one, as the engine joined them."""

    @property
    def resumed(self) -> int:
        """Return how many pages an earlier run has read."""
        return len(self.kept)

    @property
    def over(self) -> bool:
        """Say whether no page is left to read."""
        return len(self.pages) + len(self.failed) == self.count

    def in_order(self) -> list[PageRead]:
        """Return the pages that were read, in order."""
        return [self.pages[index] for index in sorted(self.pages)]


@dataclass
class Session:
    """One run over some documents. `finish` is called once for each, in the thread of an engine between its batches."""

    works: Sequence[Work]
    source: PageSource
    finish: Callable[[Work], None]
    on_page: Callable[[Work, PageRead], None] = lambda _work, _page: None
    on_over: Callable[[], None] = lambda: None
    """Called for every page that is over, read or not."""
    _tasks: list[Task] = field(default_factory=list)
    _places: dict[tuple[int, int], int] = field(default_factory=dict)
    _ended: set[tuple[int, int]] = field(default_factory=set)
    """Pages that are over: a slow engine must not have those drawn again that faster ones have long read."""
    _complete: list[Work] = field(default_factory=list)
    """Documents that are over and not finished yet."""
    _ahead: int = 1
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def resume(self) -> int:
        """Take over the pages that are on disk; returns how many there are."""
        for work in self.works:
            found = (work.store.found(index) for index in range(work.count))
            work.pages = {page.page.index: page for page in found if page is not None}
            work.kept = frozenset(work.pages)
        return sum(work.resumed for work in self.works)

    def run(self, engines: Sequence[Engine]) -> list[str]:
        """Read every page that is not there yet; returns why engines were lost, raises as `read_pages` does."""
        self._tasks = [self._task(n, i) for n, work in enumerate(self.works) for i in _missing(work)]
        self._places = {(task.document, task.index): place for place, task in enumerate(self._tasks)}
        for work in self.works:
            if work.over:
                self.finish(work)
        if not self._tasks:
            return []
        self._ahead = _AHEAD * len(engines)
        for task in self._tasks[: self._ahead]:  # drawn while the engines load their models
            self._prepare(task)
        return read_pages(engines, self._tasks, self._over, self._settle)

    def _task(self, number: int, index: int) -> Task:
        folder = self.works[number].store.clear(index)

        def picture(scale: float) -> Picture:
            return self._picture(number, index, scale)

        return Task(index, folder, picture, number)

    def _picture(self, number: int, index: int, scale: float) -> Picture:
        """Draw a page, and begin with the ones that will be wanted next."""
        drawn = self._draw(number, index, scale)
        place = self._places[number, index]
        for task in self._tasks[place + 1 : place + 1 + self._ahead]:
            self._prepare(task)
        return drawn

    def _draw(self, number: int, index: int, scale: float = 1.0) -> Picture:
        work = self.works[number]
        try:
            return self.source.draw(work.path, index, scale, work.store.place(index) / PREVIEW)
        except PictureError as error:
            raise PageFailedError(str(error)) from error

    def _prepare(self, task: Task) -> None:
        with self._lock:
            if (task.document, task.index) not in self._ended:
                self.source.prepare(self.works[task.document].path, task.index, task.folder / PREVIEW)

    def _forget(self, task: Task) -> None:
        with self._lock:
            self._ended.add((task.document, task.index))
        self.source.forget(self.works[task.document].path, task.index)

    def _over(self, task: Task, found: PageRead | str, _engine: Engine) -> None:
        """Keep a page, and note that its document is over with it."""
        work = self.works[task.document]
        if isinstance(found, PageRead):
            picture = self._draw(task.document, task.index)
            folder = f"{work.store.folder.name}/{task.folder.name}"
            found = presentable(noted(found, picture), folder)
            work.store.keep(found)
            self.on_page(work, found)
        with self._lock:
            if isinstance(found, PageRead):
                work.pages[task.index] = found
            else:
                work.failed[task.index] = found
            if work.over:
                self._complete.append(work)
        self.on_over()
        self._forget(task)

    def _settle(self, engine: Engine) -> None:
        """Finish what is over, whoever read it: a worker in the middle of a batch could not be asked to join pages."""
        with self._lock:
            works, self._complete = self._complete, []
        for work in works:
            work.markdown = engine.join([page.markdown for page in work.in_order()])
            self.finish(work)


def noted(found: PageRead, picture: Picture) -> PageRead:
    """Return the page with what the user should know about its picture."""
    notes = list(found.notes)
    if picture.share < 1:
        notes.append(text("page-scaled", page=found.page.index + 1, percent=round(picture.share * 100)))
    if picture.blank:
        notes.append(text("page-blank", page=found.page.index + 1))
    return replace(found, notes=tuple(notes), blank=picture.blank)


def _missing(work: Work) -> list[int]:
    return [index for index in range(work.count) if index not in work.pages]
