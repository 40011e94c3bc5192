"""The embedded reader: PP-OCR with ONNX Runtime, in a child process of the doctor's own Python.

It reads lines of text on the CPU, but no tables and no formulas. Its weights are in the rapidocr wheel: it needs no
target, no GPU and no network. It is also the independent engine of the cross-check.
"""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from paddlevl_doctor.messages import message
from paddlevl_doctor.parsing.engines.base import PageFailedError, SinglePageEngine, Task
from paddlevl_doctor.parsing.engines.failures import failure_of
from paddlevl_doctor.parsing.engines.page_rotation import unrotate_box
from paddlevl_doctor.parsing.engines.reading_order import blocks_of
from paddlevl_doctor.parsing.input.page_source import Picture
from paddlevl_doctor.parsing.output.run_report_model import Sample
from paddlevl_doctor.parsing.run.page_store import PageRead
from paddlevl_doctor.parsing.workers.json_lines_process import Event, JsonLinesProcess
from paddlevl_doctor.parsing.workers.watchdog import LIMITS, DiedError, Limits, StalledError, Watcher
from paddlevl_doctor.system.processes import module_command
from paddlevl_doctor.values.errors import DoctorError
from paddlevl_doctor.values.pages import Line, Page, box_of

_WORKER = "paddlevl_doctor.parsing.engines.embedded_worker"
_PACKAGE_ROOT = Path(__file__).parents[3]
_MAX_THREADS = 8
"""More threads do not read a page faster, and each needs memory."""
_MAX_ATTEMPTS = 2
"""The second attempt uses a new process."""
_LIMITS = {"start": Limits(60, 60), "load": Limits(300, 60), "read": Limits(600, 60)}


def is_reader_installed() -> bool:
    """Return whether the extra `reader` is installed, without importing it."""
    return all(importlib.util.find_spec(name) is not None for name in ("rapidocr", "onnxruntime"))


def threads_for(cores: int, env: Mapping[str, str]) -> int:
    """Return the number of threads for a machine with this number of cores; OMP_NUM_THREADS limits it, too."""
    limit = env.get("OMP_NUM_THREADS", "").strip()
    return max(1, min(cores, _MAX_THREADS, int(limit) if limit.isdecimal() else cores))


@dataclass
class ReaderEngine(SinglePageEngine):
    """Reads pages with one worker process; a worker that died or stalled is replaced once per page."""

    env: Mapping[str, str]
    folder: Path
    """The folder for the worker's log."""
    threads: int = 1
    samples: list[Sample] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    limits: Mapping[str, Limits] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    device: str = "cpu"
    before: tuple[str, ...] = ()
    """A command prefix, for example one that removes the network."""
    _watcher: Watcher | None = None

    def read(self, task: Task) -> PageRead:
        """Read one page; raises PageFailedError, or DoctorError if the reader cannot run."""
        picture = task.render(1.0)
        started = time.monotonic()
        event = self._recognize(picture, task.index)
        rotation, size = event["turned"], (picture.width, picture.height)
        blocks = tuple(
            replace(block, box=unrotate_box(block.box, rotation, *size))
            for block in blocks_of(_scaled_lines(event, picture))
        )
        page = Page(task.index, *size, blocks, round(time.monotonic() - started, 2))
        notes = (message("page-turned", page=task.index + 1, degrees=rotation),) if rotation else ()
        return PageRead(page, device=self.device, notes=notes, turned=rotation)

    def lines(self, picture: Picture, page: int) -> tuple[tuple[Line, ...], int]:
        """Return the lines of text with boxes in pixels of the page, and its rotation. Raises the errors of `read`."""
        event = self._recognize(picture, page)
        rotation, size = int(event["turned"]), (picture.width, picture.height)
        lines = _scaled_lines(event, picture)
        return tuple(replace(line, box=unrotate_box(line.box, rotation, *size)) for line in lines), rotation

    def _recognize(self, picture: Picture, page: int) -> Event:
        for attempt in range(_MAX_ATTEMPTS):
            try:
                watcher = self._ensure_process()
                watcher.child.send({"image": str(picture.path)})
                event = watcher.wait()
            except (StalledError, DiedError) as error:
                self._watcher = None
                if attempt == _MAX_ATTEMPTS - 1:
                    detail = failure_of(error).detail
                    raise PageFailedError(message("page-failed", page=page + 1, detail=detail)) from error
                continue
            if event["event"] == "failed":
                raise PageFailedError(message("page-failed", page=page + 1, detail=event["detail"]))
            return event
        raise AssertionError  # the last attempt returned or raised

    def close(self) -> None:
        """End the process."""
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None

    def _ensure_process(self) -> Watcher:
        if self._watcher is None:
            argv = (*self.before, *module_command(_WORKER), "--threads", str(self.threads))
            own = {"OMP_NUM_THREADS": str(self.threads), "PYTHONPATH": os.fspath(_PACKAGE_ROOT)}
            child = JsonLinesProcess(argv, {**self.env, **own}, self.folder / "reader.log")
            watcher = Watcher(child, self.samples, self.started, limits={**LIMITS, **_LIMITS, **self.limits})
            try:
                event = watcher.wait()
            except (StalledError, DiedError) as error:
                raise DoctorError(message("reader-failed", detail=failure_of(error).detail)) from error
            if event["event"] == "fatal":
                watcher.close()
                raise DoctorError(message("reader-failed", detail=event["detail"]))
            self.seconds.update({name: round(seconds, 2) for name, seconds in event["seconds"].items()})
            self._watcher = watcher
        return self._watcher


def _scaled_lines(event: Event, picture: Picture) -> tuple[Line, ...]:
    """Return the lines with boxes in pixels of the rotated page, instead of its picture."""
    x_scale, y_scale = picture.width / event["width"], picture.height / event["height"]
    if event["turned"] in (90, 270):
        x_scale, y_scale = y_scale, x_scale
    scale = (x_scale, y_scale, x_scale, y_scale)
    boxes = (box_of([n * s for n, s in zip(line["box"], scale, strict=True)]) for line in event["lines"])
    return tuple(
        Line(line["text"], box, line["score"]) for line, box in zip(event["lines"], boxes, strict=True)
    )
