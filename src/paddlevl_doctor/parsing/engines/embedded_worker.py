"""The process of the embedded reader: `python -m paddlevl_doctor.parsing.engines.embedded_worker` reads pages.

Each request is one JSON line on stdin, {"image": PATH}; each event is one JSON line on stdout: `stage`, `ready`, `page`
with the lines, `failed`, `fatal`. The paths of the weights in the rapidocr wheel are passed to rapidocr, so that it
downloads nothing. All output of libraries goes to stderr.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import signal
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from paddlevl_doctor.parsing.engines.page_rotation import rotation_of
from paddlevl_doctor.parsing.input.decode import UnreadableImageError, load
from paddlevl_doctor.parsing.input.documents import SCALED_ABOVE
from paddlevl_doctor.values.pages import box_of

_CLASSIFIER_THRESHOLD = 0.9
"""The score above which rapidocr rotates a line (its default of `Cls.cls_thresh`)."""
_UPSIDE_DOWN = 180
_MIN_BAND_PIXELS, _BAND_ASPECT = 1400, 1.5
"""Minimum height of a band of a long page, and ratio of its height to its width. A page up to 1.5 times as high as a
band is not split; the ratio of an A4 page is 1.41."""


class EventWriter:
    """Writes JSON lines to the original stdout; file descriptor 1, to which libraries print, becomes stderr."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)

    def write(self, event: str, **fields: Any) -> None:
        """Write one event."""
        self._out.write(json.dumps({"event": event, **fields}, ensure_ascii=False) + "\n")
        self._out.flush()


def main() -> None:
    """Load the models, then handle requests until stdin ends."""
    parser = argparse.ArgumentParser(prog="reader_worker")
    parser.add_argument("--threads", type=int, default=-1)
    threads = parser.parse_args().threads
    events = EventWriter()
    faulthandler.enable(all_threads=True)
    if hasattr(signal, "SIGUSR1"):
        faulthandler.register(signal.SIGUSR1, all_threads=True)
    events.write("stage", stage="load")
    try:
        started = time.perf_counter()
        engine = load_engine(threads)
    except Exception as error:
        events.write("fatal", detail=f"{type(error).__name__}: {error}")
        return
    events.write("ready", seconds={"load": time.perf_counter() - started})
    for line in sys.stdin:
        events.write("stage", stage="read")
        _read_and_report(events, engine, Path(json.loads(line)["image"]))


def _read_and_report(events: EventWriter, engine: Any, image: Path) -> None:
    try:
        events.write("page", **read_image(engine, image))
    except UnreadableImageError as error:
        events.write("failed", detail=str(error))
    except Exception as error:  # the next image may be readable
        events.write("failed", detail=": ".join(filter(None, (type(error).__name__, str(error)))))


def load_engine(threads: int) -> Any:
    """Return rapidocr with the weights of its wheel; raises FileNotFoundError, and the errors of its import.

    Its attribute `upside_down` has the classifier's result for each line of the last image.
    """
    import rapidocr  # noqa: PLC0415 - a failed import is reported as an event

    class Engine(rapidocr.RapidOCR):
        upside_down: tuple[bool, ...] = ()

        def cls_and_rotate(self, pictures: Any) -> Any:
            """Keep the output of the classifier, which rapidocr's result does not contain."""
            rotated, output = super().cls_and_rotate(pictures)
            self.upside_down = tuple(
                "180" in label and score > _CLASSIFIER_THRESHOLD for label, score in output.cls_res or ()
            )
            return rotated, output

    return Engine(params=engine_options(Path(rapidocr.__file__).parent / "models", threads))


def read_image(engine: Any, path: Path) -> dict[str, Any]:
    """Return the lines of an image, its size, and its rotation (see page_rotation).

    The boxes of the lines are in pixels of the rotated page.
    """
    import numpy as np  # noqa: PLC0415 - rapidocr has already imported it

    page, width, height = load(path, SCALED_ABOVE)
    pixels = np.asarray(page)[:, :, ::-1]  # rapidocr expects blue first
    x_scale, y_scale = width / page.width, height / page.height
    lines, upside_down = _recognize(engine, pixels, x_scale, y_scale)
    rotation = rotation_of([box_of(line["box"]) for line in lines], upside_down)
    if rotation:
        scale = (x_scale, y_scale) if rotation == _UPSIDE_DOWN else (y_scale, x_scale)
        lines, _ = _recognize(engine, np.rot90(pixels, rotation // 90), *scale)
    return {"lines": lines, "width": width, "height": height, "turned": rotation}


def _recognize(
    engine: Any, pixels: Any, x_scale: float, y_scale: float
) -> tuple[list[dict[str, Any]], tuple[bool, ...]]:
    """Return the lines of an image with scaled boxes, and the classifier's results; a long page is read in bands."""
    import numpy as np  # noqa: PLC0415 - as above

    lines: list[dict[str, Any]] = []
    upside_down: tuple[bool, ...] = ()
    for top, bottom in split_into_bands(pixels):
        engine.upside_down = ()
        output = engine(np.ascontiguousarray(pixels[top:bottom]))
        lines += lines_of(output, x_scale, y_scale, top)
        upside_down += engine.upside_down
    return lines, upside_down


def split_into_bands(pixels: Any) -> list[tuple[int, int]]:
    """Return the first and the last row (exclusive) of each band of a page; a long page is split at empty rows.

    rapidocr scales the longer side of an image to 2,000 pixels, which would make the text of a long screenshot
    unreadable.
    """
    height, width = pixels.shape[:2]
    band = max(_MIN_BAND_PIXELS, int(width * _BAND_ASPECT))
    cuts = [0]
    while height - cuts[-1] > band * _BAND_ASPECT:
        cuts.append(_emptiest_row(pixels, cuts[-1] + band, band // 4))
    return list(pairwise([*cuts, height]))


def _emptiest_row(pixels: Any, row: int, reach: int) -> int:
    """Return the middle of the longest run of rows with the lowest contrast, at most `reach` rows from `row`."""
    import numpy as np  # noqa: PLC0415 - as above

    contrast = np.ptp(pixels[row - reach : row + reach].min(axis=2), axis=1)
    empty = np.flatnonzero(contrast == contrast.min())
    runs = np.split(empty, np.flatnonzero(np.diff(empty) > 1) + 1)
    longest = max(runs, key=len)
    return int(row - reach + longest[len(longest) // 2])


def engine_options(models: Path, threads: int) -> dict[str, Any]:
    """Return rapidocr's parameters: the weights in `models`, no log; raises FileNotFoundError without weights."""
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


def lines_of(output: Any, x_scale: float, y_scale: float, top: int = 0) -> list[dict[str, Any]]:
    """Return the lines of rapidocr's output with boxes in pixels of the original image, instead of four corners.

    `top` is the first row of the band that was read.
    """
    if output.txts is None:
        return []
    lines = []
    for corners, text, score in zip(output.boxes, output.txts, output.scores, strict=True):
        (left, high), (right, low) = corners.min(axis=0), corners.max(axis=0)
        box = (left * x_scale, (top + high) * y_scale, right * x_scale, (top + low) * y_scale)
        lines.append({"text": text, "box": [round(float(n)) for n in box], "score": round(float(score), 3)})
    return lines


if __name__ == "__main__":
    main()
