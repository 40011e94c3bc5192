"""A hub of models on this machine: what huggingface_hub asks of huggingface.co, and the ways in which it can fail.

It serves folders as repositories of the organisation PaddlePaddle, as the real hub does: small text files directly,
binary ones by way of another address with their SHA-256 as ETag. Only the standard library is needed.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import unquote, urlsplit

ORGANISATION = "PaddlePaddle"
# What the real hub keeps outside of git.
_BINARY = (".safetensors", ".pdiparams", ".model", ".bin")
_BLOCK = 1 << 16
_PATIENCE = 600.0
"""Seconds that a stalled answer is held at most; the end of the hub ends it before."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong with the next `times` answers about a file.

    `cut` ends the connection after `value` bytes, `stall` says nothing after them, `corrupt` flips the bit at that
    place, `status` answers with the number `value`, `short` promises and sends only `value` bytes, `empty` sends
    nothing with a status of 200.
    """

    kind: Literal["cut", "stall", "corrupt", "status", "short", "empty"]
    value: int = 0
    times: int = 1


@dataclass(frozen=True)
class _File:
    """One file of a repository; its name is REPOSITORY/PATH."""

    name: str
    data: bytes

    @property
    def path(self) -> str:
        return self.name.partition("/")[2]

    @property
    def is_binary(self) -> bool:
        return self.name.endswith(_BINARY)

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def blob(self) -> str:
        """What git calls the file."""
        return hashlib.sha1(b"blob %d\0" % len(self.data) + self.data, usedforsecurity=False).hexdigest()

    @property
    def etag(self) -> str:
        return self.sha256 if self.is_binary else self.blob

    def entry(self) -> dict[str, Any]:
        """Describe the file as the listing of a repository does."""
        large = {"oid": self.sha256, "size": len(self.data), "pointerSize": 130}
        return {
            "type": "file",
            "path": self.path,
            "size": len(self.data),
            "oid": self.blob,
            **({"lfs": large} if self.is_binary else {}),
        }


class LocalHub:
    """A hub that serves folders; `fetched` counts how often the content of each file was asked for."""

    def __init__(self, repositories: Mapping[str, Path]) -> None:
        self.fetched: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        """Every request by its method and path, whatever became of it."""
        self.ranges: list[tuple[str, str]] = []
        self.stalled = threading.Event()
        """Set as soon as an answer has stopped in the middle."""
        self.closing = threading.Event()
        self._faults: dict[str, Fault] = {}
        self._lock = threading.Lock()
        self._repositories = {name: _files(name, folder) for name, folder in repositories.items()}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        cast(Any, self._server).hub = self

    @property
    def url(self) -> str:
        """Where the hub is: what an endpoint variable has to say."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def content_url(self) -> str:
        """Where binary files are: another host by its name, for huggingface_hub follows redirects to the same one."""
        return f"http://localhost:{self._server.server_address[1]}/content"

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which paddlex (since 3.4.0) and huggingface_hub come here, and nowhere else."""
        nowhere = "http://127.0.0.1:9"
        return {
            "PADDLE_PDX_HUGGING_FACE_ENDPOINT": self.url,
            "HF_ENDPOINT": self.url,
            "HTTPS_PROXY": nowhere,
            "https_proxy": nowhere,
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }

    @contextmanager
    def open(self) -> Iterator[LocalHub]:
        """Answer until the block ends."""
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield self
        finally:
            self.closing.set()
            self._server.shutdown()
            self._server.server_close()

    @contextmanager
    def failing(self, pattern: str, fault: Fault) -> Iterator[None]:
        """Let the files whose REPOSITORY/PATH fits the pattern fail; REPOSITORY/api is what lists its files."""
        with self._lock:
            self._faults[pattern] = fault
        try:
            yield
        finally:
            with self._lock:
                self._faults.pop(pattern, None)

    def forget(self) -> None:
        """Count from nought again."""
        self.fetched.clear()
        self.asked.clear()
        self.ranges.clear()

    def fault_of(self, name: str) -> Fault | None:
        """Return what goes wrong with this answer, and count it."""
        with self._lock:
            for pattern, fault in self._faults.items():
                if fnmatch(name, pattern) and fault.times > 0:
                    self._faults[pattern] = replace(fault, times=fault.times - 1)
                    return fault
        return None

    def files(self, repository: str) -> dict[str, _File] | None:
        """Return the files of a repository by their paths, None for one that is not here."""
        return self._repositories.get(repository)

    def by_sha256(self, sha256: str) -> dict[str, _File]:
        """Return the files with this content, by their names."""
        every = (file for files in self._repositories.values() for file in files.values())
        return {file.name: file for file in every if file.sha256 == sha256}


def _files(repository: str, folder: Path) -> dict[str, _File]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in paths}
    return {name: _File(f"{repository}/{name}", path.read_bytes()) for name, path in names.items()}


def _commit(files: Mapping[str, _File]) -> str:
    state = json.dumps([file.entry() for file in files.values()]).encode()
    return hashlib.sha1(state, usedforsecurity=False).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"

    @property
    def hub(self) -> LocalHub:
        return cast(LocalHub, cast(Any, self.server).hub)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing: the tests read the counters."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked[f"{self.command} {path}"] += 1
        match path.strip("/").split("/"):
            case [""]:
                self._say(200, b"a hub")
            case ["api", "models", organisation, repository, *rest] if organisation == ORGANISATION:
                self._list(repository, rest)
            case [organisation, repository, "resolve", _, *rest] if organisation == ORGANISATION:
                self._resolve(repository, "/".join(rest))
            case ["content", repository, sha256]:
                self._content(repository, sha256)
            case _:
                self._say(404)

    def _list(self, repository: str, rest: list[str]) -> None:
        files = self.hub.files(repository)
        fault = self.hub.fault_of(f"{repository}/api")
        if self._failed(fault):
            return
        if fault is not None and fault.kind == "stall":
            self._stall()
            return
        if files is None:
            self._say(404, headers={"X-Error-Code": "RepoNotFound"})
        elif rest[:1] == ["tree"]:
            self._say_json([file.entry() for file in files.values()])
        else:
            siblings = [{"rfilename": path} for path in files]
            name = f"{ORGANISATION}/{repository}"
            self._say_json({"id": name, "modelId": name, "sha": _commit(files), "siblings": siblings})

    def _resolve(self, repository: str, path: str) -> None:
        """Answer for a file: with its content, or with where that is."""
        files = self.hub.files(repository) or {}
        file = files.get(path)
        if file is None:
            self._say(404, headers={"X-Error-Code": "EntryNotFound" if files else "RepoNotFound"})
            return
        headers = {"X-Repo-Commit": _commit(files), "ETag": f'"{file.etag}"'}
        if not file.is_binary:
            self._send(file, headers)
            return
        linked = {"X-Linked-Size": str(len(file.data)), "X-Linked-ETag": f'"{file.sha256}"'}
        place = {"Location": f"{self.hub.content_url}/{repository}/{file.sha256}"}
        self._say(302, headers={**headers, **linked, **place})

    def _content(self, repository: str, sha256: str) -> None:
        found = self.hub.by_sha256(sha256)
        named = [file for name, file in found.items() if name.startswith(f"{repository}/")]
        if named:
            self._send(named[0], {"ETag": f'"{sha256}"'})
        else:
            self._say(404)

    # --- sending ----------------------------------------------------------------------------------------------

    def _send(self, file: _File, headers: dict[str, str]) -> None:
        if self.command == "HEAD":
            self._head(200, len(file.data), headers)
            return
        self.hub.fetched[file.name] += 1
        data, status = file.data, 200
        wanted = self.headers.get("Range")
        if wanted:
            self.hub.ranges.append((file.name, wanted))
            start = int(wanted.removeprefix("bytes=").partition("-")[0])
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            data, status = data[start:], 206
        fault = self.hub.fault_of(file.name)
        if not self._failed(fault):
            self._send_data(status, data, headers, fault)

    def _send_data(self, status: int, data: bytes, headers: dict[str, str], fault: Fault | None) -> None:
        kind, value = (fault.kind, fault.value) if fault else ("", 0)
        if kind == "corrupt":
            data = data[:value] + bytes([data[value] ^ 0xFF]) + data[value + 1 :]
        if kind in ("short", "empty"):
            data = data[: value if kind == "short" else 0]
        self._head(status, len(data), headers)
        self._write(data[:value] if kind in ("cut", "stall") else data)
        if kind == "stall":
            self._stall()
        if kind == "cut":
            self.close_connection = True

    def _stall(self) -> None:
        """Say nothing more until the hub closes; the client may have gone long before."""
        self.hub.stalled.set()
        self.hub.closing.wait(_PATIENCE)
        self.close_connection = True

    def _failed(self, fault: Fault | None) -> bool:
        """Answer with a status of failure, where that is what is to happen."""
        if fault is None or fault.kind != "status":
            return False
        self._say(fault.value, b"out of order")
        return True

    def _say_json(self, document: object) -> None:
        self._say(200, json.dumps(document).encode(), {"Content-Type": "application/json"})

    def _say(self, status: int, data: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        self._head(status, len(data), headers or {})
        if self.command != "HEAD":
            self._write(data)

    def _head(self, status: int, length: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(length), "Accept-Ranges": "bytes", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _write(self, data: bytes) -> None:
        for start in range(0, len(data), _BLOCK):
            self.wfile.write(data[start : start + _BLOCK])
