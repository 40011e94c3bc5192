"""Hands pages to engines as they become free, keeps every page that was read, and gives results in order.

One engine a device, one thread an engine. An engine that is lost (its device fell off, its environment broke) gives
its page back to the others; a page that nobody can read does not stop the document.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence

from paddlevl_doctor.parsing.engines.base import Engine, Task
from paddlevl_doctor.parsing.run.page_store import PageRead
from paddlevl_doctor.values.errors import DoctorError

_PARTS = 3
"""Into so many parts for each engine the pages that wait are divided: one of half the usual speed is not waited for."""


Over = Callable[[Task, "PageRead | str", Engine], None]
"""Is told of every page that is over, in the engine's thread: what was read, or why it could not be."""


Settle = Callable[[Engine], None]
"""Is given every engine between its batches, in its thread: only then can it be asked for anything but pages."""


def read_pages(
    engines: Sequence[Engine], tasks: Sequence[Task], over: Over, settle: Settle = lambda _engine: None
) -> list[str]:
    """Read every task with whichever engine is free; `over` is called before an engine gets its next page.

    Returns why engines were lost, when all is read and settled. Raises DoctorError when none is left, and what `over`
    and `settle` raise (a full disk); KeyboardInterrupt passes on once every thread has stopped taking pages.
    """
    work = _Work(tasks, over, settle, len(engines))
    for engine in engines:
        threading.Thread(target=work.run, args=(engine,), daemon=True).start()
    try:
        work.wait()
    finally:
        work.stop()
    if isinstance(work.error, _UntoldError):
        raise work.error.cause
    if work.error is not None:
        raise work.error
    return work.lost


class _UntoldError(Exception):
    """A page was read, and telling so failed."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(str(cause))
        self.cause = cause


class _Work:
    """The pages that wait, and what has come of the others."""

    def __init__(self, tasks: Sequence[Task], over: Over, settle: Settle, engines: int) -> None:
        self.lost: list[str] = []
        self.error: BaseException | None = None
        self._tell, self._settled = over, settle
        self._waiting = list(reversed(tasks))
        self._left, self._engines, self._threads = len(tasks), engines, engines
        self._is_stopped = False
        self._changed = threading.Condition()
        self._marks: queue.Queue[None] = queue.Queue()

    def run(self, engine: Engine) -> None:
        """Take pages until there are none, and settle after each batch."""
        try:
            while (tasks := self._take(engine.batch)) and self._read(engine, tasks):
                self._settle(engine)
        except BaseException as error:  # raised again where the pages are waited for
            self._end(error)
        finally:
            self._leave()

    def _read(self, engine: Engine, tasks: Sequence[Task]) -> bool:
        """Read some pages; returns whether the engine can go on. The last one that cannot settles what is over."""
        left = list(tasks)
        try:
            engine.read_all(tasks, lambda task, found: self._over(task, found, engine, left))
        except DoctorError as error:
            engine.lost = True
            if self._lose(left, error):
                self._settle(engine)
                self._end(error)
            return False
        return True

    def _settle(self, engine: Engine) -> None:
        if not self._is_stopped:
            self._settled(engine)

    def _take(self, most: int) -> list[Task]:
        """Return the next pages, no more than leave some to the others; none where all are over.

        Pages that are being read may come back, so whoever is free waits for the last one's end.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or not self._left or self.error is not None)
            if self.error is not None:
                return []
            fair = -(-len(self._waiting) // (_PARTS * self._engines)) if self._engines > 1 else most
            count = min(most, max(1, fair), len(self._waiting))
            return [self._waiting.pop() for _ in range(count)]

    def _over(self, task: Task, found: PageRead | str, engine: Engine, left: list[Task]) -> None:
        try:
            self._tell(task, found, engine)
        except DoctorError as error:  # what cannot be written is no fault of the engine
            raise _UntoldError(error) from error
        left.remove(task)
        with self._changed:
            self._left -= 1
            self._changed.notify_all()

    def _lose(self, left: Sequence[Task], error: DoctorError) -> bool:
        """Give the pages of a lost engine to the others; returns whether there are none."""
        with self._changed:
            self._waiting.extend(reversed(left))
            self._engines -= 1
            self.lost.append(str(error))
            self._changed.notify_all()
            return self._engines == 0

    def _end(self, error: BaseException) -> None:
        with self._changed:
            self.error = error
            self._changed.notify_all()
        self._marks.put(None)

    def _leave(self) -> None:
        with self._changed:
            self._threads -= 1
        self._marks.put(None)

    def wait(self) -> None:
        """Wait until every engine is done, or none can be; a queue is waited for, because joining loses Ctrl-C."""
        while self._threads and self.error is None:
            self._marks.get()

    def stop(self) -> None:
        """Hand out no more pages."""
        with self._changed:
            self._is_stopped = True
            self._waiting.clear()
            self._left = 0
            self._changed.notify_all()
