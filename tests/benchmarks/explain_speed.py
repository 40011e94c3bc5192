"""Prints how fast `explain` reads a log: megabytes a second, and ratios against plain searches of the same log.

    python tests/benchmarks/explain_speed.py [--megabytes 200] [--runs 3]

Everything runs on one core over one file; nothing is asserted here, the aim stands beside the figures.
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from paddlevl_doctor.knowledge.failures import load_all
from paddlevl_doctor.logs.read_log import CHUNK, chunks
from paddlevl_doctor.logs.recognise import Recognised, recognise

SAMPLES = Path(__file__).parents[1] / "knowledge" / "samples"
FIXED = "framework paddle is invalid"
LINES = (
    "2025-11-{d:02} 10:{m:02}:{s:02},{n:03} INFO  [pipeline] page {n} of report_{n}.pdf: {d} blocks, {m} tables",
    "\x1b[32mCreating model: ('PP-DocLayoutV3', None)\x1b[0m",
    "I11{d:02} 10:{m:02}:{s:02}.000000 4242 onednn_context.cc:81] oneDNN v3.6.2",
    "(worker pid=12{m:02}) [rank{s}]: loss: 0.{n:03} error_rate=0.{n:03} lr=1e-{d} tokens/s={n}",
    "识别完成：第 {n} 页，共 {d} 个文本块，耗时 {m}.{s:02} 秒",
    "Processing:  {s}%|███████▌        | {n}/1000 [00:{m:02}<00:{s:02}, {d}.3it/s]",
    '{{"level": "info", "page": {n}, "path": "C:\\\\scans\\\\new\\\\{n}.png", "msg": "read\\n{m} lines"}}',
    '  File "/srv/app/worker_{s}.py", line {n}, in predict_iter',
    "/srv/app/.venv/lib/python3.11/site-packages/x.py:{n}: UserWarning: No ccache found. Recompiling takes longer.",
    "{{'res': {{'input_path': 'page_{n}.png', 'block_label': 'text', 'block_content': 'Umsatz {n} Euro'}}}}",
)


def write_log(path: Path, megabytes: int, every: int = 20_000) -> None:
    """Write a log of a service that works, with one of the known failures every so many lines."""
    dice = random.Random(7)  # noqa: S311 - a log, no secret
    samples = [p.read_text(encoding="utf-8") for p in sorted(SAMPLES.glob("*.txt"))]
    with path.open("w", encoding="utf-8", newline="\n") as log:
        written = lines = 0
        while written < megabytes << 20:
            lines += 1
            n, s, m, d = dice.randrange(1000), dice.randrange(60), dice.randrange(60), dice.randrange(1, 29)
            line = dice.choice(LINES).format(n=n, s=s, m=m, d=d) if lines % every else dice.choice(samples)
            written += log.write(line + "\n") + 8


def explained(path: Path) -> Recognised:
    """Read the log as `explain` does."""
    with path.open("rb") as stream:
        return recognise(chunks(stream), load_all(), system="linux")


def searched(path: Path, pattern: re.Pattern[bytes]) -> int:
    """Count the matches of one regular expression in the log, chunk by chunk."""
    with path.open("rb") as stream:
        return sum(len(pattern.findall(chunk)) for chunk in iter(lambda: stream.read(CHUNK), b""))


def grepped(path: Path) -> None:
    """Count the lines with one fixed string as grep does."""
    subprocess.run(("grep", "-c", "-F", FIXED, str(path)), stdout=subprocess.DEVNULL, check=False)


def seconds(work: Callable[[], object]) -> float:
    """Return how long this takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def measured(path: Path, runs: int) -> Iterator[tuple[str, float]]:
    """Return the median seconds of everything, run in turn so that a slow minute hits all."""
    sources = [s for failure in load_all() for s in failure.signatures]
    every = re.compile("|".join(f"(?:{s})" for s in sources).encode())
    works: dict[str, Callable[[], object]] = {
        "explain": lambda: explained(path),
        "grep -c -F of one string": lambda: grepped(path),
        "re, one fixed string": lambda: searched(path, re.compile(FIXED.encode())),
    }
    rounds = [{name: seconds(work) for name, work in works.items()} for _ in range(runs)]
    for name in works:
        yield name, statistics.median(done[name] for done in rounds)
    part = path.with_name("part.log")
    with path.open("rb") as log:
        part.write_bytes(log.read(8 << 20))  # this one takes minutes for the whole log
    yield "re, all signatures", seconds(lambda: searched(part, every)) * path.stat().st_size / (8 << 20)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "service.log"
        write_log(log, given.megabytes)
        size = log.stat().st_size / 1e6
        found = explained(log)
        print(f"{size:.0f} MB, {found.lines} lines: {len(found.seen)} known, {len(found.unknown)} unknown")
        times = dict(measured(log, given.runs))
    for name, spent in times.items():
        print(
            f"{name:28} {spent:8.2f} s  {size / spent:7.0f} MB/s  explain is {times['explain'] / spent:6.2f} times"
        )
    print("aim: explain >= 50 MB/s")


if __name__ == "__main__":
    main()
