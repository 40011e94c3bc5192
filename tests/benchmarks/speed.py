"""Prints how fast the doctor is as ratios against a peer in the same run (machines are noisy, seconds say little).

    python tests/benchmarks/speed.py [--runs 5]

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

sys.path.insert(0, str(Path(__file__).parents[1]))

from uv import find_uv_bin

from doctor import environment

DOCTOR = (sys.executable, "-m", "paddlevl_doctor")
CURRENT = (
    "paddlepaddle==3.2.2",
    "paddleocr[doc-parser]==3.7.0",
    "paddlex==3.7.2",
    "numpy<2.4",
    "safetensors>=0.7.0",
    "setuptools",
)


def seconds(argv: Sequence[str], folder: Path) -> float:
    """Run a command and return its wall time in seconds; exit codes 0 and 1 are answers of the doctor."""
    started = time.perf_counter()
    done = subprocess.run(
        argv, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False
    )
    elapsed = time.perf_counter() - started
    if done.returncode not in (0, 1):
        raise SystemExit(f"{argv} ended with {done.returncode}: {done.stderr}")
    return elapsed


def median(runs: int, action: Callable[[], float]) -> float:
    """Return the median of several runs, the first one (cold caches) not counted."""
    action()
    return statistics.median(action() for _ in range(runs))


def show(what: str, ours: float, peer: float, aim: str) -> None:
    """Print one ratio."""
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


def installed_by_uv(folder: Path, resolved: Path) -> float:
    """Install the same list with bare uv into a new environment (whose creation is not counted)."""
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run((find_uv_bin(), "venv", "-q", "--python", sys.executable, str(folder)), check=True)
    argv = (find_uv_bin(), "pip", "install", "--python", str(folder / "bin" / "python"), "-r", str(resolved))
    return seconds(argv, folder.parent)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # the peer keeps its bytecode as in real life
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        project = work / "project"
        fix = median(runs, lambda: installed_by_doctor(project))
        resolved = resolved_list(project)
        bare = median(runs, lambda: installed_by_uv(work / "bare", resolved))
        python = str(project / ".venv" / "bin" / "python")
        check = median(runs, lambda: seconds((*DOCTOR, "check", "--format", "json"), project))
        idle = median(runs, lambda: seconds((*DOCTOR, "fix", "--apply", "--format", "json"), project))
        start = median(runs, lambda: seconds((sys.executable, "-c", "import typer, rich"), project))
        run_check = median(
            runs, lambda: seconds((python, "-c", "import paddle; paddle.utils.run_check()"), project)
        )
    print(f"{'':58} {'doctor':>9}  {'peer':>9}")
    show("check : paddle.utils.run_check()", check, run_check, "<= 0.125")
    show("check : import typer, rich", check, start, "< 3")
    show("fix --apply of current : uv pip install of the same list", fix, bare, "<= 1.25")
    show("fix --apply with nothing to do : check", idle, check, "<= 2")


if __name__ == "__main__":
    main()
