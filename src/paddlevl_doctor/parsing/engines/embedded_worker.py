"""The process of the embedded reader: `python -m paddlevl_doctor.parsing.engines.embedded_worker` reads pages.

One JSON line on stdin, {"image": PATH}, requests one picture; every event is one JSON line on stdout: `stage`, `ready`,
`page` with the lines, `failed`, `fatal`. The weights are named by path, from the wheel, so that rapidocr downloads
nothing. Everything that it or its libraries print goes to stderr.
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

from paddlevl_doctor.parsing.engines.page_rotation import turn_of
from paddlevl_doctor.parsing.input.decode import UnreadableImageError, load
from paddlevl_doctor.parsing.input.documents import SCALED_ABOVE
from paddlevl_doctor.values.pages import box_of

_CLASSIFIER_THRESHOLD = 0.9
"""The score from which rapidocr itself turns a line (`Cls.cls_thresh`)."""
_HALF_TURN = 180
_MIN_BAND_PIXELS, _BAND_SHAPE = 1400, 1.5
"""Pixels that a part of a long page is high at least, and its height as a multiple of its width. A page that is no
more than 1.5 times as high as such a part is read at once; an A4 page is 1.41 times as high as wide."""


class EventWriter:
    """Writes events, one JSON line each, to what was stdout; native libraries that print get stderr instead."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)

    def write(self, event: str, **fields: Any) -> None:
        """Write one event."""
        self._out.write(json.dumps({"event": event, **fields}, ensure_ascii=False) + "\n")
        self._out.flush()


def main() -> None:
    """Load the models, then answer requests until stdin ends."""
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
        _answer(events, engine, Path(json.loads(line)["image"]))


def _answer(events: EventWriter, engine: Any, image: Path) -> None:
    try:
        events.write("page", **read_image(engine, image))
    except Exception as error:  # the next picture may be read
        known = isinstance(error, UnreadableImageError)
        words = str(error) if known else ": ".join(filter(None, (type(error).__name__, str(error))))
        events.write("failed", detail=words)


def load_engine(threads: int) -> Any:
    """Return rapidocr with the weights of its wheel; raises what its import raises, and FileNotFoundError.

    It keeps in `heads` which lines of the last picture its classifier found upside down.
    """
    import rapidocr  # noqa: PLC0415 - a failed import is reported as an event

    class Engine(rapidocr.RapidOCR):
        heads: tuple[bool, ...] = ()

        def cls_and_rotate(self, pictures: Any) -> Any:
            """Keep the answer of the classifier, which rapidocr's own result leaves out."""
            turned, answer = super().cls_and_rotate(pictures)
            self.heads = tuple(
                "180" in label and score > _CLASSIFIER_THRESHOLD for label, score in answer.cls_res or ()
            )
            return turned, answer

    return Engine(params=engine_options(Path(rapidocr.__file__).parent / "models", threads))


def read_image(engine: Any, path: Path) -> dict[str, Any]:
    """Return the lines of an image, its size, and by how many degrees against the clock it was turned to be read.

    Boxes are in pixels of the turned page.
    """
    import numpy as np  # noqa: PLC0415 - rapidocr has imported it before

    page, width, height = load(path, SCALED_ABOVE)
    pixels = np.asarray(page)[:, :, ::-1]  # rapidocr expects blue first
    across, down = width / page.width, height / page.height
    lines, heads = _lines(engine, pixels, across, down)
    turn = turn_of([box_of(line["box"]) for line in lines], heads)
    if turn:
        scale = (across, down) if turn == _HALF_TURN else (down, across)
        lines, _ = _lines(engine, np.rot90(pixels, turn // 90), *scale)
    return {"lines": lines, "width": width, "height": height, "turned": turn}


def _lines(
    engine: Any, pixels: Any, across: float, down: float
) -> tuple[list[dict[str, Any]], tuple[bool, ...]]:
    """Return the lines of a picture, boxes scaled, and which of them are upside down; a long page is read in bands."""
    import numpy as np  # noqa: PLC0415 - as above

    lines: list[dict[str, Any]] = []
    heads: tuple[bool, ...] = ()
    for top, bottom in bands(pixels):
        engine.heads = ()
        found = engine(np.ascontiguousarray(pixels[top:bottom]))
        lines += lines_of(found, across, down, top)
        heads += engine.heads
    return lines, heads


def bands(pixels: Any) -> list[tuple[int, int]]:
    """Return from which row to which a page is read at once: a long one in pieces, each cut where the page is empty.

    rapidocr scales a picture to 2,000 pixels on its longer side: the text of a screenshot of ten screens would be
    unreadable.
    """
    height, width = pixels.shape[:2]
    piece = max(_MIN_BAND_PIXELS, int(width * _BAND_SHAPE))
    cuts = [0]
    while height - cuts[-1] > piece * _BAND_SHAPE:
        cuts.append(_cut(pixels, cuts[-1] + piece, piece // 4))
    return list(pairwise([*cuts, height]))


def _cut(pixels: Any, row: int, reach: int) -> int:
    """Return the middle of the emptiest rows within reach of a row."""
    import numpy as np  # noqa: PLC0415 - as above

    part = pixels[row - reach : row + reach].min(axis=2)
    contrast = np.ptp(part, axis=1)
    empty = np.flatnonzero(contrast == contrast.min())
    runs = np.split(empty, np.flatnonzero(np.diff(empty) > 1) + 1)
    longest = max(runs, key=len)
    return int(row - reach + longest[len(longest) // 2])


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


def lines_of(found: Any, x_scale: float, y_scale: float, top: int = 0) -> list[dict[str, Any]]:
    """Return rapidocr's answer (four corners a line) as upright boxes in pixels of the original.

    `top` is the row of the picture with which the part that was read begins.
    """
    if found.txts is None:
        return []
    lines = []
    for corners, text, score in zip(found.boxes, found.txts, found.scores, strict=True):
        (left, high), (right, low) = corners.min(axis=0), corners.max(axis=0)
        box = (left * x_scale, (top + high) * y_scale, right * x_scale, (top + low) * y_scale)
        lines.append({"text": text, "box": [round(float(n)) for n in box], "score": round(float(score), 3)})
    return lines


if __name__ == "__main__":
    main()
