"""A run of `parse` as one HTML page: pages beside what was read of them, differences, times, memory, incidents.

No script, no request to anywhere; nothing that was read can become more than words, their emphasis and tables.
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from paddlevl_doctor import __version__
from paddlevl_doctor.errors import DoctorError
from paddlevl_doctor.messages import language, text
from paddlevl_doctor.parsing.model import Block, Box
from paddlevl_doctor.parsing.story import Difference, DifferenceKind, DocumentStory, PageStory, RunStory
from paddlevl_doctor.parsing.tables import Cell, cells_of
from paddlevl_doctor.report.html import template
from paddlevl_doctor.report.memory_plot import HIGH, WIDE, plot_of
from paddlevl_doctor.report.reading_html import Pictures, as_html, cut_out, pictures_in

NAME = "report.html"
_OPEN = 3
"""Pages of a document that are open at first."""
_OPEN_DIFFERING = 10
"""Pages of a document that are open at first because something differs on them."""
_LONGEST = 20_000
"""Characters of a block that are shown: a model that does not stop writes more than anybody reads."""
_LONGEST_DIFFERENCE = 600
_LEVELS = {"title": "h4", "doc_title": "h4", "heading": "h5", "paragraph_title": "h5"}
_FORMULAS = frozenset({"formula", "display_formula", "inline_formula"})
_FIGURES = frozenset({"figure", "image", "chart", "seal", "header_image", "footer_image"})
_CAPTIONS = frozenset({"caption", "figure_title", "table_title", "chart_title"})
_PLAIN = frozenset({"reader"})
"""Engines that read plain text and no Markdown."""
_INVENTED = (DifferenceKind.MADE_UP, DifferenceKind.REPEATED)
"""Differences that are part of what was read, and not only of the page."""
_SHARED = 0.5
"""Share of a difference's box that lies in a block's box where the block is what differs."""


@dataclass(frozen=True)
class _Frame:
    """A box on the picture with its label; everything in pixels of the page."""

    label: str
    x: int
    y: int
    wide: int
    high: int


@dataclass(frozen=True)
class _Found:
    """A difference with its frame, and as much of its text as is shown."""

    difference: Difference
    text: str
    frame: _Frame


@dataclass(frozen=True)
class _Shown:
    """One block as it is shown."""

    kind: str
    group: str
    """What gives it its colour: heading, text, table, formula, figure or caption."""
    tag: str
    text: str
    html: str
    """The text as HTML where the engine writes Markdown; else empty."""
    picture: str
    """What was cut out of the page, as a data URI; else empty."""
    cut: int
    """How many characters are not shown."""
    rows: tuple[tuple[Cell, ...], ...]
    frame: _Frame
    differs: tuple[_Found, ...]


@dataclass(frozen=True)
class _Column:
    """A page as one engine read it; without a story where it did not read this page."""

    engine: str
    story: PageStory | None
    blocks: tuple[_Shown, ...]
    found: tuple[_Found, ...]


@dataclass(frozen=True)
class _Page:
    """One page as it is shown; `sign` is the height of a label in pixels of the page.

    The picture has the blocks and differences of the first column's engine.
    """

    story: PageStory
    anchor: str
    is_open: bool
    picture: str
    columns: tuple[_Column, ...]
    sign: int

    @property
    def first(self) -> _Column:
        return self.columns[0]


def write_page(story: RunStory, folder: Path) -> Path:
    """Write the page beside the results; raises DoctorError where it cannot be written."""
    path = folder / NAME
    try:
        path.write_text(run_page(story, Path.home()), encoding="utf-8")
    except OSError as error:
        raise DoctorError(text("cannot-write", path=path, reason=error.strerror)) from error
    return path


def run_page(story: RunStory, home: Path) -> str:
    """Return the page. The home folder and secrets are taken out of all but what stands in the documents."""
    from paddlevl_doctor.report.privacy import without_home  # noqa: PLC0415 - only this format needs it

    words = template("run.html").render(
        lang=language(),
        t=text,
        version=__version__,
        story=story,
        documents=[
            (document, tuple(_pages(n, document, story.engine)))
            for n, document in enumerate(story.documents, 1)
        ],
        slowest=max(story.seconds.values(), default=0.0),
        memory=plot_of(story.samples),
        size=(WIDE, HIGH),
        tone_of=_tone,
        clean=lambda line: without_home(line, home),
    )
    return words + "\n"


def _tone(document: DocumentStory) -> tuple[str, str]:
    """Return the class that colours a document's verdict, and the mark that says the same without colours."""
    if not document.passed:
        return "bad", "✗"
    return ("ok", "✓") if document.judged else ("unjudged", "-")


