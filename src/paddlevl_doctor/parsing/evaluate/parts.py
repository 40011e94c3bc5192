"""Selects the text to compare: the parts of the ground truth that an engine claims to read, and the blocks it read."""

from __future__ import annotations

from collections.abc import Iterator

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import Message, message
from paddlevl_doctor.parsing.evaluate.ground_truth import Truth, TruthBlock, TruthPage
from paddlevl_doctor.parsing.evaluate.text_similarity import fold_latex, fold_text
from paddlevl_doctor.parsing.output.html_tables import rows_of
from paddlevl_doctor.values.pages import Block, Box, Page, Reading

FIGURES = frozenset({"figure", "image", "chart", "seal", "header_image", "footer_image"})
"""Layout labels of blocks that are not read as text, or are converted (a chart to a table)."""
FORMULAS = frozenset({"formula", "display_formula"})
"""Layout labels of blocks that are read as LaTeX."""
_MIN_INSIDE_SHARE = 0.7
"""Share of a block's area inside a region that is not judged, from which the block is not judged either."""
_MARGIN = 0.01
"""By how much such a region is widened on each side, as a share of the page width: lines stick out of their part."""


@dataclass(frozen=True)
class Part:
    """One judged part of the ground truth: its kind, the excerpt that names it, and its folded text (fold_text)."""

    kind: str
    name: str
    folded: str


@dataclass(frozen=True)
class ReadBlock:
    """One block that an engine read: page (from 0), kind, text as read and folded."""

    page: int
    kind: str
    text: str
    folded: str


def parts_of(truth: Truth, claims: frozenset[str]) -> list[Part]:
    """Return the parts of a ground truth that are judged; `claims` are the kinds that the engine claims to read."""
    blocks = (block for page in truth.pages for block in page.blocks if is_judged(block, claims))
    return [part for part in map(_part, blocks) if part.folded]


def is_judged(block: TruthBlock, claims: frozenset[str]) -> bool:
    """Return whether the engine claims to read this kind of part and the part has text."""
    kind = block.kind if block.kind in KINDS else "text"
    return kind in claims and bool(block.text.strip() or block.rows or block.latex)


def _part(block: TruthBlock) -> Part:
    text = block.latex or " ".join(cell for row in block.rows for cell in row) or block.text
    return Part(block.kind, excerpt(text), fold_latex(text) if block.latex else fold_text(text))


def read_blocks_of(reading: Reading, truth: Truth, claims: frozenset[str]) -> list[ReadBlock]:
    """Return the blocks that were read, except figures and blocks inside regions that are not judged."""
    blocks = []
    for page in reading.pages:
        ignored = list(_unjudged_boxes(page, truth, claims))
        blocks += [
            ReadBlock(page.index, block.kind, block.text, _folded(block))
            for block in page.blocks
            if block.kind not in FIGURES
            and not any(is_inside(block.box, box, _MIN_INSIDE_SHARE) for box in ignored)
        ]
    return blocks


def _folded(block: Block) -> str:
    if block.kind in FORMULAS:
        return fold_latex(block.text)
    cells = [cell for row in rows_of(block.text) for cell in row] if block.kind == "table" else []
    return fold_text("".join(cells) or block.text)


def _unjudged_boxes(page: Page, truth: Truth, claims: frozenset[str]) -> Iterator[Box]:
    """Yield the widened boxes of the parts of this page that are not judged, in pixels of the page that was read."""
    known = truth.pages[page.index] if page.index < len(truth.pages) else TruthPage(())
    if not known.width or not known.height:
        return
    x_scale, y_scale, margin = page.width / known.width, page.height / known.height, _MARGIN * page.width
    for block in known.blocks:
        if block.box is not None and not is_judged(block, claims):
            left, top, right, bottom = block.box
            yield (
                round(left * x_scale - margin),
                round(top * y_scale - margin),
                round(right * x_scale + margin),
                round(bottom * y_scale + margin),
            )


def overlap_area(one: Box, other: Box) -> int:
    """Return the area that two boxes share, in square pixels."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0) * max(height, 0)


def is_inside(inner: Box, outer: Box, min_share: float) -> bool:
    """Return whether at least this share (0 to 1) of the inner box's area lies in the outer box."""
    area = (inner[2] - inner[0]) * (inner[3] - inner[1])
    return area > 0 and overlap_area(inner, outer) >= min_share * area


# --- how the reasons of a verdict name and quote a part -------------------------------------------------------

MAX_EXCERPT_CHARS = 24
"""Length of the excerpt that names a part."""
MAX_QUOTED_CHARS = 80
"""Length of a quotation of a text that has no other name."""

KINDS = ("title", "heading", "text", "caption", "table", "formula", "figure", "table-structure")
"""The kinds of parts that have a name (message part-kind-KIND)."""


def kind_name(kind: str) -> Message:
    """Return the name of a kind of part; an unknown kind is called text."""
    return message(f"part-kind-{kind if kind in KINDS else 'text'}")


def excerpt(text: str, max_chars: int = MAX_EXCERPT_CHARS) -> str:
    """Return the beginning of a text on one line, with an ellipsis where it was cut."""
    line = " ".join(text.split())
    return line if len(line) <= max_chars else line[:max_chars].rstrip() + "…"


def quoted(text: str) -> str:
    """Return a text on one line, cut to MAX_QUOTED_CHARS."""
    return excerpt(text, MAX_QUOTED_CHARS)
