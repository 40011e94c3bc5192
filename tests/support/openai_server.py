"""A real HTTP server that behaves like an inference server's OpenAI interface, faults included.

In a test: `with openai_server(...) as server: server.url`. As a program (`python openai_server.py --port N …`) it is
the stand-in for `vllm`, `llama-server` and the others: $FAKE_SERVER says how it behaves, $FAKE_PIDS names a file that
every process of it is written to.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil

MODEL = "PaddleOCR-VL-1.6-0.9B"


@dataclass
class OpenAIServer:
    """What the server says, and what it was asked: (method, path, body), and the keys that it was shown."""

    models: tuple[str, ...] = (MODEL,)
    prefix: str = "/v1"
    key: str | None = None
    refusal: str = "Unauthorized"
    """What is said to a wrong key; some servers repeat it."""
    moved_to: str = ""
    """Everything is redirected there."""
    loading: bool = False
    chat_status: int = 200
    text: str = "fine"
    url: str = ""
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)

    def answer(self, method: str, path: str, body: str, key: str | None) -> tuple[int, object]:
        """Return status and body as vLLM 0.11 words them (llama.cpp's words while it loads).

        vLLM guards what begins with /v1 alone; elsewhere it says 404 as if there were no key.
        """
        self.asked.append((method, path, body))
        self.keys.append(key)
        if self.loading:
            return 503, {"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}}
        if path == "/health":
            return 200, None
        if self.key is not None and path.startswith("/v1") and key != f"Bearer {self.key}":
            return 401, {"error": self.refusal}
        if (method, path) == ("GET", f"{self.prefix}/models"):
            rows = [{"id": name, "object": "model", "created": 1, "owned_by": "vllm"} for name in self.models]
            return 200, {"object": "list", "data": rows}
        if (method, path) == ("POST", f"{self.prefix}/chat/completions"):
            return self._chat(json.loads(body))
        return 404, {"detail": "Not Found"}

    def _chat(self, asked: dict[str, object]) -> tuple[int, object]:
        if asked["model"] not in self.models:
            words = f"The model `{asked['model']}` does not exist."
            return 404, {"error": {"message": words, "type": "NotFoundError", "param": None, "code": 404}}
        if self.chat_status != 200:
            return self.chat_status, {"error": {"message": "EngineCore encountered an issue", "code": 500}}
        message = {"role": "assistant", "content": self.text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        row = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": asked["model"]}
        return 200, {**row, "choices": [choice], "usage": usage}


def _handler(server: OpenAIServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._reply("GET", "")

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            self._reply("POST", self.rfile.read(length).decode("utf-8"))

        def _reply(self, method: str, body: str) -> None:
            status, words = server.answer(method, self.path, body, self.headers.get("Authorization"))
            if server.moved_to:
                status, words = 302, None
            data = b"" if words is None else json.dumps(words).encode()
            self.send_response(status)
            if server.moved_to:
                self.send_header("Location", server.moved_to + self.path)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_words: object) -> None:
            pass

    return Handler


@contextlib.contextmanager
def openai_server(server: OpenAIServer | None = None, port: int = 0) -> Iterator[OpenAIServer]:
    """Listen on a port of 127.0.0.1 (0: any free one) while the block runs."""
    server = server or OpenAIServer()
    http = ThreadingHTTPServer(("127.0.0.1", port), _handler(server))
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    server.url = f"http://127.0.0.1:{http.server_port}{server.prefix}"
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def fake_program(path: Path) -> Path:
    """Write an executable that runs this file as a server."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"#!{sys.executable}\nimport runpy\nrunpy.run_path({str(Path(__file__))!r}, run_name='__main__')\n",
        encoding="utf-8",
    )
    path.chmod(0o755)
    return path


def left_over(pids: Path) -> list[int]:
    """Return which of the processes in a file of $FAKE_PIDS still run; a killed one may take a moment to be gone."""
    found = []
    for line in pids.read_text(encoding="utf-8").split():
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(int(line)))
    _, alive = psutil.wait_procs(found, timeout=5)
    return [process.pid for process in alive if not _is_zombie(process)]


def _is_zombie(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _note_pid() -> None:
    with Path(os.environ["FAKE_PIDS"]).open("a", encoding="utf-8") as file:
        file.write(f"{os.getpid()}\n")


def _value(name: str, default: str) -> str:
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else default


def _main() -> None:
    """Behave as $FAKE_SERVER says; `worker` is the process that an engine starts beside the one that listens."""
    how = os.environ.get("FAKE_SERVER", "slow")
    if how == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _note_pid()
    if "--worker" in sys.argv:
        while True:
            time.sleep(60)
    if how == "dies":
        print(
            "ValueError: Free memory on device (1.0/8.0 GiB) on startup is less than desired GPU memory utilization"
        )
        sys.exit(1)
    subprocess.Popen([sys.executable, __file__, "--worker"])
    if how == "orphans":  # the one that listens ends, its engine goes on
        time.sleep(0.3)
        os._exit(3)
    if how == "hangs":
        time.sleep(3600)
    name = _value("--served-model-name", _value("--alias", MODEL))
    server = OpenAIServer(models=(name,), loading=True, text=json.dumps(sys.argv[1:]))
    server.key = os.environ.get("VLLM_API_KEY")
    with openai_server(server, int(_value("--port", "8000"))):
        time.sleep(0.7)
        server.loading = how == "loads for ever"
        signal.pause()


if __name__ == "__main__":
    _main()
