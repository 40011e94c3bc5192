"""Prints how long a wheel takes over lines that throttle, cut and stall, against the best that their bandwidth allows.

    python tests/benchmarks/download_speed.py [--mb 40] [--rate 8]

Nothing is asserted here, the aim stands beside the figures.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from broken_server import Manners, broken_server
from paddlevl_doctor.packages.download import DownloadRequest, Limits
from paddlevl_doctor.packages.mirrors import fetch_from_fastest
from wheels import wheel

STALL = 1.0
LIMITS = Limits(stall=STALL, pause=0.1)


def measured(name: str, data: bytes, manners: list[Manners], *, hashed: bool) -> float:
    """Seconds for a wheel from servers that are named in this order, their comparison included."""
    with contextlib.ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        servers = [stack.enter_context(broken_server({name: data}, kind)) for kind in manners]
        sha256 = hashlib.sha256(data).hexdigest() if hashed else None
        wanted = DownloadRequest(name, tuple(server.url(name) for server in servers), sha256)
        started = time.perf_counter()
        fetch_from_fastest(wanted, Path(folder), limits=LIMITS)
        return time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--mb", type=int, default=40)
    parser.add_argument("--rate", type=float, default=8, help="MB a second")
    options = parser.parse_args()
    name, data = wheel("large", "1", padding=options.mb << 20)
    rate = options.rate * 1e6
    best = len(data) / rate
    tenth = len(data) // 10
    cases = {
        "throttled": [Manners(rate=rate)],
        "throttled, cut ten times": [Manners(rate=rate, cut_after=tenth)],
        "the first of two refuses": [Manners(status=403), Manners(rate=rate)],
        "the first of two lies about its length": [Manners(length=7), Manners(rate=rate)],
        "the first of two gives a tenth of the rate": [Manners(rate=rate / 10), Manners(rate=rate)],
        "the first of two never says a word": [Manners(stall_after=0), Manners(rate=rate)],
        "the first of two stalls after a tenth": [Manners(rate=rate, stall_after=tenth), Manners(rate=rate)],
    }
    for title, manners in cases.items():
        for hashed in (True, False):
            seconds = measured(name, data, manners, hashed=hashed)
            known = "SHA-256" if hashed else "no hash"
            note = f", {STALL:g} s of it the limit for silence" if "stalls" in title else ""
            ratio = seconds / best
            print(
                f"{title:40} {known:8} {seconds:6.2f} s, best {best:5.2f} s: {ratio:5.3f} (aim <= 1.15{note})"
            )
    print(f"without a limit{'':25} SHA-256  {measured(name, data, [Manners()], hashed=True):6.2f} s")


if __name__ == "__main__":
    main()
