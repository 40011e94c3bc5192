"""Checks of the GPUs against the driver and against the paddle wheel that is installed."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import TYPE_CHECKING

from packaging.version import Version

from paddlevl_doctor.checks.base import Check, Context, Diagnosis, ok, problem, skipped
from paddlevl_doctor.checks.packages import pins
from paddlevl_doctor.checks.sources import is_cured
from paddlevl_doctor.checks.windows_dlls import judge_libraries, wanted_dlls
from paddlevl_doctor.facts.host import WSL_LIBRARIES, hidden_driver
from paddlevl_doctor.knowledge.data_files import numbers
from paddlevl_doctor.knowledge.failures import load_failure
from paddlevl_doctor.knowledge.selection_rules import RuleText
from paddlevl_doctor.knowledge.version_sets import fits
from paddlevl_doctor.knowledge.wheel_choice import (
    ABOUT_CODE,
    ABOUT_DRIVERS,
    architecture_covers,
    driver_system,
    required_driver,
)
from paddlevl_doctor.knowledge.wheel_tables import minimum_compute_capability
from paddlevl_doctor.messages import message
from paddlevl_doctor.values.facts import Gpu, PaddleBuild
from paddlevl_doctor.values.findings import Evidence, Status

if TYPE_CHECKING:
    from paddlevl_doctor.knowledge.resource_estimates import Estimate

# NVML's reasons that mean "there is no GPU to use here", as against "there is one and it cannot be asked".
_NO_GPU = ("no-library", "no-devices", "driver-not-loaded")


def _wsl_library(context: Context) -> Diagnosis:
    """Under WSL the driver's libraries lie in a folder that the loader often does not know."""
    host, gpus, settings = context.facts.host, context.facts.gpus, context.facts.settings
    if not host.wsl:
        return skipped(message("evidence-not-wsl", system=host.system))
    hidden = hidden_driver(context.facts)
    if hidden is None:
        return ok("NVML", gpus.detail or gpus.reason or message("evidence-gpus", count=len(gpus.devices)))
    paddle = context.facts.target.version_of("paddlepaddle-gpu") if context.facts.target else None
    value = settings.get("LD_LIBRARY_PATH", message("evidence-no"))
    shown = message("evidence-wsl-libraries", hidden=hidden, folder=WSL_LIBRARIES, value=value)
    # Where NVML was found, only the name that paddle asks for is missing; paddle itself merely warns of that.
    status = Status.ERROR if paddle and not gpus.devices else Status.WARNING
    return problem(status, "loader" if gpus.devices else "NVML", shown, folder=WSL_LIBRARIES)


def _detection(context: Context) -> Diagnosis:
    gpus = context.facts.gpus
    if hidden_driver(context.facts) and not gpus.devices:
        return skipped(message("evidence-see", id="wsl-libcuda-not-found"))
    if gpus.devices:
        return ok("NVML", f"{len(gpus.devices)} x {gpus.devices[0].name}, driver {gpus.driver}")
    if gpus.reason == "no-library":
        return skipped(message("evidence-no-driver-library"))
    status = Status.NOTE if gpus.reason in _NO_GPU else Status.WARNING
    return problem(status, "NVML", gpus.detail or gpus.reason, reason=gpus.detail or gpus.reason)


def _build(context: Context) -> PaddleBuild | None:
    """Return the installed paddle's build when it is a CUDA one."""
    build = context.facts.target.paddle if context.facts.target else None
    return build if build is not None and build.cuda is not None else None


def _named(gpu: Gpu) -> dict[str, object]:
    return {"gpu": gpu.name, "cc": gpu.compute_capability}


def _refusal(context: Context, rules: Container[str]) -> RuleText | None:
    """Return what `matrix` says of the first GPU that one of these rules keeps from being used."""
    return next((said for said in context.wheel.refusals if said.rule in rules), None)


