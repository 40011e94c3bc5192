"""How much GPU memory PaddleOCR-VL takes at its peak: an estimate from matrix/memory.toml.

One run was measured (PaddlePaddle/PaddleOCR#17349); the rest follows from what the code of paddlex allocates.
Only machines with a GPU read the file, so that `check` on a CPU pays nothing for it."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

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
    """What the vision part of the model allocates."""

    heads: int
    patch_pixels: int
    """Pixels of one patch, which is one position of the attention."""
    score_bytes: int
    block_rows: int
    """Bytes that are held for one score at the peak."""
    rest_mb: int
    """CUDA itself, the layout model, the cache of the language model, the second copy of the weights at loading."""


@dataclass(frozen=True, kw_only=True)
class Dtype(Fact):
    """A dtype, the compute capability from which paddlex chooses it, and what the weights take in it."""

    name: str
    compute_capability: str
    weights_mb: int


@dataclass(frozen=True, kw_only=True)
class Fused(Fact):
    """From this paddlex on, fused attention is taken on these systems and from this compute capability on."""

    paddlex: str
    systems: tuple[str, ...]
    compute_capability: str


@dataclass(frozen=True, kw_only=True)
class Pixels(Fact):
    """The largest image that a pipeline gives to the model, from this paddlex on."""

    pipeline: str
    """What PaddleOCRVL takes as pipeline_version."""
    paddlex: str
    pixels: int


@dataclass(frozen=True)
class Estimate:
    """The peak in MiB on one kind of GPU, and what it was computed from."""

    peak_mb: int
    pixels: int
    dtype: str
    """bfloat16 or float32."""
    attention: str
    """eager (the whole matrix is built), in-blocks (eager with the patch vision-attention-chunks) or fused."""


def peak_vram_mb(pixels: int, dtype: str, attention: str) -> int:
    """Return the estimated peak in MiB for an image of `pixels` pixels; grows with `pixels` where eager.

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
    """Return the estimate with the patch vision-attention-chunks in place; fused attention stays what it is."""
    if need.attention != "eager":
        return need
    peak = peak_vram_mb(need.pixels, need.dtype, "in-blocks")
    return replace(need, peak_mb=peak, attention="in-blocks")


def estimate(system: str, compute_capability: str, paddlex: str, pipeline: str | None = None) -> Estimate:
    """Return the peak of reading the largest image that the pipeline lets through.

    `system` is linux (WSL too) or windows; `pipeline` is v1, v1.5 or v1.6, None for the newest that this
    paddlex has, which is what PaddleOCRVL takes unless told otherwise.
    """
    capability = numbers(compute_capability)
    dtype = next(row.name for row in _dtypes() if capability >= numbers(row.compute_capability))
    attention = _attention(system, capability, numbers(paddlex), dtype)
    pixels = default_pixels(paddlex, pipeline)
    return Estimate(peak_vram_mb(pixels, dtype, attention), pixels, dtype, attention)


def default_pixels(paddlex: str, pipeline: str | None = None) -> int:
    """Return the largest image in pixels that a pipeline (None: the newest) lets through by default.

    A pipeline that this paddlex does not have is judged as the newest that it has.
    """
    rows = [row for row in _pixels() if numbers(row.paddlex) <= numbers(paddlex)] or [_pixels()[0]]
    named = [row for row in rows if row.pipeline == pipeline]
    return (named or rows)[-1].pixels


def fitting_pixels(memory_mb: int, need: Estimate) -> int:
    """Return the largest image in pixels with which this much memory suffices, in steps that the model knows.

    Never less than `SMALLEST_PIXELS`, even where that does not fit either, and never more than `need` has.
    """
    (vision,) = load_rows("memory", "vision", Vision)
    weights = next(row.weights_mb for row in _dtypes() if row.name == need.dtype)
    room = max(0, memory_mb - weights - vision.rest_mb) << _MIB
    positions = math.isqrt(room // (vision.heads * vision.score_bytes))
    fitting = positions * vision.patch_pixels // _STEP * _STEP
    return max(SMALLEST_PIXELS, min(fitting, need.pixels))


def _attention(system: str, capability: tuple[int, ...], paddlex: tuple[int, ...], dtype: str) -> str:
    """Follow the condition in SiglipAttention of the newest paddlex that is not newer than this one."""
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
    """The size of the NVIDIA wheels that one CUDA wheel asks for."""

    tag: str
    system: str
    megabytes: int


@dataclass(frozen=True, kw_only=True)
class StackSize(Fact):
    """The size of everything else of a set."""

    set: str
    system: str
    machine: str
    megabytes: int


@dataclass(frozen=True)
class Download:
    """What is downloaded, in MB (1,000,000 bytes); None where nobody has published the size of that part."""

    paddle_mb: int | None
    nvidia_mb: int | None
    """0 for a CPU wheel, which asks for none."""
    stack_mb: int | None
    models_mb: int | None
    verified: str
    """The weakest mark of the parts: wheel, docs or unverified."""
    sources: tuple[str, ...]

    @property
    def total_mb(self) -> int:
        """The sum of what is known."""
        return sum(part or 0 for part in self._parts)

    @property
    def complete(self) -> bool:
        """Return whether every part is known."""
        return None not in self._parts

    @property
    def _parts(self) -> tuple[int | None, ...]:
        return (self.paddle_mb, self.nvidia_mb, self.stack_mb, self.models_mb)


def expected_download(host: Host, tag: str, version_set: VersionSet) -> Download:
    """Return what a new environment of this set and its models take, with nothing in any cache."""
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
    """Return the pipeline that PaddleOCRVL takes by default with this paddlex."""
    rows = [p for p in load_pipelines() if p.version and numbers(p.since) <= numbers(paddlex)]
    return rows[-1]


def _models_mb(paddlex: str) -> int | None:
    pipeline = newest_pipeline(paddlex)
    sizes = {model.name: model.bytes for model in load_models()}
    parts = [sizes.get(name or "") for name in (pipeline.layout_model, pipeline.language_model)]
    known = [part for part in parts if part is not None]
    return round(sum(known) / _MB) if len(known) == len(parts) else None
