"""Reads with a PaddleOCR pipeline in the target's Python; the worker process is watched, and restarted if it fails."""

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
    ATTEMPT_ERRORS,
    RaisedError,
    UnexpectedReplyError,
    describe_error,
    diagnostics_of,
    expect,
    failure_of,
    save_incident,
)
from paddlevl_doctor.parsing.engines.fallbacks import (
    Failure,
    FallbackCache,
    FallbackState,
    Strategy,
    next_strategy,
    strategies_for,
)
from paddlevl_doctor.parsing.engines.native_setup import NativeSetup, start_worker
from paddlevl_doctor.parsing.input.page_source import Picture
from paddlevl_doctor.parsing.output.run_report_model import Sample
from paddlevl_doctor.parsing.run.page_store import PageRead
from paddlevl_doctor.parsing.workers.json_lines_process import Event
from paddlevl_doctor.parsing.workers.watchdog import (
    DiedError,
    StalledError,
    Watcher,
    is_leaking,
    limits_for,
    usage,
)
from paddlevl_doctor.values.errors import DoctorError
from paddlevl_doctor.values.pages import Block, Page

FIRST_BATCH = 2
"""Pages in the first call, before the speed is known."""
_MAX_BATCH = 32
"""The pages of a call are in memory together: 500 pages needed up to 1.1 GiB in calls of 64, 1.0 GiB in calls of 32."""
_MAX_SILENCE = 20.0
"""Desired limit of the time between two results: this much work is repeated when the worker is killed."""
_ALL_AT_ONCE_RATIO = 0.9
"""If the longest wait is at least this share of the time of a call, the call returns its results all at once."""
_MAX_BATCH_PIXELS = 200_000_000
"""Limit of all pages of a call together: the pipeline decodes them at once."""
_MAX_CONSECUTIVE_FAILURES = 3
"""The engine is lost after this many consecutive pages that no strategy could read, which takes many minutes."""
_MAX_QUOTED_CHARS = 120


def next_batch(limit: int, pages: int, seconds: float, longest_wait: float) -> int:
    """Return the maximum number of pages of the next call, after a call of `pages` with the maximum `limit`.

    A large call saves fixed overhead, but killing it loses its unfinished pages. `seconds` is the time of the call,
    `longest_wait` the longest wait for a page in it. PaddleX detects the layout of eight pages at a time and returns
    their results together (paddlex 3.3.0 to 3.7.2, batch_size of LayoutDetection); with a server, or without queues, it
    returns all results at once. A call with one page, which may be blank, says little about the speed.
    """
    at_once = longest_wait >= _ALL_AT_ONCE_RATIO * seconds
    wanted = int(_MAX_SILENCE * pages / max(seconds if at_once else longest_wait, 0.001))
    if longest_wait <= _MAX_SILENCE:
        wanted = max(limit, wanted if at_once else max(wanted, 2 * pages))
    return max(1, min(wanted, _MAX_BATCH if pages > 1 else max(FIRST_BATCH, limit)))


