"""Break text into lines and draw it: English at spaces, Chinese between any two characters but not before a stop."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

FONTS = Path(__file__).parent / "fonts"
Box = tuple[int, int, int, int]

# A Han character together with the closing marks that may not begin a line, or a word, or the space between words.
_PIECES = re.compile(r"[\u4e00-\u9fff][，。；：、！？）》”]*|[^\s\u4e00-\u9fff]+|\s+")


@dataclass(frozen=True)
class Style:
    """How one kind of text is set; sizes in pixels."""

    font: str
    size: int
    leading: int
    colour: str = "#1A1A1A"

    @property
    def face(self) -> ImageFont.FreeTypeFont:
        """The font, with the layout that is the same whether or not Pillow was built with Raqm."""
        path = FONTS / f"{self.font}.otf"
        return ImageFont.truetype(str(path), self.size, layout_engine=ImageFont.Layout.BASIC)


def break_lines(text: str, style: Style, width: int) -> list[str]:
    """Return the lines that `text` fills at most `width` pixels wide."""
    face, lines = style.face, [""]
    for piece in _PIECES.findall(text):
        if lines[-1] and face.getlength((lines[-1] + piece).rstrip()) > width:
            lines.append("")
        lines[-1] += piece if lines[-1] or not piece.isspace() else ""
    return [line.rstrip() for line in lines]


def draw_text(page: Image.Image, text: str, style: Style, left: int, top: int, width: int) -> Box:
    """Set a paragraph below `top` and return the box of its ink."""
    draw, face, boxes = ImageDraw.Draw(page), style.face, []
    for number, line in enumerate(break_lines(text, style, width)):
        place = (left, top + number * style.leading + round(style.leading * 0.72))
        draw.text(place, line, style.colour, face, anchor="ls")
        boxes.append(draw.textbbox(place, line, face, anchor="ls"))
    return around(*boxes)


def height(text: str, style: Style, width: int) -> int:
    """Return the height in pixels that `draw_text` will use."""
    return len(break_lines(text, style, width)) * style.leading


def around(*boxes: tuple[float, float, float, float]) -> Box:
    """Return the smallest box around some boxes."""
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return round(min(lefts)), round(min(tops)), round(max(rights)), round(max(bottoms))
