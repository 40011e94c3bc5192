"""What an engine read, as frozen values, and their JSON forms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from paddlevl_doctor.values import as_dict

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
    notes: tuple[str, ...] = field(default=())
    """What the user should know about how it was read, in the user's language: scaled down, first page only."""


def reading_to_dict(reading: Reading) -> dict[str, Any]:
    """Return a reading as plain JSON types; `reading_from_dict` takes it back."""
    document: dict[str, Any] = as_dict(reading)
    return document


def reading_from_dict(document: Mapping[str, Any]) -> Reading:
    """Return the reading that `reading_to_dict` wrote; raises KeyError, TypeError or ValueError for anything else."""
    return Reading(
        engine=str(document["engine"]),
        device=str(document["device"]),
        pages=tuple(_page(page) for page in document["pages"]),
        stages={str(name): float(seconds) for name, seconds in document["stages"].items()},
        rss_mb=int(document["rss_mb"]),
        vram_mb=None if document["vram_mb"] is None else int(document["vram_mb"]),
        notes=tuple(str(note) for note in document["notes"]),
    )


def _page(page: Mapping[str, Any]) -> Page:
    blocks = tuple(Block(str(b["kind"]), str(b["text"]), box_of(b["box"])) for b in page["blocks"])
    return Page(int(page["index"]), int(page["width"]), int(page["height"]), blocks, float(page["seconds"]))


def box_of(numbers: Any) -> Box:
    """Return four numbers of a JSON document as a box; raises TypeError or ValueError for anything else."""
    left, top, right, bottom = (round(number) for number in numbers)
    return left, top, right, bottom