@dataclass
class NativeEngine:
    """Reads with one worker on one device; a worker that died or stalled is replaced."""

    setup: NativeSetup
    samples: list[Sample]
    incidents: list[Text]
    started: float = field(default_factory=time.monotonic)
    on_stage: Callable[[str], None] = lambda _stage: None
    label: str = ""
    """The name of the device in the report; in the worker, which sees no other device, it may have another name."""
    cache: FallbackCache | None = None
    """Stores the successful strategy for the next run."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Seconds of the start of the workers, by stage."""
    closed: bool = False
    lost: bool = False
    batch: int = FIRST_BATCH
    _fallback: FallbackState = field(init=False)
    _watcher: Watcher | None = None
    _strategy: Strategy | None = None
    """The strategy that the worker was started for."""
    _layout_pictures: bool = True
    _fresh_models: Path | None = None
    """The model cache to use instead of one whose models could not be loaded."""
    _load_crashes: int = 0
    _memory_mb: dict[str, list[int]] = field(default_factory=dict)
    """MiB after each page of the current worker, by the message id about their growth: RSS, and reserved GPU memory."""
    _consecutive_failures: int = 0

    def __post_init__(self) -> None:
        """Load the stored fallback strategy."""
        strategies = self.setup.strategies or strategies_for(self.setup.device, self.setup.pipeline)
        self._fallback = FallbackState(strategies, self.cache)
        if self._fallback.remembered:
            self.incidents.append(
                message("rung-remembered", rung=message(f"rung-{self._fallback.remembered}"))
            )

    def read_batch(self, tasks: Sequence[Task]) -> Iterator[PageRead | Text]:
        """Yield pages, read in few calls of the pipeline; the page at which a call fails is read in a separate call.

        Raises DoctorError if the engine is lost.
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
                pass  # the first page cannot be rendered: _read_alone returns the reason
            except ATTEMPT_ERRORS as error:
                failures = (self._record_failure(error, left[0], self._fallback.strategies[step]),)
            if left:
                yield self._read_alone(left.pop(0), failures)

    def _read_first(self, tasks: Sequence[Task], step: int) -> Iterator[PageRead]:
        """Yield the first pages, read in one call; raises PageFailedError and ATTEMPT_ERRORS."""
        strategy = self._fallback.strategies[step]
        self._ensure_worker(strategy)  # it loads its models while pages are rendered
        pages = _fit_batch(tasks) if strategy.scale == 1 else (tasks[0],)
        yield from self._read_pages(pages, strategy)
        self._record_success(step, len(pages))

    def _read_alone(self, task: Task, failures: tuple[Failure, ...]) -> PageRead | Text:
        """Return one page or the reason of its failure; tries the strategies after those of `failures`.

        Raises DoctorError if the engine is lost.
        """
        strategies, first = self._fallback.strategies, self._fallback.step
        step = next_strategy(failures, first, strategies) if failures else first
        while step is not None:
            try:
                (page,) = self._read_pages((task,), strategies[step])
            except PageFailedError as error:
                return error.message
            except ATTEMPT_ERRORS as error:
                failures = (*failures, self._record_failure(error, task, strategies[step]))
                step = next_strategy(failures, step, strategies)
                continue
            self._record_success(step)
            return page
        self._consecutive_failures = self._consecutive_failures + 1 if failures[-1].kind != "raised" else 0
        never_ready = all(failure.stage in ("start", "import", "load") for failure in failures)
        if never_ready or self._consecutive_failures == _MAX_CONSECUTIVE_FAILURES:
            raise self._engine_error(failures[-1].detail)
        return message("page-failed", page=task.index + 1, detail=failures[-1].detail)

    def _engine_error(self, detail: Text) -> DoctorError:
        device = self.label or self.setup.device
        return DoctorError(message("native-failed", name=self.setup.pipeline, device=device, detail=detail))

    def _record_success(self, step: int, pages: int = 1) -> None:
        self._consecutive_failures = 0
        self._fallback.record_success(step, pages)

    def _read_pages(self, tasks: Sequence[Task], strategy: Strategy) -> Iterator[PageRead]:
        """Read pages in one call and yield each when it is read; raises PageFailedError and ATTEMPT_ERRORS."""
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
                page = self._page_from_event(event, task.index, picture, strategy)
            except (LookupError, AttributeError, TypeError, ValueError) as error:
                raise UnexpectedReplyError(watcher.stage, event) from error
            yield page
        longest = max(after - before for before, after in pairwise(times))
        self.batch = next_batch(self.batch, len(tasks), times[-1] - times[0], longest)

    def _page_from_event(self, event: Event, index: int, picture: Picture, strategy: Strategy) -> PageRead:
        """Return the page of a worker's event; boxes are scaled to pixels of the original page.

        Raises LookupError, AttributeError, TypeError or ValueError for an invalid event.
        """
        x_scale = picture.width / (event["width"] or picture.width)
        y_scale = picture.height / (event["height"] or picture.height)
        blocks = []
        for block in event["blocks"]:
            left, top, right, bottom = block["box"]
            box = (
                round(left * x_scale),
                round(top * y_scale),
                round(right * x_scale),
                round(bottom * y_scale),
            )
            blocks.append(Block(str(block["kind"]), str(block["text"] or ""), box))
        page = Page(index, picture.width, picture.height, tuple(blocks), float(event["seconds"]))
        notes = tuple(message("page-trouble", page=index + 1, detail=detail) for detail in event["troubles"])
        device = self.label if self.label and strategy.device == self.setup.device else strategy.device
        return PageRead(page, event["markdown"], device, strategy.name, event.get("vram_mb"), notes)

    def _disable_layout_pictures(self, event: Event, task: Task) -> None:
        """Stop requesting layout pictures if one failed, which happens when its font cannot be downloaded."""
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
        for message_id, mb in measured.items():
            self._memory_mb.setdefault(message_id, []).append(mb)

    def join(self, pages: Sequence[Mapping[str, Any]]) -> str | None:
        """Return the Markdown of all pages as the pipeline joins them; None if there is no worker, or if it fails.

        Call it between batches only, because a worker handles one request after the other.
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
        except (*ATTEMPT_ERRORS, LookupError):
            self._kill()
            return None

    def close(self) -> None:
        """End the worker, and start no other one."""
        self.closed = True
        self._stop()

    # --- the worker ---

    def _ensure_worker(self, strategy: Strategy) -> Watcher:
        """Return a worker for the strategy that has loaded its models; raises DoctorError and ATTEMPT_ERRORS."""
        # Replace a worker whose memory keeps growing.
        leak = next((message_id for message_id, mb in self._memory_mb.items() if is_leaking(mb)), None)
        if self._watcher is not None and leak is not None:
            mb = self._memory_mb[leak]
            self.incidents.append(message(leak, before=mb[0], now=mb[-1]))
            self._stop()
        if self._strategy is not None and not self._strategy.same_process(strategy):
            self._stop()
        if self._watcher is None:
            self._watcher, self._strategy = self._start_worker(strategy), strategy
        return self._watcher

    def _start_worker(self, strategy: Strategy) -> Watcher:
        """Return a worker that has loaded its models; raises DoctorError and ATTEMPT_ERRORS.

        Models that cannot be loaded are downloaded again, once.
        """
        try:
            watcher, event = self._launch(strategy)
        except (StalledError, DiedError) as error:
            if not self._crashed_again(error) or not self._use_fresh_models(failure_of(error).detail):
                raise
            watcher, event = self._launch(strategy)
        failed_to_load = event["event"] == "fatal" and watcher.stage == "load"
        if failed_to_load and self._use_fresh_models(describe_error(event.get("error"))):
            watcher, event = self._launch(strategy)
        if event["event"] == "fatal":
            raise self._engine_error(describe_error(event.get("error")))
        for name, seconds in event.get("seconds", {}).items():
            self.seconds[name] = round(self.seconds.get(name, 0.0) + seconds, 2)
        self._memory_mb = {}
        return watcher

    def _crashed_again(self, error: StalledError | DiedError) -> bool:
        """Return whether loading the models has crashed for the second time; one crash may be accidental.

        A killed process does not count, because fresh models would need as much memory.
        """
        if error.stage != "load" or (isinstance(error, DiedError) and error.killed_with is not None):
            return False
        self._load_crashes += 1
        return self._load_crashes > 1

    def _use_fresh_models(self, detail: Text) -> bool:
        """Switch to an empty model cache, into which the models are downloaded; returns False if there is none."""
        if self._fresh_models is not None:
            return False
        self._fresh_models = self.setup.fresh_cache()
        if self._fresh_models is not None:
            self.incidents.append(message("models-again", path=self._fresh_models, detail=detail))
        return self._fresh_models is not None

    def _launch(self, strategy: Strategy) -> tuple[Watcher, Event]:
        """Start a worker; returns it with the event `ready`, or `fatal` after its end."""
        if self.closed:
            raise DoctorError(message("interrupted"))
        setup = self.setup
        watcher = Watcher(
            start_worker(setup, strategy, self._fresh_models),
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
            raise UnexpectedReplyError(watcher.stage, event)
        return watcher, event

    def _record_failure(self, error: Exception, task: Task, strategy: Strategy) -> Failure:
        """Record one of ATTEMPT_ERRORS as an incident, kill an unusable worker, and return the failure."""
        failure = failure_of(error)
        if failure.kind != "raised" or "worker" in str(failure.detail):
            self._kill()
        if failure.stage == "pictures":
            self._layout_pictures = False
        if self.closed:  # the end of the run has ended the worker
            return failure
        strategy_name = message(f"rung-{strategy.name}")
        incident = message("page-incident", page=task.index + 1, rung=strategy_name, detail=failure.detail)
        name = f"{task.folder.parent.stem}-{task.folder.name}-{strategy.name}"
        path = save_incident(self.setup.incident_folder, name, diagnostics_of(error))
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
    """Return as many pages as the pipeline can decode at once; raises PageFailedError of the first page."""
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
        if batch and pixels > _MAX_BATCH_PIXELS:
            break
        batch.append(task)
    return tuple(batch)
