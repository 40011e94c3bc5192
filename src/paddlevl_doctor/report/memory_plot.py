"""Memory of the workers over a run as the geometry of an SVG plot. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from paddlevl_doctor.parsing.growth import slope
from paddlevl_doctor.parsing.story import Sample

WIDE, HIGH = 640, 200
"""Of the plot without its labels, in its own units."""
_TICKS = 5
_LOADED = 1 / 3
"""Share of the run after which the models are loaded, and memory should stay as it is."""

Point = tuple[float, float]
"""Seconds since the start of the run, and MiB."""


@dataclass(frozen=True)
class Line:
    """One kind of memory: its SVG points, the highest value in MiB, and the trend once the models were loaded."""

    points: str
    most_mb: int
    trend: str
    """Both ends of the straight line of least squares, as SVG points."""
    rise: str
    """The slope of that line in MiB a minute, with its sign."""


@dataclass(frozen=True)
class Plot:
    """Both kinds of memory, and the ticks of the axes: where they are, and what stands there."""

    rss: Line
    vram: Line | None
    across: tuple[tuple[float, str], ...]
    up: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class _Scale:
    """What the right end and the top of the plot stand for."""

    seconds: float
    mb: float

    def at(self, point: Point) -> str:
        return f"{point[0] / self.seconds * WIDE:.1f},{HIGH - point[1] / self.mb * HIGH:.1f}"


def plot_of(samples: Sequence[Sample]) -> Plot | None:
    """Return the plot of the samples; None where there are too few of them for a line."""
    ordered = sorted(samples, key=lambda sample: sample.seconds)
    rss = [(sample.seconds, float(sample.rss_mb)) for sample in ordered]
    vram = [(sample.seconds, float(sample.vram_mb)) for sample in ordered if sample.vram_mb is not None]
    if len(rss) < 2:  # noqa: PLR2004 - a point is no line
        return None
    end, most = max(rss[-1][0], 0.1), max(1.0, *(mb for _, mb in (*rss, *vram)))
    step = _step(most)
    scale = _Scale(end, math.ceil(most / step) * step)
    return Plot(
        rss=_line(rss, scale),
        vram=_line(vram, scale) if len(vram) > 1 else None,
        across=tuple((value / end * WIDE, label) for value, label in _ticks(end, _step(end))),
        up=tuple((HIGH - value / scale.mb * HIGH, label) for value, label in _ticks(scale.mb, step)),
    )


def _line(points: Sequence[Point], scale: _Scale) -> Line:
    later = [point for point in points if point[0] >= scale.seconds * _LOADED]
    rise = slope(later)
    return Line(
        points=" ".join(map(scale.at, _thinned(points))),
        most_mb=round(max(mb for _, mb in points)),
        trend=_trend(later, rise, scale),
        rise=f"{rise * 60:+.1f}",
    )


def _trend(points: Sequence[Point], rise: float, scale: _Scale) -> str:
    if len(points) < 2:  # noqa: PLR2004 - as above
        return ""
    x_mean = sum(x for x, _ in points) / len(points)
    y_mean = sum(y for _, y in points) / len(points)
    ends = (points[0][0], points[-1][0])
    return " ".join(scale.at((x, y_mean + rise * (x - x_mean))) for x in ends)


def _thinned(points: Sequence[Point]) -> list[Point]:
    """Return at most a point for each unit of width, the highest of those that share one: peaks stay."""
    together = -(-len(points) // WIDE)
    return [
        max(points[start : start + together], key=lambda point: point[1])
        for start in range(0, len(points), together)
    ]


def _ticks(end: float, step: float) -> list[tuple[float, str]]:
    return [(n * step, f"{n * step:,g}") for n in range(int(end / step + 1e-9) + 1)]


def _step(end: float) -> float:
    """Return 1, 2 or 5 times a power of ten, so that at most `_TICKS` steps reach the end."""
    power = 10.0 ** math.floor(math.log10(end / _TICKS))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power * _TICKS >= end)
