"""Runs probes in the target's Python, also concurrently, and returns every outcome as a value."""

from __future__ import annotations

import contextlib
import hashlib
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

from paddlevl_doctor.system.files import load_json
from paddlevl_doctor.system.machine import Completed, System
from paddlevl_doctor.system.processes import terminate_tree, uninterrupted
from paddlevl_doctor.values.facts import ProbeResult, Status, Target

PROBES = Path(__file__).parents[1] / "probes"


_MAX_DETAIL_CHARS = 300
"""The maximum number of characters of a probe's output in a detail."""

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
    """Run the probe `name` in the target's Python for at most `timeout` seconds; never raises for its failure.

    `env` replaces all environment variables of the probe. By default it has the doctor's own and writes no bytecode, so
    that it does not change the installation. Temporary files go to a folder that is removed afterwards, even if the
    probe is killed.
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
    """Run a program at any path that answers like a probe; `name` is the field `probe` of its document."""
    environment = {**system.env, "PYTHONDONTWRITEBYTECODE": "1"} if env is None else dict(env)
    argv = (target_python, "-X", "utf8", str(program), *args)
    with tempfile.TemporaryDirectory(prefix="paddlevl-doctor-probe-", ignore_cleanup_errors=True) as folder:
        environment.update(TMPDIR=folder, TEMP=folder, TMP=folder, PADDLEVL_DOCTOR_PROBE_SECONDS=str(timeout))
        done = system.run(argv, timeout=timeout, env=environment)
    return _result(done, name, timeout)


def probe_path(name: str) -> Path:
    """Return the path of a probe in this package: a folder with a __main__.py, or one file."""
    folder = PROBES / name
    return folder if folder.is_dir() else PROBES / f"{name}.py"


def _result(done: Completed, name: str, timeout: float) -> ProbeResult:
    if done.timed_out:
        return _no_document("timed-out", done, f"no answer in {timeout:.0f} s", done.stderr)
    if done.returncode is None:
        return _no_document("not-started", done, "", done.stderr)
    if done.returncode != 0:
        return _no_document("crashed", done, death_of(done.returncode), done.stderr)
    data = _document(done.stdout, name)
    if data is None:
        return _no_document("garbage", done, "no document at the end of the output", done.stdout)
    return ProbeResult("answered", data, "", done.seconds)


def _no_document(status: Status, done: Completed, what: str, words: str) -> ProbeResult:
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    detail = ": ".join(part for part in (what, lines[-1][:_MAX_DETAIL_CHARS] if lines else "") if part)
    return ProbeResult(status, None, detail, done.seconds)


def _document(stdout: str, name: str) -> dict[str, Any] | None:
    """Return the JSON object on the last line, None if it is not the document of this probe."""
    try:
        data = load_json(stdout.strip().rpartition("\n")[2])
    except ValueError:
        return None
    return data if isinstance(data, dict) and data.get("probe") == name else None


def death_of(returncode: int) -> str:
    """Return the signal, the Windows status or the exit status that ended a process."""
    if returncode < 0:
        names = {member.value: member.name for member in signal.Signals}
        return names.get(-returncode, f"signal {-returncode}")
    return _WINDOWS_DEATHS.get(returncode, f"exit status {returncode}")


Answer = TypeVar("Answer")

_POLL_SECONDS = 0.2
"""Seconds; on Windows, a wait without a time limit cannot be interrupted."""
_KILL_SECONDS = 20.0
"""Seconds after an interrupt to end the child processes; a child that ignores signals takes six."""


def run_concurrently(jobs: Mapping[str, Callable[[], Answer]], at_once: int) -> dict[str, Answer]:
    """Run the jobs in their order, `at_once` of them at a time, and return their answers in that order.

    An exception of a job is raised after all jobs have ended. An interrupt first ends the child processes.
    """
    workers = _WorkerThreads(jobs, max(1, at_once))
    try:
        workers.start()
        workers.wait()
    except BaseException:
        workers.stop()
        raise
    if workers.errors:
        raise workers.errors[0]
    return {key: workers.answers[key] for key in jobs}


class _WorkerThreads(Generic[Answer]):
    """Threads that run jobs from a queue; each thread puts one item into `_ended` when the queue is empty.

    `Thread.join` is not used: after an interrupt it treats a running thread as ended (Python 3.11).
    """

    def __init__(self, jobs: Mapping[str, Callable[[], Answer]], at_once: int) -> None:
        self.answers: dict[str, Answer] = {}
        self.errors: list[BaseException] = []
        self._jobs: queue.SimpleQueue[tuple[str, Callable[[], Answer]]] = queue.SimpleQueue()
        for job in jobs.items():
            self._jobs.put(job)
        self._ended: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._running = 0
        self._thread_count = min(at_once, len(jobs))

    def start(self) -> None:
        for _ in range(self._thread_count):
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
        """Wait for all threads; return whether they have ended."""
        deadline = time.monotonic() + seconds
        while self._running and time.monotonic() < deadline:
            with contextlib.suppress(queue.Empty):
                self._ended.get(timeout=_POLL_SECONDS)
                self._running -= 1
        return not self._running

    def stop(self) -> None:
        """Discard the waiting jobs and end the child processes until every thread has ended.

        A thread may be about to start its child, so the search for children is repeated.
        """
        with contextlib.suppress(queue.Empty):
            while True:
                self._jobs.get_nowait()
        with uninterrupted():
            self._end_children()

    def _end_children(self) -> None:
        deadline = time.monotonic() + _KILL_SECONDS
        while time.monotonic() < deadline:
            for child in psutil.Process().children():
                terminate_tree(child.pid)
            if self.wait(_POLL_SECONDS):
                return


_COMPILED_PACKAGES = ("paddle", "paddlex", "paddleocr", "pandas", "scipy", "sklearn")
"""Packages that paddleocr and paddle import; pip compiles them at installation, uv does not."""
_NEEDED_MB = 500
"""The minimum free disk space; the bytecode of the stack takes about 90 MB."""
OWNER = "environment.txt"
"""The file with the prefix of the environment to which the bytecode belongs."""


def user_cache(system: System) -> Path:
    """Return this program's folder in the user's cache folder."""
    named = system.env.get("LOCALAPPDATA" if system.platform == "win32" else "XDG_CACHE_HOME")
    if system.platform == "darwin":
        return system.home() / "Library" / "Caches" / "paddlevl-doctor"
    return (Path(named) if named else system.home() / ".cache") / "paddlevl-doctor"


def probe_environment(system: System, target: Target, *, fill: bool = True) -> dict[str, str]:
    """Return the environment variables for probes of this target; `fill` is False for a probe with few imports.

    Python reads bytecode either beside the sources or below PYTHONPYCACHEPREFIX. For a compiled target the bytecode
    beside the sources is used, and none is written; for any other target bytecode is kept in the user's cache folder,
    where Python validates it as usual. Without `fill` a missing cache is not created, because compiling the standard
    library would take longer than the probe.
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
    """Create the folder with its OWNER file, remove the bytecode of one deleted environment; return whether it worked.

    Only one is removed at a time, because removing thousands of files takes seconds.
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
