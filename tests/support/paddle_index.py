"""A package index that behaves like Paddle's: flat pages without hashes, and 200 with an empty page for what it lacks.

The wheels have the published names, tags and requirements (paddle_index.toml) and no content.
"""

from __future__ import annotations

import contextlib
import html
import io
import threading
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import tomli

OFFICIAL = "https://www.paddlepaddle.org.cn"
_NVIDIA = "/packages/nvidia/"
_PLATFORMS = {"linux": "linux_x86_64", "windows": "win_amd64"}
_MARKERS = {
    "linux": "platform_system == 'Linux' and platform_machine == 'x86_64'",
    "windows": "platform_system == 'Windows' and platform_machine == 'AMD64'",
}


@cache
def published() -> dict[str, Any]:
    """Return what is published, as the file says."""
    return tomli.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def nvidia_pins(tag: str, system: str) -> set[str]:
    """Return what a wheel of this index asks for on this system."""
    rows = (row for row in published()["wheel"] if (row["tag"], row["system"]) == (tag, system))
    return set(next(rows)["nvidia"])


@dataclass
class PaddleIndex:
    """The running server. `pages` may be changed by a test: the path of a page, and the file names on it."""

    url: str
    pages: dict[str, list[str]]
    wheels: dict[str, bytes]
    """The content of every wheel by its path."""
    asked: list[str] = field(default_factory=list)
    """The paths that somebody asked for, in their order."""

    def page(self, tag: str, project: str = "paddlepaddle-gpu") -> str:
        """Return the address of a flat page."""
        return f"{self.url}/packages/stable/{tag}/{project}/"

    @property
    def nvidia(self) -> str:
        """The address of the flat page with the NVIDIA wheels."""
        return self.url + _NVIDIA

    def local(self, words: Sequence[str]) -> list[str]:
        """Return a command with the official addresses replaced by this server's."""
        return [word.replace(OFFICIAL, self.url) for word in words]


@contextlib.contextmanager
def paddle_index() -> Iterator[PaddleIndex]:
    """Run such an index on a free port of this machine."""
    pages, wheels = _contents()
    index = PaddleIndex("", pages, wheels)
    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *given: _Handler(index, *given))
    index.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield index
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, index: PaddleIndex, *given: Any) -> None:
        self.index = index
        super().__init__(*given)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        self.index.asked.append(self.path)
        is_page = self.path.endswith("/")
        body = self._page() if is_page else self.index.wheels.get(self.path)
        kind = "text/html; charset=utf-8" if is_page else "application/zip"
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        if with_body and body:
            self.wfile.write(body)

    def _page(self) -> bytes:
        """Return the page of this path; one that is not there is empty and not an error, as Paddle's are."""
        names = self.index.pages.get(self.path, [])
        links = "".join(f'<a href="{html.escape(name)}">{html.escape(name)}</a><br>\n' for name in names)
        return f"<!DOCTYPE html><html><body>\n{links}</body></html>\n".encode()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing."""


@cache
def _built() -> tuple[dict[str, tuple[str, ...]], dict[str, bytes]]:
    pages: dict[str, list[str]] = {}
    wheels: dict[str, bytes] = {}
    facts = published()
    for row in facts["wheel"]:
        marker = _MARKERS[row["system"]]
        requires = [*facts["base"], *(f"{pin}; {marker}" for pin in row["nvidia"])]
        path = f"/packages/stable/{row['tag']}/paddlepaddle-gpu/"
        for version in row["versions"]:
            for python in facts["pythons"]:
                tags = f"cp{python}-cp{python}-{_PLATFORMS[row['system']]}"
                # The same file name lies on every index: what tells them apart is the page that it is on.
                name = f"paddlepaddle_gpu-{version}-{tags}.whl"
                pages.setdefault(path, []).append(name)
                wheels[path + name] = _wheel("paddlepaddle_gpu", version, tags, requires)
        for pin in row["nvidia"]:
            _add_nvidia(pin, row["system"], pages, wheels)
    for name, version in facts["newer"].items():
        for system in _PLATFORMS:
            _add_nvidia(f"{name}=={version}", system, pages, wheels)
    return {path: tuple(dict.fromkeys(names)) for path, names in pages.items()}, wheels


def _contents() -> tuple[dict[str, list[str]], dict[str, bytes]]:
    pages, wheels = _built()
    return {path: list(names) for path, names in pages.items()}, dict(wheels)


def _add_nvidia(pin: str, system: str, pages: dict[str, list[str]], wheels: dict[str, bytes]) -> None:
    project, version = pin.split("==")
    platform = {"linux": "manylinux2014_x86_64", "windows": "win_amd64"}[system]
    name = f"{project.replace('-', '_')}-{version}-py3-none-{platform}.whl"
    pages.setdefault(_NVIDIA, []).append(name)
    requires = published()["requires"].get(project, [])
    wheels[_NVIDIA + name] = _wheel(project.replace("-", "_"), version, f"py3-none-{platform}", requires)


def _wheel(name: str, version: str, tags: str, requires: Sequence[str]) -> bytes:
    """Make a wheel that has nothing but its metadata."""
    folder, project = f"{name}-{version}.dist-info", name.replace("_", "-")
    lines = ["Metadata-Version: 2.1", f"Name: {project}", f"Version: {version}"]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    files = {
        f"{folder}/METADATA": "\n".join(lines) + "\n",
        f"{folder}/WHEEL": f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: false\nTag: {tags}\n",
    }
    record = "".join(f"{path},,\n" for path in (*files, f"{folder}/RECORD"))
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path, words in {**files, f"{folder}/RECORD": record}.items():
            archive.writestr(path, words)
    return content.getvalue()
