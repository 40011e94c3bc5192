"""The data of the report of a run for people: pages with pictures, differences, memory, incidents."""

from __future__ import annotations

from dataclasses import field
from enum import Enum
from pathlib import Path

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import Text
from paddlevl_doctor.values.pages import Block, Box


class DifferenceKind(str, Enum):
    """How a page that an engine read differs from the lines that the embedded OCR engine found on it."""

    LOST = "lost"
    """OCR found the text, the engine did not read it."""
    MADE_UP = "made-up"
    """The engine read the text, OCR found no similar text there."""
    REPEATED = "repeated"
    """The engine read the text more often than it is on the page."""
    BLANK = "blank"
    """The engine read nothing on a page where OCR found text."""


@dataclass(frozen=True)
class Difference:
    """One difference and its place in pixels of the page; `page` counts from 0."""

    kind: DifferenceKind
    page: int
    text: str
    box: Box


@dataclass(frozen=True)
class Sample:
    """Memory of one worker with its child processes in MiB; `seconds` since the start of the run.

    `watchdog.sum_by_time` returns the samples for all workers together, with an empty `worker`.
    """

    seconds: float
    rss_mb: int
    vram_mb: int | None = None
    """Memory in use on the worker's GPU, by all processes."""
    worker: str = ""
    device: str = ""


@dataclass(frozen=True)
class PageSection:
    """One page; `picture` is a JPEG of it (possibly scaled down), None if there is none."""

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
    """The fallback strategy with which the page was read (message rung-NAME)."""
    folder: Path | None = None
    """Folder of the page's results, with pictures cut out of the page in `imgs`; None if no picture is shown."""


@dataclass(frozen=True)
class DocumentSection:
    """One document: its pages, the reasons of failed pages, and the verdict."""

    name: str
    pages: tuple[PageSection, ...]
    passed: bool
    summary: Text
    reasons: tuple[Text, ...] = ()
    failed: tuple[Text, ...] = ()
    """The reason for each page that could not be read."""
    judged: bool = True
    """False if there was nothing to compare the reading with."""
    difference: str = ""
    """Unified diff from the ground truth to the text that was read; empty without a ground truth."""
    others: tuple[OtherReading, ...] = ()
    """In a comparison: the same document as the other engines read it."""


@dataclass(frozen=True)
class OtherReading:
    """A document as another engine read it, compared with the first engine's text.

    `similarity` is 0 to 1, None if neither engine could read anything; `difference` is the unified diff.
    """

    engine: str
    document: DocumentSection
    similarity: float | None
    difference: str


@dataclass(frozen=True)
class EngineSection:
    """One engine of a comparison: its reading time, and why it failed (empty if it did not)."""

    engine: str
    device: str
    seconds: float
    failure: Text


@dataclass(frozen=True)
class RunReport:
    """The report of one run."""

    title: str
    engine: str
    device: str
    documents: tuple[DocumentSection, ...]
    seconds: dict[str, float] = field(default_factory=dict)
    samples: tuple[Sample, ...] = ()
    incidents: tuple[Text, ...] = ()
    rungs: Text = ""
    """Summary of the fallback strategies that were used; empty if none was needed."""
    engines: tuple[EngineSection, ...] = ()
    """In a comparison: all engines; the rest of the report is that of the first one that could read."""
