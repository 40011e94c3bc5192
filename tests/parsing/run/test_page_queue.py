"""Pages are handed out as engines become free, whatever their speeds."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from paddlevl_doctor.parsing.engines.base import Engine, OneByOne, PageFailedError, Task
from paddlevl_doctor.parsing.input.page_source import Picture
from paddlevl_doctor.parsing.run.page_queue import read_pages
from paddlevl_doctor.parsing.run.page_store import PageRead
from paddlevl_doctor.values.errors import DoctorError
from paddlevl_doctor.values.pages import Page


class Quick(OneByOne):
    """Reads at once."""

    def read(self, task: Task) -> PageRead:
        return PageRead(Page(task.index, 1, 1, (), 0))

    def close(self) -> None:
        pass


class Failing(Quick):
    """Fails as it is told."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def read(self, task: Task) -> PageRead:
        assert task.folder == Path()
        raise self.error


class Stepping(Quick):
    """Reads a page only when all devices do, and as many of them as it is given turns."""

    def __init__(self, turns: threading.Semaphore) -> None:
        self.turns, self.pages = turns, 0

    def read(self, task: Task) -> PageRead:
        self.turns.acquire()
        self.pages += 1
        return super().read(task)


def tasks(count: int) -> list[Task]:
    return [Task(n, Path(), lambda _scale: Picture(Path(), 1, 1)) for n in range(count)]


def outcomes(engines: Sequence[Engine], count: int) -> tuple[dict[int, str], list[str]]:
    found: dict[int, str] = {}

    def over(task: Task, read: PageRead | str, _engine: Engine) -> None:
        assert task.index not in found, "no page is told twice"
        found[task.index] = read if isinstance(read, str) else "read"

    lost = read_pages(engines, tasks(count), over)
    return found, lost


def test_a_page_that_fails_is_told_and_the_others_are_read() -> None:
    assert outcomes([Failing(PageFailedError("no"))], 3) == ({0: "no", 1: "no", 2: "no"}, [])


def test_a_lost_engine_leaves_its_page_to_the_others() -> None:
    found, lost = outcomes([Failing(DoctorError("gone")), Quick()], 5)

    assert found == dict.fromkeys(range(5), "read")
    assert lost in ([], ["gone"]), "the quick one may have been quicker"


def test_the_last_engine_that_is_lost_ends_the_run() -> None:
    with pytest.raises(DoctorError, match="gone"):
        outcomes([Failing(DoctorError("gone")), Failing(DoctorError("gone"))], 5)


def test_what_cannot_be_written_ends_the_run() -> None:
    def over(_task: Task, _read: PageRead | str, _engine: Engine) -> None:
        raise DoctorError("the disk is full")

    with pytest.raises(DoctorError, match="the disk is full"):
        read_pages([Quick(), Quick()], tasks(5), over)


def test_a_device_that_is_free_gets_the_next_page_and_a_slow_one_holds_up_none() -> None:
    slow, fast = Stepping(threading.Semaphore(0)), Quick()
    told: list[int] = []

    def over(task: Task, _read: PageRead | str, engine: Engine) -> None:
        if engine is fast:
            told.append(task.index)
        if len(told) == 19:
            slow.turns.release()

    read_pages([slow, fast], tasks(20), over)

    assert (slow.pages, len(told)) == (1, 19), "one page each for as long as it takes"
