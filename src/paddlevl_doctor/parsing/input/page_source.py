"""Renders the pages of documents in worker processes, ahead of the engine that reads them."""

from __future__ import annotations

import errno
import os
import queue
import shutil
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
from paddlevl_doctor.system.processes import module_command
from paddlevl_doctor.values.errors import UsageError
from paddlevl_doctor.values.pages import Box

_PACKAGE_ROOT = Path(__file__).parents[3]
_RENDER_SECONDS = 120.0
"""Time limit for one page; a page with many thousand vector paths takes some seconds."""
_MAX_PROCESSES = 8
_MB_PER_PROCESS = 2500
"""Memory in MiB that the largest accepted page needs."""
_DOCUMENT_FAILURES = ("encrypted", "no-pages")
_RENDER_FAILURES = ("crashed", "late", "memory")
_MAX_BYTES_AHEAD = 1 << 30
"""No page is rendered ahead while the pictures exceed this size: about a hundred pages, or ten posters."""


def render_processes_for(cores: int, free_mb: int) -> int:
    """Return the number of render processes: half of the cores, so that eight fast GPUs do not wait for pages.

    It is limited by the free memory, because each process may have to decode a scan of 500 million pixels.
    """
    return max(1, min(_MAX_PROCESSES, cores // 2, free_mb // _MB_PER_PROCESS))


class PictureError(Exception):
    """A page cannot be rendered; the argument is a Message."""


class DiskFullError(PictureError):
    """There is no room for the picture of a page; there may be some when other pages are done."""


@dataclass(frozen=True)
class Count:
    """The number of pages of a document, and of frames of its file."""

    pages: int
    frames: int


@dataclass(frozen=True)
class Picture:
    """The image file of a page, and the size of the page in pixels, which may be larger than the image."""

    path: Path
    width: int
    height: int
    share: float = 1.0
    """Width of the image divided by that of the page; less than 1 if the page was too large."""
    blank: bool = False


@dataclass(frozen=True)
class PdfPage:
    """One page of a PDF to write: a picture, and optional numbered boxes in pixels of a page of `size`."""

    picture: Path
    size: tuple[int, int] = (0, 0)
    boxes: tuple[tuple[int, Box], ...] | None = None

    def request(self) -> dict[str, Any]:
        """Return the page in the format of page_worker."""
        width, height = self.size
        boxes = {} if self.boxes is None else {"boxes": self.boxes, "width": width, "height": height}
        return {"picture": str(self.picture), **boxes}


@dataclass
class PageSource:
    """Renders pages into `folder` with up to `processes` processes, which start when needed. Thread-safe."""

    folder: Path
    env: Mapping[str, str]
    max_pixels: int = SCALED_ABOVE
    seconds: float = _RENDER_SECONDS
    processes: int = 1
    _idle: queue.LifoQueue[JsonLinesProcess | None] = field(default_factory=queue.LifoQueue)
    """The idle processes; None stands for one that has not been started."""
    _executor: ThreadPoolExecutor = field(init=False)
    _rendered: dict[tuple[Path, int], Future[Picture]] = field(default_factory=dict)
    _requested: set[tuple[Path, int]] = field(default_factory=set)
    """Pages that a thread waits for: they are rendered even if the disk is nearly full."""
    _picture_bytes: dict[tuple[Path, int], int] = field(default_factory=dict)
    """Size of the pictures of the pages that are not done."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Create the threads that wait for the processes."""
        self._executor = ThreadPoolExecutor(self.processes)
        for _ in range(self.processes):
            self._idle.put(None)

    def start_worker(self) -> None:
        """Start the first process ahead of the first request."""
        self._idle.get()
        self._idle.put(self._start_process())

    def count(self, document: Path) -> Count:
        """Return the number of pages of a document; raises UsageError if it cannot be read."""
        reply = self._executor.submit(self._request, {"open": str(document)}).result()
        if reply["event"] == "failed":
            raise UsageError(_failure_message(reply, document))
        return Count(int(reply["pages"]), int(reply["frames"]))

    def render(self, document: Path, page: int, scale: float = 1.0, preview: Path | None = None) -> Picture:
        """Return the picture of a page (from 0) at a scale; it exists until `forget`. Raises PictureError.

        `preview` is the path for an additional small JPEG.
        """
        if scale != 1:
            return self._executor.submit(self._render, document, page, scale, None).result()
        with self._lock:
            self._requested.add((document, page))
        try:
            return self.prepare(document, page, preview).result()
        except DiskFullError:  # raised when the page was rendered ahead
            return self.prepare(document, page, preview).result()

    def prepare(self, document: Path, page: int, preview: Path | None = None) -> Future[Picture]:
        """Start to render a page unless that was done before; returns its future picture.

        The future raises DiskFullError if too many pictures wait to be read; then the page can be prepared again.
        """
        with self._lock:
            future = self._rendered.get((document, page))
            if future is None or _failed_on_full_disk(future):
                future = self._executor.submit(self._render_ahead, document, page, preview)
                self._rendered[document, page] = future
            return future

    def _render_ahead(self, document: Path, page: int, preview: Path | None) -> Picture:
        with self._lock:
            used, is_requested = sum(self._picture_bytes.values()), (document, page) in self._requested
        if used > min(_MAX_BYTES_AHEAD, shutil.disk_usage(self.folder).free) and not is_requested:
            raise _disk_full(page, os.strerror(errno.ENOSPC))
        picture = self._render(document, page, 1.0, preview)
        with self._lock:
            self._picture_bytes[document, page] = picture.path.stat().st_size
        return picture

    def render_rotated(self, document: Path, page: int, scale: float, turn: int) -> Picture:
        """Return a page rotated `turn` degrees counterclockwise; it exists until `forget`. Raises PictureError."""
        name = f"{_folder_name(document, page)}-{scale:g}-{turn}"
        return self._executor.submit(self._render, document, page, scale, None, name, turn).result()

    @contextmanager
    def render_copy(self, document: Path, page: int) -> Iterator[Picture]:
        """Provide a separate picture of a page, which `forget` does not remove; raises PictureError."""
        name = f"{_folder_name(document, page)}+"
        picture = self._executor.submit(self._render, document, page, 1.0, None, name).result()
        try:
            yield picture
        finally:
            shutil.rmtree(picture.path.parent, ignore_errors=True)

    def forget(self, document: Path, page: int) -> None:
        """Remove the pictures of a page that is done."""
        with self._lock:
            self._rendered.pop((document, page), None)
            self._picture_bytes.pop((document, page), None)
            self._requested.discard((document, page))
        for folder in self.folder.glob(f"{_folder_name(document, page)}-*"):
            shutil.rmtree(folder, ignore_errors=True)

    def write_pdf(self, pages: Sequence[PdfPage], pdf: Path) -> None:
        """Write a PDF with one picture per page; raises PictureError."""
        request = {"pdf": str(pdf), "sheets": [page.request() for page in pages]}
        reply = self._executor.submit(self._request, request, self.seconds + len(pages)).result()
        if reply["event"] == "failed":
            raise PictureError(message("pdf-failed", path=pdf, detail=_failure_detail(reply)))

    def close(self) -> None:
        """End the processes."""
        self._executor.shutdown(cancel_futures=True)
        for _ in range(self.processes):
            child = self._idle.get()
            if child is not None:
                child.close()

    def _render(
        self,
        document: Path,
        page: int,
        scale: float,
        preview: Path | None,
        name: str = "",
        turn: int = 0,
    ) -> Picture:
        folder = name or f"{_folder_name(document, page)}-{scale:g}"
        path = self.folder / folder / "page.png"  # pipelines derive the names of their results from it
        try:
            path.parent.mkdir(exist_ok=True)
        except OSError as error:
            raise _disk_full(page, str(error.strerror)) from error
        target = {"picture": str(path), "preview": str(preview) if preview else None}
        transform = {"scale": scale, "max_pixels": self.max_pixels, "turn": turn}
        reply = self._request({"page": page, "path": str(document), **target, **transform})
        if reply["event"] == "failed":
            shutil.rmtree(path.parent, ignore_errors=True)
            error_class = DiskFullError if reply["kind"] == "full" else PictureError
            raise error_class(_failure_message(reply, document, page))
        return Picture(path, reply["width"], reply["height"], reply["share"], reply["blank"])

    def _request(self, request: Mapping[str, Any], seconds: float | None = None) -> Event:
        """Return the reply of an idle process; a crash or a timeout is a `failed` event of this request only."""
        child, limit = self._idle.get(), seconds or self.seconds
        try:
            child = child or self._start_process()
            child.send(request)
            reply = child.next_event(limit)
            if reply is None:
                child.kill()
                child = None
                return {"event": "failed", "kind": "late", "detail": f"{limit:g}"}
        except ChildEndedError as error:
            child = None
            return {"event": "failed", "kind": "crashed", "detail": str(error.returncode)}
        finally:
            self._idle.put(child)
        return reply

    def _start_process(self) -> JsonLinesProcess:
        env = {**self.env, "PYTHONPATH": os.fspath(_PACKAGE_ROOT)}
        argv = module_command("paddlevl_doctor.parsing.input.page_worker")
        return JsonLinesProcess(argv, env, self.folder / "pages.log")


def _disk_full(page: int, detail: str) -> DiskFullError:
    return DiskFullError(message("picture-failed", page=page + 1, detail=detail))


def _failed_on_full_disk(future: Future[Picture]) -> bool:
    return future.done() and not future.cancelled() and isinstance(future.exception(), DiskFullError)


def _folder_name(document: Path, page: int) -> str:
    return f"{abs(hash(document)):x}-{page + 1:05d}"


def _failure_message(reply: Event, document: Path, page: int | None = None) -> Message:
    kind = str(reply["kind"])
    if kind in _DOCUMENT_FAILURES:
        return message(f"document-{kind}", path=document)
    detail = _failure_detail(reply)
    if page is None:
        return message("document-damaged", path=document, detail=detail)
    return message("picture-failed", page=page + 1, detail=detail)


def _failure_detail(reply: Event) -> Text:
    kind, detail = reply["kind"], str(reply["detail"])
    return message(f"picture-{kind}", detail=detail) if kind in _RENDER_FAILURES else detail
