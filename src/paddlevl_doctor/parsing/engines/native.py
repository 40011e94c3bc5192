"""PaddleOCR's own pipelines in the target's Python: read by a worker that is watched, and restarted where it fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from paddlevl_doctor.messages import Text, message
from paddlevl_doctor.parsing.engines.base import PageFailedError, Task
from paddlevl_doctor.parsing.engines.failures import (
    FAULTS,
    RaisedError,
    StrangeError,
    described,
    expect,
    failure_of,
    save_incident,
    stderr_or_stacks,
)
from paddlevl_doctor.parsing.engines.fallbacks import (
    Failure,
    FallbackCache,
    FallbackState,
    Strategy,
    next_strategy,
    strategies_for,
)
from paddlevl_doctor.parsing.engines.native_setup import NativeSetup, start
from paddlevl_doctor.parsing.input.page_source import Picture
from paddlevl_doctor.parsing.output.run_report_model import Sample
from paddlevl_doctor.parsing.run.page_store import PageRead
from paddlevl_doctor.parsing.workers.json_lines_process import Event
from paddlevl_doctor.parsing.workers.watchdog import (
    DiedError,
    StalledError,
    Watcher,
    keeps_rising,
    limits_for,
    usage,
)
from paddlevl_doctor.values.errors import DoctorError
from paddlevl_doctor.values.pages import Block, Page

FIRST_BATCH = 2
"""Pages in the first call, before it is known how long they take."""
_MAX_BATCH = 32
"""Their pictures are in memory together: 500 pages in calls of 64 needed up to 1.1 GiB, in calls of 32 1.0."""
_MAX_SILENCE = 20.0
"""Seconds without a result that a call should not exceed: so much is read again when the worker is killed."""
_ALL_AT_ONCE = 0.9
"""A call whose longest wait is this share of its time gives its results all at once, and will do so the next time."""
_MAX_PIXELS = 200_000_000
"""In one call: the pipeline decodes all of its pages at once."""
_MAX_HOPELESS_PAGES = 3
"""Consecutive pages that no strategy could read, each for many minutes: then the engine is lost."""
_MAX_QUOTED_CHARS = 120


def next_batch(now: int, pages: int, seconds: float, longest: float) -> int:
    """Return how many pages the next calls may have, after one of `pages` where `now` were allowed.

    A call has a fixed overhead, and killing one loses its unfinished pages. `seconds` is what the call took, `longest`
    its longest wait for a page. PaddleX lays eight pages out at a time and gives the results of each eight (paddlex
    3.3.0 to 3.7.2, batch_size of LayoutDetection); with a server behind it, or without its queues, all of them at
    once. One page alone, maybe an empty one, tells little.
    """
    at_once = longest >= _ALL_AT_ONCE * seconds
    grown = int(_MAX_SILENCE * pages / max(seconds if at_once else longest, 0.001))
    if longest <= _MAX_SILENCE:
        grown = max(now, grown if at_once else max(grown, 2 * pages))
    return max(1, min(grown, _MAX_BATCH if pages > 1 else max(FIRST_BATCH, now)))


@dataclass
class NativeEngine:
    """One worker on one device; a new one takes its place where it died or stalled."""

    setup: NativeSetup
    samples: list[Sample]
    incidents: list[Text]
    started: float = field(default_factory=time.monotonic)
    on_stage: Callable[[str], None] = lambda _stage: None
    label: str = ""
    """The name of the device in the report; the worker sees no other device and may use another name."""
    cache: FallbackCache | None = None
    """Where the strategy that helped is kept for the next run."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Of starting, by stage."""
    closed: bool = False
    lost: bool = False
    batch: int = FIRST_BATCH
    _fallback: FallbackState = field(init=False)
    _watcher: Watcher | None = None
    _strategy: Strategy | None = None
    """The one that the worker was started for."""
    _layout_pictures: bool = True
    _models: Path | None = None
    """The model cache that replaces one whose models could not be loaded."""
    _load_crashes: int = 0
    _memory: dict[str, list[int]] = field(default_factory=dict)
    """MiB after each page of the present worker, by the message about their growth: RSS, and GPU memory kept."""
    _hopeless_pages: int = 0

    def __post_init__(self) -> None:
        """Begin with the strategy that the last run ended with."""
        strategies = self.setup.strategies or strategies_for(self.setup.device, self.setup.pipeline)
        self._fallback = FallbackState(strategies, self.cache)
        if self._fallback.remembered:
            self.incidents.append(
                message("rung-remembered", rung=message(f"rung-{self._fallback.remembered}"))
            )

    def read_batch(self, tasks: Sequence[Task]) -> Iterator[PageRead | Text]:
        """Yield pages, read in as few calls of the pipeline as possible; one at which a call fails is read by itself.

        Raises DoctorError where nothing can be read.
        """
        left = list(tasks)
        while left:
            failures: tuple[Failure, ...] = ()
            step = self._fallback.step
            try:
                while len(left) > 1:
                    for page in self._read_first(left, step):
                        del left[0]
                        yield page
            except PageFailedError:
                pass  # the first page cannot be drawn: reading it by itself gives the reason
            except FAULTS as error:
                failures = (self._failed(error, left[0], self._fallback.strategies[step]),)
            if left:
                yield self._read_alone(left.pop(0), failures)

    def _read_first(self, tasks: Sequence[Task], step: int) -> Iterator[PageRead]:
        """Yield the first of some pages, read in one call; raises PageFailedError, and one of FAULTS."""
        strategy = self._fallback.strategies[step]
        self._ensure_worker(strategy)  # loads its models while pages are drawn
        pages = _fit_batch(tasks) if strategy.scale == 1 else (tasks[0],)
        yield from self._call(pages, strategy)
        self._record_success(step, len(pages))

    def _read_alone(self, task: Task, failures: tuple[Failure, ...]) -> PageRead | Text:
        """Return one page, read with the first strategy that can after those that failed already, or why none could.

        Raises DoctorError where nothing can be read.
        """
        strategies, first = self._fallback.strategies, self._fallback.step
        step = next_strategy(failures, first, strategies) if failures else first
        while step is not None:
            try:
                (page,) = self._call((task,), strategies[step])
            except PageFailedError as error:
                return error.message
            except FAULTS as error:
                failures = (*failures, self._failed(error, task, strategies[step]))
                step = next_strategy(failures, step, strategies)
                continue
            self._record_success(step)
            return page
        self._hopeless_pages = self._hopeless_pages + 1 if failures[-1].kind != "raised" else 0
        never_ready = all(failure.stage in ("start", "import", "load") for failure in failures)
        if never_ready or self._hopeless_pages == _MAX_HOPELESS_PAGES:
            raise self._lost(failures[-1].detail)
        return message("page-failed", page=task.index + 1, detail=failures[-1].detail)

    def _lost(self, detail: Text) -> DoctorError:
        device = self.label or self.setup.device
        return DoctorError(message("native-failed", name=self.setup.pipeline, device=device, detail=detail))

    def _record_success(self, step: int, pages: int = 1) -> None:
        self._hopeless_pages = 0
        self._fallback.record_success(step, pages)

    def _call(self, tasks: Sequence[Task], strategy: Strategy) -> Iterator[PageRead]:
        """Yield pages as they are read, in order; raises PageFailedError, and one of FAULTS."""
        watcher = self._ensure_worker(strategy)
        pictures = [task.render(strategy.scale) for task in tasks]
        request = {
            "pages": [
                {"page": task.index, "image": str(picture.path), "folder": str(task.folder)}
                for task, picture in zip(tasks, pictures, strict=True)
            ],
            "options": dict(strategy.options),
            "pictures": self._layout_pictures,
        }
        times = [time.monotonic()]
        watcher.child.send(request)
        for task, picture in zip(tasks, pictures, strict=True):
            event = expect(watcher.wait(), watcher.stage, event="page", page=task.index)
            times.append(time.monotonic())
            try:
                self._disable_layout_pictures(event, task)
                self._note_memory(watcher, event)
                page = self._page(event, task.index, picture, strategy)
            except (LookupError, AttributeError, TypeError, ValueError) as error:
                raise StrangeError(watcher.stage, event) from error
            yield page
        longest = max(after - before for before, after in pairwise(times))
        self.batch = next_batch(self.batch, len(tasks), times[-1] - times[0], longest)

    def _page(self, event: Event, index: int, picture: Picture, strategy: Strategy) -> PageRead:
        """Return a worker's event as a page; boxes and size are those of the page, at whatever scale it was read.

        Raises LookupError, AttributeError, TypeError or ValueError for an event that describes no page.
        """
        across = picture.width / (event["width"] or picture.width)
        down = picture.height / (event["height"] or picture.height)
        blocks = []
        for block in event["blocks"]:
            left, top, right, bottom = block["box"]
            box = (round(left * across), round(top * down), round(right * across), round(bottom * down))
            blocks.append(Block(str(block["kind"]), str(block["text"] or ""), box))
        page = Page(index, picture.width, picture.height, tuple(blocks), float(event["seconds"]))
        notes = tuple(message("page-trouble", page=index + 1, detail=detail) for detail in event["troubles"])
        device = self.label if self.label and strategy.device == self.setup.device else strategy.device
        return PageRead(page, event["markdown"], device, strategy.name, event.get("vram_mb"), notes)

    def _disable_layout_pictures(self, event: Event, task: Task) -> None:
        """Request no more layout pictures where one could not be drawn: its font cannot be downloaded here."""
        troubles = [trouble for trouble in event["troubles"] if trouble.startswith("img: ")]
        if troubles:
            self._layout_pictures = False
            detail = troubles[0][:_MAX_QUOTED_CHARS]
            self.incidents.append(message("pictures-off", page=task.index + 1, detail=detail))
            event["troubles"] = [trouble for trouble in event["troubles"] if trouble not in troubles]

    def _note_memory(self, watcher: Watcher, event: Event) -> None:
        measured = {"worker-renewed": usage(watcher.child.processes())[0] >> 20}
        if event.get("held_mb") is not None:
            measured["worker-renewed-vram"] = int(event["held_mb"])
        for name, mb in measured.items():
            self._memory.setdefault(name, []).append(mb)

    def join(self, pages: Sequence[Mapping[str, Any]]) -> str | None:
        """Return the Markdown of all pages as the pipeline joins them, None where no worker is there to do it.

        Call it between batches only: a worker answers one request after the other.
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
            self._kill()
            return None

    def close(self) -> None:
        """End the worker; none is started any more."""
        self.closed = True
        self._stop()

    # --- the worker ---

    def _ensure_worker(self, strategy: Strategy) -> Watcher:
        """Return a worker that fits the strategy and has loaded its models; raises DoctorError where that fails."""
        # End a worker whose memory keeps rising: the next page is read by a new one.
        rising = next((name for name, mb in self._memory.items() if keeps_rising(mb)), None)
        if self._watcher is not None and rising is not None:
            mb = self._memory[rising]
            self.incidents.append(message(rising, before=mb[0], now=mb[-1]))
            self._stop()
        if self._strategy is not None and not self._strategy.same_process(strategy):
            self._stop()
        if self._watcher is None:
            self._watcher, self._strategy = self._start_worker(strategy), strategy
        return self._watcher

    def _start_worker(self, strategy: Strategy) -> Watcher:
        """Return a worker that has loaded its models; raises DoctorError with the reason where none can.

        Models that cannot be loaded are downloaded again, once.
        """
        try:
            watcher, event = self._launch(strategy)
        except (StalledError, DiedError) as error:
            if not self._crashed_again(error) or not self._use_fresh_models(failure_of(error).detail):
                raise
            watcher, event = self._launch(strategy)
        failed_to_load = event["event"] == "fatal" and watcher.stage == "load"
        if failed_to_load and self._use_fresh_models(described(event.get("error"))):
            watcher, event = self._launch(strategy)
        if event["event"] == "fatal":
            raise self._lost(described(event.get("error")))
        for name, seconds in event.get("seconds", {}).items():
            self.seconds[name] = round(self.seconds.get(name, 0.0) + seconds, 2)
        self._memory = {}
        return watcher

    def _crashed_again(self, error: StalledError | DiedError) -> bool:
        """Say whether loading models has ended a process for the second time: the first may be the machine's fault.

        A process that was killed is the machine's fault: other models would need as much memory.
        """
        if error.stage != "load" or (isinstance(error, DiedError) and error.killed_with is not None):
            return False
        self._load_crashes += 1
        return self._load_crashes > 1

    def _use_fresh_models(self, detail: Text) -> bool:
        """Download the models again and load those from now on; returns False where that is impossible or was tried."""
        if self._models is not None:
            return False
        self._models = self.setup.fresh_cache()
        if self._models is not None:
            self.incidents.append(message("models-again", path=self._models, detail=detail))
        return self._models is not None

    def _launch(self, strategy: Strategy) -> tuple[Watcher, Event]:
        """Start a worker; return it with the event that ended its start. One that failed is ended."""
        if self.closed:
            raise DoctorError(message("interrupted"))
        setup = self.setup
        watcher = Watcher(
            start(setup, strategy, self._models),
            self.samples,
            self.started,
            self.on_stage,
            setup.gpu if strategy.device.startswith("gpu") else lambda _pids: None,
            {**limits_for(strategy.device, setup.stall), **setup.limits},
            worker=setup.folder.name,
            device=self.label or setup.device,
        )
        event = watcher.wait()
        if event["event"] == "fatal":
            watcher.close()
        elif event["event"] != "ready":
            watcher.kill()
            raise StrangeError(watcher.stage, event)
        return watcher, event

    def _failed(self, error: Exception, task: Task, strategy: Strategy) -> Failure:
        """Record one of FAULTS as an incident, end what is left of the worker, and return the failure."""
        failure = failure_of(error)
        if failure.kind != "raised" or "worker" in str(failure.detail):
            self._kill()
        if failure.stage == "pictures":
            self._layout_pictures = False
        if self.closed:  # the run has ended, and with it the worker: that is no incident
            return failure
        rung = message(f"rung-{strategy.name}")
        incident = message("page-incident", page=task.index + 1, rung=rung, detail=failure.detail)
        name = f"{task.folder.parent.stem}-{task.folder.name}-{strategy.name}"
        path = save_incident(self.setup.incident_folder, name, stderr_or_stacks(error))
        self.incidents.append(message("incident-kept", incident=incident, path=path) if path else incident)
        return failure

    def _stop(self) -> None:
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None

    def _kill(self) -> None:
        if self._watcher is not None:
            self._watcher.kill()
            self._watcher = None


def _fit_batch(tasks: Sequence[Task]) -> tuple[Task, ...]:
    """Return the first pages, as many as the pipeline can decode at once; raises PageFailedError of the first one."""
    batch: list[Task] = []
    pixels = 0.0
    for task in tasks:
        try:
            picture = task.render(1.0)
        except PageFailedError:
            if not batch:
                raise
            break
        pixels += picture.width * picture.height * picture.share**2
        if batch and pixels > _MAX_PIXELS:
            break
        batch.append(task)
    return tuple(batch)
