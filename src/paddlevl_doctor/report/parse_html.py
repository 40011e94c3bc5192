"""A run of `parse` as an HTML page: page pictures beside the read text, differences, times, memory, incidents.

The page has no scripts and makes no network requests. Text of documents can only become text, emphasis and tables."""

from __future__ import annotations

import base64
import contextlib
import functools
import html
import math
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from paddlevl_doctor import __version__
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import message, render
from paddlevl_doctor.parsing.output.html_tables import Cell, cells_of
from paddlevl_doctor.parsing.output.run_report_model import (
    Difference,
    DifferenceKind,
    DocumentSection,
    PageSection,
    RunReport,
    Sample,
)
from paddlevl_doctor.parsing.workers.watchdog import slope
from paddlevl_doctor.redaction import without_home
from paddlevl_doctor.report.html import template, visible
from paddlevl_doctor.system.files import new_file
from paddlevl_doctor.values.errors import DoctorError
from paddlevl_doctor.values.pages import Block, Box

_UNUSED = ("link", "image", "autolink", "html_inline", "html_block", "reference", "code", "lheading")
"""Disabled rules of CommonMark: links and HTML, and markup that a scanned page does not mean by spaces and lines."""
_ALLOWED_ATTRIBUTES = frozenset({"start"})
"""Attributes that the parser may set; `start` is the first number of a list."""
_FORMULA = re.compile(
    r"\$\$(.{1,1000}?)\$\$|\$(?!\s)([^$\n]{1,400}?)(?<!\s)\$(?!\d)|\\\((.{1,400}?)\\\)|\\\[(.{1,1000}?)\\\]",
    re.DOTALL,
)
_PAIR = re.compile(r"<(b|i|u|em|strong|sup|sub)>([^<>]{1,2000})</\1>", re.IGNORECASE)
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_PICTURE = re.compile(
    r"""<img\s[^<>]{0,500}?src=["']?(imgs/[\w.-]{1,200})(?=["'\s/>])[^<>]{0,500}>""", re.IGNORECASE
)
_WRAPPER = re.compile(r"</?(?:div|center|span|html|body)(?:\s[^<>]*)?>", re.IGNORECASE)
"""Tags that only position a part on the page."""
_MAX_PICTURE_BYTES = 150_000
"""Larger cropped pictures are not embedded, because the picture of the page shows them, too."""
_MAGIC = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG": "image/png"}

Pictures = Callable[[str], str]
"""Returns the data URI of a picture by its name in the folder of the page; empty if it is not shown."""


def as_html(text: str, pictures: Pictures, *, inline: bool = False) -> str:
    """Return Markdown as HTML that is safe for any text; `inline` is for the text of a heading."""
    parser, env = _parser(), {"pictures": pictures}
    text = _WRAPPER.sub("", text).strip("\n")
    tokens = parser.parseInline(" ".join(text.split()), env) if inline else parser.parse(text, env)
    _clean(tokens)
    return visible(str(parser.renderer.render(tokens, parser.options, env)))


def pictures_in(folder: Path | None) -> Pictures:
    """Return a function that finds the cropped pictures of a page in its folder."""
    return lambda name: _data_uri(folder / name) if folder is not None else ""


def cut_out(box: Box, folder: Path | None) -> str:
    """Return the picture that the pipeline cropped from a page at this box, as a data URI; empty if there is none.

    PaddleX names it after the box (`img_in_image_box_1_2_3_4.jpg`, save_to_markdown).
    """
    if folder is None:
        return ""
    name = "_".join(map(str, box))
    path = next(iter(sorted((folder / "imgs").glob(f"*_box_{name}.*"))), None)
    return _data_uri(path) if path is not None else ""


def _data_uri(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_PICTURE_BYTES or path.resolve().parent != path.parent.resolve():
            return ""
        data = path.read_bytes()
    except OSError:
        return ""
    kind = next((kind for magic, kind in _MAGIC.items() if data.startswith(magic)), "")
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}" if kind else ""


# --- the parser -----------------------------------------------------------------------------------------------


@functools.cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True, "maxNesting": 12})
    parser.enable("table")
    parser.disable(list(_UNUSED))
    rules = {"formula": _formula_rule, "pair": _pair_rule, "break": _break_rule, "picture": _picture_rule}
    for name, rule in rules.items():
        parser.inline.ruler.before("escape", name, rule)
    parser.add_render_rule("picture", _show_picture)
    return parser


def _clean(tokens: Sequence[Token]) -> None:
    """Remove all attributes that come from the text, and the info string of fences, which would become a class."""
    for token in tokens:
        token.attrs = {name: value for name, value in token.attrs.items() if name in _ALLOWED_ATTRIBUTES}
        token.info = ""
        token.tag = "h5" if token.type.startswith("heading_") else token.tag
        _clean(token.children or ())


