"""Decodes an image into an upright RGB page on a white background, scaled to a maximum of pixels.

Used in worker processes only, because it imports Pillow.
"""

from __future__ import annotations

from math import isfinite
from pathlib import Path

from PIL import Image

from paddlevl_doctor.parsing.input.documents import MAX_PIXELS
from paddlevl_doctor.system.machine import RealSystem

_DEEP_MODES = ("I", "F")
"""First letters of Pillow's modes with more than 8 bits per channel."""
_MAX_UINT16 = 65_535
_BYTES_PER_PIXEL = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "LA": 4}
"""Bytes that Pillow uses for a decoded pixel, by mode; 4 for all other modes, RGB included."""
_DECODING_FACTOR = 1.25
"""Memory needed to decode an image, as a multiple of its decoded pixels."""
_BAND_PIXELS = 16_000_000
"""A huge image is scaled down in bands of about this many pixels, so that no second copy of it is needed."""


class UnreadableImageError(Exception):
    """The image cannot be decoded within the limits; `kind` is `damaged` or `memory`."""

    def __init__(self, detail: str, kind: str = "damaged") -> None:
        super().__init__(detail)
        self.kind = kind


def load(path: Path, max_pixels: int) -> tuple[Image.Image, int, int]:
    """Return the first frame of an image, upright in RGB with at most `max_pixels`, and its full width and height.

    Raises UnreadableImageError for a damaged image and for one with more than MAX_PIXELS.
    """
    with open_image(path) as image:
        return decode_frame(image, 0, max_pixels)


def open_image(path: Path) -> Image.Image:
    """Open an image without decoding it; the caller closes it. Raises UnreadableImageError."""
    Image.MAX_IMAGE_PIXELS = None  # `decode_frame` checks our own limit, MAX_PIXELS
    try:
        return Image.open(path)
    except _DAMAGE as error:
        raise UnreadableImageError(f"{type(error).__name__}: {error}") from error


def decode_frame(image: Image.Image, frame: int, max_pixels: int) -> tuple[Image.Image, int, int]:
    """Return one frame (from 0) of an open image in the form of `load`; raises UnreadableImageError."""
    try:
        if frame != image.tell():
            image.seek(frame)
        full = image.size
        if full[0] * full[1] > MAX_PIXELS:
            raise UnreadableImageError(f"{full[0]} x {full[1]} pixels are more than {MAX_PIXELS}")
        page = _decode_scaled(image, max_pixels)
        transpose = _EXIF_TRANSPOSES.get(image.getexif().get(0x0112, 1))
    except _DAMAGE as error:
        raise UnreadableImageError(f"{type(error).__name__}: {error}") from error
    width, height = full[::-1] if transpose in _AXIS_SWAPS else full
    return page if transpose is None else page.transpose(Image.Transpose[transpose]), width, height


_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, MemoryError, Image.DecompressionBombError)
_AXIS_SWAPS = ("TRANSPOSE", "ROTATE_270", "TRANSVERSE", "ROTATE_90")
_EXIF_TRANSPOSES = dict(
    enumerate(("FLIP_LEFT_RIGHT", "ROTATE_180", "FLIP_TOP_BOTTOM", *_AXIS_SWAPS), start=2)
)
"""The name of the Image.Transpose that makes an image upright, by its EXIF orientation (tag 0x0112)."""


def _decode_scaled(image: Image.Image, max_pixels: int) -> Image.Image:
    """Decode an image into RGB with at most `max_pixels`, without a second full-size copy of a huge one."""
    factor = _reduction_factor(image.size, max_pixels)
    if factor > 1:
        image.draft("RGB", (image.width // factor, image.height // factor))  # JPEG decodes to 1/2, 1/4 or 1/8
        factor = _reduction_factor(image.size, max_pixels)
        # Without this check the system would kill the process when a huge image exhausts the memory.
        pixel_bytes = _BYTES_PER_PIXEL.get(image.mode, 4)
        needed_mb = int(image.width * image.height * pixel_bytes * _DECODING_FACTOR) >> 20
        free_mb = RealSystem().memory_mb()[1]
        if needed_mb > free_mb:
            raise UnreadableImageError(f"{needed_mb} MiB > {free_mb} MiB", "memory")
    image.load()
    black, white = _black_and_white(image)
    return _to_rgb(image, black, white) if factor == 1 else _reduce(image, factor, black, white)


def _reduction_factor(size: tuple[int, int], max_pixels: int) -> int:
    factor = 1
    while size[0] * size[1] > max_pixels * factor * factor:
        factor += 1
    return factor


def _reduce(image: Image.Image, factor: int, black: float, white: float) -> Image.Image:
    """Return the image scaled down to 1/`factor`: the mean of each square, computed band by band."""
    small = Image.new("RGB", (-(-image.width // factor), -(-image.height // factor)))
    rows = max(1, _BAND_PIXELS // image.width // factor) * factor
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        small.paste(_to_rgb(band, black, white).reduce(factor), (0, top // factor))
    return small


def _black_and_white(image: Image.Image) -> tuple[float, float]:
    """Return the pixel values for black and white.

    No header states the range of 32-bit and floating-point images. It is 0 to 1, 0 to 255 or 0 to 65,535 if one of
    these contains all values, else it extends from the darkest to the lightest value.
    """
    if not image.mode.startswith(_DEEP_MODES):
        return 0, 255
    if image.mode.startswith("I;"):
        return 0, _MAX_UINT16
    darkest, lightest = map(float, image.convert("F").getextrema())  # type: ignore[arg-type]
    if not (isfinite(darkest) and isfinite(lightest)):
        raise UnreadableImageError("its pixels are infinite or no numbers")
    white = next((limit for limit in (1, 255, _MAX_UINT16) if lightest <= limit), lightest)
    return (0, white) if darkest >= 0 and white != lightest else (darkest, lightest)


def _to_rgb(image: Image.Image, black: float, white: float) -> Image.Image:
    """Return an image in RGB on a white background; values of more than 8 bits are scaled from `black` to `white`."""
    if image.mode.startswith(_DEEP_MODES):
        factor = 255 / (white - black or 1)
        offset = 0.5 - black * factor  # Pillow truncates fractions, so this rounds
        image = image.point(lambda value: value * factor + offset, "F").convert("L")
    if "A" not in image.getbands() and "transparency" not in image.info:
        return image.convert("RGB")
    layered = image.convert("RGBA")
    background = Image.new("RGBA", layered.size, "white")
    return Image.alpha_composite(background, layered).convert("RGB")
