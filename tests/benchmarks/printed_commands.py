"""Runs every command that `check -v` prints for every broken environment of the tests, and counts what held.

    python tests/benchmarks/printed_commands.py [NAME...]

Each cure is run alone, on the environment as it was, and undone with the command that it prints. It takes some minutes.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from broken import BROKEN
from printed import try_commands


def main(names: list[str]) -> int:
    """Print a row for each environment and each command that does not hold; return 1 if there is one."""
    failed: Counter[str] = Counter()
    total: Counter[str] = Counter()
    print("| environment | cured | explained | planned | failed |\n| --- | --- | --- | --- | --- |")
    for name in names or BROKEN:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            BROKEN[name].build(folder / "my env")
            (folder / ".doctor").symlink_to(sys.prefix)
            tried = list(try_commands((".doctor/bin/paddlevl-doctor",), ("--venv", "my env"), folder))
        counts = Counter("failed" if one.failure else one.kind for one in tried)
        cells = " | ".join(str(counts[kind]) for kind in ("cured", "explained", "planned", "failed"))
        print(f"| {name} | {cells} |", flush=True)
        for one in (one for one in tried if one.failure):
            print(f"  {one.line}: {one.failure}", file=sys.stderr, flush=True)
        total.update(counts)
        failed.update(one.line for one in tried if one.failure)
    print(
        "| all | "
        + " | ".join(str(total[kind]) for kind in ("cured", "explained", "planned", "failed"))
        + " |"
    )
    return int(bool(failed))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
