"""The only access to the operating system: commands, files, environment, network, clock and NVML.

All code above uses a `System`, so that a test can pass a `FakeSystem` (tests/support/fake_system.py), which fails on
every call that was not announced. processes.py, files.py and child.py have the differences between POSIX and Windows.
"""

from __future__ import annotations

import ctypes
import locale
import os
import platform
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.system import processes
from paddlevl_doctor.system.files import link_target, open_file
from paddlevl_doctor.system.processes import (
    hold_interrupts,
    inherited_files,
    kill_group,
    start_child,
    terminate_tree,
    uninterrupted,
)

if sys.platform != "win32":
    import pwd

if TYPE_CHECKING:
    from paddlevl_doctor.system.child import Child
    from paddlevl_doctor.system.http import Reply

_CHUNK_BYTES = 1 << 20
_WORDS_INTERVAL = 0.25
"""Seconds between two looks at the output of a process that is ended at some words."""


@dataclass(frozen=True)
class Completed:
    """The result of a command. `returncode` is negative for a signal, and None if it could not be started."""

    argv: tuple[str, ...]
    returncode: int | None
    stdout: str = ""
    stderr: str = ""
    seconds: float = 0.0
    timed_out: bool = False

    @property
    def ok(self) -> bool:
        """Whether the command ended in time with exit status 0."""
        return self.returncode == 0 and not self.timed_out


class System(Protocol):
    """The functions of a machine that the doctor uses."""

    @property
    def platform(self) -> str:
        """`sys.platform` of the machine: linux, win32, darwin."""

    @property
    def env(self) -> Mapping[str, str]:
        """The environment variables."""

    def uname(self) -> tuple[str, str]:
        """Return the kernel or build release and the machine, as `platform` names them."""

    def glibc(self) -> str | None:
        """Return the version of the GNU C library, or None if the system does not use it."""

    def cpu_count(self) -> int:
        """Return the number of logical processors that may be used."""

    def memory_mb(self) -> tuple[int, int]:
        """Return total and available memory in MiB, within the limit of a container."""

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
        stop_at: str | None = None,
    ) -> Completed:
        """Run a command to its end, its time limit in seconds, or until stderr has `stop_at`. Never raises."""

    def read_bytes(self, path: Path) -> bytes | None:
        """Return the bytes of a file, or None if it cannot be read."""

    def read_text(self, path: Path) -> str | None:
        """Return the text of a file (UTF-8, undecodable bytes replaced), or None if it cannot be read."""

    def read_head(self, path: Path, size: int) -> bytes | None:
        """Return at most the first `size` bytes of a file, or None if it cannot be read."""

    def file_size(self, path: Path) -> int | None:
        """Return the size of a file in bytes, or None if it does not exist or is not a regular file."""

    def modified(self, path: Path) -> float | None:
        """Return the modification time of a file in seconds since 1970, or None if it does not exist."""

    def digest(self, path: Path, algorithm: str, head: bytes = b"") -> str | None:
        """Return the hash of `head` and the bytes of a file in hexadecimal, or None if it cannot be read."""

    def exists(self, path: Path) -> bool:
        """Return whether a path exists; a dangling link does not."""

    def names(self, path: Path) -> tuple[str, ...]:
        """Return the sorted names in a folder; empty if it cannot be listed."""

    def folder_size_mb(self, path: Path) -> int:
        """Return the size in MiB of the files directly in a folder."""

    def link_target(self, path: Path) -> str | None:
        """Return the target of a symbolic link or a Windows junction, or None for any other path."""

    def link_count(self, path: Path) -> int:
        """Return the number of hard links of a file; 0 if it does not exist."""

    def foreign_owner(self, path: Path) -> str | None:
        """Return the owner of a folder, or None if it is the current user or unknown."""

    def can_write(self, path: Path) -> bool:
        """Return whether files can be created in a folder."""

    def which(self, name: str) -> str | None:
        """Return the path of a program on PATH, or None."""

    def free_disk_mb(self, path: Path) -> int | None:
        """Return the free space in MiB for `path`, which need not exist, or None if it is unknown."""

    def inodes(self, path: Path) -> tuple[int, int] | None:
        """Return the free and the total inodes for `path`, which need not exist, or None without a limit."""

    def answers(self, url: str, timeout: float) -> bool:
        """Return whether an HTTP server answers within `timeout` seconds with a status below 500."""

    def ask(
        self,
        url: str,
        *,
        timeout: float,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        direct: bool = False,
    ) -> Reply:
        """Send an HTTP request, through the proxies of the environment unless `direct`. Never raises."""

    def start(self, argv: Sequence[str], env: Mapping[str, str], log: Path) -> Child:
        """Start a long-running process with its output in `log`. Raises OSError if it cannot be started."""

    def port_is_free(self, port: int) -> bool:
        """Return whether a server could listen on this port of 127.0.0.1."""

    def clock(self) -> float:
        """Return the seconds of a monotonic clock."""

    def nvml(self) -> Any:
        """Return the `pynvml` module. Raises OSError if no NVML library can be loaded."""


