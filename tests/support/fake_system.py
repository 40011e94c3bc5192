"""A machine made of what a test says: the strict stand-in for `RealSystem`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paddlevl_doctor.system.child import Child
from paddlevl_doctor.system.http import Reply
from paddlevl_doctor.system.machine import Completed


@dataclass
class FakeSystem:
    """A machine made of what a test says; anything it was not told is an AssertionError."""

    platform: str = "linux"
    env: Mapping[str, str] = field(default_factory=dict)
    release: str = "6.1.0"
    machine: str = "x86_64"
    libc: str | None = "2.36"
    processors: int = 8
    memory: tuple[int, int] = (32_000, 16_000)
    folder: Path = Path("/work")
    user_home: Path = Path("/home/somebody")
    commands: dict[tuple[str, ...], Completed] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    programs: dict[str, str] = field(default_factory=dict)
    urls: tuple[str, ...] = ()
    disk_mb: int | None = 100_000
    inode_counts: tuple[int, int] | None = None
    nvml_module: Any = None
    replies: dict[str, Reply] = field(default_factory=dict)
    """Answers by question: `GET url`, `GET direct url` without the proxies, `POST url`."""
    taken_ports: tuple[int, ...] = ()
    time: float = 0.0

    def uname(self) -> tuple[str, str]:
        """Return the prepared release and machine."""
        return self.release, self.machine

    def glibc(self) -> str | None:
        """Return the prepared C library."""
        return self.libc

    def cpu_count(self) -> int:
        """Return the prepared number."""
        return self.processors

    def memory_mb(self) -> tuple[int, int]:
        """Return the prepared memory."""
        return self.memory

    def cwd(self) -> Path:
        """Return the folder it was given."""
        return self.folder

    def home(self) -> Path:
        """Return the home it was given."""
        return self.user_home

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        env: Mapping[str, str] | None = None,  # noqa: ARG002
        cwd: Path | None = None,  # noqa: ARG002
        stop_at: str | None = None,  # noqa: ARG002
    ) -> Completed:
        """Return the answer prepared for exactly these arguments."""
        assert timeout > 0, "every command needs a time limit"
        key = tuple(argv)
        assert key in self.commands, f"unexpected command: {key}"
        return self.commands[key]

    def read_bytes(self, path: Path) -> bytes | None:
        """Return the bytes of a prepared file."""
        return self.files.get(path.as_posix())

    def read_text(self, path: Path) -> str | None:
        """Return the text of a prepared file."""
        data = self.read_bytes(path)
        return None if data is None else data.decode("utf-8", errors="replace")

    def read_head(self, path: Path, size: int) -> bytes | None:
        """Return the beginning of a prepared file."""
        data = self.read_bytes(path)
        return None if data is None else data[:size]

    def file_size(self, path: Path) -> int | None:
        """Return the size of a prepared file."""
        data = self.read_bytes(path)
        return None if data is None else len(data)

    def modified(self, path: Path) -> float | None:
        """Return the beginning of time for every prepared file."""
        return 0.0 if path.as_posix() in self.files else None

    def digest(self, path: Path, algorithm: str, head: bytes = b"") -> str | None:
        """Return the hash of a prepared file."""
        data = self.read_bytes(path)
        return None if data is None else hashlib.new(algorithm, head + data).hexdigest()

    def exists(self, path: Path) -> bool:
        """Say whether a prepared file, or a folder with one in it, has this path."""
        prefix = path.as_posix().rstrip("/") + "/"
        return path.as_posix() in self.files or any(name.startswith(prefix) for name in self.files)

    def names(self, path: Path) -> tuple[str, ...]:
        """Return what the prepared files put into this folder."""
        prefix = path.as_posix().rstrip("/") + "/"
        inside = {name[len(prefix) :].split("/")[0] for name in self.files if name.startswith(prefix)}
        return tuple(sorted(inside))

    def folder_size_mb(self, path: Path) -> int:
        """Return the size in MiB of the prepared files directly in a folder."""
        prefix = path.as_posix().rstrip("/") + "/"
        inside = [n for n in self.files if n.startswith(prefix) and "/" not in n[len(prefix) :]]
        return sum(len(self.files[name]) for name in inside) >> 20

    def link_target(self, path: Path) -> str | None:
        """Return the prepared target of a link."""
        return self.links.get(path.as_posix())

    def link_count(self, path: Path) -> int:
        """Return one entry for every prepared file."""
        return int(path.as_posix() in self.files)

    def foreign_owner(self, path: Path) -> str | None:
        """Return None: everything is the user's own."""
        del path
        return None

    def can_write(self, path: Path) -> bool:
        """Return whether there is such a folder, which is then the user's own."""
        return bool(self.names(path))

    def which(self, name: str) -> str | None:
        """Return a prepared program."""
        return self.programs.get(name)

    def free_disk_mb(self, path: Path) -> int | None:  # noqa: ARG002
        """Return the prepared free space."""
        return self.disk_mb

    def inodes(self, path: Path) -> tuple[int, int] | None:  # noqa: ARG002
        """Return the prepared numbers of inodes."""
        return self.inode_counts

    def answers(self, url: str, timeout: float) -> bool:
        """Say whether this is one of the prepared addresses."""
        assert timeout > 0, "every request needs a time limit"
        return url in self.urls

    def ask(
        self,
        url: str,
        *,
        timeout: float,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,  # noqa: ARG002
        direct: bool = False,
    ) -> Reply:
        """Return the prepared reply for this address, asked with POST where there is a body."""
        assert timeout > 0, "every request needs a time limit"
        key = ("POST " if body is not None else "GET ") + ("direct " if direct else "") + url
        assert key in self.replies, f"unexpected request: {key}"
        return self.replies[key]

    def start(self, argv: Sequence[str], env: Mapping[str, str], log: Path) -> Child:  # noqa: ARG002
        """Fail: nothing that is started can be prepared."""
        raise AssertionError(f"unexpected process: {tuple(argv)}")

    def port_is_free(self, port: int) -> bool:
        """Say whether this is none of the prepared ports that are taken."""
        return port not in self.taken_ports

    def clock(self) -> float:
        """Return a time that moves by one second a call."""
        self.time += 1.0
        return self.time

    def nvml(self) -> Any:
        """Return the prepared module, or fail as a missing library does."""
        if self.nvml_module is None:
            raise OSError("libnvidia-ml.so.1: cannot open shared object file: No such file or directory")
        return self.nvml_module
