"""Prints how fast repairs and the look at every file are, against a peer in the same run.

    python tests/benchmarks/repair_speed.py [--runs 5]

Uses the kept environment `current-311` of the tests. Nothing is asserted here, the aims stand beside the figures.
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
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from environments import environment, fresh_copy, python_in
from paddlevl_doctor.facts.installed_files import compare
from paddlevl_doctor.facts.target import Choice, collect_target
from paddlevl_doctor.fix import steps
from paddlevl_doctor.fix.journal import Transaction
from paddlevl_doctor.fix.lock import locked
from paddlevl_doctor.fix.transaction import apply_plan
from paddlevl_doctor.fix.undo import undo
from paddlevl_doctor.knowledge.patches import load_patches
from paddlevl_doctor.patching.proof import Proof
from paddlevl_doctor.system.machine import RealSystem, System
from paddlevl_doctor.values.facts import Target
from paddlevl_doctor.values.findings import no_bar
from paddlevl_doctor.values.plan import ApplyPatch, Plan

SYSTEM = RealSystem()


def target_of(venv: Path) -> Target:
    found = collect_target(SYSTEM, Choice(python_in(venv), str(venv), explicit=False))
    assert isinstance(found, Target), found
    return found


def integrity(target: Target) -> float:
    started = time.perf_counter()
    compare(target, SYSTEM.cpu_count(), no_bar, "")
    return time.perf_counter() - started


def sha256sum(files: bytes) -> float:
    """The tool of the system on as many cores, over the very same files."""
    started = time.perf_counter()
    argv = ("xargs", "-0", "-P", str(os.cpu_count()), "-n", "256", "sha256sum")
    subprocess.run(argv, input=files, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def recorded(target: Target) -> bytes:
    from paddlevl_doctor.facts.installed_files import _promises

    return b"\0".join(os.fsencode(file.path) for file in _promises(target)[1])


def _proved(_system: System, names: Sequence[str], _target: Target) -> dict[str, Proof]:
    return dict.fromkeys(names, Proof(True, ""))


def patched(venv: Path, *, prove: bool) -> float:
    """Apply every patch and take it back; returns the seconds of applying, without what starts before it."""
    plan = Plan(tuple(ApplyPatch(id=p.id, summary=p.id, patch=p.id) for p in load_patches()))
    seen = nullcontext() if prove else mock.patch.object(steps, "prove_all", _proved)
    target = target_of(venv)  # `fix` has asked it for the plan already
    with locked(venv):
        started = time.perf_counter()
        with seen:
            applied = apply_plan(SYSTEM, plan, venv, python_in(venv), lambda _: nullcontext(), target)
        elapsed = time.perf_counter() - started
        undo(SYSTEM, Transaction(venv, applied.number), yes=True)
    return elapsed


def padded(venv: Path, files: int) -> None:
    """Make an environment larger by files that nobody knows."""
    folder = next(venv.glob("lib/*/site-packages")) / "padding"
    for number in range(files):
        place = folder / f"{number % 500:03d}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.py").touch()


def show(what: str, ours: list[float], peer: list[float], aim: str) -> None:
    first, second = statistics.median(ours), statistics.median(peer)
    print(f"{what:62} {first:7.3f} s {second:7.3f} s  ratio {first / second:6.3f}  (aim: {aim})")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    target = target_of(environment("current-311"))
    files = recorded(target)
    pairs = [(integrity(target), sha256sum(files)) for _ in range(runs + 1)][1:]
    count = files.count(b"\0") + 1
    show(f"{count} files against RECORD : sha256sum", [a for a, _ in pairs], [b for _, b in pairs], "<= 1.5")
    with tempfile.TemporaryDirectory() as folder:
        small = fresh_copy("current-311", Path(folder, "small"))
        large = fresh_copy("current-311", Path(folder, "large"))
        padded(large, 200_000)
        times = [(patched(large, prove=False), patched(small, prove=False)) for _ in range(runs + 1)][1:]
        show(
            "all patches, ten times the files : as installed", *map(list, zip(*times, strict=True)), "about 1"
        )
        median = statistics.median(b for _, b in times)
        print(f"{len(load_patches())} patches beyond process start: {1000 * median:.0f} ms  (aim: <= 150 ms)")
        proofs = statistics.median(patched(small, prove=True) for _ in range(2)) - median
        print(f"their proofs in the target, besides: {proofs:.1f} s")
        shutil.rmtree(large)


if __name__ == "__main__":
    main()
