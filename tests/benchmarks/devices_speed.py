"""Prints how busy `parse` keeps its devices: eight simulated ones of uneven speed, and one alone.

    python tests/benchmarks/devices_speed.py [--pages 400]

The devices are processes that wait for as long as a page is to take, so that two cores are enough for eight of them;
session, pool, watcher and page store are the real ones. What a device is not busy is what these cost, and what is
left at the end when no page waits any more. Nothing is asserted; the aims stand beside the figures.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from sessions import Stage, document

UNEVEN = {f"gpu:{n}": seconds for n, seconds in enumerate((0.1, 0.1, 0.13, 0.16, 0.2, 0.25, 0.3, 0.4))}
ALONE = {"gpu:0": 0.1}


def busy(speeds: dict[str, float], pages: int) -> tuple[float, float]:
    """Read so many pages with devices that take so many seconds each; return the wall time and the share of use."""
    with tempfile.TemporaryDirectory() as temporary:
        stage = Stage(Path(temporary))
        engines = [stage.engine(device, {"SPEED": device}) for device in speeds]
        stage.run([document(stage.folder, 1, pages)], engines, speeds=speeds)
        spans = [(begin, end) for worker in stage.read() for begin, end, _ in worker]
    wall = max(end for _, end in spans) - min(begin for begin, _ in spans)
    return wall, sum(end - begin for begin, end in spans) / (wall * len(speeds))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pages", type=int, default=400)
    pages = parser.parse_args().pages
    for name, speeds, aim in (("8 uneven devices", UNEVEN, ">= 95 %"), ("1 device", ALONE, ">= 98 %")):
        wall, share = busy(speeds, pages if len(speeds) > 1 else pages // 4)
        print(
            f"{name:20} {wall:6.1f} s between the first page and the last, busy {100 * share:5.1f} %  (aim: {aim})"
        )


if __name__ == "__main__":
    main()
