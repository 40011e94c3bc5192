"""The pages that an engine read, and their JSON form."""

from __future__ import annotations

from dataclasses import field
from typing import Any

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import Text
from paddlevl_doctor.values.findings import as_dict

Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels of the original page."""


@dataclass(frozen=True)
class Line:
    """A line of text of an OCR engine; `score` is the confidence of the engine, 0 to 1."""

    text: str
    box: Box
    score: float


@dataclass(frozen=True)
class Block:
    """A block of a page. With the native engine, a table is HTML and a formula is LaTeX; the reader's is text."""

    kind: str
    """title, heading, text, table, formula, figure, caption, or another label of the native layout model."""
    text: str
    box: Box


@dataclass(frozen=True)
class Page:
    """A page with its blocks in reading order; `index` starts at 0."""

    index: int
    width: int
    height: int
    blocks: tuple[Block, ...]
    seconds: float


@dataclass(frozen=True)
class Reading:
    """The pages that an engine read on a device, with seconds by stage and peak memory in MiB."""

    engine: str
    device: str
    pages: tuple[Page, ...]
    stages: dict[str, float]
    rss_mb: int
    vram_mb: int | None = None
    notes: tuple[Text, ...] = field(default=())
    """Notes for the user, such as that a page was scaled down or only the first page was read."""


def reading_to_dict(reading: Reading) -> dict[str, Any]:
    """Return a reading as plain JSON types."""
    document: dict[str, Any] = as_dict(reading)
    return document


def box_of(numbers: Any) -> Box:
    """Return four numbers of a JSON document as a box. Raises TypeError or ValueError for any other value."""
    left, top, right, bottom = (round(number) for number in numbers)
    return left, top, right, bottom
