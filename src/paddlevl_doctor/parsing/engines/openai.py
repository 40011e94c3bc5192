"""Reads whole pages with a vision model, such as DeepSeek-OCR, behind an OpenAI-compatible API."""

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
from paddlevl_doctor.messages import Text, message
from paddlevl_doctor.parsing.engines.base import PageFailedError, SinglePageEngine, Task
from paddlevl_doctor.parsing.output.markdown import clean_markdown
from paddlevl_doctor.parsing.run.page_store import PageRead
from paddlevl_doctor.system.files import load_json
from paddlevl_doctor.system.http import Response, mask_login, stream
from paddlevl_doctor.values.errors import DoctorError, UsageError
from paddlevl_doctor.values.pages import Block, Page

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_TRANSIENT_STATUSES = (408, 429)
"""Statuses, besides those from 500, after which a retry may succeed: timeout, too many requests."""
_OK, _SERVER_ERROR = 200, 500
_PAGE_STATUSES = (400, 413, 422)
"""Statuses caused by one page: request too large, too many tokens, an image that the model does not support."""
_MAX_BYTES = 16 << 20
_MAX_QUOTED_CHARS = 200


class UnansweredError(Exception):
    """A request failed; `code` is the HTTP status, 0 without a response."""

    def __init__(self, message: Text, code: int = 0) -> None:
        super().__init__(message)
        self.message, self.code = message, code


class BusyError(UnansweredError):
    """The server did not respond correctly; a retry may succeed."""


class PageRefusedError(UnansweredError):
    """The server refuses this page; it may read others."""


@dataclass(frozen=True)
class ModelReply:
    """The text of the model; `truncated` if it reached its token limit."""

    text: str
    truncated: bool