def _pages(number: int, document: DocumentStory, engine: str) -> Iterator[_Page]:
    """Yield the pages that any engine read."""
    read = [(engine, document), *((other.engine, other.document) for other in document.others)]
    by_index = [(name, {page.index: page for page in one.pages}) for name, one in read]
    differing = [page.index for page in document.pages if page.differences][:_OPEN_DIFFERING]
    for place, index in enumerate(sorted({index for _, pages in by_index for index in pages})):
        columns = tuple(_column(name, pages.get(index)) for name, pages in by_index)
        story = next(column.story for column in columns if column.story is not None)
        yield _Page(
            story=story,
            anchor=f"document-{number}-page-{index + 1}",
            is_open=place < _OPEN or index in differing,
            picture=_picture(story),
            columns=columns,
            sign=max(1, story.width // 48),
        )


def _column(engine: str, page: PageStory | None) -> _Column:
    if page is None:
        return _Column(engine, None, (), ())
    found = tuple(_found(n, difference) for n, difference in enumerate(page.differences, 1))
    look_up = None if engine in _PLAIN else pictures_in(page.folder)
    blocks = (
        _shown(n, block, found, cut_out(block.box, page.folder) if block.kind in _FIGURES else "", look_up)
        for n, block in enumerate(page.blocks, 1)
    )
    return _Column(engine, page, tuple(blocks), found)


def _picture(page: PageStory) -> str:
    """Return the page's picture as a data URI; empty where there is none."""
    if page.picture is None:
        return ""
    with contextlib.suppress(OSError):
        return "data:image/jpeg;base64," + base64.b64encode(page.picture.read_bytes()).decode("ascii")
    return ""


def _found(number: int, difference: Difference) -> _Found:
    words = difference.text
    shown = words if len(words) <= _LONGEST_DIFFERENCE else words[:_LONGEST_DIFFERENCE] + "…"
    return _Found(difference, shown, _frame(f"Δ{number}", difference.box))


def _frame(label: str, box: Box) -> _Frame:
    left, top, right, bottom = box
    return _Frame(label, left, top, max(right - left, 0), max(bottom - top, 0))


def _shown(
    number: int, block: Block, found: tuple[_Found, ...], picture: str, look_up: Pictures | None
) -> _Shown:
    """Return a block as it is shown: as Markdown where there is something to look its pictures up."""
    words = block.text[:_LONGEST]
    is_table, level = block.kind == "table", _LEVELS.get(block.kind)
    is_markdown = look_up is not None and block.kind not in _FORMULAS and not is_table
    return _Shown(
        kind=block.kind,
        group=_group(block.kind),
        tag="pre" if block.kind in _FORMULAS else level or ("div" if is_markdown else "p"),
        text=words.strip().removeprefix("$$").removesuffix("$$").strip()
        if block.kind in _FORMULAS
        else words,
        html=as_html(words, look_up, inline=level is not None) if look_up and is_markdown else "",
        picture="" if words.strip() else picture,
        cut=len(block.text) - len(words),
        rows=cells_of(words) if is_table else (),
        frame=_frame(str(number), block.box),
        differs=tuple(f for f in found if _is_of(f.difference, block)),
    )


def _group(kind: str) -> str:
    groups = {"heading": _LEVELS.keys(), "formula": _FORMULAS, "figure": _FIGURES, "caption": _CAPTIONS}
    return next(
        (group for group, kinds in groups.items() if kind in kinds), "table" if kind == "table" else "text"
    )


def _is_of(difference: Difference, block: Block) -> bool:
    """Say whether a block is what differs: the engine wrote it, and at this place."""
    a, b = difference.box, block.box
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    area = (a[2] - a[0]) * (a[3] - a[1])
    return difference.kind in _INVENTED and wide > 0 and high > 0 and wide * high >= _SHARED * area
