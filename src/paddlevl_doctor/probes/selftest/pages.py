"""Pages with colour charts, drawn from a seed, and what the colour model must answer for them.

A page is cut into four bands, one chart a band; the layout program (layout.py) labels the bands.
"""

import random

from .vocabulary import COLOURS, CORNERS

BANDS = ("doc_title", "text", "table", "display_formula")
MARGIN = 0.02
"""Distance of a box from its band's edge, as a share of the page's width and of the band's height."""
WIDTH, BAND_HEIGHT = 400, 300
_FRAME = 2  # pixels; the pipeline cuts bright edges off a formula, and a dark frame keeps the chart whole


def draw_charts(seed):
    """Return the colours of a page, four a band, in reading order; different seeds give different pages.

    No chart is all white (the layout program looks for ink), and swapping red and blue changes the page, so that
    an answer tells the order of the colour channels.
    """
    source = random.Random(seed)  # noqa: S311 - charts, not secrets
    while True:
        charts = [tuple(source.choice(COLOURS) for _ in CORNERS) for _ in BANDS]
        if all(set(chart) != {"white"} for chart in charts) and swapped(charts) != charts:
            return charts


def swapped(charts):
    """Return the charts as they look with the red and blue channels exchanged."""
    return [tuple(COLOURS[_exchange(COLOURS.index(colour))] for colour in chart) for chart in charts]


def _exchange(number):
    red, green, blue = number & 1, number >> 1 & 1, number >> 2 & 1
    return blue | green << 1 | red << 2


def paint_page(path, charts):
    """Draw a page with one chart a band."""
    height = BAND_HEIGHT * len(charts)
    image, pen = _blank(WIDTH, height)
    across, down = round(MARGIN * WIDTH), round(MARGIN * BAND_HEIGHT)
    for band, chart in enumerate(charts):
        top = band * BAND_HEIGHT
        _paint_chart(pen, chart, (across, top + down, WIDTH - across, top + BAND_HEIGHT - down))
    image.save(path)


def paint_chart(path, chart):
    """Draw one chart that fills its page."""
    image, pen = _blank(WIDTH, BAND_HEIGHT)
    _paint_chart(pen, chart, (0, 0, WIDTH, BAND_HEIGHT))
    image.save(path)


def _blank(width, height):
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (width, height), "white")
    return image, ImageDraw.Draw(image)


def _paint_chart(pen, chart, box):
    left, top, right, bottom = box
    centre, middle = (left + right) // 2, (top + bottom) // 2
    pen.rectangle((left, top, right - 1, bottom - 1), fill=_rgb("black"))
    left, top, right, bottom = left + _FRAME, top + _FRAME, right - _FRAME, bottom - _FRAME
    quarters = (
        (left, top, centre - 1, middle - 1),
        (centre, top, right - 1, middle - 1),
        (left, middle, centre - 1, bottom - 1),
        (centre, middle, right - 1, bottom - 1),
    )
    for colour, quarter in zip(chart, quarters):  # noqa: B905 - strict= needs Python 3.10
        pen.rectangle(quarter, fill=_rgb(colour))


def _rgb(colour):
    number = COLOURS.index(colour)
    return tuple(255 * (number >> bit & 1) for bit in range(3))


def expected_blocks(charts):
    """Return what the pipeline must say for a page: one (label, content) a band."""
    return [[label, _content(label, chart)] for label, chart in zip(BANDS, charts)]  # noqa: B905


def _content(label, chart):
    if label == "table":
        cells = ["<td>%s=%s</td>" % pair for pair in zip(CORNERS, chart)]  # noqa: B905
        return "<table><tr>%s%s</tr><tr>%s%s</tr></table>" % tuple(cells)
    words = " ".join("%s:%s" % pair for pair in zip(CORNERS, chart))  # noqa: B905
    return "%s [%s]" % (words, "Formula" if label == "display_formula" else "OCR")


def colour_order(charts, blocks):
    """Return rgb or bgr, whichever order makes the blocks exactly right, or None where neither does."""
    if blocks == expected_blocks(charts):
        return "rgb"
    return "bgr" if blocks == expected_blocks(swapped(charts)) else None
