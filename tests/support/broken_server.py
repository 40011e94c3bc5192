"""Servers on loopback that throttle, cut, stall, lie and refuse, as mirrors do; each remembers what it was asked."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from waiting import until

ETAG = '"one"'


@dataclass
class Manners:
    """How a server misbehaves; the faults that come `times` end after that many requests for a file."""

    status: int = 200
    rate: float | None = None
    """Bytes a second."""
    cut_after: int | None = None
    """Bytes of the body after which the connection is closed."""
    stall_after: int | None = None
    """Bytes after which nothing comes, until the client leaves."""
    times: int | None = None
    ranges: bool = True
    etag: str | None = ETAG
    content_type: str = "application/octet-stream"
    length: int | None = None
    """What is said instead of the true length."""
    unsaid: bool = False
    """No length is said; the connection's end is the body's."""
    body: bytes | None = None
    """What is sent instead of the file."""
    after: Callable[[], object] | None = None
    """The body is not begun before this is so."""
    range_shift: int = 0
    """How far a partial answer is beside what was asked for."""


@dataclass
class Broken:
    """A running server."""

    files: dict[str, bytes]
    manners: Manners = field(default_factory=Manners)
    port: int = 0
    only_files: bool = False
    """Pages are served well."""
    moved: dict[str, str] = field(default_factory=dict)
    """Where paths are redirected to."""
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and Range header of every request."""
    sent: int = 0
    """Bytes of bodies."""
    leave: threading.Event = field(default_factory=threading.Event)

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{name}"


@contextlib.contextmanager
def broken_server(
    files: dict[str, bytes], manners: Manners | None = None, *, only_files: bool = False
) -> Iterator[Broken]:
    """Serve `files` by path until the block ends."""
    state = Broken(files, manners or Manners(), only_files=only_files)
    handler = type("Handler", (_Handler,), {"state": state})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        state.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield state
        finally:
            state.leave.set()
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    state: Broken

    def do_GET(self) -> None:
        state = self.state
        manners = Manners() if self.path.endswith("/") and state.only_files else self._manners()
        state.asked.append((self.path, self.headers.get("Range")))
        if self.path[1:] in state.moved:
            self.send_response(302)
            self.send_header("Location", state.moved[self.path[1:]])
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        whole = state.files.get(self.path[1:])
        if whole is None or manners.status >= 400:
            self.send_error(404 if whole is None else manners.status)
            return
        whole = whole if manners.body is None else manners.body
        start = self._start(manners) if whole else None  # an empty file has no ranges
        if start and start >= len(whole):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(whole)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self._head(whole, start, manners)
        with contextlib.suppress(ConnectionError):
            self._body(whole[start or 0 :], manners)
        self.close_connection = True

    def do_HEAD(self) -> None:
        """What uv asks before it reads metadata; without Accept-Ranges it takes the whole wheel."""
        whole = self.state.files.get(self.path[1:])
        if whole is None:
            self.send_error(404)
        else:
            self._head(whole, None, Manners())

    def _manners(self) -> Manners:
        manners = self.state.manners
        served = len(self.state.asked)
        if manners.times is not None and served >= manners.times:
            return Manners(rate=manners.rate, ranges=manners.ranges, etag=manners.etag)
        return manners

    def _start(self, manners: Manners) -> int | None:
        asked = self.headers.get("Range")
        condition = self.headers.get("If-Range")
        if (
            not asked
            or not manners.ranges
            or asked.startswith("bytes=-")
            or (condition and condition != manners.etag)
        ):
            return None
        return int(asked.removeprefix("bytes=").split("-")[0]) + manners.range_shift

    def _head(self, whole: bytes, start: int | None, manners: Manners) -> None:
        rest = len(whole) - (start or 0)
        self.send_response(200 if start is None else 206)
        if start is not None:
            self.send_header("Content-Range", f"bytes {start}-{len(whole) - 1}/{len(whole)}")
        if not manners.unsaid:
            self.send_header("Content-Length", str(rest if manners.length is None else manners.length))
        self.send_header("Content-Type", "text/html" if self.path.endswith("/") else manners.content_type)
        if manners.etag:
            self.send_header("ETag", manners.etag)
        self.end_headers()

    def _body(self, data: bytes, manners: Manners) -> None:
        if manners.after is not None:
            until(manners.after)
        end = min(x for x in (len(data), manners.cut_after, manners.stall_after) if x is not None)
        self._send(data[:end], manners.rate)
        if manners.stall_after is not None and end < len(data):
            self.state.leave.wait(60)

    def _send(self, data: bytes, rate: float | None) -> None:
        """Send at a rate that holds over the whole body, in small pieces as a slow line does."""
        started, piece = time.monotonic(), 1 << 16 if rate is None else max(1, int(rate / 50))
        for at in range(0, len(data), piece):
            self.state.sent += len(data[at : at + piece])  # before the client can have it
            self.wfile.write(data[at : at + piece])
            if rate is not None:
                due = started + (at + piece) / rate
                self.state.leave.wait(max(0.0, due - time.monotonic()))

    def log_message(self, *_: object) -> None:
        pass
