"""Prints how fast `matrix` answers: against the doctor's bare start, and for many described machines in one process.

    python tests/benchmarks/matrix_speed.py [--runs 9]

Nothing is asserted here; the aims stand beside the figures.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
sys.path.insert(0, str(Path(__file__).parents[1] / "knowledge"))

from speed import DOCTOR, compare, seconds, show
from test_machines import DESCRIBED, request_of

from fake_system import FakeSystem
from paddlevl_doctor.commands.matrix import matrix

MACHINES = 1000


def thousand() -> float:
    """Answer for a thousand described machines, the table's in turn; the options are read beforehand."""
    requests = [request_of(row.words) for row in islice(cycle(DESCRIBED), MACHINES)]
    system, started = FakeSystem(), time.perf_counter()
    for request in requests:
        matrix(system, request)
    return time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=9)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for words in (("--for", "kaggle"), ("--for", "macos"), ("--for", "kaggle", "--format", "json")):
            times = compare(
                runs,
                lambda words=words: seconds((*DOCTOR, "matrix", *words), folder),  # type: ignore[misc]
                lambda: seconds((*DOCTOR, "--version"), folder),
            )
            show(f"matrix {' '.join(words)} against the bare start", times, "<= 2.00")
    print(f"{f'{MACHINES} described machines':58} {thousand():7.3f} s  (aim: <= 1 s)")


if __name__ == "__main__":
    main()
