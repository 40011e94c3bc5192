"""The one door to the operating system: run a command, read a file, look at the environment, the clock and NVML.

Everything that asks the machine something goes through a `System`, so that a test can put a `FakeSystem` there,
which knows only what it was told and fails on anything else.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class Completed:
    """What became of a command. `returncode` is negative for a signal, None where it could not be started."""

    argv: tuple[str, ...]
    returncode: int | None
    stdout: str = ""
    stderr: str = ""
    seconds: float = 0.0
    timed_out: bool = False

    @property
    def ok(self) -> bool:
        """Say whether the command ran to its end and reported success."""
        return self.returncode == 0 and not self.timed_out


class System(Protocol):
    """What the doctor may ask of a machine."""

    @property
    def platform(self) -> str:
        """`sys.platform` of the machine: linux, win32, darwin."""

    @property
    def env(self) -> Mapping[str, str]:
        """The environment variables."""

    def cwd(self) -> Path:
        """Return the working folder."""

    def home(self) -> Path:
        """Return the user's home folder."""

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Completed:
        """Run a command to its end or its time limit (seconds); never raises for what the command does."""

    def read_bytes(self, path: Path) -> bytes | None:
        """Return a file's bytes, or None where it cannot be read."""

    def read_text(self, path: Path) -> str | None:
        """Return a file's text (UTF-8, undecodable bytes replaced), or None where it cannot be read."""

    def exists(self, path: Path) -> bool:
        """Say whether something is there (a dangling link is not)."""

    def names(self, path: Path) -> tuple[str, ...]:
        """Return the sorted names in a folder, nothing where it cannot be listed."""

    def which(self, name: str) -> str | None:
        """Return the path of a program, or None."""

    def free_disk_mb(self, path: Path) -> int | None:
        """Return the free space in MiB where `path` is, or will be."""

    def clock(self) -> float:
        """Return seconds of a clock that only moves forward."""

    def nvml(self) -> Any:
        """Return the `pynvml` module; raises OSError where no NVML library can be loaded."""


def terminate_tree(pid: int, grace: float = 3.0) -> None:
    """End a process and all its descendants: ask first, then kill after `grace` seconds."""
    import psutil  # noqa: PLC0415 - only needed when something has to be ended

    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for process in family:
        _quietly(process.terminate)
    _, alive = psutil.wait_procs(family, timeout=grace)
    for process in alive:
        _quietly(process.kill)
    psutil.wait_procs(alive, timeout=grace)


def _quietly(action: Any) -> None:
    import psutil  # noqa: PLC0415

    try:
        action()
    except psutil.Error:
        pass


class RealSystem:
    """This machine."""

    @property
    def platform(self) -> str:
        """`sys.platform`."""
        return sys.platform

    @property
    def env(self) -> Mapping[str, str]:
        """`os.environ`."""
        return os.environ

    def cwd(self) -> Path:
        """Return the working folder."""
        return Path.cwd()

    def home(self) -> Path:
        """Return the user's home folder."""
        return Path.home()

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Completed:
        """Run a command in a process group of its own, out of reach of the user's Ctrl-C."""
        started = time.monotonic()
        try:
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(env) if env is not None else None,
                cwd=cwd,
                start_new_session=os.name == "posix",
                encoding="utf-8",
                errors="replace",
            )
        except OSError as error:
            return Completed(tuple(argv), None, stderr=str(error), seconds=time.monotonic() - started)
        timed_out = False
        try:
            stdout, stderr = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            timed_out = True
            terminate_tree(process.pid)
            stdout, stderr = process.communicate()
        except BaseException:
            terminate_tree(process.pid)
            raise
        seconds = time.monotonic() - started
        return Completed(tuple(argv), process.returncode, stdout, stderr, seconds, timed_out)

    def read_bytes(self, path: Path) -> bytes | None:
        """Return a file's bytes, or None where it cannot be read."""
        try:
            return path.read_bytes()
        except OSError:
            return None

    def read_text(self, path: Path) -> str | None:
        """Return a file's text, or None where it cannot be read."""
        data = self.read_bytes(path)
        return None if data is None else data.decode("utf-8", errors="replace")

    def exists(self, path: Path) -> bool:
        """Say whether something is there."""
        return path.exists()

    def names(self, path: Path) -> tuple[str, ...]:
        """Return the sorted names in a folder."""
        try:
            return tuple(sorted(entry.name for entry in os.scandir(path)))
        except OSError:
            return ()

    def which(self, name: str) -> str | None:
        """Return the path of a program."""
        return shutil.which(name)

    def free_disk_mb(self, path: Path) -> int | None:
        """Return the free space in MiB of the nearest existing folder."""
        for folder in (path, *path.parents):
            try:
                return shutil.disk_usage(folder).free >> 20
            except OSError:
                continue
        return None

    def clock(self) -> float:
        """Return seconds of a clock that only moves forward."""
        return time.monotonic()

    def nvml(self) -> Any:
        """Return `pynvml`, after a cheap look whether there is a library for it to load."""
        import ctypes  # noqa: PLC0415 - start-up time: most machines have no NVML at all

        if self.platform.startswith("linux"):
            ctypes.CDLL("libnvidia-ml.so.1")
        import pynvml  # noqa: PLC0415

        return pynvml


@dataclass
class FakeSystem:
    """A machine made of what a test says; anything it was not told is an AssertionError."""

    platform: str = "linux"
    env: Mapping[str, str] = field(default_factory=dict)
    folder: Path = Path("/work")
    user_home: Path = Path("/home/somebody")
    commands: dict[tuple[str, ...], Completed] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    programs: dict[str, str] = field(default_factory=dict)
    disk_mb: int | None = 100_000
    nvml_module: Any = None
    time: float = 0.0

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
    ) -> Completed:
        """Return the answer prepared for exactly these arguments."""
        assert timeout > 0, "every command needs a time limit"  # noqa: S101
        key = tuple(argv)
        assert key in self.commands, f"unexpected command: {key}"  # noqa: S101
        return self.commands[key]

    def read_bytes(self, path: Path) -> bytes | None:
        """Return the bytes of a prepared file."""
        return self.files.get(path.as_posix())

    def read_text(self, path: Path) -> str | None:
        """Return the text of a prepared file."""
        data = self.read_bytes(path)
        return None if data is None else data.decode("utf-8", errors="replace")

    def exists(self, path: Path) -> bool:
        """Say whether a prepared file, or a folder with one in it, has this path."""
        prefix = path.as_posix().rstrip("/") + "/"
        return path.as_posix() in self.files or any(name.startswith(prefix) for name in self.files)

    def names(self, path: Path) -> tuple[str, ...]:
        """Return what the prepared files put into this folder."""
        prefix = path.as_posix().rstrip("/") + "/"
        inside = {name[len(prefix) :].split("/")[0] for name in self.files if name.startswith(prefix)}
        return tuple(sorted(inside))

    def which(self, name: str) -> str | None:
        """Return a prepared program."""
        return self.programs.get(name)

    def free_disk_mb(self, path: Path) -> int | None:  # noqa: ARG002
        """Return the prepared free space."""
        return self.disk_mb

    def clock(self) -> float:
        """Return a time that moves by one second a call."""
        self.time += 1.0
        return self.time

    def nvml(self) -> Any:
        """Return the prepared module, or fail as a missing library does."""
        if self.nvml_module is None:
            raise OSError("libnvidia-ml.so.1: cannot open shared object file: No such file or directory")
        return self.nvml_module
