"""Renders the pages of documents in a separate process, because a malformed file may crash or hang the decoder.

    python -m paddlevl_doctor.parsing.input.page_worker

Each request is one JSON line on stdin, each reply is one JSON line on stdout:

    {"open": PATH}                                      -> {"event": "opened", "pages": 3, "frames": 3}
    {"page": 0, "path": PATH, "picture": OUT, ...}      -> {"event": "picture", "width": 1240, "height": 1754, ...}
    {"pdf": OUT, "sheets": [{"picture": PATH}, ...]}    -> {"event": "bound"}
    any request that fails                              -> {"event": "failed", "kind": "encrypted", "detail": "..."}
    any request that fails because the disk is full     -> {"event": "failed", "kind": "full", "detail": "..."}

PDFs are rendered at 144 dots per inch, as PaddleX does it, so that the engines get the same pixels.
"""

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

from paddlevl_doctor.parsing.input.decode import UnreadableImageError, decode_frame, open_image
from paddlevl_doctor.system.files import new_file

_BOX_COLOUR = "#c62828"
_PAGE_WIDTH_PER_FONT_SIZE = 60
"""Ratio of the width of a page to the font size of its numbers."""
_MIN_FONT_SIZE = 10


def draw_boxes(
    page: Image.Image, boxes: Sequence[tuple[int, Sequence[int]]], width: int, height: int
) -> Image.Image:
    """Return a copy of an image with numbered boxes; the boxes are in pixels of a page of `width` x `height`."""
    annotated = page.convert("RGB")
    draw = ImageDraw.Draw(annotated)
    font = ImageFont.load_default(max(_MIN_FONT_SIZE, annotated.width // _PAGE_WIDTH_PER_FONT_SIZE))
    x_scale, y_scale = annotated.width / width, annotated.height / height
    for number, (left, top, right, bottom) in boxes:
        x, y = left * x_scale, top * y_scale
        draw.rectangle(
            (x, y, max(x, right * x_scale), max(y, bottom * y_scale)), outline=_BOX_COLOUR, width=2
        )
        position = max(3, x - font.getlength(str(number)) - 3), y + 1  # left of the text if there is room
        tag = draw.textbbox(position, str(number), font=font)
        draw.rectangle((tag[0] - 3, tag[1] - 2, tag[2] + 3, tag[3] + 2), fill=_BOX_COLOUR)
        draw.text(position, str(number), font=font, fill="white")
    return annotated


PDF_SCALE = 2.0
"""Pixels per point: 144 dots per inch, PaddleX's `zoom` (paddlex/inference/utils/io/readers.py)."""
_MULTIPAGE_FORMATS = ("TIFF",)
"""Formats whose frames are pages; in other formats the frames are an animation or previews."""
_PREVIEW_SIZE = (1600, 16_000)
"""Maximum width and height in pixels, enough to read the text. JPEG allows 65,500; a PDF page is up to 200 inches."""
_UPSIDE_DOWN = 180
_ROTATIONS = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}
"""By degrees counterclockwise."""
_DISK_FULL_ERRORS = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
_BLANK_RANGE = 32
"""A page is blank if its darkest and its lightest of 256 grey levels differ by less than this."""


class UnreadablePdfError(Exception):
    """A PDF cannot be opened; `kind` is `encrypted`, `no-pages` or `damaged`."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


def main() -> None:
    """Handle requests until stdin ends."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # native libraries print to the file descriptor 1, not to sys.stdout
    Image.MAX_IMAGE_PIXELS = None  # `check_input` and `decode_frame` check our own limit
    open_documents: dict[str, Any] = {}
    for line in sys.stdin:
        out.write(json.dumps(_handle(json.loads(line), open_documents)) + "\n")
        out.flush()


def _handle(request: dict[str, Any], open_documents: dict[str, Any]) -> dict[str, Any]:
    """Return the reply to a request; `open_documents` holds the document that stays open between pages, by its path."""
    try:
        if "open" in request:
            return {"event": "opened", **_count_pages(Path(request["open"]))}
        if "pdf" in request:
            import img2pdf  # noqa: PLC0415 - only finished documents need it

            pdf = Path(request["pdf"])
            with new_file(pdf, pdf.with_name(f"{pdf.name}.new")) as out:
                img2pdf.convert([_page_jpeg(sheet) for sheet in request["sheets"]], outputstream=out)
            return {"event": "bound"}
        return {"event": "picture", **_render_page(request, open_documents)}
    except (UnreadablePdfError, UnreadableImageError) as error:
        return {"event": "failed", "kind": error.kind, "detail": str(error)}
    except Exception as error:
        kind = "full" if getattr(error, "errno", None) in _DISK_FULL_ERRORS else "damaged"
        return {"event": "failed", "kind": kind, "detail": f"{type(error).__name__}: {error}"}


def _count_pages(path: Path) -> dict[str, int]:
    """Return the number of pages to read, and the number of frames in the file."""
    if _is_pdf(path):
        pdf = _open_pdf(path)
        pages = len(pdf)
        pdf.close()
        return {"pages": pages, "frames": pages}
    try:
        with Image.open(path) as image:
            frames = int(getattr(image, "n_frames", 1))
            return {"pages": frames if image.format in _MULTIPAGE_FORMATS else 1, "frames": frames}
    except (OSError, SyntaxError, ValueError) as error:
        raise UnreadableImageError(f"{type(error).__name__}: {error}") from error


def _is_pdf(path: Path) -> bool:
    with path.open("rb") as file:
        return b"%PDF-" in file.read(1024)


def _open_pdf(path: Path) -> Any:
    """Open a PDF; raises UnreadablePdfError."""
    import pypdfium2  # noqa: PLC0415 - images do not need it

    try:
        pdf = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        raise UnreadablePdfError(_pdf_failure(path), str(error).rstrip(".")) from error
    return pdf


def _pdf_failure(path: Path) -> str:
    """Return why PDFium cannot open a PDF. PDFium's own error may be that of the PDF before."""
    import pikepdf  # noqa: PLC0415 - only PDFs that cannot be opened need it

    try:
        with pikepdf.open(path) as pdf:
            return "damaged" if len(pdf.pages) else "no-pages"
    except pikepdf.PasswordError:
        return "encrypted"
    except pikepdf.PdfError:
        return "damaged"


def _render_page(request: dict[str, Any], open_documents: dict[str, Any]) -> dict[str, Any]:
    """Write the image of one page, and its preview if requested; returns the fields of the reply."""
    path, max_pixels = Path(request["path"]), int(request["max_pixels"])
    render = _render_pdf_page if _is_pdf(path) else _render_frame
    image, width, height = render(path, int(request["page"]), max_pixels, open_documents)
    if request["turn"]:
        image = image.transpose(_ROTATIONS[request["turn"]])
        width, height = (height, width) if request["turn"] != _UPSIDE_DOWN else (width, height)
    if request["scale"] != 1:
        size = (max(1, round(n * request["scale"])) for n in image.size)
        image = image.resize(tuple(size), Image.Resampling.BOX)
    image.save(request["picture"], compress_level=1)
    if request.get("preview"):
        with contextlib.suppress(OSError):  # on a full disk: the page can be read without a preview
            _shrink(image).save(request["preview"], quality=75)
    share = round(image.width / width, 4)
    levels = [level for level, count in enumerate(image.convert("L").histogram()) if count]
    return {"width": width, "height": height, "share": share, "blank": levels[-1] - levels[0] < _BLANK_RANGE}


def _render_frame(
    path: Path, page: int, max_pixels: int, open_documents: dict[str, Any]
) -> tuple[Image.Image, int, int]:
    """Decode one frame of an image. A TIFF with several frames stays open, because finding a frame scans all before."""
    name = str(path)
    image = open_documents.get(name) or open_image(path)
    if image.format in _MULTIPAGE_FORMATS and getattr(image, "is_animated", False):
        _keep_open(open_documents, name, image)
    try:
        return decode_frame(image, page, max_pixels)
    except UnreadableImageError:
        open_documents.pop(name, None)  # a damaged frame may leave the decoder in a bad state
        raise
    finally:
        if name not in open_documents:
            image.close()


def _render_pdf_page(
    path: Path, page: int, max_pixels: int, open_documents: dict[str, Any]
) -> tuple[Image.Image, int, int]:
    """Render one page of a PDF, which stays open for the next page."""
    if str(path) not in open_documents:
        _keep_open(open_documents, str(path), _open_pdf(path))
    pdf_page = open_documents[str(path)][page]
    width, height = (max(1, round(points * PDF_SCALE)) for points in pdf_page.get_size())
    scale = PDF_SCALE * min(1.0, (max_pixels / (width * height)) ** 0.5)
    image: Image.Image = pdf_page.render(scale=scale).to_pil()
    pdf_page.close()
    return image if image.mode == "RGB" else image.convert("RGB"), width, height


def _keep_open(open_documents: dict[str, Any], path: str, document: Any) -> None:
    """Keep a document open, and close any other."""
    for old in [name for name in open_documents if name != path]:
        open_documents.pop(old).close()
    open_documents[path] = document


def _shrink(image: Image.Image) -> Image.Image:
    factor = max(-(-side // limit) for side, limit in zip(image.size, _PREVIEW_SIZE, strict=True))
    return image.reduce(factor) if factor > 1 else image


def _page_jpeg(sheet: dict[str, Any]) -> bytes:
    """Return the JPEG of one page of the PDF, with its numbered boxes if it has any."""
    data = io.BytesIO()
    with Image.open(sheet["picture"]) as full_size:
        image = _shrink(full_size.convert("RGB"))
        if "boxes" in sheet:
            image = draw_boxes(image, sheet["boxes"], sheet["width"], sheet["height"])
        image.save(data, format="JPEG", quality=80)
    return data.getvalue()


if __name__ == "__main__":
    main()
