"""Runs the probes that import the stack, in the target's Python, and turns whatever happens into a value."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import queue
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import psutil

from paddlevl_doctor.system.machine import Completed, System
from paddlevl_doctor.system.processes import hold_interrupts, terminate_tree
from paddlevl_doctor.values.facts import ProbeResult, Status, Target

PROBES = Path(__file__).parents[1] / "probes"


_MAX_DETAIL_CHARS = 300
"""Characters of a foreign text that a detail shows."""

# NTSTATUS codes that end a Windows process, as Python reports them.
# Source: [MS-ERREF] 2.3.1, "NTSTATUS Values".
_WINDOWS_DEATHS = {
    0xC0000005: "ACCESS_VIOLATION",
    0xC000001D: "ILLEGAL_INSTRUCTION",
    0xC0000135: "DLL_NOT_FOUND",
    0xC0000142: "DLL_INIT_FAILED",
    0xC0000409: "STACK_BUFFER_OVERRUN",
}


def run_probe(
    system: System,
    target_python: str,
    name: str,
    args: Sequence[str],
    timeout: float,
    env: Mapping[str, str] | None = None,
) -> ProbeResult:
    """Run the probe `name` in the target's Python for at most `timeout` seconds; never raises for what it does.

    `env` replaces the whole environment of the probe. The default is the doctor's own, without bytecode being
    written, because a look at an installation leaves no trace in it. Temporary files go to a folder that is
    removed afterwards, even when the probe was killed.
    """
    return run_program(system, target_python, probe_path(name), name, args, timeout, env)


def run_program(
    system: System,
    target_python: str,
    program: Path,
    name: str,
    args: Sequence[str],
    timeout: float,
    env: Mapping[str, str] | None = None,
) -> ProbeResult:
    """Run a program that answers as a probe does, wherever it lies; `name` is what its document calls itself."""
    environment = {**system.env, "PYTHONDONTWRITEBYTECODE": "1"} if env is None else dict(env)
    argv = (target_python, "-X", "utf8", str(program), *args)
    with tempfile.TemporaryDirectory(prefix="paddlevl-doctor-probe-", ignore_cleanup_errors=True) as folder:
        environment.update(TMPDIR=folder, TEMP=folder, TMP=folder)
        done = system.run(argv, timeout=timeout, env=environment)
    return _result(done, name, timeout)


def probe_path(name: str) -> Path:
    """Return where a probe lies in this package: a folder with a __main__.py, or one file."""
    folder = PROBES / name
    return folder if folder.is_dir() else PROBES / f"{name}.py"


def _result(done: Completed, name: str, timeout: float) -> ProbeResult:
    if done.timed_out:
        return _silent("timed-out", done, f"no answer in {timeout:.0f} s", done.stderr)
    if done.returncode is None:
        return _silent("not-started", done, "", done.stderr)
    if done.returncode != 0:
        return _silent("crashed", done, death_of(done.returncode), done.stderr)
    data = _document(done.stdout, name)
    if data is None:
        return _silent("garbage", done, "no document at the end of the output", done.stdout)
    return ProbeResult("answered", data, "", done.seconds)


def _silent(status: Status, done: Completed, what: str, words: str) -> ProbeResult:
    detail = ": ".join(part for part in (what, _last_line(words)) if part)
    return ProbeResult(status, None, detail, done.seconds)


def _document(stdout: str, name: str) -> dict[str, Any] | None:
    """Return the JSON object on the last line, None where it is none or another program's."""
    try:
        data = json.loads(stdout.strip().rpartition("\n")[2])
    except ValueError:
        return None
    return data if isinstance(data, dict) and data.get("probe") == name else None


def death_of(returncode: int) -> str:
    """Name what ended a process: a signal, a Windows status, or its own exit status."""
    if returncode < 0:
        names = {member.value: member.name for member in signal.Signals}
        return names.get(-returncode, f"signal {-returncode}")
    return _WINDOWS_DEATHS.get(returncode, f"exit status {returncode}")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:_MAX_DETAIL_CHARS] if lines else ""


Answer = TypeVar("Answer")

_POLL_SECONDS = 0.2
"""Seconds; on Windows a wait without a limit cannot be interrupted."""
_KILL_SECONDS = 20.0
"""Seconds that an interrupt waits for the children's end; ending one that is deaf takes six."""


def run_concurrently(jobs: Mapping[str, Callable[[], Answer]], at_once: int) -> dict[str, Answer]:
    """Run the jobs in their order, `at_once` of them at a time, and return their answers in that order.

    What a job raises is raised here, after all have ended. An interrupt ends the children of this process first.
    """
    crew = _Crew(jobs, max(1, at_once))
    try:
        crew.start()
        crew.wait()
    except BaseException:
        crew.stop()
        raise
    if crew.errors:
        raise crew.errors[0]
    return {key: crew.answers[key] for key in jobs}


