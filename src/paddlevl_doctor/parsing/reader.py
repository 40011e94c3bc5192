"""The embedded reader: PP-OCR through ONNX in a child of the doctor's own Python, its weights in the wheel.

It reads lines of text on the processor and knows nothing of tables or formulas. It needs no target, no GPU and no
network, and serves as the independent witness of what is on a page.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

from paddlevl_doctor.errors import DoctorError, UsageError
from paddlevl_doctor.messages import language
from paddlevl_doctor.parsing.document import SCALED_ABOVE, check_input
from paddlevl_doctor.parsing.model import Line, Page, Reading, box_of
from paddlevl_doctor.parsing.reader_worker import UNREADABLE
from paddlevl_doctor.parsing.reading_order import blocks_of
from paddlevl_doctor.system import Completed, System

_WORKER = "paddlevl_doctor.parsing.reader_worker"
_PACKAGE_ROOT = Path(__file__).parents[2]
_MAX_THREADS = 8
"""More do not help on one page, and the memory for them does not come free."""

_SENTENCES = {
    "pdf": {
        "en": "{path} is a PDF; the embedded reader reads images only. Use --engine native, or give it a page as PNG.",
        "zh": "{path} 是 PDF，内置阅读器只能读取图片。请使用 --engine native，或先把页面转成 PNG。",
    },
    "unreadable": {
        "en": "{path} cannot be decoded: {detail}",
        "zh": "无法解码 {path}：{detail}",
    },
    "late": {
        "en": "The embedded reader did not finish {path} within {seconds:g} s and was ended.",
        "zh": "内置阅读器未能在 {seconds:g} 秒内读完 {path}，已被终止。",
    },
    "failed": {
        "en": "The embedded reader failed on {path}: {detail}",
        "zh": "内置阅读器读取 {path} 失败：{detail}",
    },
    "scaled": {
        "en": "The page was scaled to {percent} % before it was read.",
        "zh": "读取前已将页面缩小到 {percent}%。",
    },
    "frames": {
        "en": "Only the first of {frames} pages was read; the embedded reader reads one.",
        "zh": "文件共 {frames} 页，内置阅读器只读取了第一页。",
    },
}


def available() -> bool:
    """Say whether the extra `reader` is installed, without importing any of it."""
    return all(importlib.util.find_spec(name) is not None for name in ("rapidocr", "onnxruntime"))


def read(system: System, image: Path, *, timeout: float, lang: str | None = None) -> Reading:
    """Read one image; messages are in `lang`, or else in the language of this run.

    Raises UsageError for a document it cannot decode, DoctorError where the worker fails or exceeds `timeout` seconds.
    """
    lang = lang or language()
    if check_input(image, lang).format == "pdf":
        raise UsageError(_SENTENCES["pdf"][lang].format(path=image))
    threads = max(1, min(system.cpu_count(), _MAX_THREADS))
    done = system.run(
        worker_command(image, threads),
        timeout=timeout,
        # PYTHONSAFEPATH: a file called numpy.py beside the document must not become part of the reader.
        env={**system.env, "OMP_NUM_THREADS": str(threads), "PYTHONSAFEPATH": "1"},
        cwd=_PACKAGE_ROOT,
    )
    return _reading(_answer(done, image, timeout, lang), lang)


def worker_command(image: Path, threads: int) -> tuple[str, ...]:
    """Return the command that reads an image and prints one JSON document."""
    limits = ("--max-pixels", str(SCALED_ABOVE), "--threads", str(threads))
    return (sys.executable, "-X", "utf8", "-m", _WORKER, str(image.absolute()), *limits)


def _answer(done: Completed, image: Path, timeout: float, lang: str) -> dict[str, Any]:
    """Return what the worker printed, or raise what became of it."""
    if done.timed_out:
        raise DoctorError(_SENTENCES["late"][lang].format(path=image, seconds=timeout))
    detail = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    if done.returncode == UNREADABLE:
        raise UsageError(_SENTENCES["unreadable"][lang].format(path=image, detail=detail))
    try:
        answer: dict[str, Any] = json.loads(done.stdout if done.ok else "")
    except ValueError as error:
        raise DoctorError(_SENTENCES["failed"][lang].format(path=image, detail=detail)) from error
    return answer


def _reading(answer: dict[str, Any], lang: str) -> Reading:
    lines = [Line(line["text"], box_of(line["box"]), line["score"]) for line in answer["lines"]]
    stages = {name: round(seconds, 2) for name, seconds in answer["seconds"].items()}
    page = Page(0, answer["width"], answer["height"], blocks_of(lines), stages["read"])
    notes = []
    if answer["scale"] < 1:
        notes.append(_SENTENCES["scaled"][lang].format(percent=round(answer["scale"] * 100)))
    if answer["frames"] > 1:
        notes.append(_SENTENCES["frames"][lang].format(frames=answer["frames"]))
    return Reading("reader", "cpu", (page,), stages, answer["rss_mb"], None, tuple(notes))
