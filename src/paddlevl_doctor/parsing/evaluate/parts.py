"""What of a document and of its reading is compared: the parts that an engine claims to read, as folded characters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from paddlevl_doctor.parsing.evaluate.ground_truth import Truth, TruthBlock, TruthPage
from paddlevl_doctor.parsing.evaluate.text_similarity import fold_latex, fold_text
from paddlevl_doctor.parsing.evaluate.verdict_messages import KINDS, excerpt
from paddlevl_doctor.parsing.output.html_tables import rows_of
from paddlevl_doctor.values.pages import Block, Box, Page, Reading

FIGURES = ("figure", "image", "chart", "seal", "header_image", "footer_image")
FORMULAS = ("formula", "display_formula")
_INSIDE = 0.7
_MARGIN = 0.01
"""How far, in page widths, a line may stick out of the box of the part that it belongs to."""


@dataclass(frozen=True)
class Part:
    """One judged part of the truth: its kind, how to call it, and the folded characters to be found."""

    kind: str
    name: str
    characters: str


@dataclass(frozen=True)
class Passage:
    """One block that was read: its page (from 0), kind and text, and the folded characters of it."""

    page: int
    kind: str
    text: str
    characters: str


def parts_of(truth: Truth, claims: frozenset[str]) -> list[Part]:
    """Return the parts of a document that are judged where an engine claims to read these kinds."""
    blocks = (block for page in truth.pages for block in page.blocks if is_judged(block, claims))
    return [part for part in map(_part, blocks) if part.characters]


def is_judged(block: TruthBlock, claims: frozenset[str]) -> bool:
    """Say whether an engine claims to read this part, and there is something to read in it."""
    kind = block.kind if block.kind in KINDS else "text"
    return kind in claims and bool(block.text.strip() or block.rows or block.latex)


def _part(block: TruthBlock) -> Part:
    text = block.latex or " ".join(cell for row in block.rows for cell in row) or block.text
    return Part(block.kind, excerpt(text), fold_latex(text) if block.latex else fold_text(text))


def passages_of(reading: Reading, truth: Truth, claims: frozenset[str]) -> list[Passage]:
    """Return every block that was read, those aside that lie where nothing is judged."""
    return [
        Passage(page.index, block.kind, block.text, _characters(block))
        for page in reading.pages
        for block in _judged_blocks(page, truth, claims)
    ]


def _judged_blocks(page: Page, truth: Truth, claims: frozenset[str]) -> Iterator[Block]:
    ignored = list(_ignored_boxes(page, truth, claims))
    for block in page.blocks:
        if block.kind not in FIGURES and not any(_is_inside(block.box, box) for box in ignored):
            yield block


def _characters(block: Block) -> str:
    if block.kind in FORMULAS:
        return fold_latex(block.text)
    cells = [cell for row in rows_of(block.text) for cell in row] if block.kind == "table" else []
    return fold_text("".join(cells) or block.text)


def _ignored_boxes(page: Page, truth: Truth, claims: frozenset[str]) -> Iterator[Box]:
    """Yield the boxes of what is not judged on this page, a little wider, in the pixels of the reading."""
    known = truth.pages[page.index] if page.index < len(truth.pages) else TruthPage(())
    if not known.width or not known.height:
        return
    across, down, margin = page.width / known.width, page.height / known.height, _MARGIN * page.width
    for block in known.blocks:
        if block.box is not None and not is_judged(block, claims):
            left, top, right, bottom = block.box
            yield (
                round(left * across - margin),
                round(top * down - margin),
                round(right * across + margin),
                round(bottom * down + margin),
            )


def _is_inside(inner: Box, outer: Box) -> bool:
    wide = min(inner[2], outer[2]) - max(inner[0], outer[0])
    high = min(inner[3], outer[3]) - max(inner[1], outer[1])
    area = (inner[2] - inner[0]) * (inner[3] - inner[1])
    return wide > 0 and high > 0 and wide * high >= _INSIDE * area
