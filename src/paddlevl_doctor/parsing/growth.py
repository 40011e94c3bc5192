"""The memory of workers: does that of one keep rising, and how much is it of all together? Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from paddlevl_doctor.parsing.story import Sample

_FEWEST = 10
"""Pages before anything is said: caches and kernels fill during the first ones."""
_SHARE, _LEAST_MB = 1.5, 1024


def keeps_rising(mb: Sequence[int]) -> bool:
    """Say whether memory (MiB after each page) grew by half and by a gigabyte since the first pages, for good.

    The lowest of the last pages is compared with the highest of the early ones, so that one large page is no growth.
    """
    if len(mb) < _FEWEST:
        return False
    early, late = max(mb[2:6]), min(mb[-4:])
    return late > early * _SHARE and late - early > _LEAST_MB


def summed(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    """Return what all workers together had at the moment of each sample: RSS by worker, GPU memory by device.

    A worker that has ended says so with a last sample of 0 MiB.
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
