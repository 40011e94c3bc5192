"""The embedded reader's own process: `python -m paddlevl_doctor.parsing.reader_worker` reads pictures of pages.

One JSON line on stdin, {"image": PATH}, asks for one picture; one JSON line on stdout tells every event: `stage`,
`ready`, `page` with the lines, `failed`, `fatal`. The weights are named by path, from the wheel, so that rapidocr has
no reason to download; whatever it or its libraries print goes to stderr.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from paddlevl_doctor.parsing.decoding import UnreadableImageError, load
from paddlevl_doctor.parsing.document import SCALED_ABOVE
from paddlevl_doctor.parsing.model import box_of
from paddlevl_doctor.parsing.turning import turn_of

_SURE = 0.9
"""What rapidocr itself wants of the classifier before it turns a line (`Cls.cls_thresh`)."""
_HALF_TURN = 180


class Speaker:
    """Writes events, one JSON line each, to what was stdout; native libraries that print get stderr instead."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)

    def say(self, event: str, **fields: Any) -> None:
        """Write one event."""
        self._out.write(json.dumps({"event": event, **fields}, ensure_ascii=False) + "\n")
        self._out.flush()


def main() -> None:
    """Load the models, then answer until nobody asks any more."""
    parser = argparse.ArgumentParser(prog="reader_worker")
    parser.add_argument("--threads", type=int, default=-1)
    threads = parser.parse_args().threads
    speaker = Speaker()
    faulthandler.enable(all_threads=True)
    if hasattr(signal, "SIGUSR1"):
        faulthandler.register(signal.SIGUSR1, all_threads=True)
    speaker.say("stage", stage="load")
    try:
        started = time.perf_counter()
        engine = load_engine(threads)
    except Exception as error:
        speaker.say("fatal", detail=f"{type(error).__name__}: {error}")
        return
    speaker.say("ready", seconds={"load": time.perf_counter() - started})
    for line in sys.stdin:
        speaker.say("stage", stage="read")
        _answer(speaker, engine, Path(json.loads(line)["image"]))


def _answer(speaker: Speaker, engine: Any, image: Path) -> None:
    try:
        speaker.say("page", **read_image(engine, image))
    except Exception as error:  # the next picture may be read
        words = str(error) if isinstance(error, UnreadableImageError) else f"{type(error).__name__}: {error}"
        speaker.say("failed", detail=words)


def load_engine(threads: int) -> Any:
    """Return rapidocr with the weights of its wheel; raises what its import raises, and FileNotFoundError.

    It keeps in `heads` which lines of the last picture its classifier found upside down.
    """
    import rapidocr  # noqa: PLC0415 - a failure is to be an answer

    class Engine(rapidocr.RapidOCR):
        heads: tuple[bool, ...] = ()

        def cls_and_rotate(self, pictures: Any) -> Any:
            """Note what the classifier says, which rapidocr's answer leaves out."""
            turned, answer = super().cls_and_rotate(pictures)
            self.heads = tuple("180" in label and score > _SURE for label, score in answer.cls_res or ())
            return turned, answer

    return Engine(params=engine_options(Path(rapidocr.__file__).parent / "models", threads))


def read_image(engine: Any, path: Path) -> dict[str, Any]:
    """Return the lines of an image, its size, and by how many degrees against the clock it was turned to be read.

    Boxes are in pixels of the turned page.
    """
    import numpy as np  # noqa: PLC0415 - rapidocr has imported it before

    page, width, height = load(path, SCALED_ABOVE)
    pixels = np.asarray(page)[:, :, ::-1]  # rapidocr expects blue first
    engine.heads = ()
    found = engine(np.ascontiguousarray(pixels))
    across, down = width / page.width, height / page.height
    lines = lines_of(found, across, down)
    turn = turn_of([box_of(line["box"]) for line in lines], engine.heads)
    if turn:
        found = engine(np.ascontiguousarray(np.rot90(pixels, turn // 90)))
        lines = lines_of(found, *((across, down) if turn == _HALF_TURN else (down, across)))
    return {"lines": lines, "width": width, "height": height, "turned": turn}


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


if __name__ == "__main__":
    main()
