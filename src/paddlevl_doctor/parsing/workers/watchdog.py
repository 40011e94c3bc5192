"""Watches a worker: every stage has a time limit, memory is sampled, and a worker that stalled is found early.

A worker that computes for long (PaddleOCR-VL on a CPU needs minutes a page) and one that waits for ever differ only in
the processor time that they use. So there are two limits: one without any use of the processor, and a much longer one
with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import psutil

from paddlevl_doctor.parsing.output.run_report_model import Sample
from paddlevl_doctor.parsing.workers.json_lines_process import ChildEndedError, Event, JsonLinesProcess

_POLL_SECONDS = 0.25
_SAMPLE_SECONDS = 1.0
_MIN_BUSY_CORE_SHARE = 0.02
"""Of one core: a worker that uses less is idle. A thread that polls a queue twice a second uses less."""
_MIN_BUSY_GPU_PERCENT = 5
"""Of the GPU: a desktop uses less of it."""

GpuProbe = Callable[[Collection[int]], "tuple[int, int] | None"]
"""Returns MiB in use on a GPU, and for how many percent of the time some processes keep it busy; None if unknown."""


@dataclass(frozen=True)
class Limits:
    """Seconds: until a stage ends (`busy`), and without any use of the processor (`idle`)."""

    busy: float
    idle: float


LIMITS = {
    "start": Limits(60, 60),
    "import": Limits(300, 120),
    "load": Limits(3600, 300),
    "read": Limits(3600, 90),
    "pictures": Limits(120, 30),
    "join": Limits(300, 60),
}
"""By stage. `load` may download 2 GB, in which a slow network may pause; a GPU that computes keeps one core busy."""
_GPU_READ_SECONDS = 600
"""Seconds for a page there, or for a batch that ends all at once. A decoder that hangs keeps a core as busy as one that
reads (failures.md: gpu-decode-hang), and a processor may need an hour for a page."""


def limits_for(device: str, stall: float | None = None) -> dict[str, Limits]:
    """Return the limits by stage on a device; `stall` takes the place of those without any use of the processor."""
    found = dict(LIMITS)
    if device.startswith("gpu"):
        found["read"] = replace(found["read"], busy=_GPU_READ_SECONDS)
    return found if stall is None else {name: replace(limits, idle=stall) for name, limits in found.items()}


class StalledError(Exception):
    """A worker that made no progress within a limit. `stacks` has the stacks of its threads."""

    def __init__(self, stage: str, waited: float, stacks: str, *, idle: bool) -> None:
        super().__init__(f"{stage}: no progress for {waited:.0f} s")
        self.stage, self.waited, self.stacks, self.idle = stage, waited, stacks, idle


class DiedError(Exception):
    """A worker that ended during a request. `stderr` is the end of what it wrote there.

    `killed_with` is set where another process killed it, as the system does where memory runs out: the MiB of its last
    sample.
    """

    def __init__(self, stage: str, returncode: int, stderr: str, killed_with: int | None = None) -> None:
        super().__init__(f"{stage}: ended with {returncode}")
        self.stage, self.returncode, self.stderr, self.killed_with = stage, returncode, stderr, killed_with


@dataclass
class Watcher:
    """Waits for the answers of one worker."""

    child: JsonLinesProcess
    samples: list[Sample]
    """Where the samples go; shared by the workers of one run."""
    started: float
    """`time.monotonic()` at the start of the run."""
    on_stage: Callable[[str], None] = lambda _stage: None
    gpu: GpuProbe = lambda _pids: None
    limits: Mapping[str, Limits] = field(default_factory=lambda: LIMITS)
    worker: str = ""
    """The name of this worker in the samples, as `device` is that of its GPU."""
    device: str = ""
    stage: str = "start"
    _stage_started: float = field(default_factory=time.monotonic)
    _last_busy: float = field(default_factory=time.monotonic)
    _cpu: float = 0.0
    _last_sample: float = 0.0
    _rss_mb: int = 0

    def wait(self) -> Event:
        """Return the next event that is no stage; raises StalledError and DiedError, after the child was ended."""
        self._reset_timers()
        while True:
            event = self._poll()
            if event is None:
                continue
            self._reset_timers()
            if event["event"] != "stage":
                return event
            self.stage = str(event.get("stage"))
            self.on_stage(self.stage)

    def _poll(self) -> Event | None:
        try:
            event = self.child.next_event(_POLL_SECONDS)
        except ChildEndedError as error:
            self._add_end_sample()
            killed_with = self._rss_mb if error.killed else None
            raise DiedError(self.stage, error.returncode, self.child.stderr_tail(), killed_with) from error
        now = time.monotonic()
        if now - self._last_sample >= _SAMPLE_SECONDS:
            self._sample(now)
        if event is None:
            self._check_limits(now)
        return event

    def close(self) -> None:
        """Let the worker end, or end it."""
        self.child.close()
        self._add_end_sample()

    def kill(self) -> None:
        """End the worker at once."""
        self.child.kill()
        self._add_end_sample()

    def _reset_timers(self) -> None:
        self._stage_started = self._last_busy = time.monotonic()

    def _check_limits(self, now: float) -> None:
        """End a worker that is beyond a limit."""
        limits = self.limits.get(self.stage, LIMITS["read"])
        busy, idle = now - self._stage_started, now - self._last_busy
        if busy > limits.busy or idle > limits.idle:
            stacks = self.child.dump_stacks()
            self.kill()
            is_idle = idle > limits.idle
            raise StalledError(self.stage, idle if is_idle else busy, stacks, idle=is_idle)

    def _sample(self, now: float) -> None:
        """Note the memory, and whether processor or GPU were used since the last sample."""
        processes = self.child.processes()
        rss, cpu = usage(processes)
        gpu = self.gpu({process.pid for process in processes})
        span = now - self._last_sample if self._last_sample else _SAMPLE_SECONDS
        if cpu - self._cpu > _MIN_BUSY_CORE_SHARE * span or (
            gpu is not None and gpu[1] > _MIN_BUSY_GPU_PERCENT
        ):
            self._last_busy = now
        self._cpu, self._last_sample, self._rss_mb = cpu, now, rss >> 20
        self._add_sample(now, self._rss_mb, gpu[0] if gpu else None)

    def _add_end_sample(self) -> None:
        """Note that it uses no memory any more."""
        self._add_sample(time.monotonic(), 0, None)

    def _add_sample(self, now: float, rss_mb: int, vram_mb: int | None) -> None:
        seconds = round(now - self.started, 1)
        self.samples.append(Sample(seconds, rss_mb, vram_mb, self.worker, self.device))


def usage(processes: list[psutil.Process]) -> tuple[int, float]:
    """Return resident bytes and processor seconds of some processes; those that have ended do not count."""
    rss, cpu = 0, 0.0
    for process in processes:
        try:
            with process.oneshot():
                rss += process.memory_info().rss
                times = process.cpu_times()
        except psutil.Error:
            continue
        cpu += times.user + times.system
    return rss, cpu


_MIN_PAGES = 10
"""Pages before growth counts: caches and kernels fill during the first ones."""
_GROWTH_FACTOR, _MIN_GROWTH_MB = 1.5, 1024


def is_leaking(mb: Sequence[int]) -> bool:
    """Say whether memory (MiB after each page) grew by half and by a gigabyte since the first pages, for good.

    The lowest of the last pages is compared with the highest of the early ones, so that one large page is no growth.
    """
    if len(mb) < _MIN_PAGES:
        return False
    early, late = max(mb[2:6]), min(mb[-4:])
    return late > early * _GROWTH_FACTOR and late - early > _MIN_GROWTH_MB


def sum_by_time(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    """Return what all workers together had at the moment of each sample: RSS by worker, GPU memory by device.

    The last sample of a worker that has ended is 0 MiB.
    """
    rss: dict[str, int] = {}
    vram: dict[str, int] = {}
    found = []
    for sample in sorted(samples, key=lambda sample: sample.seconds):
        rss[sample.worker] = sample.rss_mb
        vram.pop(sample.device, None)
        if sample.vram_mb is not None:
            vram[sample.device] = sample.vram_mb
        found.append(Sample(sample.seconds, sum(rss.values()), sum(vram.values()) if vram else None))
    return tuple(found)


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the slope of the line of least squares through (seconds, MiB), in MiB per second; 0 for a point."""
    if not points:
        return 0.0
    x_mean = sum(x for x, _ in points) / len(points)
    y_mean = sum(y for _, y in points) / len(points)
    spread = sum((x - x_mean) ** 2 for x, _ in points)
    return sum((x - x_mean) * (y - y_mean) for x, y in points) / spread if spread else 0.0