def _refused(status: Status, source: str, value: str, said: RuleText) -> Diagnosis:
    evidence = (Evidence(source, value), Evidence("matrix", said.message))
    return Diagnosis(status, evidence, dict(said.about))


def _unbuilt_architecture(context: Context) -> Diagnosis:
    """Compare with what the documentation asks for, then with what any wheel of this system has code for."""
    weakest = min(context.gpus, key=lambda gpu: Version(gpu.compute_capability), default=None)
    if weakest is None:
        return skipped(message("evidence-no-nvidia-gpu"))

    minimum = Version(minimum_compute_capability())
    if Version(weakest.compute_capability) >= minimum:
        # An installed wheel says itself what it has code for: see blackwell-arch-mismatch.
        said = None if _build(context) else _refusal(context, ABOUT_CODE)
        seen = ("compute capability", weakest.compute_capability)
        return _refused(Status.NOTE, *seen, said) if said else ok(*seen)
    usable = any(Version(gpu.compute_capability) >= minimum for gpu in context.gpus)
    # With a CPU wheel the old GPU is simply not used: worth knowing, nothing is wrong.
    status = Status.ERROR if _build(context) and not usable else Status.NOTE
    return problem(status, "compute capability", weakest.compute_capability, **_named(weakest))


def _architecture(context: Context) -> Diagnosis:
    build, devices = _build(context), context.gpus
    if build is None or not devices:
        return skipped(message("evidence-no-cuda-wheel-gpu"))
    if not build.architectures:
        return skipped(message("evidence-no-architectures"))
    shown = " ".join(map(str, build.architectures))
    uncovered = [
        gpu for gpu in devices if not architecture_covers(build.architectures, gpu.compute_capability)
    ]
    if not uncovered:
        return ok("compiled_cuda_archs", shown)
    status = Status.ERROR if len(uncovered) == len(devices) else Status.WARNING
    return problem(status, "compiled_cuda_archs", shown, architectures=shown, **_named(uncovered[0]))


def _driver(context: Context) -> Diagnosis:
    """An error where the installed wheel cannot run; a warning where a newer driver would make a GPU usable."""
    gpus, build = context.facts.gpus, _build(context)
    if not gpus.devices or gpus.driver is None:
        return skipped(message("evidence-no-nvidia-gpu"))
    cuda = str(build.cuda) if build else None
    needed = required_driver(cuda, driver_system(context.facts.host)) if cuda else None
    if needed is not None and Version(gpus.driver) < Version(needed):
        return problem(Status.ERROR, "driver", gpus.driver, driver=gpus.driver, needed=needed, cuda=cuda)

    said = _refusal(context, ABOUT_DRIVERS)
    return _refused(Status.WARNING, "driver", gpus.driver, said) if said else ok("driver", gpus.driver)


def _cpu_wheel(context: Context) -> Diagnosis:
    if context.wheel.package != "paddlepaddle-gpu":
        return skipped(message("evidence-no-gpu-for-paddle"))
    name = context.gpus[0].name
    if context.target.version_of("paddlepaddle-gpu") is None:
        return problem(Status.WARNING, "distributions", "paddlepaddle", gpu=name)
    return ok("distributions", "paddlepaddle-gpu")


def _no_gpu_visible(context: Context) -> Diagnosis:
    if context.target.version_of("paddlepaddle-gpu") is None:
        return skipped(message("evidence-no-cuda-wheel"))
    gpus = context.facts.gpus
    if gpus.devices:
        return ok("NVML", gpus.devices[0].name)
    return problem(Status.WARNING, "NVML", gpus.detail or gpus.reason, reason=gpus.detail or gpus.reason)


