"""Watches a worker: limits the time of each stage, samples the memory, and detects a stalled worker early.

A worker that computes for a long time (PaddleOCR-VL on a CPU needs minutes per page) and a worker that hangs differ
only in their processor time. Hence there are two limits: one without processor use, and a much longer one with it.
"""

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
"""A worker that uses a smaller share of one core is idle. Polling a queue twice a second uses less."""
_MIN_BUSY_GPU_PERCENT = 5
"""A GPU with a lower utilization is idle; a desktop environment uses less."""

GpuProbe = Callable[[Collection[int]], "tuple[int, int] | None"]
"""Returns the MiB in use on a GPU, and its utilization in percent by the given processes; None if unknown."""


@dataclass(frozen=True)
class Limits:
    """Limits of a stage in seconds: in total (`busy`), and without processor use (`idle`)."""

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
"""The limits by stage. `load` may download 2 GB over a slow network; a GPU that computes keeps one core busy."""
_GPU_READ_SECONDS = 600
"""Limit for a page on a GPU, or for a batch with all results at once. A hanging decoder also keeps a core busy
(failures.md: gpu-decode-hang). On a CPU a page may take an hour, hence the longer limit there."""


def limits_for(device: str, stall: float | None = None) -> dict[str, Limits]:
    """Return the limits by stage on a device; `stall` replaces the idle limits."""
    by_stage = dict(LIMITS)
    if device.startswith("gpu"):
        by_stage["read"] = replace(LIMITS["read"], busy=_GPU_READ_SECONDS)
    if stall is not None:
        by_stage = {stage: replace(limits, idle=stall) for stage, limits in by_stage.items()}
    return by_stage


class StalledError(Exception):
    """A worker made no progress within a limit; `idle` is whether it was the idle limit. `stacks` are its threads."""

    def __init__(self, stage: str, waited: float, stacks: str, *, idle: bool) -> None:
        super().__init__(f"{stage}: no progress for {waited:.0f} s")
        self.stage, self.waited, self.stacks, self.idle = stage, waited, stacks, idle


class DiedError(Exception):
    """A worker ended during a request. `stderr` is the end of its stderr.

    `killed_with` is the MiB of its last sample if another process killed it, as the system does when memory runs out.
    """

    def __init__(self, stage: str, returncode: int, stderr: str, killed_with: int | None = None) -> None:
        super().__init__(f"{stage}: ended with {returncode}")
        self.stage, self.returncode, self.stderr, self.killed_with = stage, returncode, stderr, killed_with


@dataclass
class Watcher:
    """Waits for the events of one worker, and enforces its limits."""

    child: JsonLinesProcess
    samples: list[Sample]
    """The memory samples, shared by the workers of one run."""
    started: float
    """`time.monotonic()` at the start of the run."""
    on_stage: Callable[[str], None] = lambda _stage: None
    gpu: GpuProbe = lambda _pids: None
    limits: Mapping[str, Limits] = field(default_factory=lambda: LIMITS)
    worker: str = ""
    """The name of the worker in the samples; `device` is the name of its GPU."""
    device: str = ""
    stage: str = "start"
    _stage_started: float = field(default_factory=time.monotonic)
    _last_busy: float = field(default_factory=time.monotonic)
    _cpu: float = 0.0
    _last_sample: float = 0.0
    _rss_mb: int = 0

    def wait(self) -> Event:
        """Return the next event other than `stage`; raises StalledError and DiedError after the end of the child."""
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
            limits = self.limits.get(self.stage, LIMITS["read"])
            busy, idle = now - self._stage_started, now - self._last_busy
            if busy > limits.busy or idle > limits.idle:
                stacks = self.child.dump_stacks()
                self.kill()
                is_idle = idle > limits.idle
                raise StalledError(self.stage, idle if is_idle else busy, stacks, idle=is_idle)
        return event

    def close(self) -> None:
        """End the worker; see JsonLinesProcess.close."""
        self.child.close()
        self._add_end_sample()

    def kill(self) -> None:
        """Kill the worker."""
        self.child.kill()
        self._add_end_sample()

    def _reset_timers(self) -> None:
        self._stage_started = self._last_busy = time.monotonic()

    def _sample(self, now: float) -> None:
        """Sample the memory, and check whether the worker used the processor or the GPU since the last sample."""
        processes = self.child.processes()
        rss, cpu = usage(processes)
        gpu = self.gpu({process.pid for process in processes})
        elapsed = now - self._last_sample if self._last_sample else _SAMPLE_SECONDS
        if cpu - self._cpu > _MIN_BUSY_CORE_SHARE * elapsed or (
            gpu is not None and gpu[1] > _MIN_BUSY_GPU_PERCENT
        ):
            self._last_busy = now
        self._cpu, self._last_sample, self._rss_mb = cpu, now, rss >> 20
        self._add_sample(now, self._rss_mb, gpu[0] if gpu else None)

    def _add_end_sample(self) -> None:
        """Add a sample of 0 MiB for a worker that has ended."""
        self._add_sample(time.monotonic(), 0, None)

    def _add_sample(self, now: float, rss_mb: int, vram_mb: int | None) -> None:
        seconds = round(now - self.started, 1)
        self.samples.append(Sample(seconds, rss_mb, vram_mb, self.worker, self.device))


def usage(processes: list[psutil.Process]) -> tuple[int, float]:
    """Return the resident bytes and the processor seconds of processes; processes that have ended do not count."""
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
"""Minimum number of pages before growth counts: caches fill during the first pages."""
_GROWTH_FACTOR, _MIN_GROWTH_MB = 1.5, 1024


def is_leaking(mb: Sequence[int]) -> bool:
    """Return whether the memory (MiB after each page) has permanently grown by half and by a gigabyte.

    The minimum of the last pages is compared with the maximum of early pages, so that one large page does not count.
    """
    if len(mb) < _MIN_PAGES:
        return False
    early, late = max(mb[2:6]), min(mb[-4:])
    return late > early * _GROWTH_FACTOR and late - early > _MIN_GROWTH_MB


def sum_by_time(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    """Return the total memory of all workers at the time of each sample: RSS by worker, GPU memory by device.

    A worker that has ended has a last sample of 0 MiB.
    """
    rss: dict[str, int] = {}
    vram: dict[str, int] = {}
    totals = []
    for sample in sorted(samples, key=lambda sample: sample.seconds):
        rss[sample.worker] = sample.rss_mb
        vram.pop(sample.device, None)
        if sample.vram_mb is not None:
            vram[sample.device] = sample.vram_mb
        totals.append(Sample(sample.seconds, sum(rss.values()), sum(vram.values()) if vram else None))
    return tuple(totals)


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the slope of the least-squares line through points (seconds, MiB), in MiB per second; 0 for one point."""
    if not points:
        return 0.0
    x_mean = sum(x for x, _ in points) / len(points)
    y_mean = sum(y for _, y in points) / len(points)
    spread = sum((x - x_mean) ** 2 for x, _ in points)
    return sum((x - x_mean) * (y - y_mean) for x, y in points) / spread if spread else 0.0
