"""Runs the command line in child processes that are forked after the imports, and kills them at a requested point.

`kills.Forks` starts it. It reads a JSON request per line and writes a JSON response per line. A run does not start
Python again, so that a test can do hundreds of kills. An audit hook in the child counts the changes to the file
system, and kills the process right before the requested change.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import paddlevl_doctor.checks
import paddlevl_doctor.cli.check
import paddlevl_doctor.cli.fix
import paddlevl_doctor.commands.apply_plan
import paddlevl_doctor.commands.diagnose
import paddlevl_doctor.commands.fix
import paddlevl_doctor.commands.requested_checks
import paddlevl_doctor.report.console
import paddlevl_doctor.report.json_documents
import paddlevl_doctor.report.progress
from paddlevl_doctor import cli
from paddlevl_doctor.commands import repair_gate
from paddlevl_doctor.commands.judge_facts import read_knowledge
from paddlevl_doctor.fix import steps
from paddlevl_doctor.fix.journal import Transaction
from paddlevl_doctor.patching.proof import Proof
from paddlevl_doctor.values.facts import ProbeResult

CHANGES = frozenset(
    ("os.link", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.symlink", "os.chmod", "open")
)
PACKAGE = str(Path(paddlevl_doctor.commands.fix.__file__).parents[1])
REPAIR_FILES = tuple(f"{PACKAGE}/{room}" for room in ("fix", "packages", "patching", "system/files"))
DURATION = 120.0


class ChangeCounter:
    """An audit hook that counts the file changes of a run, reports them through a pipe, and kills the process."""

    def __init__(self, request: dict[str, Any], pipe: int) -> None:
        self.root = request["cwd"]
        self.remaining = request.get("change")
        self.traced = bool(request.get("trace"))
        self.pipe = pipe

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Handle an audit event."""
        if event == "subprocess.Popen" and "install" in arguments[1] and "--dry-run" not in arguments[1]:
            os.write(self.pipe, b"uv\n")
        elif event in CHANGES and self.is_change(event, arguments):
            self.record()

    def is_change(self, event: str, arguments: tuple[Any, ...]) -> bool:
        """Return whether an event is a change below the folder of the run."""
        if event == "open":
            writes = os.O_WRONLY | os.O_RDWR | os.O_CREAT
            return str(arguments[0]).startswith(self.root) and bool((arguments[2] or 0) & writes)
        within = [str(a) for a in arguments[:2] if isinstance(a, (str, os.PathLike))]
        relative = bool(within) and not within[0].startswith(
            "/"
        )  # relative to an open folder, as in shutil.rmtree
        return relative or any(path.startswith(self.root) for path in within)

    def record(self) -> None:
        """Count a change; report the active functions if requested; kill the process if it is the requested change."""
        is_last = self.remaining == 0
        if is_last or self.traced:
            os.write(self.pipe, f"{active_functions(sys._getframe(2))}\n".encode())
        if is_last:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.remaining is not None:
            self.remaining -= 1


def active_functions(frame: FrameType | None) -> str:
    """Return the names of the functions of a repair on the stack, outermost first."""
    names = []
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith(REPAIR_FILES) and not code.co_name.startswith("<"):
            names.append(code.co_name.strip("_"))
        frame = frame.f_back
    return " ".join(reversed(names))


def kill_in_journal_line(count: int) -> None:
    """Kill the process in the middle of writing line `count` of the journal, counted from 0."""
    write = Transaction.write
    written: list[str] = []

    def write_half(self: Transaction, kind: str, *, durable: bool = True, **fields: Any) -> None:
        if len(written) == count:
            with self.journal.open("a", encoding="utf-8") as file:
                file.write(f'{{"event": "{kind}", "ti')
            os.kill(os.getpid(), signal.SIGKILL)
        written.append(kind)
        write(self, kind, durable=durable, **fields)

    Transaction.write = write_half  # type: ignore[method-assign]


def run_doctor(request: dict[str, Any], pipe: int) -> None:
    """Run the doctor like the console script and end the process with its exit code."""
    os.chdir(request["cwd"])
    output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    if not request.get("prove"):
        skipped_proof = Proof(True, "skipped, because other tests cover it")
        steps.prove_all = lambda _, names, __: dict.fromkeys(names, skipped_proof)  # type: ignore[attr-defined]
        imported = ProbeResult(
            "answered", {"error": None}, "", 0.0
        )  # the small environment cannot be imported
        repair_gate.import_stack = lambda _, __: imported
    if "torn" in request:
        kill_in_journal_line(request["torn"])
    os.fsync = lambda _: None  # it matters for power cuts, not for kills, and it is slow
    sys.argv = ["paddlevl-doctor", *request["argv"]]
    sys.addaudithook(ChangeCounter(request, pipe))
    try:
        cli.main()
    except SystemExit as end:
        sys.stdout.flush()
        os._exit(int(end.code or 0))
    os._exit(99)


def child_processes(pid: int) -> list[int]:
    """Return the ids of the children of a process; each leads a process group."""
    return [int(number) for number in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def kill(pid: int, *, group: bool) -> str:
    """Kill the doctor; with `group`, kill its children first. Return a description."""
    with contextlib.suppress(OSError):
        for leader in child_processes(pid) if group else ():
            os.killpg(leader, signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    return "uv and the doctor" if group else "the doctor beside uv"


def read_lines(pipe: int) -> Iterator[str]:
    with os.fdopen(pipe, encoding="utf-8") as file:
        yield from (line.rstrip("\n") for line in file)


def follow(pid: int, pipe: int, request: dict[str, Any]) -> list[str]:
    """Read the reports of a run to its end; kill it a time after its start or after the start of uv, if requested."""
    if "seconds" in request:
        time.sleep(request["seconds"])
        os.kill(pid, signal.SIGKILL)
    reports = []
    for line in read_lines(pipe):
        if line == "uv" and "after_uv" in request:
            time.sleep(request["after_uv"])
            reports.append(kill(pid, group=request["group"]))
        elif line != "uv":
            reports.append(line)
    return reports


def handle(request: dict[str, Any]) -> dict[str, Any]:
    """Run a request in a new child process."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        run_doctor(request, write)
    os.close(write)
    started = time.monotonic()
    places = follow(pid, read, request)
    _, status = os.waitpid(pid, 0)
    return {
        "code": os.waitstatus_to_exitcode(status),
        "places": places,
        "seconds": time.monotonic() - started,
        "output": Path(request["output"]).read_text(encoding="utf-8", errors="replace"),
    }


def serve(handler: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Handle requests until stdin ends."""
    for line in sys.stdin:
        sys.stdout.write(json.dumps(handler(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    read_knowledge()
    serve(handle)
