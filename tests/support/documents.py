"""Documents that hurt, made on the spot."""

from __future__ import annotations

import io
import random
from pathlib import Path

import img2pdf
import pikepdf
from PIL import Image, ImageDraw


def page(words: str = "PAGE", size: tuple[int, int] = (400, 300), mode: str = "RGB") -> Image.Image:
    """Return a white page with large words on it, in Pillow's own font."""
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).text((30, 60), words, fill="black", font_size=48)
    return image.convert(mode)


def pdf(path: Path, pages: list[Image.Image]) -> Path:
    """Write a PDF with a picture a page."""
    with path.open("wb") as out:
        img2pdf.convert([_png(image) for image in pages], outputstream=out)
    return path


def _png(image: Image.Image) -> bytes:
    data = io.BytesIO()
    image.save(data, format="PNG")
    return data.getvalue()


def encrypted(path: Path, source: Path) -> Path:
    """Write a PDF that opens with a password only."""
    with pikepdf.open(source) as document:
        document.save(path, encryption=pikepdf.Encryption(owner="owner", user="user"))
    return path


def without_pages(path: Path) -> Path:
    """Write a whole PDF that has no page."""
    with pikepdf.new() as document:
        document.save(path)
    return path


def damaged(path: Path, source: Path) -> Path:
    """Write a PDF of which only the beginning is there, and noise after it."""
    noise = random.Random(1).randbytes(2000)  # noqa: S311 - no secret
    path.write_bytes(source.read_bytes()[:200] + noise)
    return path


def cmyk(path: Path) -> Path:
    """Write a JPEG in the colours of print."""
    page("CMYK").convert("CMYK").save(path)
    return path


def sixteen_bits(path: Path) -> Path:
    """Write a PNG with 65,536 shades of grey."""
    grey = page("DEEP").convert("L")
    deep = Image.new("I;16", grey.size)
    deep.putdata([value * 257 for value in grey.tobytes()])
    deep.save(path)
    return path


def thirty_two_bits(path: Path) -> Path:
    """Write a TIFF with whole numbers of 32 bits, of which 255 is white."""
    page("LONG").convert("L").convert("I").save(path)
    return path


def shares(path: Path) -> Path:
    """Write a TIFF of floating point numbers, of which 1 is white."""
    grey = page("SHARE").convert("L").convert("F")
    grey.point(lambda value: value * (1 / 255) + 0).save(path)
    return path


def heights(path: Path) -> Path:
    """Write a TIFF of floating point numbers that are no shades at all: from 40,000 below zero up to 90,000."""
    grey = page("HIGH").convert("L").convert("F")
    grey.point(lambda value: value * 509.8 + -40_000).save(path)
    return path


def transparent(path: Path) -> Path:
    """Write a PNG with black words on nothing."""
    image = Image.new("RGBA", (400, 300), (0, 0, 0, 0))
    ImageDraw.Draw(image).text((30, 60), "ALPHA", fill=(0, 0, 0, 255), font_size=48)
    image.save(path)
    return path


def animated(path: Path) -> Path:
    """Write a GIF of three frames."""
    frames = [page(word) for word in ("FIRST", "SECOND", "THIRD")]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    return path


def turned_by_exif(path: Path) -> Path:
    """Write a JPEG that lies on its side and says so."""
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter with the clock
    page("EXIF").rotate(90, expand=True).save(path, exif=exif)
    return path
