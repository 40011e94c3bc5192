"""Prints how fast the doctor is as ratios against a peer in the same run (machines are noisy, seconds say little).

    python tests/benchmarks/speed.py [--runs 5] [--pip]

`--pip` only compares a new environment by the doctor with one by pip from its warm cache, once, for pip takes minutes.
Makes its environments in a temporary folder; nothing is asserted here, the aims stand beside the figures.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from uv import find_uv_bin

from doctor import environment

DOCTOR = (str(Path(sys.executable).with_name("paddlevl-doctor")),)


def seconds(argv: Sequence[str], folder: Path) -> float:
    """Run a command and return its wall time in seconds; exit codes 0 and 1 are answers of the doctor.

    What the run before has written or removed, 20,000 files, is on the disk before this one begins.
    """
    if hasattr(os, "sync"):
        os.sync()
    started = time.perf_counter()
    done = subprocess.run(
        argv, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False
    )
    elapsed = time.perf_counter() - started
    if done.returncode not in (0, 1):
        raise SystemExit(f"{argv} ended with {done.returncode}: {done.stderr}")
    return elapsed


def compare(runs: int, ours: Callable[[], float], peer: Callable[[], float]) -> tuple[float, float]:
    """Return the medians of both, run in turn so that a slow minute hits both; the first pair only warms up."""
    pairs = [(ours(), peer()) for _ in range(runs + 1)][1:]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def show(what: str, times: tuple[float, float], aim: str) -> None:
    """Print one ratio."""
    ours, peer = times
    print(f"{what:58} {ours:7.3f} s  {peer:7.3f} s  ratio {ours / peer:6.3f}  (aim: {aim})")


def installed_by_doctor(folder: Path) -> float:
    """Create and install `current` with the doctor, in an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return seconds((*DOCTOR, "fix", "--apply", "-q"), folder)


def resolved_list(folder: Path) -> Path:
    """Write the exact list that the doctor installed."""
    python = folder / ".venv" / "bin" / "python"
    argv = (find_uv_bin(), "pip", "freeze", "--python", str(python))
    frozen = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    path = folder.parent / "resolved.txt"
    path.write_text(frozen)
    return path


def installed_by_uv(folder: Path, resolved: Path, *, imports: bool = False) -> float:
    """Create an environment and install the same list with bare uv, as the doctor does.

    With `imports`, the new environment also imports the stack once, as the doctor does before it commits a repair.
    """
    shutil.rmtree(folder, ignore_errors=True)
    made = seconds((find_uv_bin(), "venv", "-q", "--python", sys.executable, str(folder)), folder.parent)
    python = str(folder / "bin" / "python")
    made += seconds((find_uv_bin(), "pip", "install", "--python", python, "-r", str(resolved)), folder.parent)
    return made + (seconds((python, "-c", "import paddle, paddleocr"), folder.parent) if imports else 0)


def installed_by_pip(folder: Path, resolved: Path) -> float:
    """Create an environment and install the same list with pip, as the doctor does."""
    shutil.rmtree(folder, ignore_errors=True)
    made = seconds((sys.executable, "-m", "venv", str(folder)), folder.parent)
    words = ("-m", "pip", "install", "-q", "--no-deps", "--only-binary", ":all:", "-r", str(resolved))
    return made + seconds((str(folder / "bin" / "python"), *words), folder.parent)


def against_pip() -> None:
    """Print the ratio to pip; both install twice, and the first time only fills the caches."""
    with tempfile.TemporaryDirectory() as temporary:
        project, bare = Path(temporary, "project"), Path(temporary, "bare")
        installed_by_doctor(project)
        resolved = resolved_list(project)
        times = compare(1, lambda: installed_by_doctor(project), lambda: installed_by_pip(bare, resolved))
    print(f"{'':58} {'doctor':>9}  {'pip':>9}")
    show("fix --apply of current : venv, pip install of its list", times, "<= 0.1")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--pip", action="store_true")
    options = parser.parse_args()
    runs = options.runs
    if options.pip:
        against_pip()
        return
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # the peer keeps its bytecode as in real life
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        project, bare = work / "project", work / "bare"
        installed_by_doctor(project)
        resolved = resolved_list(project)
        fix = compare(runs, lambda: installed_by_doctor(project), lambda: installed_by_uv(bare, resolved))
        fix_and_import = compare(
            runs, lambda: installed_by_doctor(project), lambda: installed_by_uv(bare, resolved, imports=True)
        )
        python = str(project / ".venv" / "bin" / "python")
        check = (*DOCTOR, "check", "--format", "json")
        idle = (*DOCTOR, "fix", "--apply", "--format", "json")
        paddle = (python, "-c", "import paddle; paddle.utils.run_check()")
        start = (sys.executable, "-c", "import typer, rich")
        against = [
            compare(runs, lambda: seconds(check, project), lambda p=p: seconds(p, project))
            for p in (paddle, start)
        ]
        deep = (*DOCTOR, "check", "--deep", "--format", "json")
        stack = (python, "-c", "import paddleocr")
        whole = compare(runs, lambda: seconds(deep, project), lambda: seconds(stack, project))
        nothing = compare(runs, lambda: seconds(idle, project), lambda: seconds(check, project))
    print(f"{'':58} {'doctor':>9}  {'peer':>9}")
    show("check : paddle.utils.run_check()", against[0], "<= 0.125")
    show("check : import typer, rich", against[1], "<= 2.5")
    show("check --deep : import paddleocr", whole, "<= 1.6")
    show("fix --apply of current : uv venv, uv pip install of its list", fix, "without the import: <= 1.25")
    show("fix --apply of current : the same and one import of the stack", fix_and_import, "<= 1.25")
    show("fix --apply with nothing to do : check", nothing, "<= 1.5")


if __name__ == "__main__":
    main()
