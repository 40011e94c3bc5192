"""The embedded reader's own process: `python -m paddlevl_doctor.parsing.reader_worker IMAGE` reads one image.

Prints one JSON document on stdout and nothing else. The weights are named by path, from the wheel, so that rapidocr
has no reason to download; whatever it or its libraries print goes to stderr. Exit code 2 means that the image is at
fault, and the last line on stderr says how.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paddlevl_doctor.parsing.document import MAX_PIXELS, SCALED_ABOVE

if TYPE_CHECKING:
    from PIL import Image

UNREADABLE = 2
_BAND_PIXELS = 16_000_000
"""A huge image is scaled down in bands of about so many pixels, to keep copies of it small."""


class UnreadableImageError(Exception):
    """The image cannot be decoded, or not within the limits."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the image named by the arguments; return the exit code."""
    options = _parser().parse_args(arguments)
    answer_to = os.dup(1)
    os.dup2(2, 1)  # native libraries write to the descriptor, not to sys.stdout
    try:
        answer = read_image(options.image, options.max_pixels, options.threads)
    except UnreadableImageError as error:
        sys.stderr.write(f"{error}\n")
        return UNREADABLE
    with os.fdopen(answer_to, "w", encoding="utf-8") as out:
        out.write(json.dumps(answer, ensure_ascii=False) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="reader_worker")
    parser.add_argument("image", type=Path)
    parser.add_argument("--max-pixels", type=int, default=SCALED_ABOVE)
    parser.add_argument("--threads", type=int, default=-1)
    return parser


def read_image(path: Path, max_pixels: int, threads: int) -> dict[str, Any]:
    """Return the lines of an image, boxes in its own pixels, with sizes, times (seconds) and peak memory (MiB)."""
    started = time.perf_counter()
    import numpy as np  # noqa: PLC0415 - the import is what is timed
    import rapidocr  # noqa: PLC0415

    engine_class = rapidocr.RapidOCR
    imported = time.perf_counter()
    page, width, height, frames = load(path, max_pixels)
    engine = engine_class(params=engine_options(Path(rapidocr.__file__).parent / "models", threads))
    loaded = time.perf_counter()
    found = engine(np.ascontiguousarray(np.asarray(page)[:, :, ::-1]))  # rapidocr expects blue first
    read = time.perf_counter()
    return {
        "lines": lines_of(found, width / page.width, height / page.height),
        "width": width,
        "height": height,
        "scale": round(page.width / width, 4),
        "frames": frames,
        "seconds": {"import": imported - started, "decode": loaded - imported, "read": read - loaded},
        "rss_mb": peak_memory_mb(),
        "versions": {name: version(name) for name in ("rapidocr", "onnxruntime")},
    }


def engine_options(models: Path, threads: int) -> dict[str, Any]:
    """Return rapidocr's parameters: the weights in its wheel, quiet; raises FileNotFoundError where one is missing."""
    options: dict[str, Any] = {
        "Global.log_level": "critical",
        "EngineConfig.onnxruntime.intra_op_num_threads": threads,
    }
    for task in ("Det", "Cls", "Rec"):
        weights = sorted(models.glob(f"*_{task.lower()}_*.onnx"))
        if not weights:
            raise FileNotFoundError(
                f"rapidocr came without weights for {task}: nothing like them in {models}"
            )
        options[f"{task}.model_path"] = str(weights[0])
    return options


def lines_of(found: Any, x_scale: float, y_scale: float) -> list[dict[str, Any]]:
    """Return rapidocr's answer (four corners a line) as upright boxes in pixels of the original."""
    if found.txts is None:
        return []
    lines = []
    for corners, text, score in zip(found.boxes, found.txts, found.scores, strict=True):
        (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
        box = (left * x_scale, top * y_scale, right * x_scale, bottom * y_scale)
        lines.append({"text": text, "box": [round(float(n)) for n in box], "score": round(float(score), 3)})
    return lines


# --- decoding -------------------------------------------------------------------------------------------------


def load(path: Path, max_pixels: int) -> tuple[Image.Image, int, int, int]:
    """Return the first page upright in RGB with at most `max_pixels`, its full width and height, and the page count.

    Raises UnreadableImageError for a damaged image and for one beyond the stated limit of MAX_PIXELS.
    """
    from PIL import Image  # noqa: PLC0415 - not there without the extra `reader`

    Image.MAX_IMAGE_PIXELS = None  # the limit below is deliberate and says what to do
    try:
        with Image.open(path) as image:
            full = image.size
            if full[0] * full[1] > MAX_PIXELS:
                raise UnreadableImageError(f"{full[0]} x {full[1]} pixels are more than {MAX_PIXELS}")
            frames = getattr(image, "n_frames", 1)
            page = _small(image, max_pixels)
            turn = _TURNS.get(image.getexif().get(0x0112, 1))
    except (OSError, SyntaxError, ValueError, EOFError, MemoryError, Image.DecompressionBombError) as error:
        raise UnreadableImageError(f"{type(error).__name__}: {error}") from error
    width, height = full[::-1] if turn in _QUARTER_TURNS else full
    return page if turn is None else page.transpose(Image.Transpose[turn]), width, height, frames


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
    from PIL import Image  # noqa: PLC0415

    small = Image.new("RGB", (-(-image.width // factor), -(-image.height // factor)))
    high = max(1, _BAND_PIXELS // image.width // factor) * factor
    for top in range(0, image.height, high):
        band = image.crop((0, top, image.width, min(top + high, image.height)))
        small.paste(_rgb(band).reduce(factor), (0, top // factor))
    return small


def _rgb(image: Image.Image) -> Image.Image:
    """Return an image in RGB: transparency on white paper, 16 bits a pixel brought down to 8."""
    from PIL import Image  # noqa: PLC0415

    if image.mode.startswith("I"):
        image = image.point(lambda value: value * (1 / 256), "F").convert(
            "L"
        )  # Pillow alone would clip to white
    if "A" not in image.getbands() and "transparency" not in image.info:
        return image.convert("RGB")
    layered = image.convert("RGBA")
    paper = Image.new("RGBA", layered.size, "white")
    return Image.alpha_composite(paper, layered).convert("RGB")


def peak_memory_mb() -> int:
    """Return the peak resident memory of this process in MiB."""
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) >> 10
    except (OSError, StopIteration):
        import psutil  # noqa: PLC0415 - Windows and macOS only

        memory = psutil.Process().memory_info()
        return int(getattr(memory, "peak_wset", memory.rss)) >> 20


if __name__ == "__main__":
    sys.exit(main())