@dataclass(frozen=True)
class VisionServer:
    """An OpenAI-compatible server. `seconds` is the timeout."""

    url: str
    key: str = ""
    seconds: float = 300.0

    @classmethod
    def from_url(cls, url: str, key: str = "", seconds: float = 300.0) -> VisionServer:
        """Return the server at a URL with or without `/v1`; raises UsageError for an invalid URL."""
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:  # an incomplete IPv6 address, or a port that is not a number
            usable = False
        if not usable or parts.query or parts.fragment:
            raise UsageError(message("server-url", url=mask_login(url)))
        path = parts.path.rstrip("/")
        path = path if path.endswith("/v1") else f"{path}/v1"
        return cls(f"{parts.scheme}://{parts.netloc}{path}", key, seconds)

    def models(self) -> tuple[str, ...]:
        """Return the names of the models; raises DoctorError, or BusyError if a retry may succeed."""
        data = self._request("/models", None).get("data")
        models = data if isinstance(data, list) else ()
        return tuple(str(model["id"]) for model in models if isinstance(model, Mapping) and "id" in model)

    def read(self, picture: Path, model: str, prompt: str, max_tokens: int) -> ModelReply:
        """Return what the model reads in an image; raises DoctorError, BusyError and PageRefusedError."""
        data = base64.b64encode(picture.read_bytes()).decode("ascii")
        image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
        user_message = {"role": "user", "content": [image, {"type": "text", "text": prompt}]}
        body = {"model": model, "messages": [user_message], "max_tokens": max_tokens, "temperature": 0}
        reply = self._request("/chat/completions", body)
        try:
            choice = reply["choices"][0]
            return ModelReply(
                str(choice["message"]["content"] or ""), choice.get("finish_reason") == "length"
            )
        except (LookupError, TypeError) as error:
            raise BusyError(message("server-no-answer", url=self.url)) from error

    def _request(self, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        try:
            with stream(
                self.url + path,
                timeout=self.seconds,
                method="GET" if data is None else "POST",
                body=data,
                headers={"Content-Type": "application/json", **bearer(self.key)},
                direct=(urlsplit(self.url).hostname or "") in _LOOPBACK,
                follow=False,  # the page and the key are sent to the requested server only
            ) as response:
                if response.status != _OK:
                    raise self._error_for(response, of_a_page=body is not None)
                reply = load_json(self._read_body(response))
        except (OSError, ValueError) as error:
            raise BusyError(message("server-silent", url=self.url, detail=_describe(error))) from error
        if not isinstance(reply, dict):
            raise BusyError(message("server-no-answer", url=self.url))
        return reply

    def _read_body(self, response: Response) -> bytes:
        """Return the body; raises BusyError if it is too large or is not complete in time."""
        data, end = b"", time.monotonic() + self.seconds
        while chunk := response.read1(1 << 16):
            data += chunk
            if len(data) > _MAX_BYTES or time.monotonic() > end:
                timeout = message("server-drips", seconds=f"{self.seconds:.0f}")
                raise BusyError(message("server-silent", url=self.url, detail=timeout))
        return data

    def _error_for(self, response: Response, *, of_a_page: bool) -> Exception:
        """Return the exception for an HTTP error: BusyError, PageRefusedError, or DoctorError if it is permanent."""
        code = response.status
        try:
            body = response.read(2000)
        except OSError:
            body = b""
        details = {
            "url": self.url,
            "code": code,
            "detail": " ".join(body.decode("utf-8", errors="replace").split())[:_MAX_QUOTED_CHARS] or "-",
        }
        if code in _TRANSIENT_STATUSES or code >= _SERVER_ERROR:
            return BusyError(message("server-busy", **details), code)
        if of_a_page and code in _PAGE_STATUSES:
            return PageRefusedError(message("server-busy", **details), code)
        return DoctorError(message(_LASTING_ERRORS.get(code, "server-refuses"), **details))


_LASTING_ERRORS = {401: "server-key", 403: "server-forbids", 404: "server-has-not"}


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


_STRATEGIES = ("rung-first", "rung-again", "rung-again", "rung-smaller")
"""The message id of each attempt; the last one sends a smaller image."""
_SMALLER_SCALE = 0.5
_WAIT_SECONDS = (1.0, 4.0, 8.0)
"""Seconds between two attempts."""
_MAX_EQUAL_FAILURES = 3
"""After this many consecutive pages with the same status, the server is considered unusable."""
_MAX_TOKENS = 8192
_PROMPTS = {"paddleocr-vl": "OCR:", "deepseek-ocr": "<|grounding|>Convert the document to markdown."}
"""The prompt in the model card, by a part of the model's name."""
_DEFAULT_PROMPT = (
    "Convert this page to Markdown. Write tables as HTML. Answer with the text of the page alone."
)
_HEADING = re.compile(r"(#{1,6})\s+(.*)")
_ROW = re.compile(r"\|(.+)\|\s*")
_SEPARATOR_ROW = re.compile(r"\|[\s:|-]+\|\s*")
_GROUNDING = re.compile(r"<\|(?:ref|det)\|>.*?<\|/(?:ref|det)\|>", re.DOTALL)
"""Matches the labels and boxes in the text of DeepSeek-OCR."""


def prompt_for(model: str) -> str:
    """Return the prompt for a model."""
    name = model.lower().replace("_", "-")
    return next((prompt for part, prompt in _PROMPTS.items() if part in name), _DEFAULT_PROMPT)


@dataclass
class ChatEngine(SinglePageEngine):
    """Reads pages with one model of one server."""

    server: VisionServer
    model: str
    prompt: str
    incidents: list[Text] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    device: str = "server"
    sleep: Callable[[float], None] = time.sleep
    waits: Sequence[float] = _WAIT_SECONDS
    _failed_statuses: list[int] = field(default_factory=list)
    """The HTTP statuses of the most recent consecutive pages that failed."""

    def read(self, task: Task) -> PageRead:
        """Read one page; raises PageFailedError, or DoctorError if the server cannot read."""
        started = time.monotonic()
        reply, strategy = self._request_page(task)
        self._failed_statuses.clear()
        picture = task.render(1.0)
        blocks = tuple(blocks_of(reply.text, (0, 0, picture.width, picture.height)))
        seconds = round(time.monotonic() - started, 2)
        page = Page(task.index, picture.width, picture.height, blocks, seconds)
        notes = (message("page-cut", page=task.index + 1, tokens=_MAX_TOKENS),) if reply.truncated else ()
        markdown: Mapping[str, Any] = {
            "markdown_texts": clean_markdown(reply.text),
            "page_continuation_flags": None,
        }
        return PageRead(page, markdown, self.device, strategy, notes=notes)

    def close(self) -> None:
        """Do nothing: no request is running."""

    def _request_page(self, task: Task) -> tuple[ModelReply, str]:
        """Return the reply and the name of the successful strategy; after a refusal only a smaller image is sent."""
        attempts = list(enumerate(_STRATEGIES))
        while attempts:
            attempt, strategy = attempts.pop(0)
            picture = task.render(_SMALLER_SCALE if strategy == _STRATEGIES[-1] else 1.0)
            try:
                reply = self.server.read(picture.path, self.model, self.prompt, _MAX_TOKENS)
            except UnansweredError as error:
                last = error
                self.incidents.append(
                    message(
                        "page-incident", page=task.index + 1, rung=message(strategy), detail=error.message
                    )
                )
                attempts = attempts[-1:] if isinstance(error, PageRefusedError) else attempts
                if attempts and isinstance(error, BusyError):
                    self.sleep(self.waits[attempt])
                continue
            return reply, strategy.removeprefix("rung-")
        raise self._final_error(task, last)

    def _final_error(self, task: Task, last: UnansweredError) -> Exception:
        """Return PageFailedError, or DoctorError if the server cannot be used any more."""
        self._failed_statuses.append(last.code)
        if self._failed_statuses[-_MAX_EQUAL_FAILURES:] == [last.code] * _MAX_EQUAL_FAILURES:
            return DoctorError(message("server-refuses-all", count=_MAX_EQUAL_FAILURES, detail=last.message))
        try:
            self.server.models()
        except BusyError:
            return DoctorError(last.message)
        return PageFailedError(message("page-failed", page=task.index + 1, detail=last.message))


def blocks_of(markdown: str, box: tuple[int, int, int, int]) -> Iterator[Block]:
    """Yield the blocks of Markdown text; it has no positions, so that each block gets the box of the page."""
    for part in re.split(r"\n\s*\n", _GROUNDING.sub("", markdown)):
        text = part.strip()
        heading = _HEADING.fullmatch(text)
        lines = text.splitlines()
        if heading:
            yield Block("title" if len(heading[1]) == 1 else "heading", heading[2], box)
        elif len(lines) > 1 and _SEPARATOR_ROW.fullmatch(lines[1]) and all(map(_ROW.fullmatch, lines)):
            yield Block("table", _table_html(lines), box)
        elif text:
            yield Block("table" if text.lower().startswith("<table") else "text", text, box)


def _table_html(lines: Sequence[str]) -> str:
    """Return the HTML of a Markdown table; its second line is the separator."""
    rows = [line.strip().strip("|").split("|") for n, line in enumerate(lines) if n != 1]
    cells = ("".join(f"<td>{html.escape(cell.strip())}</td>" for cell in row) for row in rows)
    return "<table>" + "".join(f"<tr>{row}</tr>" for row in cells) + "</table>"