def _formula_rule(state: StateInline, silent: bool) -> bool:
    def push(found: re.Match[str]) -> None:
        token = state.push("code_inline", "code", 0)
        token.content = next(filter(None, found.groups()))

    return state.src[state.pos] in "$\\" and _apply_rule(state, silent, _FORMULA, push)


def _pair_rule(state: StateInline, silent: bool) -> bool:
    def push(found: re.Match[str]) -> None:
        name = found[1].lower()
        state.push("pair_open", name, 1)
        state.push("text", "", 0).content = found[2]
        state.push("pair_close", name, -1)

    return state.src[state.pos] == "<" and _apply_rule(state, silent, _PAIR, push)


def _break_rule(state: StateInline, silent: bool) -> bool:
    def push(_found: re.Match[str]) -> None:
        state.push("hardbreak", "br", 0)

    return state.src[state.pos] == "<" and _apply_rule(state, silent, _BREAK, push)


def _picture_rule(state: StateInline, silent: bool) -> bool:
    def push(found: re.Match[str]) -> None:
        token = state.push("picture", "img", 0)
        token.content = found[1]
        token.meta = {"uri": state.env["pictures"](token.content)}

    return state.src[state.pos] == "<" and _apply_rule(state, silent, _PICTURE, push)


def _apply_rule(
    state: StateInline, silent: bool, pattern: re.Pattern[str], push: Callable[[re.Match[str]], None]
) -> bool:
    match = pattern.match(state.src, state.pos)
    if match is None:
        return False
    if not silent:
        push(match)
    state.pos = match.end()
    return True


def _show_picture(_renderer: Any, tokens: Sequence[Token], at: int, _options: Any, _env: Any) -> str:
    token = tokens[at]
    name, uri = html.escape(token.content), token.meta["uri"]
    return f'<img src="{uri}" alt="{name}">' if uri else f"<code>{name}</code>"


WIDE, HIGH = 640, 200
"""Size of the plot without its labels, in SVG units."""
_TICKS = 5
_LOADED_FRACTION = 1 / 3
"""Fraction of the run after which the models are loaded and memory should stay constant."""

Point = tuple[float, float]
"""Seconds since the start of the run, and MiB."""


@dataclass(frozen=True)
class Line:
    """The curve of RAM or GPU memory: SVG points, maximum in MiB, and the trend after the models were loaded."""

    points: str
    most_mb: int
    trend: str
    """The ends of the line of least squares, as SVG points."""
    rise: str
    """The slope of that line in MiB per minute, with its sign."""


@dataclass(frozen=True)
class Plot:
    """The curves of RAM and GPU memory, and the ticks of the axes as positions and labels."""

    rss: Line
    vram: Line | None
    across: tuple[tuple[float, str], ...]
    up: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class _Scale:
    """The values at the right end and at the top of the plot."""

    seconds: float
    mb: float

    def at(self, point: Point) -> str:
        return f"{point[0] / self.seconds * WIDE:.1f},{HIGH - point[1] / self.mb * HIGH:.1f}"


def plot_of(samples: Sequence[Sample]) -> Plot | None:
    """Return the plot of the samples, or None if there are fewer than two."""
    ordered = sorted(samples, key=lambda sample: sample.seconds)
    rss = [(sample.seconds, float(sample.rss_mb)) for sample in ordered]
    vram = [(sample.seconds, float(sample.vram_mb)) for sample in ordered if sample.vram_mb is not None]
    if len(rss) < 2:  # noqa: PLR2004 - a point is no line
        return None
    end, most = max(rss[-1][0], 0.1), max(1.0, *(mb for _, mb in (*rss, *vram)))
    step = _step(most)
    scale = _Scale(end, math.ceil(most / step) * step)
    return Plot(
        rss=_line(rss, scale),
        vram=_line(vram, scale) if len(vram) > 1 else None,
        across=tuple((value / end * WIDE, label) for value, label in _ticks(end, _step(end))),
        up=tuple((HIGH - value / scale.mb * HIGH, label) for value, label in _ticks(scale.mb, step)),
    )


def _line(points: Sequence[Point], scale: _Scale) -> Line:
    later = [point for point in points if point[0] >= scale.seconds * _LOADED_FRACTION]
    rise = slope(later)
    return Line(
        points=" ".join(map(scale.at, _thinned(points))),
        most_mb=round(max(mb for _, mb in points)),
        trend=_trend(later, rise, scale),
        rise=f"{rise * 60:+.1f}",
    )


