"""Prints how fast `parse` reads as ratios against PaddleOCR's own command, with the tiny checkpoint on both sides.

    python tests/benchmarks/parse_speed.py [--pages 50] [--runs 2] [--memory]

Makes its environment, models and pages in a temporary folder. `--memory` reads 500 pages instead and prints how the
memory of the worker went. No figure is asserted, the aims stand beside them; but a side that has not read every page
ends the run, since a failure is fast.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import psutil
from speed import DOCTOR, compare, show
from uv import find_uv_bin

import paddlevl_doctor
from doctor import environment as clean_environment
from environments import fresh_copy, python_in
from paddlevl_doctor.parsing.workers.watchdog import slope

PROBES = Path(paddlevl_doctor.__file__).parent / "probes"
_MODELS = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from selftest import checkpoint, layout
root = Path(sys.argv[2]) / "official_models"
root.mkdir(parents=True)
checkpoint.write_colour(str(root / "PaddleOCR-VL"))
layout.export(str(root / "PP-DocLayoutV2"))
"""
_PAGES = """
import random, sys
sys.path.insert(0, sys.argv[1])
from PIL import Image
from selftest import pages
count, pdf, colours = int(sys.argv[2]), sys.argv[3], ["red", "green", "blue", "yellow"]
drawn = []
for n in range(min(count, 50)):
    r = random.Random(n)
    pages.paint_page("one.png", [tuple(r.choice(colours) for _ in range(4)) for _ in range(4)])
    drawn.append(Image.open("one.png").convert("RGB"))
drawn = [drawn[n % len(drawn)] for n in range(count)]
drawn[0].save(pdf, save_all=True, append_images=drawn[1:], resolution=72)
"""
# The peer of the second figure: the pipeline in a loop of its own, every result saved as the command saves it.
_LOOP = """
import sys, time
from paddleocr import PaddleOCRVL
pipeline = PaddleOCRVL(pipeline_version="v1", device="cpu")
times = [time.monotonic()]
for result in pipeline.predict_iter(sys.argv[1]):
    for save in (result.save_to_markdown, result.save_to_json, result.save_to_img):
        save("loop")
    times.append(time.monotonic())
assert len(times) == int(sys.argv[2]) + 1, len(times)
print((len(times) - 1) / (times[-1] - times[0]))
"""