def _end(pid: int) -> None:
    """End a process tree and the orphans in its process group; interrupts are held back meanwhile."""
    with uninterrupted():
        terminate_tree(pid)
        kill_group(pid)


def _wait_for_words(process: subprocess.Popen[str], timeout: float, words: str) -> bool:
    """Wait until a process ends or writes `words` to stderr; end it then, and return True. Raises TimeoutExpired.

    The output is not lost: the next `communicate` returns it. Windows gives no partial output; the process ends by
    itself there.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            process.communicate(timeout=min(_WORDS_INTERVAL, max(0.0, deadline - time.monotonic())))
        except subprocess.TimeoutExpired as waited:
            if words.encode() in (waited.stderr or b""):
                _end(process.pid)
                return True
            if time.monotonic() >= deadline:
                raise
        else:
            return False


def _remaining_output(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Read the rest of the output of an ended process.

    An orphan may still hold the pipes, so the process group is killed. The wait for one in another group is one second.
    """
    kill_group(process.pid)
    try:
        return process.communicate(timeout=1.0)
    except subprocess.TimeoutExpired:
        return "", ""


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

    def uname(self) -> tuple[str, str]:
        """Return release and machine."""
        return platform.release(), platform.machine()

    def glibc(self) -> str | None:
        """Return the version of the GNU C library."""
        if not self.platform.startswith("linux"):
            return None
        try:
            answer = os.confstr("CS_GNU_LIBC_VERSION")
        except (AttributeError, OSError, ValueError):  # musl does not define this name
            return None
        return answer.split()[-1] if answer else None

    def cpu_count(self) -> int:
        """Return the number of logical processors that this process may use."""
        try:
            return len(os.sched_getaffinity(0))
        except AttributeError:
            return os.cpu_count() or 1

    def memory_mb(self) -> tuple[int, int]:
        """Return total and available memory in MiB."""
        text = self.read_text(Path("/proc/meminfo"))
        if text is None:
            import psutil  # noqa: PLC0415 - not needed on Linux

            try:
                memory = psutil.virtual_memory()
            except OSError:  # Linux without /proc
                return 0, 0
            return memory.total >> 20, memory.available >> 20
        fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        total, available = (int(fields[k].split()[0]) >> 10 for k in ("MemTotal", "MemAvailable"))
        limit = (self.read_text(Path("/sys/fs/cgroup/memory.max")) or "max").strip()
        if limit.isdigit():
            limit_mb = int(limit) >> 20
            return min(total, limit_mb), min(available, limit_mb)
        return total, available

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
        stop_at: str | None = None,
    ) -> Completed:
        """Run a command in a separate process group, which the Ctrl-C of the terminal does not reach."""
        started = time.monotonic()
        release = hold_interrupts()
        try:
            process = start_child(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(env) if env is not None else None,
                cwd=cwd,
                pass_fds=inherited_files(),
                encoding="utf-8",
                errors="replace",
            )
        except OSError as error:
            release()
            return Completed(tuple(argv), None, stderr=str(error), seconds=time.monotonic() - started)
        timed_out = stopped = False
        try:
            release()
            try:
                if stop_at is not None:
                    stopped = _wait_for_words(process, timeout, stop_at)
                stdout, stderr = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                timed_out = True
                _end(process.pid)
                stdout, stderr = _remaining_output(process)
        except BaseException:  # also an interrupt while the process is being ended after its time limit
            _end(process.pid)
            raise
        seconds = time.monotonic() - started
        code = (
            -signal.SIGTERM if stopped else process.returncode
        )  # psutil has taken the status of an ended one
        return Completed(tuple(argv), code, stdout, stderr, seconds, timed_out)

    def read_bytes(self, path: Path) -> bytes | None:
        """Return the bytes of a file, or None if it cannot be read."""
        try:
            with open_file(path) as file:
                return file.read()
        except OSError:
            return None

    def read_text(self, path: Path) -> str | None:
        """Return the text of a file, or None if it cannot be read."""
        data = self.read_bytes(path)
        return None if data is None else data.decode("utf-8", errors="replace")

    def read_head(self, path: Path, size: int) -> bytes | None:
        """Return the beginning of a file, or None if it cannot be read."""
        try:
            with open_file(path) as file:
                return file.read(size)
        except OSError:
            return None

    def file_size(self, path: Path) -> int | None:
        """Return the size of a regular file in bytes, else None."""
        try:
            found = path.stat()
        except (OSError, ValueError):
            return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def modified(self, path: Path) -> float | None:
        """Return the modification time of a file in seconds since 1970, or None if it does not exist."""
        try:
            return path.stat().st_mtime
        except (OSError, ValueError):
            return None

    def digest(self, path: Path, algorithm: str, head: bytes = b"") -> str | None:
        """Return the hash of `head` and the bytes of a file, read in chunks because weights have gigabytes."""
        import hashlib  # noqa: PLC0415 - loads OpenSSL; the target's Python shall start before

        state = hashlib.new(algorithm, head, usedforsecurity=False)
        try:
            with open_file(path) as file:
                while piece := file.read(_CHUNK_BYTES):
                    state.update(piece)
        except OSError:
            return None
        return state.hexdigest()

    def exists(self, path: Path) -> bool:
        """Return whether a path exists."""
        try:
            return path.exists()
        except OSError:  # a folder that may not be entered
            return False

    def names(self, path: Path) -> tuple[str, ...]:
        """Return the sorted names in a folder."""
        try:
            return tuple(sorted(entry.name for entry in os.scandir(path)))
        except OSError:
            return ()

    def folder_size_mb(self, path: Path) -> int:
        """Return the size in MiB of the files directly in a folder."""
        try:
            return sum(e.stat().st_size for e in os.scandir(path) if e.is_file()) >> 20
        except OSError:
            return 0

    def link_target(self, path: Path) -> str | None:
        """Return the target of a link or a junction."""
        return link_target(path)

    def link_count(self, path: Path) -> int:
        """Return st_nlink."""
        try:
            return path.stat().st_nlink
        except OSError:
            return 0

    def foreign_owner(self, path: Path) -> str | None:
        """Return the owner unless it is the effective user; None on Windows."""
        if os.name != "posix":
            return None
        try:
            owner = path.stat().st_uid
        except OSError:
            return None
        if owner == os.geteuid():
            return None
        try:
            return pwd.getpwuid(owner).pw_name
        except KeyError:  # a container without an entry for this user
            return f"uid {owner}"

    def can_write(self, path: Path) -> bool:
        """Ask the operating system, which also considers read-only file systems."""
        return os.access(path, os.W_OK)

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

    def inodes(self, path: Path) -> tuple[int, int] | None:
        """Return the free and the total inodes of the file system of the nearest existing folder."""
        for folder in (path, *path.parents) if hasattr(os, "statvfs") else ():
            try:
                room = os.statvfs(folder)
            except OSError:
                continue
            return (room.f_favail, room.f_files) if room.f_files else None
        return None

    def answers(self, url: str, timeout: float) -> bool:
        """Send a HEAD request, through the proxies that the environment names."""
        from paddlevl_doctor.system.http import answers  # noqa: PLC0415 - start-up time

        return answers(url, timeout)

    def ask(
        self,
        url: str,
        *,
        timeout: float,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        direct: bool = False,
    ) -> Reply:
        """Send one HTTP request."""
        from paddlevl_doctor.system.http import ask  # noqa: PLC0415 - start-up time

        return ask(url, timeout=timeout, body=body, headers=headers, direct=direct)

    def start(self, argv: Sequence[str], env: Mapping[str, str], log: Path) -> Child:
        """Start a process in a separate session."""
        from paddlevl_doctor.system.child import start  # noqa: PLC0415 - start-up time

        return start(argv, env, log)

    def port_is_free(self, port: int) -> bool:
        """Try to bind the port."""
        from paddlevl_doctor.system.child import port_is_free  # noqa: PLC0415 - start-up time

        return port_is_free(port)

    def clock(self) -> float:
        """Return the seconds of a monotonic clock."""
        return time.monotonic()

    def nvml(self) -> Any:
        """Return `pynvml` if its library exists; importing it takes 45 ms.

        The names of the libraries are those that pynvml loads.
        """
        if self.platform == "win32":
            paths = (
                Path(self.env.get("WINDIR", "C:/Windows"), "System32/nvml.dll"),
                Path(self.env.get("ProgramFiles", "C:/Program Files"), "NVIDIA Corporation/NVSMI/nvml.dll"),
            )
            if not any(path.exists() for path in paths):
                raise OSError(f"there is no {paths[0]}")
        elif self.platform == "darwin":
            raise OSError("NVIDIA has no driver for macOS")
        else:
            ctypes.CDLL("libnvidia-ml.so.1")
        import pynvml  # noqa: PLC0415 - start-up time: most machines have no NVML at all

        return pynvml


def interface_locale() -> str:
    """Return the locale of the user on Windows, zh_CN or Chinese (Simplified)_China; "" on other systems.

    Other systems use environment variables.
    """
    return (locale.getlocale()[0] or "") if processes.WINDOWS else ""
