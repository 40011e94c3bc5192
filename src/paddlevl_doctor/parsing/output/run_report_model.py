"""What a run is told as, for reports that people read: pages with their pictures, differences, memory, incidents."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from paddlevl_doctor.messages import Text
from paddlevl_doctor.values.pages import Block, Box


class DifferenceKind(str, Enum):
    """How an engine's page differs from what the witness, an independent reader, saw on it."""

    LOST = "lost"
    """The witness saw it, the engine did not read it."""
    MADE_UP = "made-up"
    """The engine read it, the witness saw nothing like it there."""
    REPEATED = "repeated"
    """The engine says it more often than it is on the page."""
    BLANK = "blank"
    """The engine read nothing at all on a page where the witness saw text."""


@dataclass(frozen=True)
class Difference:
    """One difference and its place in pixels of the page; `page` counts from 0."""

    kind: DifferenceKind
    page: int
    text: str
    box: Box


@dataclass(frozen=True)
class Sample:
    """Memory at one moment: seconds since the start of the run, MiB of a worker with its children.

    `watchdog.sum_by_time` makes those of all workers out of them, which have no `worker`.
    """

    seconds: float
    rss_mb: int
    vram_mb: int | None = None
    """In use on the worker's GPU, by whomever."""
    worker: str = ""
    device: str = ""


@dataclass(frozen=True)
class PageSection:
    """One page; `picture` is a JPEG of it (maybe scaled down), None where there is none."""

    index: int
    width: int
    height: int
    blocks: tuple[Block, ...]
    seconds: float
    device: str
    picture: Path | None = None
    differences: tuple[Difference, ...] = ()
    notes: tuple[Text, ...] = ()
    rung: str = "first"
    """Of the ladder; as in messages: rung-NAME."""
    folder: Path | None = None
    """What was saved of the page, with the pictures that were cut out of it in `imgs`; None: none is shown."""


@dataclass(frozen=True)
class DocumentSection:
    """One document: its pages, what became of those that could not be read, and the verdict in words."""

    name: str
    pages: tuple[PageSection, ...]
    passed: bool
    summary: Text
    reasons: tuple[Text, ...] = ()
    failed: tuple[Text, ...] = ()
    """A sentence for each page that could not be read."""
    judged: bool = True
    """False where there was nothing to judge by."""
    difference: str = ""
    """Unified diff between the known text and what was read, where a known text was given."""
    others: tuple[OtherReading, ...] = ()
    """In a comparison: the same document as every other engine read it."""


@dataclass(frozen=True)
class OtherReading:
    """A document as another engine read it, and its unified diff from the first engine's text; similarity 0 to 1,
    None where neither could read anything."""

    engine: str
    document: DocumentSection
    similarity: float | None
    difference: str


@dataclass(frozen=True)
class EngineSection:
    """One engine of a comparison: the seconds it read for, and why it failed, empty where it did not."""

    engine: str
    device: str
    seconds: float
    failure: Text


@dataclass(frozen=True)
class RunReport:
    """Everything about one run."""

    title: str
    engine: str
    device: str
    documents: tuple[DocumentSection, ...]
    seconds: dict[str, float] = field(default_factory=dict)
    samples: tuple[Sample, ...] = ()
    incidents: tuple[Text, ...] = ()
    rungs: Text = ""
    """Which rungs of the ladder helped, in one sentence; empty where none was needed."""
    engines: tuple[EngineSection, ...] = ()
    """In a comparison: all of them; everything else is the first one's that could read."""
