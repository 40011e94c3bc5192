"""base."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from paddlevl_doctor.parsing.input.page_source import Picture
from paddlevl_doctor.parsing.run.page_store import PageRead


class PageFailedError(Exception):
    """A page that could not be read in any way; the message is one sentence."""


@dataclass(frozen=True)
class Task:
    """One page to read. `picture` gives it at a scale and raises PageFailedError; `folder` is the page's own."""

    index: int
    """In its document, from 0."""
    folder: Path
    picture: Callable[[float], Picture]
    document: int = 0
    """Which document of the run."""


class Engine(Protocol):
    """What reads pages, in one thread."""

    batch: int
    """How many pages it takes at once at most."""
    lost: bool
    """Whether it reads nothing any more, and need not be asked again."""

    def read_all(self, tasks: Sequence[Task], over: Callable[[Task, PageRead | str], None]) -> None:
        """Read pages and tell each as it is over; raises DoctorError where the engine is lost."""

    def join(self, pages: Sequence[Mapping[str, Any]]) -> str | None:
        """Return the Markdown of all pages in one, as the engine's own pipeline joins it; None where it cannot."""

    def close(self) -> None:
        """Let go of everything."""


class OneByOne:
    """An engine that reads one page after the other."""

    batch: int = 1
    lost: bool = False

    def read(self, task: Task) -> PageRead:
        """Read one page; raises PageFailedError for this page, DoctorError where the engine is lost."""
        raise NotImplementedError

    def read_all(self, tasks: Sequence[Task], over: Callable[[Task, PageRead | str], None]) -> None:
        """Read pages and tell each as it is over; raises DoctorError where the engine is lost."""
        for task in tasks:
            try:
                found: PageRead | str = self.read(task)
            except PageFailedError as error:
                found = str(error)
            over(task, found)

    def join(self, _pages: Sequence[Mapping[str, Any]]) -> str | None:
        """Return None: the pages are joined by their flags."""
        return None
