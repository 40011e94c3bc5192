"""Reads whole pages with any vision model behind an OpenAI-compatible API, DeepSeek-OCR among them."""

from __future__ import annotations

import base64
import html
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from paddlevl_doctor.facts.server import bearer
from paddlevl_doctor.messages import text
from paddlevl_doctor.parsing.engines.base import OneByOne, PageFailedError, Task
from paddlevl_doctor.parsing.run.page_store import PageRead
from paddlevl_doctor.system.http import Response, mask_login, stream
from paddlevl_doctor.values.errors import DoctorError, UsageError
from paddlevl_doctor.values.pages import Block, Page

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_BUSY = (408, 429)
"""Answers that may be others a moment later, as those from 500 on: too many requests, overloaded, still loading."""
_OK, _SERVERS_FAULT = 200, 500
_OF_THIS_PAGE = (400, 413, 422)
"""Answers to one request: too large, more tokens than fit, a picture that the model cannot take."""
_MOST_BYTES = 16 << 20
_SHOWN = 200


class UnansweredError(Exception):
    """A request that got no answer; `code` is the HTTP status, 0 where there was none."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class BusyError(UnansweredError):
    """The server did not answer, or not in this way; a moment later it may."""


class PageRefusedError(UnansweredError):
    """The server will not read this picture, however often it is asked; another one it may."""


@dataclass(frozen=True)
class Answer:
    """What the model wrote; `cut` where it was stopped at its limit of tokens."""

    text: str
    cut: bool


@dataclass(frozen=True)
class VisionServer:
    """One server. `seconds` is how long it may send nothing."""

    url: str
    key: str = ""
    seconds: float = 300.0

    @classmethod
    def at(cls, url: str, key: str = "", seconds: float = 300.0) -> VisionServer:
        """Return the server at a URL with or without `/v1`; raises UsageError for what is no URL."""
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:  # half an IPv6 address, or a port that is no number
            usable = False
        if not usable or parts.query or parts.fragment:
            raise UsageError(text("server-url", url=mask_login(url)))
        path = parts.path.rstrip("/")
        path = path if path.endswith("/v1") else f"{path}/v1"
        return cls(f"{parts.scheme}://{parts.netloc}{path}", key, seconds)

    def models(self) -> tuple[str, ...]:
        """Return the names of its models; raises DoctorError where it does not say them, BusyError for the moment."""
        found = self._ask("/models", None).get("data")
        listed = found if isinstance(found, list) else ()
        return tuple(str(model["id"]) for model in listed if isinstance(model, Mapping) and "id" in model)

    def read(self, picture: Path, model: str, prompt: str, most_tokens: int) -> Answer:
        """Return what the model reads in a picture; raises DoctorError, BusyError and PageRefusedError."""
        data = base64.b64encode(picture.read_bytes()).decode("ascii")
        image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
        question = {"role": "user", "content": [image, {"type": "text", "text": prompt}]}
        body = {"model": model, "messages": [question], "max_tokens": most_tokens, "temperature": 0}
        answer = self._ask("/chat/completions", body)
        try:
            choice = answer["choices"][0]
            return Answer(str(choice["message"]["content"] or ""), choice.get("finish_reason") == "length")
        except (LookupError, TypeError) as error:
            raise BusyError(text("server-no-answer", url=self.url)) from error

    def _ask(self, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        try:
            with stream(
                self.url + path,
                timeout=self.seconds,
                method="GET" if data is None else "POST",
                body=data,
                headers={"Content-Type": "application/json", **bearer(self.key)},
                direct=(urlsplit(self.url).hostname or "") in _LOOPBACK,
                follow=False,  # the page and the key are for the server that was named
            ) as response:
                if response.status != _OK:
                    raise self._refused(response, of_a_page=body is not None)
                found = json.loads(self._body(response))
        except (OSError, ValueError) as error:
            raise BusyError(text("server-silent", url=self.url, detail=_reason(error))) from error
        if not isinstance(found, dict):
            raise BusyError(text("server-no-answer", url=self.url))
        return found

    def _body(self, response: Response) -> bytes:
        """Return a body of bearable size that came within the time, however slowly it drips."""
        data, end = b"", time.monotonic() + self.seconds
        while part := response.read1(1 << 16):
            data += part
            if len(data) > _MOST_BYTES or time.monotonic() > end:
                raise TimeoutError(text("server-drips", seconds=f"{self.seconds:.0f}"))
        return data

    def _refused(self, response: Response, *, of_a_page: bool) -> Exception:
        """Return what an answer with an error means: for the moment, for this page, or for good."""
        code = response.status
        said = {"url": self.url, "code": code, "detail": _words(response)}
        if code in _BUSY or code >= _SERVERS_FAULT:
            return BusyError(text("server-busy", **said), code)
        if of_a_page and code in _OF_THIS_PAGE:
            return PageRefusedError(text("server-busy", **said), code)
        return DoctorError(text(_FOR_GOOD.get(code, "server-refuses"), **said))


_FOR_GOOD = {401: "server-key", 403: "server-forbids", 404: "server-has-not"}


def _words(response: Response) -> str:
    """Return what the server says; a body that stalls or breaks off says nothing."""
    try:
        body = response.read(2000)
    except OSError:
        body = b""
    return " ".join(body.decode("utf-8", errors="replace").split())[:_SHOWN] or "-"


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


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
