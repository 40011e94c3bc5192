"""Runs every repair that harms (tests/support/harmful_repairs.py) and prints what became of each.

    python tests/benchmarks/harmful_cures.py [--first N] [--last N] [part of a name …]

A repair must be rolled back byte for byte, or be refused before the first change, and keep the user's files.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from harmful_repairs import CASES, Bench


def main() -> int:
    """Run the chosen cases; return 0 if all held."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", help="parts of the names of cases")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--last", type=int, default=len(CASES))
    options = parser.parse_args()
    parts, held = options.parts, 0
    numbered = [*enumerate(CASES, 1)][options.first - 1 : options.last]
    chosen = [(n, case) for n, case in numbered if not parts or any(part in case.name for part in parts)]
    with tempfile.TemporaryDirectory() as root:
        bench = Bench(Path(root))
        for number, case in chosen:
            result = bench.run(case)
            held += result.holds
            state = "the harm was avoided" if result.cured else f"{len(result.differences)} differences"
            beside = "beside uv" if result.while_installing else "uv did not run"
            verdict = "held" if result.holds else "DID NOT HOLD"
            lost = f"user's files lost: {len(result.lost)} ({beside})"
            line = f"{number:2d}  {verdict:12s}  exit {result.code}  {state:20s}  {lost}"
            print(f"{line}  {result.seconds:5.1f} s  {case.name}\n      {result.reason[-400:]}", flush=True)
            for path, what in [*result.differences.items()][: 0 if result.holds else 12]:
                print(f"      {path}: {what}")
            for path in result.lost:
                print(f"      lost: {path}")
    print(f"{held} of {len(chosen)} held")
    return 0 if held == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
