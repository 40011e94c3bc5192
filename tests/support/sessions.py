"""Runs the real scheduler, engine and watcher on real documents, with a fake target that fails as planned."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from PIL import Image

import documents
from paddlevl_doctor.messages import Text
from paddlevl_doctor.parsing.engines.fallbacks import FallbackCache
from paddlevl_doctor.parsing.engines.native import NativeEngine
from paddlevl_doctor.parsing.engines.native_setup import NativeSetup, WarmWorkers
from paddlevl_doctor.parsing.input.page_source import PageSource
from paddlevl_doctor.parsing.output.run_report_model import Sample
from paddlevl_doctor.parsing.run.page_store import PageStore
from paddlevl_doctor.parsing.run.scheduler import DocumentJob, Scheduler
from paddlevl_doctor.parsing.workers.watchdog import Limits

TARGET = Path(__file__).with_name("fake_target.py")
SHORT = {
    **{name: Limits(busy=6, idle=2.5) for name in ("read", "join", "pictures")},
    "start": Limits(busy=60, idle=60),
    "load": Limits(busy=20, idle=5),
}
"""The fake target reads a page in milliseconds, but a loaded machine may delay it by a second, and the start of a
process, in which no fault is planned, by many seconds."""


def document(folder: Path, first: int, pages: int) -> Path:
    """Write a TIFF whose pages encode their numbers as grey levels of their left and right halves."""
    path = folder / f"from-{first}.tif"
    images = [_page(number) for number in range(first, first + pages)]
    images[0].save(path, save_all=True, append_images=images[1:])
    return path


def pdf(folder: Path, pages: int) -> Path:
    """Write a PDF whose pages encode their numbers in the same way."""
    return documents.pdf(folder / "long.pdf", [_page(number) for number in range(pages)])


def _page(number: int) -> Image.Image:
    image = Image.new("L", (100, 40), 255 - 2 * (number % 100))
    image.paste(255 - 2 * (number // 100), (50, 0, 100, 40))
    image.paste(0, (5, 5, 30, 12))
    return image


@dataclass
class Stage:
    """A folder with a fake target that fails as planned, and the outcome of a run there."""

    folder: Path
    samples: list[Sample] = field(default_factory=list)
    recorded: list[Text] = field(default_factory=list)
    """The incidents."""
    finished: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    plan: dict[str, Any] = field(default_factory=dict)
    render_processes: int = 2
    fresh_cache: Callable[[], Path | None] = lambda: None

    @property
    def incidents(self) -> list[str]:
        """The recorded incidents in English."""
        return list(map(str, self.recorded))

    @property
    def kept(self) -> Path:
        """The folder of the incident files."""
        return self.folder / "out" / "incidents"

    def engine(
        self,
        device: str = "cpu",
        env: Mapping[str, str] | None = None,
        limits: Mapping[str, Limits] = SHORT,
        warm: WarmWorkers | None = None,
        gpu: Callable[[Collection[int]], tuple[int, int] | None] = lambda _pids: None,
        cache: FallbackCache | None = None,
    ) -> NativeEngine:
        """Return an engine with the fake target."""
        python = self.folder / "python"
        if not python.exists():
            python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "{TARGET}"\n')
            python.chmod(0o755)
        site = next(Path(path) for path in sys.path if Path(path, "PIL").is_dir())
        faults = self.folder / "faults.json"
        variables = {**os.environ, "FAULTS": str(faults), "PYTHONPATH": str(site), **(env or {})}
        place = self.folder / f"worker-{device}-{len(list(self.folder.glob('worker-*')))}"
        place.mkdir()
        setup = NativeSetup(
            str(python), device, variables, place, self.kept, limits=limits, warm=warm, gpu=gpu,
            fresh_cache=self.fresh_cache,
        )  # fmt: skip
        return NativeEngine(setup, self.samples, self.recorded, label=device, cache=cache)

    def run(
        self,
        paths: Sequence[Path],
        engines: Sequence[NativeEngine],
        *,
        on_page: Callable[[], None] = lambda: None,
        resume: bool = False,
        **plan: Any,
    ) -> list[DocumentJob]:
        """Read documents; `plan` configures the faults of the fake target."""
        log = self.folder / "log"
        log.mkdir(exist_ok=True)
        self.plan = {"log": str(log), **plan}
        (self.folder / "faults.json").write_text(json.dumps(self.plan))
        scratch = self.folder / "scratch"
        scratch.mkdir(exist_ok=True)
        source = PageSource(scratch, os.environ, processes=self.render_processes)
        try:
            jobs = [self._job(source, path) for path in paths]
            for job in jobs if resume else ():
                job.resume()
            scheduler = Scheduler(
                jobs, source, lambda _job, _page: on_page(), lambda job: self.finished.append(job.name)
            )
            self.lost = list(map(str, scheduler.run(engines)))
        finally:
            for engine in engines:
                engine.close()
            source.close()
        return jobs

    def _job(self, source: PageSource, path: Path) -> DocumentJob:
        store = PageStore(self.folder / "out" / path.stem, "key")
        return DocumentJob(path, path.stem, source.count(path).pages, store)

    def happened(self) -> int:
        """Return the number of faults that occurred."""
        return len(list((self.folder / "log").glob("fault-*")))

    def read(self) -> list[list[tuple[float, float, int]]]:
        """Return the pages that each worker read: start and end in seconds, and the number of the page."""
        logs = sorted((self.folder / "log").glob("read-*"))
        return [[_entry(line) for line in log.read_text().splitlines()] for log in logs]

    def left_behind(self) -> list[str]:
        """Return the command lines of the fake target's processes, and their children, that still run."""
        running = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("FAULTS") == str(self.folder / "faults.json"):
                    running.append(" ".join(process.cmdline()))
            except psutil.Error:
                continue
        return running


def _entry(line: str) -> tuple[float, float, int]:
    began, ended, number = line.split()
    return float(began), float(ended), int(number)


def texts(job: DocumentJob) -> list[str]:
    """Return the text of each page, in order."""
    return ["".join(block.text for block in page.page.blocks) for page in job.pages_in_order()]