def _trend(points: Sequence[Point], rise: float, scale: _Scale) -> str:
    if len(points) < 2:  # noqa: PLR2004 - as above
        return ""
    x_mean = sum(x for x, _ in points) / len(points)
    y_mean = sum(y for _, y in points) / len(points)
    ends = (points[0][0], points[-1][0])
    return " ".join(scale.at((x, y_mean + rise * (x - x_mean))) for x in ends)


def _thinned(points: Sequence[Point]) -> list[Point]:
    """Return at most one point per unit of width: the highest one, so that peaks stay."""
    group = -(-len(points) // WIDE)
    return [
        max(points[start : start + group], key=lambda point: point[1])
        for start in range(0, len(points), group)
    ]


def _ticks(end: float, step: float) -> list[tuple[float, str]]:
    return [(n * step, f"{n * step:,g}") for n in range(int(end / step + 1e-9) + 1)]


def _step(end: float) -> float:
    """Return 1, 2 or 5 times a power of ten, so that at most `_TICKS` steps reach the end."""
    power = 10.0 ** math.floor(math.log10(end / _TICKS))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power * _TICKS >= end)


NAME = "report.html"
_MAX_OPEN_PAGES = 3
"""Number of pages of a document that are expanded initially."""
_MAX_OPEN_DIFFERING_PAGES = 10
"""Number of further pages that are expanded initially because they have differences."""
_MAX_BLOCK_CHARS = 20_000
"""Longer blocks are truncated: a model that does not stop writes very long text."""
_MAX_DIFFERENCE_CHARS = 600
_LEVELS = {"title": "h4", "doc_title": "h4", "heading": "h5", "paragraph_title": "h5"}
_FORMULAS = frozenset({"formula", "display_formula", "inline_formula"})
_FIGURES = frozenset({"figure", "image", "chart", "seal", "header_image", "footer_image"})
_CAPTIONS = frozenset({"caption", "figure_title", "table_title", "chart_title"})
_PLAIN_TEXT_ENGINES = frozenset({"reader"})
"""Engines that return plain text instead of Markdown."""
_INVENTED = (DifferenceKind.MADE_UP, DifferenceKind.REPEATED)
"""Differences that are in the text of the engine and not only on the page."""
_MIN_OVERLAP = 0.5
"""Fraction of the box of a difference that must lie in the box of a block with this difference."""


@dataclass(frozen=True)
class _Frame:
    """A box with a label on the picture, in pixels of the page."""

    label: str
    x: int
    y: int
    wide: int
    high: int


@dataclass(frozen=True)
class _ShownDifference:
    """A difference with its frame and its text, which may be truncated."""

    difference: Difference
    text: str
    frame: _Frame


@dataclass(frozen=True)
class _ShownBlock:
    """The data of a block for the template."""

    kind: str
    group: str
    """The group that determines the colour: heading, text, table, formula, figure or caption."""
    tag: str
    text: str
    html: str
    """The text as HTML if the engine returns Markdown, else empty."""
    picture: str
    """The cropped picture as a data URI, or empty."""
    cut: int
    """Number of characters that are not shown."""
    rows: tuple[tuple[Cell, ...], ...]
    frame: _Frame
    differs: tuple[_ShownDifference, ...]


@dataclass(frozen=True)
class _Column:
    """A page as read by one engine; `section` is None if the engine did not read it."""

    engine: str
    section: PageSection | None
    blocks: tuple[_ShownBlock, ...]
    found: tuple[_ShownDifference, ...]


@dataclass(frozen=True)
class _Page:
    """The data of a page for the template; `sign` is the height of a label in pixels of the page.

    The picture shows the blocks and differences of the engine of the first column.
    """

    section: PageSection
    anchor: str
    is_open: bool
    picture: str
    columns: tuple[_Column, ...]
    sign: int

    @property
    def first(self) -> _Column:
        return self.columns[0]


def write_page(run: RunReport, folder: Path, lang: str) -> Path:
    """Write the page to the folder of the results. Raises DoctorError if it cannot be written."""
    path = folder / NAME
    try:
        with new_file(path) as file:
            file.write(run_page(run, Path.home(), lang).encode("utf-8", "replace"))
    except OSError as error:
        raise DoctorError(
            message("cannot-write", option="--output", path=path, reason=error.strerror)
        ) from error
    return path


