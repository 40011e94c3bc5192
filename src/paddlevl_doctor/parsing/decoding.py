"""Decodes an image into a page: upright, RGB, on white paper, of bearable size. Runs in workers, with Pillow."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from paddlevl_doctor.parsing.document import MAX_PIXELS

_BAND_PIXELS = 16_000_000
"""A huge image is scaled down in bands of about so many pixels, to keep copies of it small."""


class UnreadableImageError(Exception):
    """The image cannot be decoded, or not within the limits."""


def load(path: Path, max_pixels: int) -> tuple[Image.Image, int, int]:
    """Return an image's first frame upright in RGB with at most `max_pixels`, and its full width and height.

    Raises UnreadableImageError for a damaged image and for one beyond the stated limit of MAX_PIXELS.
    """
    with opened(path) as image:
        return frame_of(image, 0, max_pixels)


def opened(path: Path) -> Image.Image:
    """Return an image that is not decoded yet, to be closed by the caller; raises UnreadableImageError."""
    Image.MAX_IMAGE_PIXELS = None  # MAX_PIXELS is deliberate and says what to do
    try:
        return Image.open(path)
    except _DAMAGE as error:
        raise UnreadableImageError(f"{type(error).__name__}: {error}") from error


def frame_of(image: Image.Image, frame: int, max_pixels: int) -> tuple[Image.Image, int, int]:
    """Return one frame of an open image as `load` does; raises UnreadableImageError."""
    try:
        if frame != image.tell():
            image.seek(frame)
        full = image.size
        if full[0] * full[1] > MAX_PIXELS:
            raise UnreadableImageError(f"{full[0]} x {full[1]} pixels are more than {MAX_PIXELS}")
        page = _small(image, max_pixels)
        turn = _TURNS.get(image.getexif().get(0x0112, 1))
    except _DAMAGE as error:
        raise UnreadableImageError(f"{type(error).__name__}: {error}") from error
    width, height = full[::-1] if turn in _QUARTER_TURNS else full
    return page if turn is None else page.transpose(Image.Transpose[turn]), width, height


_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, MemoryError, Image.DecompressionBombError)
_QUARTER_TURNS = ("TRANSPOSE", "ROTATE_270", "TRANSVERSE", "ROTATE_90")
_TURNS = dict(enumerate(("FLIP_LEFT_RIGHT", "ROTATE_180", "FLIP_TOP_BOTTOM", *_QUARTER_TURNS), start=2))
"""How to bring a picture upright, by its EXIF orientation (tag 0x0112), as Pillow names it."""


def _small(image: Image.Image, max_pixels: int) -> Image.Image:
    """Decode an image into RGB with at most `max_pixels`, never holding a second copy of a huge one."""
    factor = _factor(image.size, max_pixels)
    if factor > 1:
        image.draft("RGB", (image.width // factor, image.height // factor))  # JPEG decodes to 1/2, 1/4 or 1/8
        factor = _factor(image.size, max_pixels)
    image.load()
    return _rgb(image) if factor == 1 else _reduced(image, factor)


def _factor(size: tuple[int, int], max_pixels: int) -> int:
    factor = 1
    while size[0] * size[1] > max_pixels * factor * factor:
        factor += 1
    return factor


def _reduced(image: Image.Image, factor: int) -> Image.Image:
    """Return the mean of every square of `factor` pixels, band by band."""
    small = Image.new("RGB", (-(-image.width // factor), -(-image.height // factor)))
    high = max(1, _BAND_PIXELS // image.width // factor) * factor
    for top in range(0, image.height, high):
        band = image.crop((0, top, image.width, min(top + high, image.height)))
        small.paste(_rgb(band).reduce(factor), (0, top // factor))
    return small


def _rgb(image: Image.Image) -> Image.Image:
    """Return an image in RGB: transparency on white paper, 16 bits a pixel brought down to 8."""
    if image.mode.startswith("I"):
        image = image.point(lambda value: value * (1 / 256), "F").convert(
            "L"
        )  # Pillow alone would clip to white
    if "A" not in image.getbands() and "transparency" not in image.info:
        return image.convert("RGB")
    layered = image.convert("RGBA")
    paper = Image.new("RGBA", layered.size, "white")
    return Image.alpha_composite(paper, layered).convert("RGB")
