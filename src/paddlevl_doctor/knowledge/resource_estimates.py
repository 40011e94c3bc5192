"""Estimates the peak GPU memory of PaddleOCR-VL (matrix/memory.toml) and download sizes (matrix/downloads.toml).

The memory estimate is based on one measured run (PaddlePaddle/PaddleOCR#17349) and on the allocations in paddlex's
code. `check` loads this module only on machines with a GPU.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.knowledge.catalogue import Pipeline, load_models, load_pipelines
from paddlevl_doctor.knowledge.tables import Fact, load_rows, numbers
from paddlevl_doctor.knowledge.version_sets import VersionSet
from paddlevl_doctor.values.facts import Host

SMALLEST_PIXELS = 112_896
"""The pipelines enlarge a smaller image to this (paddlex 3.4.0 to 3.7.2, default_min_pixels)."""
_MIB = 20
_STEP = 28 * 28
"""Both sides of an image become multiples of 28 pixels (processors/paddleocr_vl/_siglip.py)."""


@dataclass(frozen=True, kw_only=True)
class Vision(Fact):
    """The allocations of the vision part of the model."""

    heads: int
    patch_pixels: int
    """The pixels of one patch, which is one position of the attention."""
    score_bytes: int
    """The bytes that are allocated for one attention score at the peak."""
    block_rows: int
    """The rows of the attention matrix that the patch vision-attention-chunks computes at a time."""
    rest_mb: int
    """Memory for CUDA, the layout model, the language model's cache, and the second copy of the weights at loading."""


@dataclass(frozen=True, kw_only=True)
class Dtype(Fact):
    """A dtype, the compute capability from which on paddlex chooses it, and the size of the weights in it."""

    name: str
    compute_capability: str
    weights_mb: int


@dataclass(frozen=True, kw_only=True)
class Fused(Fact):
    """The systems and the minimum compute capability for fused attention, from one paddlex version on."""

    paddlex: str
    systems: tuple[str, ...]
    compute_capability: str


@dataclass(frozen=True, kw_only=True)
class Pixels(Fact):
    """The largest image that a pipeline passes to the model, from one paddlex version on."""

    pipeline: str
    """The value of PaddleOCRVL's pipeline_version."""
    paddlex: str
    pixels: int


@dataclass(frozen=True)
class Estimate:
    """The peak in MiB on one GPU model, and the values that it was computed from."""

    peak_mb: int
    pixels: int
    dtype: str
    """bfloat16 or float32."""
    attention: str
    """eager (the whole matrix is built), in-blocks (eager with the patch vision-attention-chunks) or fused."""


def peak_vram_mb(pixels: int, dtype: str, attention: str) -> int:
    """Return the estimated peak in MiB for an image of `pixels` pixels; with fused attention it is constant.

    `dtype` is bfloat16 or float32, `attention` as in `Estimate`. Raises StopIteration for another dtype.
    """
    (vision,) = load_rows("memory", "vision", Vision)
    weights = next(row.weights_mb for row in _dtypes() if row.name == dtype)
    if attention == "fused":
        return weights + vision.rest_mb
    positions = pixels // vision.patch_pixels
    rows = min(positions, vision.block_rows) if attention == "in-blocks" else positions
    return weights + vision.rest_mb + (vision.heads * rows * positions * vision.score_bytes >> _MIB)


def in_blocks(need: Estimate) -> Estimate:
    """Return the estimate with the patch vision-attention-chunks, which changes only eager attention."""
    if need.attention != "eager":
        return need
    peak = peak_vram_mb(need.pixels, need.dtype, "in-blocks")
    return replace(need, peak_mb=peak, attention="in-blocks")


def estimate(system: str, compute_capability: str, paddlex: str, pipeline: str | None = None) -> Estimate:
    """Return the peak for the largest image that the pipeline passes to the model.

    `system` is linux (also for WSL) or windows; `pipeline` is v1, v1.5 or v1.6, None for the newest of this paddlex,
    which is PaddleOCRVL's default.
    """
    capability = numbers(compute_capability)
    dtype = next(row.name for row in _dtypes() if capability >= numbers(row.compute_capability))
    attention = _attention(system, capability, numbers(paddlex), dtype)
    pixels = default_pixels(paddlex, pipeline)
    return Estimate(peak_vram_mb(pixels, dtype, attention), pixels, dtype, attention)


def default_pixels(paddlex: str, pipeline: str | None = None) -> int:
    """Return the default limit of a pipeline (None: the newest) for the image size, in pixels.

    For a pipeline that this paddlex does not have, the limit of its newest pipeline is returned.
    """
    rows = [row for row in _pixels() if numbers(row.paddlex) <= numbers(paddlex)] or [_pixels()[0]]
    named = [row for row in rows if row.pipeline == pipeline]
    return (named or rows)[-1].pixels


