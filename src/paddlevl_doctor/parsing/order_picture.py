"""A page with its blocks as numbered boxes, in the order in which they were read."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

_COLOUR = "#c62828"
_SHARE = 60
"""The width of a page in heights of a number."""
_SMALLEST = 10


def numbered(
    page: Image.Image, boxes: Sequence[tuple[int, Sequence[int]]], width: int, height: int
) -> Image.Image:
    """Return the picture with the boxes, which are in pixels of a page of this size, and their numbers."""
    drawn = page.convert("RGB")
    draw = ImageDraw.Draw(drawn)
    font = ImageFont.load_default(max(_SMALLEST, drawn.width // _SHARE))
    across, down = drawn.width / width, drawn.height / height
    for number, (left, top, right, bottom) in boxes:
        x, y = left * across, top * down
        draw.rectangle((x, y, max(x, right * across), max(y, bottom * down)), outline=_COLOUR, width=2)
        place = max(3, x - font.getlength(str(number)) - 3), y + 1  # beside the words, where there is room
        tag = draw.textbbox(place, str(number), font=font)
        draw.rectangle((tag[0] - 3, tag[1] - 2, tag[2] + 3, tag[3] + 2), fill=_COLOUR)
        draw.text(place, str(number), font=font, fill="white")
    return drawn
