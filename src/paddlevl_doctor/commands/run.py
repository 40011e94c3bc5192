"""What one run of `parse` is to do, and what it has learnt so far."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from paddlevl_doctor.parsing.outcome import DocumentReport, ParseRequest
from paddlevl_doctor.system import System
from paddlevl_doctor.values import Bar, Stage


@dataclass
class Run:
    """What one run has learnt so far."""

    system: System
    request: ParseRequest
    stage: Stage
    bar: Bar
    seconds: dict[str, float] = field(default_factory=dict)
    incidents: list[str] = field(default_factory=list)
    flaws: list[str] = field(default_factory=list)
    """Why the run fails although the documents may have been read."""
    proved_on: tuple[str, ...] = ()
    """The devices that a self-test ran on."""
    order: list[Path] = field(default_factory=list)
    """All documents, as they were named."""
    documents: dict[Path, DocumentReport] = field(default_factory=dict)
    """Those that are over."""
    written: dict[Path, tuple[str, ...]] = field(default_factory=dict)
    """The results of those that were read and wait for their verdict."""

    @contextmanager
    def timed(self, name: str, title: str) -> Iterator[None]:
        """Announce a stage and remember how long it took."""
        with self.stage(title), self.clocked(name):
            yield

    @contextmanager
    def clocked(self, name: str) -> Iterator[None]:
        """Remember how long something took."""
        started = self.system.clock()
        yield
        self.seconds[name] = round(self.system.clock() - started, 2)