def fitting_pixels(memory_mb: int, need: Estimate) -> int:
    """Return the largest image in pixels that fits into `memory_mb`, as a multiple of the model's step.

    The result is at least SMALLEST_PIXELS, even if that does not fit, and at most `need.pixels`.
    """
    (vision,) = load_rows("memory", "vision", Vision)
    weights = next(row.weights_mb for row in _dtypes() if row.name == need.dtype)
    room = max(0, memory_mb - weights - vision.rest_mb) << _MIB
    positions = math.isqrt(room // (vision.heads * vision.score_bytes))
    fitting = positions * vision.patch_pixels // _STEP * _STEP
    return max(SMALLEST_PIXELS, min(fitting, need.pixels))


def _attention(system: str, capability: tuple[int, ...], paddlex: tuple[int, ...], dtype: str) -> str:
    """Return the attention that paddlex uses: eager or fused, as the condition in its class SiglipAttention."""
    rows = [row for row in load_rows("memory", "fused", Fused) if numbers(row.paddlex) <= paddlex]
    if not rows or dtype == "float32" or system not in rows[-1].systems:
        return "eager"
    return "fused" if capability >= numbers(rows[-1].compute_capability) else "eager"


@functools.cache
def _dtypes() -> tuple[Dtype, ...]:
    return load_rows("memory", "dtype", Dtype)


@functools.cache
def _pixels() -> tuple[Pixels, ...]:
    return load_rows("memory", "pixels", Pixels)


_Row = TypeVar("_Row", bound=Fact)
_MB = 1_000_000


@dataclass(frozen=True, kw_only=True)
class PaddleSize(Fact):
    """The size of paddle's wheel."""

    tag: str
    system: str
    machine: str
    megabytes: int


@dataclass(frozen=True, kw_only=True)
class NvidiaSize(Fact):
    """The size of the NVIDIA wheels that one CUDA wheel requires."""

    tag: str
    system: str
    megabytes: int


@dataclass(frozen=True, kw_only=True)
class StackSize(Fact):
    """The size of the other packages of a set."""

    set: str
    system: str
    machine: str
    megabytes: int


@dataclass(frozen=True)
class Download:
    """The download sizes in MB (1,000,000 bytes); None for a part whose size is not known."""

    paddle_mb: int | None
    nvidia_mb: int | None
    """0 for a CPU wheel, which requires no NVIDIA packages."""
    stack_mb: int | None
    models_mb: int | None
    verified: str
    """The weakest verification of the parts: wheel, docs or unverified."""
    sources: tuple[str, ...]

    @property
    def total_mb(self) -> int:
        """The sum of the known sizes."""
        return sum(part or 0 for part in self._parts)

    @property
    def complete(self) -> bool:
        """Return whether every part is known."""
        return None not in self._parts

    @property
    def _parts(self) -> tuple[int | None, ...]:
        return (self.paddle_mb, self.nvidia_mb, self.stack_mb, self.models_mb)


def expected_download(host: Host, tag: str, version_set: VersionSet) -> Download:
    """Return the download sizes of a new environment of this set and of its models, with empty caches."""
    place = (host.system, host.machine)
    paddle = _first(
        row
        for row in load_rows("downloads", "paddle", PaddleSize)
        if (row.tag, row.system, row.machine) == (tag, *place)
    )
    nvidia = _first(
        row
        for row in load_rows("downloads", "nvidia", NvidiaSize)
        if (row.tag, row.system) == (tag, host.system)
    )
    stack = _first(
        row
        for row in load_rows("downloads", "stack", StackSize)
        if (row.set, row.system, row.machine) == (version_set.name, *place)
    )
    rows: list[PaddleSize | NvidiaSize | StackSize] = [row for row in (paddle, nvidia, stack) if row]
    return Download(
        paddle.megabytes if paddle else None,
        0 if tag == "cpu" else nvidia.megabytes if nvidia else None,
        stack.megabytes if stack else None,
        _models_mb(version_set.paddlex),
        max((row.verified for row in rows), key=("wheel", "docs", "unverified").index, default="unverified"),
        tuple(dict.fromkeys(row.source for row in rows)),
    )


def smallest_wheel(tag: str) -> int:
    """Return the bytes of the smallest of paddle's wheels for an index tag (cpu, cu126 …), over all systems."""
    return min(row.megabytes for row in load_rows("downloads", "paddle", PaddleSize) if row.tag == tag) * _MB


def _first(rows: Iterable[_Row]) -> _Row | None:
    return next(iter(rows), None)


def newest_pipeline(paddlex: str) -> Pipeline:
    """Return the default pipeline of PaddleOCRVL with this paddlex."""
    rows = [p for p in load_pipelines() if p.version and numbers(p.since) <= numbers(paddlex)]
    return rows[-1]


def _models_mb(paddlex: str) -> int | None:
    pipeline = newest_pipeline(paddlex)
    sizes = {model.name: model.bytes for model in load_models()}
    parts = [sizes.get(name or "") for name in (pipeline.layout_model, pipeline.language_model)]
    known = [part for part in parts if part is not None]
    return round(sum(known) / _MB) if len(known) == len(parts) else None
