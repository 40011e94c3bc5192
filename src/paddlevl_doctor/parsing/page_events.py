"""Makes a page of what a worker of the native engine says of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from paddlevl_doctor.messages import text
from paddlevl_doctor.parsing.ladder import Rung
from paddlevl_doctor.parsing.lines_child import Event
from paddlevl_doctor.parsing.model import Block, Page
from paddlevl_doctor.parsing.page_store import PageRead
from paddlevl_doctor.parsing.pages import Picture


def page_read(event: Event, index: int, picture: Picture, rung: Rung, device: str) -> PageRead:
    """Return the event as a page; boxes and size are those of the page, whatever the scale it was read at.

    Raises LookupError, AttributeError, TypeError or ValueError for an event that describes no page.
    """
    across = picture.width / (event["width"] or picture.width)
    down = picture.height / (event["height"] or picture.height)
    blocks = tuple(_block(block, across, down) for block in event["blocks"])
    page = Page(index, picture.width, picture.height, blocks, float(event["seconds"]))
    notes = tuple(text("page-trouble", page=index + 1, detail=trouble) for trouble in event["troubles"])
    return PageRead(page, event["markdown"], device, rung.name, event.get("vram_mb"), notes)


def _block(block: Mapping[str, Any], across: float, down: float) -> Block:
    left, top, right, bottom = block["box"]
    box = (round(left * across), round(top * down), round(right * across), round(bottom * down))
    return Block(str(block["kind"]), str(block["text"] or ""), box)
