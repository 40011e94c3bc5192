"""Decodes an image into a page: upright, RGB, on white paper, of bearable size. Runs in workers, with Pillow."""

from __future__ import annotations

from math import isfinite
from pathlib import Path

from PIL import Image

from paddlevl_doctor.parsing.input.documents import MAX_PIXELS
from paddlevl_doctor.system.machine import RealSystem

_DEEP = ("I", "F")
"""Modes with more than 8 bits a channel."""
_SIXTEEN = 65_535
_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "LA": 4}
"""Of a decoded pixel, by mode; 4 in all others, also where only 3 are used."""
_SPARE = 1.25
"""What decoding takes besides the pixels themselves."""
_BAND_PIXELS = 16_000_000
"""A huge image is scaled down in bands of about so many pixels, to keep copies of it small."""


class UnreadableImageError(Exception):
    """The image cannot be decoded, or not within the limits; `kind` says in one word why."""

    def __init__(self, detail: str, kind: str = "damaged") -> None:
        super().__init__(detail)
        self.kind = kind


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
        # Raise UnreadableImageError for a huge image that would need more memory than is free, instead of
        # being killed.
        needed = int(image.width * image.height * _BYTES.get(image.mode, 4) * _SPARE) >> 20
        free = RealSystem().memory_mb()[1]
        if needed > free:
            raise UnreadableImageError(f"{needed} MiB > {free} MiB", "memory")
    image.load()
    low, high = _shades(image)
    return _rgb(image, low, high) if factor == 1 else _reduced(image, factor, low, high)


def _factor(size: tuple[int, int], max_pixels: int) -> int:
    factor = 1
    while size[0] * size[1] > max_pixels * factor * factor:
        factor += 1
    return factor


def _reduced(image: Image.Image, factor: int, low: float, high: float) -> Image.Image:
    """Return the mean of every square of `factor` pixels, band by band."""
    small = Image.new("RGB", (-(-image.width // factor), -(-image.height // factor)))
    rows = max(1, _BAND_PIXELS // image.width // factor) * factor
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        small.paste(_rgb(band, low, high).reduce(factor), (0, top // factor))
    return small


def _shades(image: Image.Image) -> tuple[float, float]:
    """Return which values are black and white: of 8 bits, 16 bits, or a share; else the darkest and the lightest.

    Only images of 16 bits, 32 bits and floating point are asked; no header says what their numbers mean.
    """
    if not image.mode.startswith(_DEEP):
        return 0, 255
    if image.mode.startswith("I;"):
        return 0, _SIXTEEN
    low, high = map(float, image.convert("F").getextrema())  # type: ignore[arg-type]
    if not (isfinite(low) and isfinite(high)):
        raise UnreadableImageError("its pixels are infinite or no numbers")
    white = next((most for most in (1, 255, _SIXTEEN) if high <= most), high)
    return (0, white) if low >= 0 and white != high else (low, high)


def _rgb(image: Image.Image, low: float, high: float) -> Image.Image:
    """Return an image in RGB: transparency on white paper, and of more than 8 bits `low` is black and `high` white."""
    if image.mode.startswith(_DEEP):
        factor = 255 / (high - low or 1)
        offset = 0.5 - low * factor  # Pillow cuts fractions off
        image = image.point(lambda value: value * factor + offset, "F").convert("L")
    if "A" not in image.getbands() and "transparency" not in image.info:
        return image.convert("RGB")
    layered = image.convert("RGBA")
    paper = Image.new("RGBA", layered.size, "white")
    return Image.alpha_composite(paper, layered).convert("RGB")
