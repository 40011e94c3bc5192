"""The interface of engines: read pages in batches, and join them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import Text
from paddlevl_doctor.parsing.input.page_source import Picture
from paddlevl_doctor.parsing.run.page_store import PageRead


class PageFailedError(Exception):
    """A page could not be read; `message` gives the reason."""

    def __init__(self, message: Text) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True)
class Task:
    """One page to read. `render` returns its picture at a scale, or raises PageFailedError."""

    index: int
    """The number of the page in its document, from 0."""
    folder: Path
    """The folder for the files that the pipeline saves."""
    render: Callable[[float], Picture]
    document: int = 0
    """The number of the document in the run, from 0."""


class Engine(Protocol):
    """Reads pages. Used by one thread."""

    batch: int
    """Maximum number of pages per batch."""
    lost: bool
    """Whether the engine cannot read any more pages."""

    def read_batch(self, tasks: Sequence[Task]) -> Iterator[PageRead | Text]:
        """Yield each page or the reason of its failure, in order; raises DoctorError if the engine is lost."""

    def join(self, pages: Sequence[Mapping[str, Any]]) -> str | None:
        """Return the Markdown of all pages as the engine's pipeline joins them; None if it cannot."""

    def close(self) -> None:
        """End the processes of the engine."""


class SinglePageEngine:
    """Base of engines that read one page at a time."""

    batch: int = 1
    lost: bool = False

    def read(self, task: Task) -> PageRead:
        """Read one page; raises PageFailedError, or DoctorError if the engine is lost."""
        raise NotImplementedError

    def read_batch(self, tasks: Sequence[Task]) -> Iterator[PageRead | Text]:
        """Read one page after the other; see Engine."""
        for task in tasks:
            try:
                result: PageRead | Text = self.read(task)
            except PageFailedError as error:
                result = error.message
            yield result

    def join(self, _pages: Sequence[Mapping[str, Any]]) -> str | None:
        """Return None: the caller joins the pages by their flags."""
        return None
