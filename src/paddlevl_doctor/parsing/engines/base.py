"""What every engine does: it reads pages in batches, and may join them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from paddlevl_doctor.messages import Text
from paddlevl_doctor.parsing.input.page_source import Picture
from paddlevl_doctor.parsing.run.page_store import PageRead


class PageFailedError(Exception):
    """A page that could not be read in any way; `message` is one sentence."""

    def __init__(self, message: Text) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True)
class Task:
    """One page to read. `render` returns its picture at a scale and raises PageFailedError."""

    index: int
    """In its document, from 0."""
    folder: Path
    """For what the pipeline saves of this page."""
    render: Callable[[float], Picture]
    document: int = 0
    """Which document of the run."""


class Engine(Protocol):
    """Reads pages, in one thread."""

    batch: int
    """How many pages it takes at once at most."""
    lost: bool
    """Whether it can read nothing any more."""

    def read_batch(self, tasks: Sequence[Task]) -> Iterator[PageRead | Text]:
        """Yield each page in order as soon as it is read, or why it cannot be; raises DoctorError when lost."""

    def join(self, pages: Sequence[Mapping[str, Any]]) -> str | None:
        """Return the Markdown of all pages in one, as the engine's own pipeline joins it; None where it cannot."""

    def close(self) -> None:
        """End the processes of the engine."""


class SinglePageEngine:
    """An engine that reads one page after the other."""

    batch: int = 1
    lost: bool = False

    def read(self, task: Task) -> PageRead:
        """Read one page; raises PageFailedError for this page, DoctorError where the engine is lost."""
        raise NotImplementedError

    def read_batch(self, tasks: Sequence[Task]) -> Iterator[PageRead | Text]:
        """Yield each page in order as soon as it is read, or why it cannot be; raises DoctorError when lost."""
        for task in tasks:
            try:
                result: PageRead | Text = self.read(task)
            except PageFailedError as error:
                result = error.message
            yield result

    def join(self, _pages: Sequence[Mapping[str, Any]]) -> str | None:
        """Return None: the pages are joined by their flags."""
        return None
