"""PaddleOCR's own pipelines in the target's Python, watched, and begun anew where they fail."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from paddlevl_doctor.messages import text
from paddlevl_doctor.parsing.engines.base import PageFailedError, Task
from paddlevl_doctor.parsing.engines.failures import (
    FAULTS,
    RaisedError,
    StrangeError,
    described,
    expect,
    failure_of,
    keep,
    left_of,
)
from paddlevl_doctor.parsing.engines.fallbacks import Failure, Footing, Memory, Rung, following, rungs
from paddlevl_doctor.parsing.engines.native_setup import NativeSetup, start
from paddlevl_doctor.parsing.input.page_source import Picture
from paddlevl_doctor.parsing.output.run_report_model import Sample
from paddlevl_doctor.parsing.run.page_store import PageRead
from paddlevl_doctor.parsing.workers.json_lines_process import Event, LinesChild
from paddlevl_doctor.parsing.workers.watchdog import (
    DiedError,
    Gpu,
    StalledError,
    Watcher,
    keeps_rising,
    limits_for,
    usage,
)
from paddlevl_doctor.values.errors import DoctorError
from paddlevl_doctor.values.pages import Block, Page


def page_read(event: Event, index: int, picture: Picture, rung: Rung, device: str) -> PageRead:
    """Return the event as a page; boxes and size are those of the page, whatever the scale it was read at.

    Raises LookupError, AttributeError, TypeError or ValueError for an event that describes no page.
    """
    across = picture.width / (event["width"] or picture.width)
    down = picture.height / (event["height"] or picture.height)
    blocks = tuple(_block(block, across, down) for block in event["blocks"])
    page = Page(index, picture.width, picture.height, blocks, float(event["seconds"]))
    notes = tuple(text("page-trouble", page=index + 1, detail=trouble) for trouble in event["troubles"])
    return PageRead(page, event["markdown"], device, rung.name, event.get("vram_mb"), notes)


def _block(block: Mapping[str, Any], across: float, down: float) -> Block:
    left, top, right, bottom = block["box"]
    box = (round(left * across), round(top * down), round(right * across), round(bottom * down))
    return Block(str(block["kind"]), str(block["text"] or ""), box)


FIRST = 2
"""Pages in the first call: nothing is known of how long they take."""
_MOST = 32
"""Their pictures are in memory together: 500 pages in calls of 64 needed up to 1.1 GiB, in calls of 32 1.0."""
_SILENCE = 20.0
"""Seconds in which a call may say nothing at most: so much is read again after a kill."""
_AT_ONCE = 0.9
"""Where one wait is this share of a call, its results came all at once, and will the next time."""


def next_call(now: int, pages: int, seconds: float, longest: float) -> int:
    """Return how many pages the next calls may have, after one of `pages` where `now` were allowed.

    `seconds` is what the call took, `longest` its longest wait for a page. PaddleX lays eight pages out at a time and
    gives the results of each eight (paddlex 3.3.0 to 3.7.2, batch_size of LayoutDetection); with a server behind it,
    or without its queues, all of them at once. One page alone, maybe an empty one, tells little.
    """
    at_once = longest >= _AT_ONCE * seconds
    grown = int(_SILENCE * pages / max(seconds if at_once else longest, 0.001))
    if longest <= _SILENCE:
        grown = max(now, grown if at_once else max(grown, 2 * pages))
    return max(1, min(grown, _MOST if pages > 1 else max(FIRST, now)))


_SHOWN_TROUBLE = 120
_MOST_PIXELS = 200_000_000
"""In one call: the pipeline decodes all of its pages at once."""
_HOPELESS = 3
"""Pages in a row that no rung of the ladder could read, each for many minutes: then the engine is lost."""


@dataclass
class NativeEngine:
    """One worker on one device; a new one takes its place where it died or stalled."""

    setup: NativeSetup
    samples: list[Sample]
    incidents: list[str]
    started: float = field(default_factory=time.monotonic)
    on_stage: Callable[[str], None] = lambda _stage: None
    label: str = ""
    """What the device is called in the answer; the worker sees no other and may call it otherwise."""
    memory: Memory | None = None
    """Where the rung that helped is kept for the next run."""
    seconds: dict[str, float] = field(default_factory=dict)
    closed: bool = False
    lost: bool = False
    batch: int = FIRST
    _footing: Footing = field(init=False)
    _watcher: Watcher | None = None
    _rung: Rung | None = None
    _pictures: bool = True
    _cache: Path | None = None
    """Where the models are loaded from that could not be from the usual place."""
    _crashed_loading: int = 0
    _rss: list[int] = field(default_factory=list)
    """MiB after each page of the present worker."""
    _held: list[int] = field(default_factory=list)
    """MiB of GPU memory that it kept after each."""
    _hopeless: int = 0

    def __post_init__(self) -> None:
        """Begin where the last run got to."""
        self._footing = Footing(self._ladder(), self.memory)
        if self._footing.remembered:
            self.incidents.append(text("rung-remembered", rung=text(f"rung-{self._footing.remembered}")))

    def read_all(self, tasks: Sequence[Task], over: Callable[[Task, PageRead | str], None]) -> None:
        """Read pages in as few calls of the pipeline as can be; one at which a call fails is read by itself.

        Raises DoctorError where nothing can be read.
        """
        left = list(tasks)
        while left:
            failures = self._calls(left, over)
            if left:
                try:
                    read: PageRead | str = self.read(left[0], failures)
                except PageFailedError as error:
                    read = str(error)
                over(left.pop(0), read)

    def _calls(self, left: list[Task], over: Callable[[Task, PageRead | str], None]) -> tuple[Failure, ...]:
        """Read pages and take them off the list, until only one is left or one fails; returns how it did."""
        step = self._footing.step
        try:
            while len(left) > 1:
                self._call(left, step, over)
        except PageFailedError:
            pass  # the first one cannot be drawn, and will say so when it is read
        except FAULTS as error:
            return (self._failed(error, left[0], self._ladder()[step]),)
        return ()

    def _call(self, left: list[Task], step: int, over: Callable[[Task, PageRead | str], None]) -> None:
        """Read the first of some pages in one call, and take them off the list."""
        rung = self._ladder()[step]
        self._ready(rung)  # loads its models while pages are drawn
        pages = _bearable(left) if rung.scale == 1 else (left[0],)
        for found in self._together(pages, rung):
            over(left.pop(0), found)
        self._stood(step, len(pages))

    def read(self, task: Task, failures: tuple[Failure, ...] = ()) -> PageRead:
        """Read one page on whatever rung it takes, after those on which it failed already.

        Raises PageFailedError, DoctorError where nothing can be read.
        """
        ladder = self._ladder()
        first = self._footing.step
        step = following(failures, first, ladder) if failures else first
        while step is not None:
            try:
                (found,) = self._together((task,), ladder[step])
            except FAULTS as error:
                failures = (*failures, self._failed(error, task, ladder[step]))
                step = following(failures, step, ladder)
                continue
            self._stood(step)
            return found
        raise self._given_up(task, failures)

    def _ladder(self) -> tuple[Rung, ...]:
        return self.setup.ladder or rungs(self.setup.device, self.setup.pipeline)

    def _given_up(self, task: Task, failures: tuple[Failure, ...]) -> PageFailedError | DoctorError:
        """Return what a page that no rung could read means: one page lost, or an engine that reads nothing."""
        self._hopeless = self._hopeless + 1 if failures[-1].kind != "raised" else 0
        never_ready = all(failure.stage in ("start", "import", "load") for failure in failures)
        if never_ready or self._hopeless == _HOPELESS:
            return self._lost(failures[-1].detail)
        return PageFailedError(text("page-failed", page=task.index + 1, detail=failures[-1].detail))

    def _lost(self, detail: str) -> DoctorError:
        device = self.label or self.setup.device
        return DoctorError(text("native-failed", name=self.setup.pipeline, device=device, detail=detail))

    def _stood(self, step: int, pages: int = 1) -> None:
        self._hopeless = 0
        self._footing.stood(step, pages)

    def _renew(self) -> None:
        """End a worker whose memory keeps rising: the next page is read by a new one."""
        rising = next((key for key, mb in self._measured().items() if keeps_rising(mb)), None)
        if self._watcher is not None and rising is not None:
            mb = self._measured()[rising]
            self.incidents.append(text(rising, before=mb[0], now=mb[-1]))
            self._stop()

    def _measured(self) -> dict[str, list[int]]:
        """Return the memory after each page of the present worker, by the sentence that its growth is told with."""
        return {"worker-renewed": self._rss, "worker-renewed-vram": self._held}

    def _measure(self, watcher: Watcher, event: Event) -> None:
        self._rss.append(usage(watcher.child.processes())[0] >> 20)
        if event.get("held_mb") is not None:
            self._held.append(int(event["held_mb"]))

    def _together(self, tasks: Sequence[Task], rung: Rung) -> Iterator[PageRead]:
        """Yield pages as they are read, in order; raises PageFailedError, and one of FAULTS."""
        watcher = self._ready(rung)
        pictures = [task.picture(rung.scale) for task in tasks]
        request = {
            "pages": [
                {"page": task.index, "image": str(picture.path), "folder": str(task.folder)}
                for task, picture in zip(tasks, pictures, strict=True)
            ],
            "options": dict(rung.options),
            "pictures": self._pictures,
        }
        device = self.label if self.label and rung.device == self.setup.device else rung.device
        times = [time.monotonic()]
        watcher.child.send(request)
        for task, picture in zip(tasks, pictures, strict=True):
            event = expect(watcher.wait(), watcher.stage, event="page", page=task.index)
            times.append(time.monotonic())
            try:
                self._draw_no_more(event, task)
                self._measure(watcher, event)
                read = page_read(event, task.index, picture, rung, device)
            except (LookupError, AttributeError, TypeError, ValueError) as error:
                raise StrangeError(watcher.stage, event) from error
            yield read
        longest = max(after - before for before, after in pairwise(times))
        self.batch = next_call(self.batch, len(tasks), times[-1] - times[0], longest)

    def _draw_no_more(self, event: Event, task: Task) -> None:
        """Leave the pictures out from now on where one could not be drawn: its font is not to be had here."""
        troubles = [trouble for trouble in event["troubles"] if trouble.startswith("img: ")]
        if troubles:
            self._pictures = False
            words = {"page": task.index + 1, "detail": troubles[0][:_SHOWN_TROUBLE]}
            self.incidents.append(text("pictures-off", **words))
            event["troubles"] = [trouble for trouble in event["troubles"] if trouble not in troubles]

    def join(self, pages: Sequence[Mapping[str, Any]]) -> str | None:
        """Return the Markdown of all pages as the pipeline joins them, None where no worker is there to do it.

        To be asked between batches only: a worker answers one thing after the other.
        """
        watcher = self._watcher
        if watcher is None or not pages or not all(pages):
            return None
        if len(pages) == 1:
            return str(pages[0]["markdown_texts"])
        try:
            watcher.child.send({"join": list(pages)})
            return str(expect(watcher.wait(), watcher.stage, event="joined")["text"])
        except RaisedError:
            return None
        except (*FAULTS, LookupError):
            self._end()
            return None

    def close(self) -> None:
        """End the worker; none is started any more."""
        self.closed = True
        self._stop()

    def _stop(self) -> None:
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None

    # --- the worker ---

    def _ready(self, rung: Rung) -> Watcher:
        """Return a worker that fits the rung and has loaded its models; raises DoctorError where that fails."""
        self._renew()
        if self._watcher is not None and self._rung is not None and not self._rung.same_process(rung):
            self._stop()
        if self._watcher is None:
            self._watcher, self._rung = self._started(rung), rung
        return self._watcher

    def _started(self, rung: Rung) -> Watcher:
        """Return a worker that has loaded its models; raises DoctorError where none can, for this reason."""
        try:
            watcher, event = self._launched(rung)
        except (StalledError, DiedError) as error:
            if not self._crashed_again(error) or not self._renew_models(failure_of(error).detail):
                raise
            watcher, event = self._launched(rung)
        loading = event["event"] == "fatal" and watcher.stage == "load"
        if loading and self._renew_models(described(event.get("error"))):
            watcher, event = self._launched(rung)
        if event["event"] == "fatal":
            raise self._lost(described(event.get("error")))
        for name, seconds in event.get("seconds", {}).items():
            self.seconds[name] = round(self.seconds.get(name, 0.0) + seconds, 2)
        self._rss, self._held = [], []
        return watcher

    def _crashed_again(self, error: StalledError | DiedError) -> bool:
        """Say whether models have ended their process a second time: once may be the machine's fault.

        Where it was killed, it is: other models would need as much memory.
        """
        if error.stage != "load" or (isinstance(error, DiedError) and error.killed_with is not None):
            return False
        self._crashed_loading += 1
        return self._crashed_loading > 1

    def _renew_models(self, detail: str) -> bool:
        """Load models that were downloaded anew from now on; returns whether that is possible, and was not tried."""
        if self._cache is not None:
            return False
        self._cache = self.setup.fresh_cache()
        if self._cache is not None:
            self.incidents.append(text("models-again", path=self._cache, detail=detail))
        return self._cache is not None

    def _launched(self, rung: Rung) -> tuple[Watcher, Event]:
        """Start a worker; return it with the event that ended its start. One that failed is ended."""
        if self.closed:
            raise DoctorError(text("interrupted"))
        watcher = self._watching(start(self.setup, rung, self._cache), rung)
        event = watcher.wait()
        if event["event"] == "fatal":
            watcher.close()
        elif event["event"] != "ready":
            watcher.kill()
            raise StrangeError(watcher.stage, event)
        return watcher, event

    def _watching(self, child: LinesChild, rung: Rung) -> Watcher:
        setup = self.setup
        gpu: Gpu = setup.gpu if rung.device.startswith("gpu") else lambda _pids: None
        watcher = Watcher(child, self.samples, self.started, self.on_stage, gpu)
        watcher.limits = {**limits_for(rung.device, setup.stall), **setup.limits}
        watcher.worker, watcher.device = setup.folder.name, self.label or setup.device
        return watcher

    def _failed(self, error: Exception, task: Task, rung: Rung) -> Failure:
        """Note what happened, end what is left of the worker, and say it in a form that can be compared."""
        failure = failure_of(error)
        if failure.kind != "raised" or "worker" in failure.detail:
            self._end()
        if failure.stage == "pictures":
            self._pictures = False
        if not self.closed:  # who was ended because nobody waits any more is no incident
            self._tell(error, failure, task, rung)
        return failure

    def _tell(self, error: Exception, failure: Failure, task: Task, rung: Rung) -> None:
        words = {"page": task.index + 1, "rung": text(f"rung-{rung.name}"), "detail": failure.detail}
        incident = text("page-incident", **words)
        path = keep(
            self.setup.kept, f"{task.folder.parent.stem}-{task.folder.name}-{rung.name}", left_of(error)
        )
        self.incidents.append(
            incident if path is None else text("incident-kept", incident=incident, path=path)
        )

    def _end(self) -> None:
        if self._watcher is not None:
            self._watcher.kill()
            self._watcher = None


def _bearable(tasks: Sequence[Task]) -> tuple[Task, ...]:
    """Return the first pages, as many as the pipeline can decode at once; raises PageFailedError of the first one."""
    found: list[Task] = []
    pixels = 0.0
    for task in tasks:
        try:
            picture = task.picture(1.0)
        except PageFailedError:
            if not found:
                raise
            break
        pixels += picture.width * picture.height * picture.share**2
        if found and pixels > _MOST_PIXELS:
            break
        found.append(task)
    return tuple(found)
