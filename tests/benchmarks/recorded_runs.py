"""Counts the functions of the package that run in a command; structure.py states the definition and prints the result.

    python tests/benchmarks/recorded_runs.py SOURCE RECORD WORDS...

This runs the command line in its own process and records what runs. SOURCE is the folder that holds the package, RECORD
the file to write. Each line of it gives a depth, a file and a line of it: one for a function that runs for the first
time, and one for each new depth. Lines are written at once, because the command line ends with `os._exit`.
"""

from __future__ import annotations

import inspect
import os
import runpy
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import CodeType, FrameType

PACKAGE = "paddlevl_doctor"
TESTS = Path(__file__).parents[1]


@dataclass(frozen=True)
class Run:
    """What ran in one command."""

    modules: int
    functions: int
    depth: int


class Recorder:
    """Receives the profile events of every thread."""

    def __init__(self, folder: str, record: str) -> None:
        self._folder = folder
        self._record = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._seen: set[CodeType] = set()
        self._deepest = 0
        self._counts = cache(self._is_function_of_package)

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        if event != "call" or not self._counts(frame.f_code):
            return
        depth = self._depth(frame)
        if frame.f_code in self._seen and depth <= self._deepest:
            return
        self._seen.add(frame.f_code)
        self._deepest = max(self._deepest, depth)
        line = f"{depth}\t{frame.f_code.co_filename}\t{frame.f_code.co_firstlineno}\n"
        os.write(self._record, line.encode())

    def _is_function_of_package(self, code: CodeType) -> bool:
        is_def = code.co_flags & inspect.CO_OPTIMIZED and not code.co_name.startswith("<")
        return bool(is_def) and code.co_filename.startswith(self._folder)

    def _depth(self, frame: FrameType | None) -> int:
        depth = 0
        while frame is not None:
            depth += self._counts(frame.f_code)
            frame = frame.f_back
        return depth


def runs_of(root: Path) -> dict[str, Run]:
    """Run the four commands of the table, with the package of a checkout, and count what runs.

    The imports stand here because they load the package of this checkout, which a process that records must not do.
    """
    sys.path[:0] = [str(TESTS), str(TESTS / "support")]
    from environments import environment

    healthy = ("--venv", str(environment("cured-current-311")))
    demo = root / "src" / PACKAGE / "assets" / "demo.png"
    return {
        "check of a healthy environment": _second_run(root, 0, "check", *healthy),
        "fix, plan for a healthy environment": _second_run(root, 0, "fix", *healthy),
        "fix, plan for a new environment": _second_run(root, 1, "fix"),
        "parse of one page": _second_run(root, 0, "parse", str(demo), "--engine", "reader"),
    }


def _second_run(root: Path, expected: int, *words: str) -> Run:
    return [_recorded(root, expected, words) for _ in range(2)][1]


def _recorded(root: Path, expected: int, words: tuple[str, ...]) -> Run:
    """Run a command in an empty folder and read the record."""
    from doctor import environment

    with tempfile.TemporaryDirectory() as temporary:
        record, folder = Path(temporary, "record"), Path(temporary, "folder")
        folder.mkdir()
        argv = (sys.executable, __file__, str(root / "src"), str(record), *words)
        done = subprocess.run(
            argv, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False
        )
        if done.returncode != expected:
            raise SystemExit(f"{words} ended with {done.returncode}: {done.stdout}{done.stderr}")
        lines = [line.split("\t") for line in record.read_text(encoding="utf-8").splitlines()]
    functions = {(file, line) for _, file, line in lines}
    return Run(len({file for file, _ in functions}), len(functions), max(int(depth) for depth, _, _ in lines))


def main() -> None:
    """Record a run."""
    source, record, *words = sys.argv[1:]
    sys.path[0] = source
    sys.argv[1:] = words
    recorder = Recorder(os.path.join(source, PACKAGE, ""), record)  # noqa: PTH118 - ends with a separator
    threading.setprofile(recorder)
    sys.setprofile(recorder)
    runpy.run_module(PACKAGE, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
