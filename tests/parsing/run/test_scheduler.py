"""Pages are handed out as engines become free, whatever their speeds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from paddlevl_doctor.messages import Text
from paddlevl_doctor.parsing.engines.base import Engine, PageFailedError, SinglePageEngine, Task
from paddlevl_doctor.parsing.input.page_source import PageSource, Picture
from paddlevl_doctor.parsing.run.page_store import PageRead, PageStore
from paddlevl_doctor.parsing.run.scheduler import DocumentJob, Scheduler
from paddlevl_doctor.values.errors import DoctorError
from paddlevl_doctor.values.pages import Page

OnPage = Callable[[DocumentJob, PageRead | Text], None]


class Quick(SinglePageEngine):
    """Reads at once."""

    pages = 0

    def read(self, task: Task) -> PageRead:
        self.pages += 1
        return PageRead(Page(task.index, 1, 1, (), 0))

    def join(self, pages: Sequence[Mapping[str, Any]]) -> str | None:
        return f"{len(pages)} pages"

    def close(self) -> None:
        pass


class Failing(Quick):
    """Fails with an error."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def read(self, _task: Task) -> PageRead:
        raise self.error


class Stepping(Quick):
    """Reads as many pages as it is given turns."""

    def __init__(self, turns: threading.Semaphore) -> None:
        self.turns = turns

    def read(self, task: Task) -> PageRead:
        self.turns.acquire()
        return super().read(task)


class Drawn(PageSource):
    """Has a picture of every page, of one pixel."""

    def render(self, *_page: object) -> Picture:
        return Picture(Path(), 1, 1)

    def prepare(self, *_page: object) -> Any:
        return None


def run(
    folder: Path,
    engines: Sequence[Engine],
    *counts: int,
    on_page: OnPage = lambda _job, _page: None,
    on_document: Callable[[DocumentJob], None] = lambda _job: None,
) -> tuple[list[DocumentJob], list[str]]:
    """Read documents of so many pages; return them, and why engines were lost."""
    jobs = [
        DocumentJob(Path(f"{n}.pdf"), f"{n}", count, PageStore(folder / f"{n}.pages", "key"))
        for n, count in enumerate(counts)
    ]
    lost = Scheduler(jobs, Drawn(folder, {}), on_page, on_document).run(engines)
    return jobs, lost


def outcomes(jobs: Sequence[DocumentJob]) -> list[dict[int, Text]]:
    return [{**dict.fromkeys(job.pages, "read"), **job.failed} for job in jobs]


def test_a_page_that_fails_is_reported_and_the_others_are_read(tmp_path: Path) -> None:
    jobs, lost = run(tmp_path, [Failing(PageFailedError("no"))], 3)
    assert (outcomes(jobs), lost) == ([{0: "no", 1: "no", 2: "no"}], [])


def test_a_lost_engine_leaves_its_page_to_the_others(tmp_path: Path) -> None:
    jobs, lost = run(tmp_path, [Failing(DoctorError("gone")), Quick()], 5)

    assert outcomes(jobs) == [dict.fromkeys(range(5), "read")]
    assert lost in ([], ["gone"]), "the quick one may have been quicker"


def test_the_last_engine_that_is_lost_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(DoctorError, match="gone"):
        run(tmp_path, [Failing(DoctorError("gone")), Failing(DoctorError("gone"))], 5)


def test_what_cannot_be_written_ends_the_run_and_loses_no_engine(tmp_path: Path) -> None:
    def full(*_arguments: object) -> None:
        raise DoctorError("the disk is full")

    engines = [Quick(), Quick()]
    with pytest.raises(DoctorError, match="the disk is full"):
        run(tmp_path, engines, 5, on_page=full)
    with pytest.raises(DoctorError, match="the disk is full"):
        run(tmp_path, engines, 5, on_document=full)
    assert [engine.lost for engine in engines] == [False, False]


def test_every_page_is_reported_once_before_its_document_which_is_reported_once_and_joined(
    tmp_path: Path,
) -> None:
    lock, calls = threading.Lock(), dict[str, list[str]]()

    def on_page(job: DocumentJob, page: PageRead | Text) -> None:
        assert isinstance(page, PageRead)
        assert job.store.load(page.page.index) == page, "it is stored by now"
        with lock:
            calls.setdefault(job.name, []).append(f"page {page.page.index}")

    def on_document(job: DocumentJob) -> None:
        calls.setdefault(job.name, []).append(str(job.markdown))

    run(tmp_path, [Quick(), Quick(), Quick()], 7, 1, 0, 4, on_page=on_page, on_document=on_document)

    assert {name: (sorted(found[:-1]), found[-1]) for name, found in calls.items()} == {
        "0": ([f"page {n}" for n in range(7)], "7 pages"),
        "1": (["page 0"], "1 pages"),
        "2": ([], "None"),
        "3": ([f"page {n}" for n in range(4)], "4 pages"),
    }


def test_a_device_that_is_free_gets_the_next_page_and_a_slow_one_holds_up_none(tmp_path: Path) -> None:
    slow, fast = Stepping(threading.Semaphore(0)), Quick()
    read: list[int] = []

    def on_page(_job: DocumentJob, page: PageRead | Text) -> None:
        assert isinstance(page, PageRead)
        read.append(page.page.index)
        if len(read) == 19:
            slow.turns.release()

    run(tmp_path, [slow, fast], 20, on_page=on_page)

    assert (slow.pages, fast.pages) == (1, 19), "one page each for as long as it takes"
    assert sorted(read) == list(range(20)), "no page is reported twice"
