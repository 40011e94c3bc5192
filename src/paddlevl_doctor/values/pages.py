"""What an engine read, as frozen values, and their JSON forms."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from paddlevl_doctor.messages import Text
from paddlevl_doctor.values.findings import as_dict

Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels of the page as it came."""


@dataclass(frozen=True)
class Line:
    """One line of text as an OCR engine found it; `score` is the engine's own confidence, 0 to 1."""

    text: str
    box: Box
    score: float


@dataclass(frozen=True)
class Block:
    """One part of a page. A native table's text is HTML, a native formula's is LaTeX; the reader reads plain text."""

    kind: str
    """title, heading, text, table, formula, figure, caption, or the native layout model's own label."""
    text: str
    box: Box


@dataclass(frozen=True)
class Page:
    """One page, its blocks in reading order; `index` counts from 0."""

    index: int
    width: int
    height: int
    blocks: tuple[Block, ...]
    seconds: float


@dataclass(frozen=True)
class Reading:
    """A document as one engine read it on one device, in seconds by stage and peak memory in MiB."""

    engine: str
    device: str
    pages: tuple[Page, ...]
    stages: dict[str, float]
    rss_mb: int
    vram_mb: int | None = None
    notes: tuple[Text, ...] = field(default=())
    """What the user should know about how it was read: scaled down, first page only."""


def reading_to_dict(reading: Reading) -> dict[str, Any]:
    """Return a reading as plain JSON types."""
    document: dict[str, Any] = as_dict(reading)
    return document


def box_of(numbers: Any) -> Box:
    """Return four numbers of a JSON document as a box; raises TypeError or ValueError for anything else."""
    left, top, right, bottom = (round(number) for number in numbers)
    return left, top, right, bottom
