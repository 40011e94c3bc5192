"""Runs the command line many times in children that are forked after the imports, and kills them where it is told to.

Started by `kills.Forks`; reads one JSON request a line and answers with one. A run costs no start of Python, so that
hundreds of kills fit into a test. The child counts the changes it makes to the file system through an audit hook, and
ends itself with SIGKILL right before the one that was asked for.
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
import paddlevl_doctor.commands.diagnose
import paddlevl_doctor.commands.fix
import paddlevl_doctor.report.console
import paddlevl_doctor.report.json_documents
import paddlevl_doctor.report.progress
from paddlevl_doctor import cli
from paddlevl_doctor.fix import steps
from paddlevl_doctor.fix.journal import Transaction
from paddlevl_doctor.patching.proof import Proof

CHANGES = frozenset(
    ("os.link", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.symlink", "os.chmod", "open")
)
PACKAGE = str(Path(paddlevl_doctor.commands.fix.__file__).parents[1])
OURS = tuple(f"{PACKAGE}/{room}" for room in ("fix", "packages", "patching", "system/files"))
DURATION = 120.0


class Witness:
    """Counts the changes of one run, tells the server of each, and ends the run where it is to end."""

    def __init__(self, request: dict[str, Any], pipe: int) -> None:
        self.root = request["cwd"]
        self.left = request.get("change")
        self.traced = bool(request.get("trace"))
        self.pipe = pipe

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Be the audit hook."""
        if event == "subprocess.Popen" and "install" in arguments[1] and "--dry-run" not in arguments[1]:
            os.write(self.pipe, b"uv\n")
        elif event in CHANGES and self.counts(event, arguments):
            self.see()

    def counts(self, event: str, arguments: tuple[Any, ...]) -> bool:
        """Say whether this is a change below the folder of the run."""
        if event == "open":
            writes = os.O_WRONLY | os.O_RDWR | os.O_CREAT
            return str(arguments[0]).startswith(self.root) and bool((arguments[2] or 0) & writes)
        within = [str(a) for a in arguments[:2] if isinstance(a, (str, os.PathLike))]
        relative = bool(within) and not within[0].startswith("/")  # in a folder that is open: shutil.rmtree
        return relative or any(path.startswith(self.root) for path in within)

    def see(self) -> None:
        """Count one change; tell where it was, if that is wanted, and die before it if it is the one."""
        doomed = self.left == 0
        if doomed or self.traced:
            os.write(self.pipe, f"{place(sys._getframe(2))}\n".encode())
        if doomed:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.left is not None:
            self.left -= 1


def place(frame: FrameType | None) -> str:
    """Name the functions of the doctor's repair that are at work, the outer one first."""
    names = []
    while frame is not None:
        code = frame.f_code
        ours = code.co_filename.startswith(OURS)
        if ours and not code.co_name.startswith("<"):
            names.append(code.co_name.strip("_"))
        frame = frame.f_back
    return " ".join(reversed(names))


def tear(count: int) -> None:
    """Let the process die in the middle of writing the journal's line number `count`."""
    write = Transaction.write
    seen: list[str] = []

    def half(self: Transaction, kind: str, *, durable: bool = True, **fields: Any) -> None:
        if len(seen) == count:
            with self.journal.open("a", encoding="utf-8") as file:
                file.write(f'{{"event": "{kind}", "ti')
            os.kill(os.getpid(), signal.SIGKILL)
        seen.append(kind)
        write(self, kind, durable=durable, **fields)

    Transaction.write = half  # type: ignore[method-assign]


def child(request: dict[str, Any], pipe: int) -> None:
    """Be the doctor: the same code as the console script, from the options to the exit code."""
    os.chdir(request["cwd"])
    output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    if not request.get("prove"):
        left_out = Proof(True, "left out here, it has tests of its own")
        steps.prove_all = lambda _, names, __: dict.fromkeys(names, left_out)  # type: ignore[attr-defined]
    if "torn" in request:
        tear(request["torn"])
    os.fsync = lambda _: (
        None
    )  # outlives power cuts; a kill takes nothing from what was written, and disks are slow
    sys.argv = ["paddlevl-doctor", *request["argv"]]
    sys.addaudithook(Witness(request, pipe))
    try:
        cli.main()
    except SystemExit as end:
        sys.stdout.flush()
        os._exit(int(end.code or 0))
    os._exit(99)


def installers(pid: int) -> list[int]:
    """Return the children of a process: each is the leader of a group of its own."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def kill(pid: int, *, group: bool) -> str:
    """Kill the doctor, and with `group` first what it has started."""
    with contextlib.suppress(OSError):
        for leader in installers(pid) if group else ():
            os.killpg(leader, signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    return "uv and the doctor" if group else "the doctor beside uv"


def lines_of(pipe: int) -> Iterator[str]:
    with os.fdopen(pipe, encoding="utf-8") as file:
        yield from (line.rstrip("\n") for line in file)


def watch(pid: int, pipe: int, request: dict[str, Any]) -> list[str]:
    """Follow a run to its end; kill it some time after uv was started, or after its own start, if that is asked for."""
    if "seconds" in request:
        time.sleep(request["seconds"])
        os.kill(pid, signal.SIGKILL)
    seen = []
    for line in lines_of(pipe):
        if line == "uv" and "after_uv" in request:
            time.sleep(request["after_uv"])
            seen.append(kill(pid, group=request["group"]))
        elif line != "uv":
            seen.append(line)
    return seen


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Run one request in a child of its own."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        child(request, write)
    os.close(write)
    started = time.monotonic()
    places = watch(pid, read, request)
    _, status = os.waitpid(pid, 0)
    return {
        "code": os.waitstatus_to_exitcode(status),
        "places": places,
        "seconds": time.monotonic() - started,
        "output": Path(request["output"]).read_text(encoding="utf-8", errors="replace"),
    }


def serve(respond: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Answer until there are no more requests."""
    for line in sys.stdin:
        sys.stdout.write(json.dumps(respond(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve(answer)
