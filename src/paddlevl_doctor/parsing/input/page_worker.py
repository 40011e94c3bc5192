"""Turns the pages of a document into pictures, in a process of its own: a hostile file may crash or stop the decoder.

    python -m paddlevl_doctor.parsing.input.page_worker

One JSON line on stdin asks for one thing, one JSON line on stdout answers:

    {"open": PATH}                                      -> {"event": "opened", "pages": 3, "frames": 3}
    {"page": 0, "path": PATH, "picture": OUT, ...}      -> {"event": "picture", "width": 1240, "height": 1754, ...}
    {"pdf": OUT, "sheets": [{"picture": PATH}, ...]}    -> {"event": "bound"}
    anything that cannot be done                        -> {"event": "failed", "kind": "encrypted", "detail": "..."}
    anything for which the disk is too full             -> {"event": "failed", "kind": "full", "detail": "..."}

PDFs are drawn at 144 dots an inch, as PaddleX does it, so that a page has the pixels that it would have there."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from paddlevl_doctor.parsing.input.decode import UnreadableImageError, frame_of, opened

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


PDF_SCALE = 2.0
"""Pixels a point: 144 dots an inch, PaddleX's own `zoom` (paddlex/inference/utils/io/readers.py)."""
_PAGED = ("TIFF",)
"""Formats whose frames are pages; the frames of all others are a film or previews."""
_PREVIEW_SIZE = (1600, 16_000)
"""Pixels: text of a page can be read at that. JPEG takes 65,500, and a page of a PDF is at most 200 inches long."""
_UPSIDE_DOWN = 180
_TURNS = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}
"""By degrees against the clock, as `turning` counts them."""
_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
_BLANK_RANGE = 32
"""Of 256 shades: a page that has no more of them between its darkest and lightest spot has nothing on it."""


class UnreadablePdfError(Exception):
    """A PDF that cannot be opened; `kind` says why in one word."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


def main() -> None:
    """Answer until nobody asks any more."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # native libraries write to the descriptor, not to sys.stdout
    Image.MAX_IMAGE_PIXELS = None  # `document` and `decoding` have a limit that says what to do
    kept: dict[str, Any] = {}
    for line in sys.stdin:
        out.write(json.dumps(_answer(json.loads(line), kept)) + "\n")
        out.flush()


