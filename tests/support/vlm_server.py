"""A server on this machine that behaves like vLLM's OpenAI endpoint, and fails as it is told.

It reads: what it answers depends on the pixels that it was sent, so that a test sees whether they came through.
"""

from __future__ import annotations

import base64
import io
import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

LOOP = "and again and again " * 400


@dataclass
class VlmServer:
    """One model. Every fault happens to one request for an answer, in order; "" is none."""

    model: str = "PaddleOCR-VL-0.9B"
    faults: list[str] = field(default_factory=list)
    key: str = ""
    models: tuple[str, ...] = ()
    requests: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""
    released: threading.Event = field(default_factory=threading.Event)
    """Set at the end: requests that stall go on then, so that no thread is left."""

    @contextmanager
    def open(self) -> Iterator[VlmServer]:
        """Serve while the block runs."""
        handler = type("Handler", (_Handler,), {"vlm": self})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_port}/v1"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.released.set()
            server.shutdown()
            server.server_close()

    def answer(self, body: dict[str, Any]) -> str:
        """Return what is read in the picture of a question: its size and its mean colour."""
        (image,) = [p for p in body["messages"][-1]["content"] if p["type"] == "image_url"]
        data = base64.b64decode(image["image_url"]["url"].partition(",")[2])
        with Image.open(io.BytesIO(data)) as picture:
            red, green, blue = picture.convert("RGB").resize((1, 1)).getpixel((0, 0))
            shade = "dark" if red + green + blue < 384 else "light"
            return f"# A page\n\nIt is {picture.width} by {picture.height}, and {shade}."


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    vlm: VlmServer

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""

    def _send(self, code: int, document: object, content: bytes | None = None) -> None:
        body = json.dumps(document).encode() if content is None else content
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _is_allowed(self) -> bool:
        if not self.path.startswith("/v1/"):
            self._send(404, {"detail": "Not Found"})
        elif self.vlm.key and self.headers.get("Authorization") != f"Bearer {self.vlm.key}":
            self._send(401, {"error": "Unauthorized"})
        else:
            return True
        return False

    def do_GET(self) -> None:
        if self._is_allowed():
            names = self.vlm.models or (self.vlm.model,)
            self._send(200, {"object": "list", "data": [{"id": name, "object": "model"} for name in names]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self._is_allowed():
            return
        self.vlm.requests.append(body)
        fault = self.vlm.faults.pop(0) if self.vlm.faults else ""
        if body["model"] not in (self.vlm.models or (self.vlm.model,)):
            message = f"The model `{body['model']}` does not exist."
            self._send(404, {"error": {"message": message, "type": "NotFoundError", "code": 404}})
        elif fault:
            self._fail(fault, body)
        else:
            self._send(200, completion(self.vlm.answer(body)))

    def _fail(self, fault: str, body: dict[str, Any]) -> None:
        if fault.isdecimal():
            self._send(int(fault), {"error": {"message": "of no use"}})
        elif fault == "stall":
            self.vlm.released.wait()
        elif fault == "drip":
            self._drip()
        elif fault == "half":
            self._begin(json.dumps(completion("Half of it"))[:40].encode())
            self.vlm.released.wait()
        elif fault == "reset":
            self._reset()
        elif fault == "garbage":
            self._send(200, None, b"<html>a proxy's page</html>")
        elif fault == "empty":
            self._send(200, {"choices": []})
        elif fault == "cut":
            self._send(200, completion(self.vlm.answer(body), "length"))
        elif fault == "loop":
            self._send(200, completion(LOOP, "length"))

    def _reset(self) -> None:
        """Close the connection so that the other side is told of a reset, and at once."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.rfile.close()  # it holds the connection open, too
        self.connection.close()

    def _begin(self, part: bytes) -> None:
        """Send the beginning of a long body."""
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        self.wfile.write(part)
        self.wfile.flush()

    def _drip(self) -> None:
        """Send a byte now and then, and never the end."""
        self._begin(b"{")
        while not self.vlm.released.wait(0.1):
            try:
                self.wfile.write(b" ")
                self.wfile.flush()
            except OSError:
                return


def completion(words: str, reason: str = "stop") -> dict[str, Any]:
    """Return an answer as vLLM writes it."""
    message = {"role": "assistant", "content": words}
    choice = {"index": 0, "message": message, "finish_reason": reason}
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": int(time.time()), "choices": [choice],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}  # fmt: skip
