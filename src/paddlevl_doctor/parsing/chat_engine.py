"""Reads whole pages with any vision model behind an OpenAI-compatible API, DeepSeek-OCR among them."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from paddlevl_doctor.errors import DoctorError
from paddlevl_doctor.messages import text
from paddlevl_doctor.parsing.model import Block, Page
from paddlevl_doctor.parsing.page_store import PageRead
from paddlevl_doctor.parsing.pool import OneByOne, PageFailedError, Task
from paddlevl_doctor.parsing.vision_server import (
    Answer,
    BusyError,
    PageRefusedError,
    UnansweredError,
    VisionServer,
)

_RUNGS = ("rung-first", "rung-again", "rung-again", "rung-smaller")
"""How a page is asked for at each attempt; a smaller picture is the last resort."""
_SMALLER = 0.5
_WAITS = (1.0, 4.0, 8.0)
"""Seconds between two attempts."""
_IN_A_ROW = 3
"""So many pages that fail in the same way are the server's fault, and not theirs."""
_MOST_TOKENS = 8192
_PROMPTS = {"paddleocr-vl": "OCR:", "deepseek-ocr": "<|grounding|>Convert the document to markdown."}
"""What models were trained to be asked, by part of their names (their model cards)."""
_USUAL = "Convert this page to Markdown. Write tables as HTML. Answer with the text of the page alone."
_HEADING = re.compile(r"(#{1,6})\s+(.*)")
_ROW = re.compile(r"\|(.+)\|\s*")
_RULE = re.compile(r"\|[\s:|-]+\|\s*")
_GROUNDING = re.compile(r"<\|(?:ref|det)\|>.*?<\|/(?:ref|det)\|>", re.DOTALL)
"""Where DeepSeek-OCR says what it has seen: labels and boxes in its own marks."""


def prompt_for(model: str) -> str:
    """Return what a model is asked."""
    known = model.lower().replace("_", "-")
    return next((prompt for part, prompt in _PROMPTS.items() if part in known), _USUAL)


@dataclass
class ChatEngine(OneByOne):
    """Asks one model of one server, page by page."""

    server: VisionServer
    model: str
    prompt: str
    incidents: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    device: str = "server"
    sleep: Callable[[float], None] = time.sleep
    waits: Sequence[float] = _WAITS
    _lost: list[int] = field(default_factory=list)
    """The codes of the pages that were lost one after the other, up to the last."""

    def read(self, task: Task) -> PageRead:
        """Read one page; raises PageFailedError for this page, DoctorError where the server reads nothing."""
        started = time.monotonic()
        answer, rung = self._answer(task)
        self._lost.clear()
        picture = task.picture(1.0)
        blocks = tuple(blocks_of(answer.text, (0, 0, picture.width, picture.height)))
        seconds = round(time.monotonic() - started, 2)
        page = Page(task.index, picture.width, picture.height, blocks, seconds)
        notes = (text("page-cut", page=task.index + 1, tokens=_MOST_TOKENS),) if answer.cut else ()
        markdown: Mapping[str, Any] = {"markdown_texts": answer.text, "page_continuation_flags": None}
        return PageRead(page, markdown, self.device, rung, notes=notes)

    def close(self) -> None:
        """Let go of nothing: every request is over."""

    def _answer(self, task: Task) -> tuple[Answer, str]:
        """Ask until there is an answer; return it and the rung. What is refused is only asked for smaller again."""
        left = list(enumerate(_RUNGS))
        while left:
            attempt, rung = left.pop(0)
            picture = task.picture(_SMALLER if rung == _RUNGS[-1] else 1.0)
            try:
                answer = self.server.read(picture.path, self.model, self.prompt, _MOST_TOKENS)
            except UnansweredError as error:
                last = error
                self._note(task, rung, error)
                left = left[-1:] if isinstance(error, PageRefusedError) else left
                if left and isinstance(error, BusyError):
                    self.sleep(self.waits[attempt])
                continue
            return answer, rung.removeprefix("rung-")
        raise self._given_up(task, last)

    def _note(self, task: Task, rung: str, error: UnansweredError) -> None:
        self.incidents.append(text("page-incident", page=task.index + 1, rung=text(rung), detail=error))

    def _given_up(self, task: Task, last: UnansweredError) -> Exception:
        """Return what it means that a page was never answered: this page, or the whole server is lost."""
        self._lost.append(last.code)
        if self._lost[-_IN_A_ROW:] == [last.code] * _IN_A_ROW:
            return DoctorError(text("server-refuses-all", count=_IN_A_ROW, detail=last))
        try:
            self.server.models()
        except BusyError:
            return DoctorError(str(last))
        return PageFailedError(text("page-failed", page=task.index + 1, detail=last))


def blocks_of(markdown: str, box: tuple[int, int, int, int]) -> Iterator[Block]:
    """Yield the blocks of a page in Markdown; nobody says where they are, so each has the box of the page."""
    for part in re.split(r"\n\s*\n", _GROUNDING.sub("", markdown)):
        words = part.strip()
        heading = _HEADING.fullmatch(words)
        lines = words.splitlines()
        if heading:
            yield Block("title" if len(heading[1]) == 1 else "heading", heading[2], box)
        elif len(lines) > 1 and _RULE.fullmatch(lines[1]) and all(map(_ROW.fullmatch, lines)):
            yield Block("table", _as_html(lines), box)
        elif words:
            yield Block("table" if words.lower().startswith("<table") else "text", words, box)


def _as_html(lines: Sequence[str]) -> str:
    rows = [line.strip().strip("|").split("|") for n, line in enumerate(lines) if n != 1]
    cells = ("".join(f"<td>{html.escape(cell.strip())}</td>" for cell in row) for row in rows)
    return "<table>" + "".join(f"<tr>{row}</tr>" for row in cells) + "</table>"
