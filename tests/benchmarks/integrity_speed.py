"""Prints how much processor time `check --integrity` takes, cold and warm, against hashing alone.

    python tests/benchmarks/integrity_speed.py [--runs 3]

Processor time, and not wall time: the comparison runs on all cores. The peer reads and hashes the same files with
`hashlib` in one loop, so the first ratio is what the comparison adds to the hashing that it cannot avoid.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from environments import environment, python_in
from paddlevl_doctor.facts.installed_files import compare
from paddlevl_doctor.facts.target import choose_target, collect_target
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.facts import Target
from paddlevl_doctor.values.findings import no_bar


def processor_ms(work: Callable[[], object]) -> float:
    """Return the processor time of all threads that a function takes, in milliseconds."""
    before = os.times()
    work()
    after = os.times()
    return 1000 * (after.user + after.system - before.user - before.system)


def median(runs: int, work: Callable[[], object]) -> float:
    """Return the median of several runs."""
    return statistics.median(processor_ms(work) for _ in range(runs))


def listed(site: Path) -> list[Path]:
    """Return the files below a folder that are no bytecode."""
    return [path for path in site.rglob("*") if path.is_file() and path.suffix != ".pyc"]


def hash_all(paths: list[Path]) -> None:
    """Read and hash every file."""
    buffer = memoryview(bytearray(1 << 18))
    for path in paths:
        state = hashlib.sha256()
        with path.open("rb", buffering=0) as file:
            while count := file.readinto(buffer):
                state.update(buffer[:count])


def target_of(venv: Path) -> Target:
    """Return the inventory of an environment."""
    system = RealSystem()
    found = collect_target(system, choose_target(system, str(python_in(venv)), None))
    if not isinstance(found, Target):
        raise SystemExit(f"{venv} does not answer")
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    target = target_of(environment("current-311"))
    paths = listed(Path(target.purelib))
    size = sum(path.stat().st_size for path in paths)
    hash_all(paths)  # the files are in memory before the first measurement
    alone = median(runs, lambda: hash_all(paths))
    cores = os.cpu_count() or 1
    cold = median(runs, lambda: compare(target, cores, no_bar, "title"))
    with tempfile.TemporaryDirectory() as cache:
        compare(target, cores, no_bar, "title", Path(cache))
        warm = median(runs, lambda: compare(target, cores, no_bar, "title", Path(cache)))
    print(f"{len(paths)} files, {size >> 20} MiB; hashing alone: {alone:.0f} ms")
    print(f"cold {cold:6.0f} ms  ratio to hashing alone {cold / alone:5.2f}  (aim: <= 1.3)")
    print(f"warm {warm:6.0f} ms  ratio to hashing alone {warm / alone:5.2f}  (aim: <= 0.3)")


if __name__ == "__main__":
    main()