def _cuda_libraries(context: Context) -> Diagnosis:
    """Compare what the CUDA wheel asks for with what is there: it looks for these libraries nowhere else.

    On Windows it does, so that there the files are looked at.
    """
    target = context.target
    if target.version_of("paddlepaddle-gpu") is None:
        return skipped(message("evidence-no-cuda-wheel"))
    if dlls := wanted_dlls(context):
        return judge_libraries(context, dlls)
    wanted = pins(target, "paddlepaddle-gpu", context.facts.host)
    if not wanted:
        return skipped(message("evidence-no-cuda-libraries"))
    missing = ", ".join(pin.name for pin in wanted if pin.installed is None)
    if missing:
        return problem(
            Status.ERROR, "distributions", message("evidence-missing", names=missing), libraries=missing
        )
    cudnn = next((pin for pin in wanted if pin.name.startswith("nvidia-cudnn")), None)
    return (
        ok(cudnn.name, cudnn.installed)
        if cudnn
        else ok("distributions", message("evidence-libraries", count=len(wanted)))
    )


_PADDLE = ("no-paddle-installed",)

CHECKS = (
    Check("wsl-libcuda-not-found", _wsl_library),
    Check("gpu-detection", _detection),
    Check("p100-and-other-unbuilt-arch", _unbuilt_architecture),
    Check("driver-too-old", _driver),
    Check(
        "blackwell-arch-mismatch",
        _architecture,
        needs=(*_PADDLE, "gpu-wheel-2-6-2", "driver-too-old", "p100-and-other-unbuilt-arch"),
    ),
    Check("cpu-wheel-gpu-requested", _cpu_wheel, needs=(*_PADDLE, "both-paddle-dists", "glibc-too-old")),
    Check("cudnn-not-found", _cuda_libraries, needs=(*_PADDLE, "both-paddle-dists", "gpu-wheel-2-6-2")),
    Check(
        "gpu-wheel-no-gpu-visible",
        _no_gpu_visible,
        needs=(*_PADDLE, "gpu-wheel-2-6-2", "wsl-libcuda-not-found"),
    ),
)


_CAPABILITY = Version("8.0")
"""From here on GPUs have bfloat16 and FlashAttention 2."""
_FLASH_CUDA = Version("11.4")


def _capabilities(context: Context) -> list[Version]:
    """Return the compute capabilities that paddle would use: none with a CPU wheel."""
    if context.target.version_of("paddlepaddle-gpu") is None:
        return []
    return [Version(gpu.compute_capability) for gpu in context.gpus]


def _concerned(context: Context, failure_id: str) -> bool:
    wanted = load_failure(failure_id).applies.specifiers["paddlex"]
    return fits(context.target.version_of("paddlex") or "0", wanted)


def _bfloat16(context: Context) -> Diagnosis:
    paddlex, found = context.target.version_of("paddlex"), _capabilities(context)
    weak = not found or min(found) < _CAPABILITY
    seen = message("evidence-cpu", paddlex=paddlex)
    if found:
        seen = message("evidence-capability", paddlex=paddlex, capability=min(found))
    if weak and _concerned(context, "dtype-mismatch-bf16"):
        return problem(Status.ERROR, "paddlex", seen)
    return ok("paddlex", seen)


def _flash_attention(context: Context) -> Diagnosis:
    paddlex, found, build = (
        context.target.version_of("paddlex"),
        _capabilities(context),
        context.target.paddle,
    )
    cuda = Version(build.cuda) if build is not None and build.cuda else None
    absent = context.facts.host.system == "windows" or (cuda is not None and cuda < _FLASH_CUDA)
    asked = bool(found) and max(found) >= _CAPABILITY
    if asked and absent and _concerned(context, "flashattention2-unsupported"):
        return problem(Status.ERROR, "paddlex", f"{paddlex}, {context.facts.host.system}, CUDA {cuda}")
    return ok("paddlex", paddlex)


def _several_gpus(context: Context) -> Diagnosis:
    """A note: one pipeline hands a document of up to 64 pages to one GPU only."""
    count = len(_capabilities(context))
    if count > 1 and _concerned(context, "multi-device-batch-starvation"):
        return problem(Status.NOTE, "NVML", message("evidence-gpus", count=count), count=count)
    return ok("NVML", message("evidence-gpus", count=count))