def _answer(request: dict[str, Any], kept: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to one request; `kept` holds the one document that stays open between pages, by its path."""
    try:
        if "open" in request:
            return {"event": "opened", **_count(Path(request["open"]))}
        if "pdf" in request:
            _bind(request["sheets"], Path(request["pdf"]))
            return {"event": "bound"}
        return {"event": "picture", **_picture(request, kept)}
    except (UnreadablePdfError, UnreadableImageError) as error:
        return {"event": "failed", "kind": error.kind, "detail": str(error)}
    except Exception as error:
        kind = "full" if getattr(error, "errno", None) in _FULL else "damaged"
        return {"event": "failed", "kind": kind, "detail": f"{type(error).__name__}: {error}"}


def _count(path: Path) -> dict[str, int]:
    """Return how many pages there are to read, and how many frames the file has."""
    if _is_pdf(path):
        pdf = _pdf(path)
        pages = len(pdf)
        pdf.close()
        return {"pages": pages, "frames": pages}
    try:
        with Image.open(path) as image:
            frames = int(getattr(image, "n_frames", 1))
            return {"pages": frames if image.format in _PAGED else 1, "frames": frames}
    except (OSError, SyntaxError, ValueError) as error:
        raise UnreadableImageError(f"{type(error).__name__}: {error}") from error


def _is_pdf(path: Path) -> bool:
    with path.open("rb") as file:
        return b"%PDF-" in file.read(1024)


def _pdf(path: Path) -> Any:
    """Open a PDF; raises UnreadablePdfError."""
    import pypdfium2  # noqa: PLC0415 - images need none of it

    try:
        pdf = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        raise UnreadablePdfError(_kind(path), str(error).rstrip(".")) from error
    return pdf


def _kind(path: Path) -> str:
    """Return why PDFium refuses a document; its own words may be those of the document before."""
    import pikepdf  # noqa: PLC0415 - only such documents need it

    try:
        with pikepdf.open(path) as pdf:
            return "damaged" if len(pdf.pages) else "no-pages"
    except pikepdf.PasswordError:
        return "encrypted"
    except pikepdf.PdfError:
        return "damaged"


def _picture(request: dict[str, Any], kept: dict[str, Any]) -> dict[str, Any]:
    """Write the picture of one page, and its preview where one is wanted; returns the sizes."""
    path, most = Path(request["path"]), int(request["max_pixels"])
    drawn = _drawn if _is_pdf(path) else _loaded
    image, width, height = drawn(path, int(request["page"]), most, kept)
    if request["turn"]:
        image = image.transpose(_TURNS[request["turn"]])
        width, height = (height, width) if request["turn"] != _UPSIDE_DOWN else (width, height)
    if request["scale"] != 1:
        size = (max(1, round(n * request["scale"])) for n in image.size)
        image = image.resize(tuple(size), Image.Resampling.BOX)
    image.save(request["picture"], compress_level=1)
    if request.get("preview"):
        with contextlib.suppress(OSError):  # on a full disk; the page itself may still be read
            _preview(image).save(request["preview"], quality=75)
    share = round(image.width / width, 4)
    return {"width": width, "height": height, "share": share, "blank": _is_blank(image)}


def _is_blank(image: Image.Image) -> bool:
    shades = [shade for shade, count in enumerate(image.convert("L").histogram()) if count]
    return shades[-1] - shades[0] < _BLANK_RANGE


def _loaded(path: Path, page: int, most: int, kept: dict[str, Any]) -> tuple[Image.Image, int, int]:
    """Decode one frame of an image. A TIFF of many stays open: to find a frame, all before it are walked through."""
    name = str(path)
    image = kept[name] if name in kept else opened(path)
    if name not in kept and image.format in _PAGED and getattr(image, "is_animated", False):
        _keep(kept, name, image)
    try:
        return frame_of(image, page, most)
    except UnreadableImageError:
        kept.pop(name, None)  # what a damaged frame leaves behind must not spoil the next one
        raise
    finally:
        if name not in kept:
            image.close()


def _drawn(path: Path, page: int, most: int, kept: dict[str, Any]) -> tuple[Image.Image, int, int]:
    """Draw one page of a PDF, which stays open for the next one."""
    if str(path) not in kept:
        _keep(kept, str(path), _pdf(path))
    sheet = kept[str(path)][page]
    across, down = sheet.get_size()
    full = max(1, round(across * PDF_SCALE)), max(1, round(down * PDF_SCALE))
    scale = PDF_SCALE * min(1.0, (most / (full[0] * full[1])) ** 0.5)
    image = sheet.render(scale=scale).to_pil()
    sheet.close()
    return image if image.mode == "RGB" else image.convert("RGB"), *full


def _keep(kept: dict[str, Any], name: str, document: Any) -> None:
    """Hold one document open in place of the one before."""
    for old in kept.values():
        old.close()
    kept.clear()
    kept[name] = document


def _preview(image: Image.Image) -> Image.Image:
    factor = max(-(-side // most) for side, most in zip(image.size, _PREVIEW_SIZE, strict=True))
    return image.reduce(factor) if factor > 1 else image


def _bind(sheets: list[dict[str, Any]], pdf: Path) -> None:
    """Write a PDF with one picture a page, as JPEG of screen size; whole or not at all."""
    import img2pdf  # noqa: PLC0415 - only the end of a document needs it

    new = pdf.with_name(f"{pdf.name}.new")
    with new.open("wb") as out:
        img2pdf.convert([_jpeg(sheet) for sheet in sheets], outputstream=out)
    new.replace(pdf)


def _jpeg(sheet: dict[str, Any]) -> bytes:
    """Return a picture for people, with numbered boxes where the sheet has any, in pixels of `width` x `height`."""
    data = io.BytesIO()
    with Image.open(sheet["picture"]) as image:
        seen = _preview(image.convert("RGB"))
        if "boxes" in sheet:
            seen = numbered(seen, sheet["boxes"], sheet["width"], sheet["height"])
        seen.save(data, format="JPEG", quality=80)
    return data.getvalue()


if __name__ == "__main__":
    main()
