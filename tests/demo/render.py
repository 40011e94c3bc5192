"""Draw the demo page from its own ground truth: `python tests/demo/render.py` rewrites demo.png and demo.json.

The words come from demo.json; only the boxes in it are written back, so that drawing the page twice changes nothing.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from demo.typeset import Box, Style, around, draw_text, height

ASSETS = Path(__file__).parents[2] / "src" / "paddlevl_doctor" / "assets"
Block = dict[str, Any]

NAVY, TEAL, OCHRE = "#1F3A5F", "#0F766E", "#9A5B0B"
LEFT, WIDTH = 110, 1020
COLUMN, GUTTER = 480, 60
RIGHT = LEFT + COLUMN + GUTTER

BODY = Style("serif", 22, 33)
TITLE = Style("sans-bold", 46, 62, NAVY)
HEADING = Style("sans-bold", 26, 40, TEAL)
SUMMARY_HEADING = Style("sans-bold", 25, 38, OCHRE)
WHITE_HEADING = Style("sans-bold", 26, 40, "#FFD479")
WHITE_BODY = Style("serif", 22, 33, "#FFFFFF")
CAPTION = Style("sans", 19, 29, "#444444")
CELL = Style("sans", 20, 40)
HEAD_CELL = Style("sans-bold", 20, 40, NAVY)
MATH = Style("math", 29, 40)
MATH_ITALIC = Style("math-italic", 29, 40)


class Sheet:
    """The page being drawn, and the box of every block drawn so far."""

    def __init__(self, page: dict[str, Any]) -> None:
        self.image = Image.new("RGB", (page["width"], page["height"]), "white")
        self.draw = ImageDraw.Draw(self.image)
        self.blocks: dict[str, Block] = {block["id"]: block for block in page["blocks"]}
        self.boxes: dict[str, Box] = {}

    def text(self, name: str, style: Style, left: int, top: int, width: int) -> int:
        """Set the text of a block; return where the next may begin."""
        words = self.blocks[name]["text"]
        self.boxes[name] = draw_text(self.image, words, style, left, top, width)
        return top + height(words, style, width)

    def height(self, name: str, style: Style, width: int) -> int:
        """Return how high the text of a block will be."""
        return height(self.blocks[name]["text"], style, width)


# --- the parts of the page, from top to bottom ----------------------------------------------------------------


def draw_opening(sheet: Sheet, top: int) -> int:
    below = sheet.text("title", TITLE, LEFT, top, WIDTH)
    sheet.draw.rectangle((LEFT, below + 6, LEFT + WIDTH, below + 8), NAVY)
    return sheet.text("intro", BODY, LEFT, below + 26, WIDTH)


def draw_summary(sheet: Sheet, top: int) -> int:
    inner, width = LEFT + 34, WIDTH - 60
    bottom = top + 44 + SUMMARY_HEADING.leading + sheet.height("summary", BODY, width)
    sheet.draw.rectangle((LEFT, top, LEFT + WIDTH, bottom), "#FFF3DC")
    sheet.draw.rectangle((LEFT, top, LEFT + 9, bottom), "#E0A03C")
    below = sheet.text("summary-heading", SUMMARY_HEADING, inner, top + 18, width)
    sheet.text("summary", BODY, inner, below + 4, width)
    return bottom


def draw_columns(sheet: Sheet, top: int) -> int:
    return max(draw_left_column(sheet, top), draw_right_column(sheet, top))


def draw_left_column(sheet: Sheet, top: int) -> int:
    below = sheet.text("left-heading", HEADING, LEFT, top, COLUMN) + 6
    below = sheet.text("left-first", BODY, LEFT, below, COLUMN) + 18
    return sheet.text("left-second", BODY, LEFT, below, COLUMN)


def draw_right_column(sheet: Sheet, top: int) -> int:
    below = sheet.text("right-heading", HEADING, RIGHT, top, COLUMN) + 6
    below = sheet.text("right-first", BODY, RIGHT, below, COLUMN) + 14
    below = draw_formula(sheet, RIGHT, below, COLUMN) + 14
    return sheet.text("right-second", BODY, RIGHT, below, COLUMN)


def draw_lower_columns(sheet: Sheet, top: int) -> int:
    below = draw_chart(sheet, LEFT, top, COLUMN, 215) + 10
    below = sheet.text("figure-caption", CAPTION, LEFT, below, COLUMN)
    draw_box(sheet, RIGHT, top, COLUMN, below - top)
    return below


def draw_box(sheet: Sheet, left: int, top: int, width: int, high: int) -> None:
    sheet.draw.rounded_rectangle((left, top, left + width, top + high), 12, NAVY)
    below = sheet.text("box-heading", WHITE_HEADING, left + 30, top + 24, width - 60)
    sheet.text("box", WHITE_BODY, left + 30, below + 6, width - 60)


def draw_closing(sheet: Sheet, top: int) -> int:
    below = sheet.text("end-heading", HEADING, LEFT, top, WIDTH)
    return sheet.text("end", BODY, LEFT, below + 4, WIDTH)


# --- table ----------------------------------------------------------------------------------------------------


def draw_table(sheet: Sheet, top: int) -> int:
    rows = sheet.blocks["table"]["rows"]
    below = sheet.text("table-caption", CAPTION, LEFT, top, WIDTH) + 8
    wide, high = WIDTH // len(rows[0]), 42
    sheet.draw.rectangle((LEFT, below, LEFT + WIDTH, below + high), "#DCE8F2")
    for row, cells in enumerate(rows):
        for column, cell in enumerate(cells):
            draw_cell(sheet, cell, LEFT + column * wide, below + row * high, HEAD_CELL if row == 0 else CELL)
    sheet.boxes["table"] = draw_rules(sheet, below, len(rows), high, len(rows[0]), wide)
    return below + len(rows) * high


def draw_cell(sheet: Sheet, text: str, left: int, top: int, style: Style) -> None:
    draw_text(sheet.image, text, style, left + 20, top, 400)


def draw_rules(sheet: Sheet, top: int, rows: int, high: int, columns: int, wide: int) -> Box:
    right, bottom = LEFT + columns * wide, top + rows * high
    for row in range(rows + 1):
        sheet.draw.line((LEFT, top + row * high, right, top + row * high), "#6B7C8C", 2)
    for column in range(columns + 1):
        sheet.draw.line((LEFT + column * wide, top, LEFT + column * wide, bottom), "#6B7C8C", 2)
    return LEFT, top, right, bottom


# --- formula --------------------------------------------------------------------------------------------------

Draw = Callable[[int, int], Box]
_FRACTION = re.compile(r"\\frac\{([^}]*)\}\{([^}]*)\}")


def draw_formula(sheet: Sheet, left: int, top: int, width: int) -> int:
    """Set the LaTeX of the block, which knows letters, digits, + - = and simple fractions."""
    pieces = _FRACTION.split(sheet.blocks["formula"]["latex"])
    parts = [pieces[i : i + 3] for i in range(0, len(pieces), 3) if any(pieces[i : i + 3])]
    x, axis, boxes = left + (width - sum(map(formula_width, parts))) // 2, top + 44, []
    for part in parts:
        boxes.append(draw_formula_part(sheet, part, x, axis))
        x += formula_width(part)
    sheet.boxes["formula"] = around(*boxes)
    return top + 88


def formula_width(part: list[str]) -> int:
    """Return the width of a piece of formula and of the fraction that follows it."""
    return run_width(part[0]) + (max(map(run_width, part[1:])) + 12 if part[1:] else 0)


def draw_formula_part(sheet: Sheet, part: list[str], x: int, axis: int) -> Box:
    boxes = [draw_run(sheet, part[0], x, axis + 9)]
    if part[1:]:
        left, wide = x + run_width(part[0]), max(map(run_width, part[1:])) + 12
        sheet.draw.line((left, axis, left + wide, axis), MATH.colour, 2)
        for run, baseline in zip(part[1:], (axis - 12, axis + 32), strict=True):
            boxes.append(draw_run(sheet, run, left + (wide - run_width(run)) // 2, baseline))
    return around(*boxes)


def run_glyphs(run: str) -> list[tuple[str, Style, int]]:
    """Return each symbol of a run with its font and the space around it."""
    symbols = run.replace(" ", "").replace("-", "−")
    return [(s, MATH_ITALIC if s.isalpha() else MATH, 8 if s in "+−=" else 0) for s in symbols]


def run_width(run: str) -> int:
    return round(sum(style.face.getlength(s) + 2 * space for s, style, space in run_glyphs(run)))


def draw_run(sheet: Sheet, run: str, x: float, baseline: int) -> Box:
    boxes = [(x, baseline, x, baseline)]
    for symbol, style, space in run_glyphs(run):
        sheet.draw.text((x + space, baseline), symbol, style.colour, style.face, anchor="ls")
        boxes.append(sheet.draw.textbbox((x + space, baseline), symbol, style.face, anchor="ls"))
        x += style.face.getlength(symbol) + 2 * space
    return around(*boxes)


# --- figure ---------------------------------------------------------------------------------------------------


def draw_chart(sheet: Sheet, left: int, top: int, width: int, high: int) -> int:
    bars = sheet.blocks["figure"]["bars"]
    base, step = top + high - 32, width // len(bars)
    draw_grid(sheet, left, top, width, base)
    tallest = max(value for _, value, _ in bars)
    for number, (label, value, colour) in enumerate(bars):
        middle = left + number * step + step // 2
        sheet.draw.rectangle(
            (middle - 34, base - round((base - top - 14) * value / tallest), middle + 34, base), colour
        )
        sheet.draw.text((middle, base + 24), label, CAPTION.colour, CAPTION.face, anchor="ms")
    sheet.draw.line((left, base, left + width, base), "#444444", 2)
    sheet.boxes["figure"] = (left, top, left + width, top + high)
    return top + high


def draw_grid(sheet: Sheet, left: int, top: int, width: int, base: int) -> None:
    sheet.draw.rectangle((left, top, left + width, base), "#F5F7F9")
    for line in range(1, 5):
        y = base - line * (base - top) // 5
        sheet.draw.line((left, y, left + width, y), "#D5DCE2", 1)


# --- the whole ------------------------------------------------------------------------------------------------

# Each part and the white space above it.
PARTS = (
    (draw_opening, 84),
    (draw_summary, 26),
    (draw_columns, 26),
    (draw_table, 26),
    (draw_lower_columns, 34),
    (draw_closing, 24),
)


def render(truth: dict[str, Any]) -> tuple[Image.Image, dict[str, Any]]:
    """Return the page that `truth` describes, and the truth with the box of every block."""
    page = truth["pages"][0]
    sheet, below = Sheet(page), 0
    for draw_part, space in PARTS:
        below = draw_part(sheet, below + space)
    blocks = [{**block, "box": list(sheet.boxes[block["id"]])} for block in page["blocks"]]
    return sheet.image, {**truth, "pages": [{**page, "blocks": blocks}]}


def glyphs(truth: dict[str, Any]) -> str:
    """Return every character that the page needs a glyph for."""
    blocks = truth["pages"][0]["blocks"]
    words = [b["text"] for b in blocks] + [b.get("latex", "").replace("-", "−") for b in blocks]
    words += [cell for b in blocks for row in b.get("rows", []) for cell in row]
    words += [label for b in blocks for label, _, _ in b.get("bars", [])]
    return "".join(sorted(set("".join(words)) - set("\\{}")))


def main() -> None:
    """Rewrite the shipped page and the boxes in its ground truth."""
    path = ASSETS / "demo.json"
    image, truth = render(json.loads(path.read_text(encoding="utf-8")))
    image.quantize(256, dither=Image.Dither.NONE).save(ASSETS / "demo.png", optimize=True, dpi=(150, 150))
    path.write_text(json.dumps(truth, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