class _Crew(Generic[Answer]):
    """Threads that take jobs until there are none; each leaves a mark in `_ended` when it does.

    An interrupted `Thread.join` takes a living thread for a dead one (Python 3.11), so nobody joins here.
    """

    def __init__(self, jobs: Mapping[str, Callable[[], Answer]], at_once: int) -> None:
        self.answers: dict[str, Answer] = {}
        self.errors: list[BaseException] = []
        self._jobs: queue.SimpleQueue[tuple[str, Callable[[], Answer]]] = queue.SimpleQueue()
        for job in jobs.items():
            self._jobs.put(job)
        self._ended: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._running = 0
        self._wanted = min(at_once, len(jobs))

    def start(self) -> None:
        for _ in range(self._wanted):
            self._running += 1
            threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        try:
            while True:
                key, job = self._jobs.get_nowait()
                try:
                    self.answers[key] = job()
                except BaseException as error:  # raised again by the caller's thread
                    self.errors.append(error)
        except queue.Empty:
            self._ended.put(None)

    def wait(self, seconds: float = math.inf) -> bool:
        """Wait for all threads, and say whether they have ended."""
        deadline = time.monotonic() + seconds
        while self._running and time.monotonic() < deadline:
            with contextlib.suppress(queue.Empty):
                self._ended.get(timeout=_POLL_SECONDS)
                self._running -= 1
        return not self._running

    def stop(self) -> None:
        """Start no further job and end the children of those that run, until every thread has cleaned up.

        A thread may just have been about to start its child, so the children are looked for again and again.
        """
        with contextlib.suppress(queue.Empty):
            while True:
                self._jobs.get_nowait()
        release = hold_interrupts()
        try:
            self._end_children()
        finally:
            release()

    def _end_children(self) -> None:
        deadline = time.monotonic() + _KILL_SECONDS
        while time.monotonic() < deadline:
            for child in psutil.Process().children():
                terminate_tree(child.pid)
            if self.wait(_POLL_SECONDS):
                return


_COMPILED_PACKAGES = ("paddle", "paddlex", "paddleocr", "pandas", "scipy", "sklearn")
"""Packages that `import paddleocr` and paddle load; uv installs none of them with bytecode, pip all."""
_NEEDED_MB = 500
"""An import of the stack compiles to some 90 MB."""
OWNER = "environment.txt"
"""Names the environment whose bytecode a folder holds."""


def user_cache(system: System) -> Path:
    """Return this program's folder among the user's caches, as each system keeps them."""
    named = system.env.get("LOCALAPPDATA" if system.platform == "win32" else "XDG_CACHE_HOME")
    if system.platform == "darwin":
        return system.home() / "Library" / "Caches" / "paddlevl-doctor"
    return (Path(named) if named else system.home() / ".cache") / "paddlevl-doctor"


def probe_environment(system: System, target: Target, *, fill: bool = True) -> dict[str, str]:
    """Return the environment variables for probes of this target; without `fill`, for one that loads hardly anything.

    Python reads bytecode either beside the sources or below PYTHONPYCACHEPREFIX, never both. A target that was
    compiled is therefore used as it is, without writing; for any other, bytecode goes to the user's cache
    folder. Python itself checks there, as everywhere, that it belongs to the source. Where nothing is there yet, a
    small probe would compile the standard library only to keep it: that takes longer than all else it does.
    """
    environment = dict(system.env)
    if environment.get("PYTHONPYCACHEPREFIX"):  # the user's own choice, for all Pythons
        return environment
    folder = probe_bytecode(user_cache(system), target.prefix)
    if _is_compiled(system, target) or not _usable(system, folder, target.prefix, fill=fill):
        return {**environment, "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return {**environment, "PYTHONPYCACHEPREFIX": str(folder)}


def probe_bytecode(cache: Path, prefix: str) -> Path:
    """Return the folder for the bytecode of an environment in the user's cache."""
    return cache / "bytecode" / hashlib.sha256(prefix.encode()).hexdigest()[:16]


def _usable(system: System, folder: Path, prefix: str, *, fill: bool) -> bool:
    if not fill and not system.exists(folder):
        return False
    return (system.free_disk_mb(folder) or 0) >= _NEEDED_MB and _prepare(folder, prefix)


def _prepare(folder: Path, prefix: str) -> bool:
    """Make the folder and write down whose bytecode it holds; remove that of one environment that is gone.

    Of one only, because thousands of files take seconds that nobody asked for; the next look removes the next one.
    Says whether the folder can be used.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / OWNER).write_text(prefix, encoding="utf-8")
        others = [
            (path.parent, path.read_text(encoding="utf-8")) for path in folder.parent.glob(f"*/{OWNER}")
        ]
    except OSError:
        return False
    gone = next((other for other, owner in others if not Path(owner).exists()), None)
    if gone is not None:
        shutil.rmtree(gone, ignore_errors=True)
    return True


def _is_compiled(system: System, target: Target) -> bool:
    tag = "".join(target.version.split(".")[:2])
    site = Path(target.purelib)
    present = [name for name in _COMPILED_PACKAGES if system.exists(site / name)]
    caches = [site / name / "__pycache__" / f"__init__.cpython-{tag}.pyc" for name in present]
    return bool(caches) and all(map(system.exists, caches))
