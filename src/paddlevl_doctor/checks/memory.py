"""Checks of the memory, a GPU's or the computer's, against what PaddleOCR-VL takes there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from paddlevl_doctor.checks.model import Check, Context, Diagnosis, bad, ok, skipped
from paddlevl_doctor.checks.sources import is_cured
from paddlevl_doctor.facts.model import Gpu
from paddlevl_doctor.knowledge.failures import load_failure
from paddlevl_doctor.knowledge.tables import numbers
from paddlevl_doctor.values import Evidence, Status

if TYPE_CHECKING:
    from paddlevl_doctor.knowledge.memory import Estimate

Estimated = tuple[Gpu, "Estimate"]
_LOADING_MB = 9000
"""The peak of loading PaddleOCR-VL on a processor: 9,004 to 9,175 MiB in six runs with paddlex 3.7.2 (10,848 with
3.3.6), random weights in a file as large as the released one (tests/benchmarks/released_size.py)."""


def _estimated(context: Context) -> tuple[Estimated, ...]:
    """Pair every GPU that this stack would use, and whose memory is known, with what it needs there."""
    build = context.target.paddle
    if build is None or build.cuda is None or not context.gpus:
        return ()
    from paddlevl_doctor.knowledge.memory import estimate, in_blocks  # noqa: PLC0415 - only for machines with a GPU
    from paddlevl_doctor.knowledge.wheels import minimum_compute_capability  # noqa: PLC0415 - as above

    least = numbers(minimum_compute_capability())  # below it paddle does not use the GPU at all
    system, paddlex = context.facts.host.system, context.target.version_of("paddlex") or "0"
    patched = is_cured(load_failure("vision-attention-oom"), context)
    as_it_is = in_blocks if patched else (lambda need: need)
    return tuple(
        (gpu, as_it_is(estimate(system, gpu.compute_capability, paddlex)))
        for gpu in context.gpus
        if gpu.memory_total_mb and numbers(gpu.compute_capability) >= least
    )


def _line(gpu: Gpu, need: Estimate) -> Evidence:
    memory = f"{gpu.memory_free_mb} of {gpu.memory_total_mb} MiB free"
    how = f"{need.pixels} pixels, {need.dtype}, {need.attention} attention"
    return Evidence(f"GPU {gpu.index} ({gpu.name})", f"{memory}; estimated peak {need.peak_mb} MiB ({how})")


def _judge(estimated: tuple[Estimated, ...], has: Callable[[Gpu], int]) -> Diagnosis:
    """Warn where no GPU has what it needs; `has` says what counts, the memory of a GPU or what is free of it.

    A smaller card beside one that suffices is worth knowing, and hurts nobody who does not choose it.
    """
    if not estimated:
        return skipped("no CUDA wheel with a GPU whose memory is known")
    short = [pair for pair in estimated if has(pair[0]) < pair[1].peak_mb]
    evidence = tuple(_line(gpu, need) for gpu, need in estimated)
    if not short:
        return Diagnosis(Status.OK, evidence)
    from paddlevl_doctor.knowledge.memory import fitting_pixels  # noqa: PLC0415 - as above

    gpu, need = short[0]
    status = Status.WARNING if len(short) == len(estimated) else Status.NOTE
    params = {"gpu": gpu.name, "has_mb": has(gpu), "needed_mb": need.peak_mb}
    return Diagnosis(status, evidence, {**params, "pixels": fitting_pixels(has(gpu), need)})


def _attention(context: Context) -> Diagnosis:
    return _judge(_estimated(context), lambda gpu: gpu.memory_total_mb)


def _spill(context: Context) -> Diagnosis:
    host = context.facts.host
    if host.system != "windows" and not host.wsl:
        return skipped(f"{host.system} has no shared GPU memory")
    return _judge(_estimated(context), lambda gpu: gpu.memory_free_mb)


def _processor(context: Context) -> Diagnosis:
    """Note a computer that cannot load the model natively: it may have swap, or be meant for something else."""
    build, total = context.target.paddle, context.facts.host.memory_total_mb
    if build is None or build.cuda is not None or context.gpus:
        return skipped("no CPU wheel, or a GPU to read with")
    if not total:
        return skipped("the computer's memory is not known")
    if total >= _LOADING_MB:
        return ok("memory", f"{total} MiB")
    return bad(Status.NOTE, "memory", f"{total} MiB", has_mb=total, needed_mb=_LOADING_MB)


_BOTH = ("no-paddle-installed", "gpu-wheel-2-6-2", "no-paddleocr-installed")

CHECKS = (
    Check("vision-attention-oom", _attention, needs=_BOTH),
    Check("windows-sysmem-fallback", _spill, needs=_BOTH),
    Check("cpu-memory-short", _processor, needs=_BOTH),
)