class Desk:
    """A folder with an environment, tiny models and a PDF; commands are run there."""

    def __init__(self, folder: Path, pages: int) -> None:
        self.folder, self.pages = folder, pages
        self.venv = fresh_copy("cured-current-311", folder / "env")
        self.python = python_in(self.venv)
        docx = (find_uv_bin(), "pip", "install", "-q", "--python", str(self.python), "python-docx")
        subprocess.run(docx, check=True)  # PaddleOCR's command writes Word files too, and ends without it
        self.env = {
            **clean_environment(folder),
            "PADDLE_PDX_CACHE_HOME": str(folder / "models"),
            "PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK": "True",
        }
        self.env["PADDLE_PDX_LOCAL_FONT_FILE_PATH"] = self._font()
        self.run((str(self.python), "-c", _MODELS, str(PROBES), str(folder / "models")))
        self.run((str(self.python), "-c", _PAGES, str(PROBES), str(pages), "pages.pdf"))

    def _font(self) -> str:
        """Return the font in OpenCV's wheel: PaddleX would download one."""
        fonts = sorted(self.venv.glob("lib/*/site-packages/cv2/qt/fonts/*.ttf"))
        return str(fonts[0]) if fonts else "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"

    def run(self, argv: Sequence[str]) -> tuple[float, str]:
        """Run a command; return its wall time in seconds and what it printed."""
        started = time.perf_counter()
        done = subprocess.run(
            argv, cwd=self.folder, env=self.env, capture_output=True, text=True, check=False
        )
        if done.returncode not in (0, 1):
            raise SystemExit(f"{argv[:3]} ended with {done.returncode}: {done.stderr[-2000:]}")
        return time.perf_counter() - started, done.stdout

    def official(self) -> float:
        """Read the pages with PaddleOCR's own command; return its wall time."""
        shutil.rmtree(self.folder / "official", ignore_errors=True)
        words = ("-i", "pages.pdf", "--save_path", "official", "--pipeline_version", "v1", "--device", "cpu")
        wall, _ = self.run((str(self.venv / "bin" / "paddleocr"), "doc_parser", *words))
        self._counted(len(list((self.folder / "official").glob("*_res.json"))), "paddleocr doc_parser")
        return wall

    def ours(self, *words: str) -> float:
        """Read the pages with `parse`; return its wall time."""
        shutil.rmtree(self.folder / "ours", ignore_errors=True)
        wall, answer = self.run(self.command(*words))
        document = json.loads(answer)
        read = document["pages"] if document.get("engine") == "native" else ()
        self._counted(sum(bool(page["blocks"]) for page in read), "parse")
        return wall

    def _counted(self, pages: int, who: str) -> None:
        if pages != self.pages:
            raise SystemExit(f"{who} has read {pages} of {self.pages} pages: its time says nothing")

    def warm(self, minutes: str = "5") -> tuple[float, float]:
        """Read one page with a warm worker; return the seconds until it begins to read, and all but the reading."""
        words = ("--witness", "none", "--device", "cpu", "--keep-warm", minutes)
        argv = ["one.png" if word == "pages.pdf" else word for word in self.command(*words)]
        shutil.rmtree(self.folder / "ours", ignore_errors=True)
        started = time.time()
        wall, answer = self.run(argv)
        (page,) = json.loads(answer)["pages"]
        (kept,) = (self.folder / "ours").rglob("page.json")
        return kept.stat().st_mtime - page["seconds"] - started, wall - page["seconds"]

    def command(self, *words: str) -> tuple[str, ...]:
        """Return the `parse` that reads the pages with the real pipeline."""
        fixed = ("--engine", "native", "--venv", str(self.venv), "--format", "json", "--output", "ours")
        return (*DOCTOR, "parse", "pages.pdf", *fixed, *words)

    def rate(self, *words: str) -> float:
        """Return the pages a second of one `parse` from when its worker begins to read until its last page.

        Results of one call may come all at once, so that the time between them says nothing.
        """
        self.ours(*words)
        kept = sorted((self.folder / "ours").rglob("page.json"))
        ends = [path.stat().st_mtime for path in kept]
        first = min(ends) - float(json.loads(kept[0].read_text(encoding="utf-8"))["page"]["seconds"])
        return len(ends) / (max(ends) - first)

    def _ends(self) -> list[float]:
        """Return when each page was kept."""
        return sorted(path.stat().st_mtime for path in (self.folder / "ours").rglob("page.json"))

    def watching(self) -> float:
        """Return the share of a core that the watching process takes while its worker reads."""
        shutil.rmtree(self.folder / "ours", ignore_errors=True)
        command = self.command("--witness", "none", "--device", "cpu")
        used: list[tuple[float, float]] = []
        with subprocess.Popen(
            command, cwd=self.folder, env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as run:
            watched = psutil.Process(run.pid)
            while run.poll() is None:
                with contextlib.suppress(psutil.Error):
                    used.append((time.time(), sum(watched.cpu_times()[:2])))
                time.sleep(0.05)
        ends = self._ends()
        self._counted(len(ends), "parse")
        between = [point for point in used if ends[0] <= point[0] <= ends[-1]]
        return (between[-1][1] - between[0][1]) / (between[-1][0] - between[0][0])

    def loop_rate(self) -> float:
        """Return the pages a second of the pipeline in a loop of its own."""
        return float(self.run((str(self.python), "-c", _LOOP, "pages.pdf", str(self.pages)))[1].split()[-1])


def memory(desk: Desk) -> None:
    """Print how the memory of the worker went while it read, without the first quarter."""
    points: list[tuple[float, float]] = []
    command = desk.command("--device", "cpu", "--witness", "none")
    with subprocess.Popen(command, cwd=desk.folder, env=desk.env, stdout=subprocess.DEVNULL) as process:
        started = time.monotonic()
        while process.poll() is None:
            time.sleep(0.5)
            points.append((time.monotonic() - started, _worker_mb(process.pid)))
    later = [point for point in points if point[0] > points[-1][0] / 4 and point[1] > 0]
    low, high = min(mb for _, mb in later), max(mb for _, mb in later)
    print(
        f"{desk.pages} pages in {points[-1][0]:.0f} s, the worker has {low:.0f} to {high:.0f} MiB,", end=" "
    )
    print(f"{60 * slope(later):+.1f} MiB a minute (aim: flat)")


def _worker_mb(pid: int) -> float:
    """Return the resident MiB of the process that reads, 0 where there is none."""
    for child in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if any("native_worker" in word for word in child.cmdline()):
                return child.memory_info().rss / 2**20
    return 0.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pages", type=int, default=50)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--memory", action="store_true")
    asked = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as temporary:
        desk = Desk(Path(temporary), 500 if asked.memory else asked.pages)
        if asked.memory:
            memory(desk)
            return
        plain = ("--witness", "none")
        desk.warm()
        warm = [desk.warm() for _ in range(asked.runs + 1)]
        desk.warm("0")
        watching = desk.watching()
        total = compare(asked.runs, lambda: desk.ours(*plain), desk.official)
        alone = compare(asked.runs, lambda: desk.ours(*plain, "--device", "cpu"), desk.official)
        judged = compare(1, desk.ours, desk.official)
        one = compare(1, lambda: 1 / desk.rate(*plain, "--device", "cpu"), lambda: 1 / desk.loop_rate())
        two = compare(
            1,
            lambda: 1 / desk.rate(*plain, "--device", "cpu,cpu"),
            lambda: 1 / desk.rate(*plain, "--device", "cpu"),
        )
    print(f"{'':58} {'doctor':>9}  {'peer':>9}")
    show(f"parse of {asked.pages} pages, no witness : paddleocr doc_parser", total, "<= 0.7")
    show(f"parse of {asked.pages} pages, no witness, one process : doc_parser", alone, "")
    show(f"parse of {asked.pages} pages : paddleocr doc_parser", judged, "")
    show("seconds a page once warm, one process : predict_iter", one, "<= 1.0")
    show("seconds a page once warm, two processes : one", two, "<= 0.56")
    begun, rest = (statistics.median(times) for times in zip(*warm, strict=True))
    print(
        f"a warm worker begins to read after {begun:.2f} s (aim: <= 1); all but the reading takes {rest:.2f} s"
    )
    print(f"the watching process takes {watching:.1%} of a core while its worker reads")


if __name__ == "__main__":
    main()