_STACK = ("no-paddleocr-installed", "no-paddle-installed")

DEVICES_CHECKS = (
    Check("dtype-mismatch-bf16", _bfloat16, needs=_STACK),
    Check("flashattention2-unsupported", _flash_attention, needs=_STACK),
    Check("multi-device-batch-starvation", _several_gpus, needs=_STACK),
)


Estimated = tuple[Gpu, "Estimate"]
_LOADING_MB = 9000
"""The peak of loading PaddleOCR-VL on a processor: 9,004 to 9,175 MiB in six runs with paddlex 3.7.2 (10,848 with
3.3.6), random weights in a file as large as the released one (tests/benchmarks/released_size.py)."""


def _estimated(context: Context) -> tuple[Estimated, ...]:
    """Pair every GPU that this stack would use, and whose memory is known, with what it needs there."""
    build = context.target.paddle
    if build is None or build.cuda is None or not context.gpus:
        return ()
    from paddlevl_doctor.knowledge.resource_estimates import estimate, in_blocks  # noqa: PLC0415 - only for machines with a GPU

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
    memory = {"free": gpu.memory_free_mb, "total": gpu.memory_total_mb, "peak": need.peak_mb}
    how = {"pixels": need.pixels, "dtype": need.dtype, "attention": need.attention}
    return Evidence(f"GPU {gpu.index} ({gpu.name})", message("evidence-gpu-memory", **memory, **how))


def _judge(estimated: tuple[Estimated, ...], has: Callable[[Gpu], int]) -> Diagnosis:
    """Warn where no GPU has what it needs; `has` says what counts, the memory of a GPU or what is free of it.

    A smaller card beside one that suffices is worth knowing, and hurts nobody who does not choose it.
    """
    if not estimated:
        return skipped(message("evidence-no-cuda-wheel-known-memory"))
    short = [pair for pair in estimated if has(pair[0]) < pair[1].peak_mb]
    evidence = tuple(_line(gpu, need) for gpu, need in estimated)
    if not short:
        return Diagnosis(Status.OK, evidence)
    from paddlevl_doctor.knowledge.resource_estimates import fitting_pixels  # noqa: PLC0415 - as above

    gpu, need = short[0]
    status = Status.WARNING if len(short) == len(estimated) else Status.NOTE
    params = {"gpu": gpu.name, "has_mb": has(gpu), "needed_mb": need.peak_mb}
    return Diagnosis(status, evidence, {**params, "pixels": fitting_pixels(has(gpu), need)})


def _attention(context: Context) -> Diagnosis:
    return _judge(_estimated(context), lambda gpu: gpu.memory_total_mb)


def _spill(context: Context) -> Diagnosis:
    host = context.facts.host
    if host.system != "windows" and not host.wsl:
        return skipped(message("evidence-no-shared-memory", system=host.system))
    return _judge(_estimated(context), lambda gpu: gpu.memory_free_mb)


def _processor(context: Context) -> Diagnosis:
    """Note a computer that cannot load the model natively: it may have swap, or be meant for something else."""
    build, total = context.target.paddle, context.facts.host.memory_total_mb
    if build is None or build.cuda is not None or context.gpus:
        return skipped(message("evidence-no-cpu-wheel-or-gpu"))
    if not total:
        return skipped(message("evidence-memory-unknown"))
    if total >= _LOADING_MB:
        return ok("memory", f"{total} MiB")
    return problem(Status.NOTE, "memory", f"{total} MiB", has_mb=total, needed_mb=_LOADING_MB)


_BOTH = ("no-paddle-installed", "gpu-wheel-2-6-2", "no-paddleocr-installed")

MEMORY_CHECKS = (
    Check("vision-attention-oom", _attention, needs=_BOTH),
    Check("windows-sysmem-fallback", _spill, needs=_BOTH),
    Check("cpu-memory-short", _processor, needs=_BOTH),
)
