"""The pages of documents as pictures, drawn ahead in a process of its own while the page before is being read."""

from __future__ import annotations

import errno
import os
import queue
import shutil
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paddlevl_doctor.messages import Message, Text, message
from paddlevl_doctor.parsing.input.documents import SCALED_ABOVE
from paddlevl_doctor.parsing.workers.json_lines_process import ChildEndedError, Event, JsonLinesProcess
from paddlevl_doctor.values.errors import UsageError
from paddlevl_doctor.values.pages import Box

_PACKAGE_ROOT = Path(__file__).parents[3]
_SECONDS = 120.0
"""For one page; a page of many thousand vector paths takes some seconds."""
_MAX_PROCESSES = 8
_LARGEST_MB = 2500
"""MiB for the largest page that is not refused."""
_KINDS = ("encrypted", "no-pages")
_REASONS = ("crashed", "late", "memory")
_MAX_BYTES_AHEAD = 1 << 30
"""Bytes of pictures from which on no more are drawn ahead: those of a hundred pages, or of ten posters."""


def render_processes_for(cores: int, free_mb: int) -> int:
    """Return how many processes may draw at once: half of the cores, so that eight fast GPUs need not wait for one.

    Each may come upon a scan of 500 million pixels; there are no more than have room for that.
    """
    return max(1, min(_MAX_PROCESSES, cores // 2, free_mb // _LARGEST_MB))


class PictureError(Exception):
    """A page that cannot be drawn; the message is one sentence."""


class NoRoomError(PictureError):
    """A page that found no room; there may be some once other pages are over."""


@dataclass(frozen=True)
class Count:
    """How many pages a document has, and how many frames its file."""

    pages: int
    frames: int


@dataclass(frozen=True)
class Picture:
    """A page as a file to read, and the size in pixels of the page itself, which may be larger."""

    path: Path
    width: int
    height: int
    share: float = 1.0
    """Of the page's width: less than 1 where it was too large to be read whole."""
    blank: bool = False


@dataclass(frozen=True)
class PdfPage:
    """One page of a PDF that is bound: a picture, and numbered boxes in pixels of a page of `size` where it has any."""

    picture: Path
    size: tuple[int, int] = (0, 0)
    boxes: tuple[tuple[int, Box], ...] | None = None

    def request(self) -> dict[str, Any]:
        """Return it as the process that draws wants it."""
        width, height = self.size
        boxes = {} if self.boxes is None else {"boxes": self.boxes, "width": width, "height": height}
        return {"picture": str(self.picture), **boxes}


@dataclass
class PageSource:
    """Draws pages into `folder`. Thread-safe; `drawers` pages at a time, in processes that are started when needed."""

    folder: Path
    env: Mapping[str, str]
    max_pixels: int = SCALED_ABOVE
    seconds: float = _SECONDS
    drawers: int = 1
    _idle: queue.LifoQueue[JsonLinesProcess | None] = field(default_factory=queue.LifoQueue)
    """The processes that draw nothing now; None is one that has not been started."""
    _drawing: ThreadPoolExecutor = field(init=False)
    _ahead: dict[tuple[Path, int], Future[Picture]] = field(default_factory=dict)
    _wanted: set[tuple[Path, int]] = field(default_factory=set)
    """Pages that somebody waits for: they are drawn whatever room is left."""
    _bytes: dict[tuple[Path, int], int] = field(default_factory=dict)
    """Of the pictures of pages that are not over."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Begin without any process."""
        self._drawing = ThreadPoolExecutor(self.drawers)
        for _ in range(self.drawers):
            self._idle.put(None)

    def start_worker(self) -> None:
        """Start the first process before anything is asked of it."""
        self._idle.get()
        self._idle.put(self._started())

    def count(self, document: Path) -> Count:
        """Return how many pages a document has; raises UsageError with the reason where it cannot be read."""
        answer = self._drawing.submit(self._ask, {"open": str(document)}).result()
        if answer["event"] == "failed":
            raise UsageError(_sentence(answer, document))
        return Count(int(answer["pages"]), int(answer["frames"]))

    def render(self, document: Path, page: int, scale: float = 1.0, preview: Path | None = None) -> Picture:
        """Return a page at a scale, drawn before or now; raises PictureError.

        The file stays until `forget` is called. Where a preview is wanted, a small JPEG is written there.
        """
        if scale != 1:
            return self._drawing.submit(self._drawn, document, page, scale, None).result()
        with self._lock:
            self._wanted.add((document, page))
        try:
            return self.prepare(document, page, preview).result()
        except NoRoomError:  # when it was drawn ahead
            return self.prepare(document, page, preview).result()

    def prepare(self, document: Path, page: int, preview: Path | None = None) -> Future[Picture]:
        """Begin to draw a page that will be asked for; one that was begun already is not drawn again.

        One that finds no room, because too many others wait, ends with NoRoomError and may be begun again.
        """
        with self._lock:
            begun = self._ahead.get((document, page))
            if begun is None or _had_no_room(begun):
                begun = self._drawing.submit(self._drawn_ahead, document, page, preview)
                self._ahead[document, page] = begun
            return begun

    def _drawn_ahead(self, document: Path, page: int, preview: Path | None) -> Picture:
        with self._lock:
            held, is_wanted = sum(self._bytes.values()), (document, page) in self._wanted
        if held > min(_MAX_BYTES_AHEAD, shutil.disk_usage(self.folder).free) and not is_wanted:
            raise _no_room(page, os.strerror(errno.ENOSPC))
        picture = self._drawn(document, page, 1.0, preview)
        with self._lock:
            self._bytes[document, page] = picture.path.stat().st_size
        return picture

    def render_rotated(self, document: Path, page: int, scale: float, turn: int) -> Picture:
        """Return a page turned so many degrees against the clock, until `forget` is called; raises PictureError."""
        name = f"{_name(document, page)}-{scale:g}-{turn}"
        return self._drawing.submit(self._drawn, document, page, scale, None, name, turn).result()

    @contextmanager
    def render_copy(self, document: Path, page: int) -> Iterator[Picture]:
        """Give a picture of its own to whoever looks at a page besides; raises PictureError."""
        name = f"{_name(document, page)}+"
        picture = self._drawing.submit(self._drawn, document, page, 1.0, None, name).result()
        try:
            yield picture
        finally:
            shutil.rmtree(picture.path.parent, ignore_errors=True)

    def forget(self, document: Path, page: int) -> None:
        """Remove the pictures of a page that is over."""
        with self._lock:
            self._ahead.pop((document, page), None)
            self._bytes.pop((document, page), None)
            self._wanted.discard((document, page))
        for folder in self.folder.glob(f"{_name(document, page)}-*"):
            shutil.rmtree(folder, ignore_errors=True)

    def write_pdf(self, sheets: Sequence[PdfPage], pdf: Path) -> None:
        """Write a PDF with a picture on each page; raises PictureError."""
        request = {"pdf": str(pdf), "sheets": [sheet.request() for sheet in sheets]}
        answer = self._drawing.submit(self._ask, request, self.seconds + len(sheets)).result()
        if answer["event"] == "failed":
            raise PictureError(message("pdf-failed", path=pdf, detail=_reason(answer)))

    def close(self) -> None:
        """End the process."""
        self._drawing.shutdown(cancel_futures=True)
        for _ in range(self.drawers):
            child = self._idle.get()
            if child is not None:
                child.close()

    def _drawn(
        self,
        document: Path,
        page: int,
        scale: float,
        preview: Path | None,
        name: str = "",
        turn: int = 0,
    ) -> Picture:
        place = name or f"{_name(document, page)}-{scale:g}"
        path = self.folder / place / "page.png"  # pipelines name results after it
        try:
            path.parent.mkdir(exist_ok=True)
        except OSError as error:
            raise _no_room(page, str(error.strerror)) from error
        request = {"page": page, "path": str(document), "picture": str(path), "scale": scale}
        how = {"max_pixels": self.max_pixels, "preview": str(preview) if preview else None, "turn": turn}
        answer = self._ask({**request, **how})
        if answer["event"] == "failed":
            shutil.rmtree(path.parent, ignore_errors=True)
            raise (NoRoomError if answer["kind"] == "full" else PictureError)(
                _sentence(answer, document, page)
            )
        return Picture(path, answer["width"], answer["height"], answer["share"], answer["blank"])

    def _ask(self, request: Mapping[str, Any], seconds: float | None = None) -> Event:
        """Return the answer; a process that died or takes too long is a failure of this page alone."""
        child, limit = self._idle.get(), seconds or self.seconds
        try:
            child = child or self._started()
            child.send(request)
            answer = child.next_event(limit)
            if answer is None:
                child.kill()
                child = None
                return {"event": "failed", "kind": "late", "detail": f"{limit:g}"}
        except ChildEndedError as error:
            child = None
            return {"event": "failed", "kind": "crashed", "detail": str(error.returncode)}
        finally:
            self._idle.put(child)
        return answer

    def _started(self) -> JsonLinesProcess:
        # PYTHONSAFEPATH: a file called numpy.py beside the document must not become part of the worker.
        env = {**self.env, "PYTHONSAFEPATH": "1", "PYTHONPATH": os.fspath(_PACKAGE_ROOT)}
        argv = (sys.executable, "-X", "utf8", "-m", "paddlevl_doctor.parsing.input.page_worker")
        return JsonLinesProcess(argv, env, self.folder / "pages.log")


def _no_room(page: int, detail: str) -> NoRoomError:
    return NoRoomError(message("picture-failed", page=page + 1, detail=detail))


def _had_no_room(begun: Future[Picture]) -> bool:
    return begun.done() and not begun.cancelled() and isinstance(begun.exception(), NoRoomError)


def _name(document: Path, page: int) -> str:
    return f"{abs(hash(document)):x}-{page + 1:05d}"


def _sentence(answer: Event, document: Path, page: int | None = None) -> Message:
    kind = str(answer["kind"])
    if kind in _KINDS:
        return message(f"document-{kind}", path=document)
    detail = _reason(answer)
    if page is None:
        return message("document-damaged", path=document, detail=detail)
    return message("picture-failed", page=page + 1, detail=detail)


def _reason(answer: Event) -> Text:
    kind, detail = answer["kind"], str(answer["detail"])
    return message(f"picture-{kind}", detail=detail) if kind in _REASONS else detail