def run_page(run: RunReport, home: Path, lang: str) -> str:
    """Return the page without the home folder and secrets, except in text of the documents."""
    page = template("run.html").render(
        lang=lang,
        t=message,
        version=__version__,
        run=run,
        documents=[
            (document, tuple(_pages(n, document, run.engine))) for n, document in enumerate(run.documents, 1)
        ],
        slowest=max(run.seconds.values(), default=0.0),
        memory=plot_of(run.samples),
        size=(WIDE, HIGH),
        tone_of=_tone,
        clean=lambda text: without_home(render(text, lang), home),
    )
    return page + "\n"


def _tone(document: DocumentSection) -> tuple[str, str]:
    """Return the CSS class and the mark of the verdict on a document."""
    if not document.passed:
        return "bad", "✗"
    return ("ok", "✓") if document.judged else ("unjudged", "-")


def _pages(number: int, document: DocumentSection, engine: str) -> Iterator[_Page]:
    """Yield the pages that at least one engine read."""
    read = [(engine, document), *((other.engine, other.document) for other in document.others)]
    by_index = [(name, {page.index: page for page in one.pages}) for name, one in read]
    differing = [page.index for page in document.pages if page.differences][:_MAX_OPEN_DIFFERING_PAGES]
    for place, index in enumerate(sorted({index for _, pages in by_index for index in pages})):
        columns = tuple(_column(name, pages.get(index)) for name, pages in by_index)
        section = next(column.section for column in columns if column.section is not None)
        yield _Page(
            section=section,
            anchor=f"document-{number}-page-{index + 1}",
            is_open=place < _MAX_OPEN_PAGES or index in differing,
            picture=_picture(section),
            columns=columns,
            sign=max(1, section.width // 48),
        )


def _column(engine: str, page: PageSection | None) -> _Column:
    if page is None:
        return _Column(engine, None, (), ())
    found = tuple(_shown_difference(n, difference) for n, difference in enumerate(page.differences, 1))
    look_up = None if engine in _PLAIN_TEXT_ENGINES else pictures_in(page.folder)
    blocks = (
        _shown_block(
            n, block, found, cut_out(block.box, page.folder) if block.kind in _FIGURES else "", look_up
        )
        for n, block in enumerate(page.blocks, 1)
    )
    return _Column(engine, page, tuple(blocks), found)


def _picture(page: PageSection) -> str:
    """Return the picture of the page as a data URI; empty if there is none."""
    if page.picture is None:
        return ""
    with contextlib.suppress(OSError):
        return "data:image/jpeg;base64," + base64.b64encode(page.picture.read_bytes()).decode("ascii")
    return ""


def _shown_difference(number: int, difference: Difference) -> _ShownDifference:
    text = difference.text
    shown = text if len(text) <= _MAX_DIFFERENCE_CHARS else text[:_MAX_DIFFERENCE_CHARS] + "…"
    return _ShownDifference(difference, shown, _frame(f"Δ{number}", difference.box))


def _frame(label: str, box: Box) -> _Frame:
    left, top, right, bottom = box
    return _Frame(label, left, top, max(right - left, 0), max(bottom - top, 0))


def _shown_block(
    number: int, block: Block, found: tuple[_ShownDifference, ...], picture: str, look_up: Pictures | None
) -> _ShownBlock:
    """Return a block for the template; `look_up` finds pictures in Markdown and is None for plain text."""
    text = block.text[:_MAX_BLOCK_CHARS]
    is_table, level = block.kind == "table", _LEVELS.get(block.kind)
    is_markdown = look_up is not None and block.kind not in _FORMULAS and not is_table
    return _ShownBlock(
        kind=block.kind,
        group=_group(block.kind),
        tag="pre" if block.kind in _FORMULAS else level or ("div" if is_markdown else "p"),
        text=text.strip().removeprefix("$$").removesuffix("$$").strip() if block.kind in _FORMULAS else text,
        html=as_html(text, look_up, inline=level is not None) if look_up and is_markdown else "",
        picture="" if text.strip() else picture,
        cut=len(block.text) - len(text),
        rows=cells_of(text) if is_table else (),
        frame=_frame(str(number), block.box),
        differs=tuple(f for f in found if _has_difference(f.difference, block)),
    )


def _group(kind: str) -> str:
    groups = {"heading": _LEVELS.keys(), "formula": _FORMULAS, "figure": _FIGURES, "caption": _CAPTIONS}
    return next(
        (group for group, kinds in groups.items() if kind in kinds), "table" if kind == "table" else "text"
    )


def _has_difference(difference: Difference, block: Block) -> bool:
    """Return whether a difference is in the text of a block and lies in its box."""
    a, b = difference.box, block.box
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    area = (a[2] - a[0]) * (a[3] - a[1])
    return difference.kind in _INVENTED and wide > 0 and high > 0 and wide * high >= _MIN_OVERLAP * area
