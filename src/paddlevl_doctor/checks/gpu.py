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
from paddlevl_doctor.knowledge.failures import load_failure
from paddlevl_doctor.knowledge.tables import numbers
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

# NVML's reasons that mean that the machine has no usable GPU; with the other reasons it has one that NVML cannot query.
_NO_GPU = ("no-library", "no-devices", "driver-not-loaded")


def _wsl_library(context: Context) -> Diagnosis:
    """Judge whether the loader finds the driver's libraries under WSL, where their folder is often not configured."""
    host, gpus, settings = context.facts.host, context.facts.gpus, context.facts.settings
    if not host.wsl:
        return skipped(message("evidence-not-wsl", system=host.system))
    hidden = hidden_driver(context.facts)
    if hidden is None:
        return ok("NVML", gpus.detail or gpus.reason or message("evidence-gpus", count=len(gpus.devices)))
    paddle = context.facts.target.version_of("paddlepaddle-gpu") if context.facts.target else None
    value = settings.get("LD_LIBRARY_PATH", message("evidence-no"))
    shown = message("evidence-wsl-libraries", hidden=hidden, folder=WSL_LIBRARIES, value=value)
    # If NVML was found, only the library name that paddle requests is missing, and paddle only warns about that.
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


def _cuda_build(context: Context) -> PaddleBuild | None:
    """Return the build of the installed paddle if it is a CUDA build."""
    build = context.facts.target.paddle if context.facts.target else None
    return build if build is not None and build.cuda is not None else None


def _judge_refusals(
    context: Context, rules: Container[str], status: Status, source: str, value: str
) -> Diagnosis:
    """Return a problem with `status` if one of `rules` excludes a GPU from the chosen wheel, else `ok`."""
    refusal = next((one for one in context.wheel.refusals if one.rule in rules), None)
    if refusal is None:
        return ok(source, value)
    evidence = (Evidence(source, value), Evidence("matrix", refusal.message))
    return Diagnosis(status, evidence, dict(refusal.params))


def _unbuilt_architecture(context: Context) -> Diagnosis:
    """Compare the oldest GPU with the documented minimum, then with the architectures of this system's wheels."""
    weakest = min(context.gpus, key=lambda gpu: Version(gpu.compute_capability), default=None)
    if weakest is None:
        return skipped(message("evidence-no-nvidia-gpu"))

    source, capability = "compute capability", weakest.compute_capability
    minimum = Version(minimum_compute_capability())
    if Version(capability) >= minimum:
        # The architectures of an installed wheel are in the wheel: see blackwell-arch-mismatch.
        rules = () if _cuda_build(context) else ABOUT_CODE
        return _judge_refusals(context, rules, Status.NOTE, source, capability)
    usable = any(Version(gpu.compute_capability) >= minimum for gpu in context.gpus)
    # A CPU wheel does not use the old GPU: that is only a note.
    status = Status.ERROR if _cuda_build(context) and not usable else Status.NOTE
    return problem(status, source, capability, gpu=weakest.name, cc=capability)


def _architecture(context: Context) -> Diagnosis:
    build, devices = _cuda_build(context), context.gpus
    if build is None or not devices:
        return skipped(message("evidence-no-cuda-wheel-gpu"))
    if not build.architectures:
        return skipped(message("evidence-no-architectures"))
    archs = " ".join(map(str, build.architectures))
    uncovered = [
        gpu for gpu in devices if not architecture_covers(build.architectures, gpu.compute_capability)
    ]
    if not uncovered:
        return ok("compiled_cuda_archs", archs)
    status = Status.ERROR if len(uncovered) == len(devices) else Status.WARNING
    first = uncovered[0]
    params = {"architectures": archs, "gpu": first.name, "cc": first.compute_capability}
    return problem(status, "compiled_cuda_archs", archs, **params)


def _driver(context: Context) -> Diagnosis:
    """Report an error if the installed wheel cannot run, a warning if a newer driver would make a GPU usable."""
    gpus, build = context.facts.gpus, _cuda_build(context)
    if not gpus.devices or gpus.driver is None:
        return skipped(message("evidence-no-nvidia-gpu"))
    cuda = str(build.cuda) if build else None
    needed = required_driver(cuda, driver_system(context.facts.host)) if cuda else None
    if needed is not None and Version(gpus.driver) < Version(needed):
        return problem(Status.ERROR, "driver", gpus.driver, driver=gpus.driver, needed=needed, cuda=cuda)
    return _judge_refusals(context, ABOUT_DRIVERS, Status.WARNING, "driver", gpus.driver)


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
    """Compare the NVIDIA packages that the CUDA wheel requires with the installed ones.

    On Windows compare the DLL files, because the wheel loads them from other folders, too.
    """
    target = context.target
    if target.version_of("paddlepaddle-gpu") is None:
        return skipped(message("evidence-no-cuda-wheel"))
    if dlls := wanted_dlls(context):
        return judge_libraries(context, dlls)
    required = pins(target, "paddlepaddle-gpu", context.facts.host)
    if not required:
        return skipped(message("evidence-no-cuda-libraries"))
    missing = ", ".join(pin.name for pin in required if pin.installed is None)
    if missing:
        evidence = message("evidence-missing", names=missing)
        return problem(Status.ERROR, "distributions", evidence, libraries=missing)
    cudnn = next((pin for pin in required if pin.name.startswith("nvidia-cudnn")), None)
    if cudnn:
        return ok(cudnn.name, cudnn.installed)
    return ok("distributions", message("evidence-libraries", count=len(required)))


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


_AMPERE = Version("8.0")
"""The first compute capability with bfloat16 and FlashAttention 2."""
_FLASH_CUDA = Version("11.4")


def _capabilities(context: Context) -> list[Version]:
    """Return the compute capabilities of the GPUs that paddle uses; a CPU wheel uses none."""
    if context.target.version_of("paddlepaddle-gpu") is None:
        return []
    return [Version(gpu.compute_capability) for gpu in context.gpus]


def _paddlex_has_failure(context: Context, failure_id: str) -> bool:
    """Return whether the installed paddlex is in the range of a failure."""
    specifier = load_failure(failure_id).applies.specifiers["paddlex"]
    return fits(context.target.version_of("paddlex") or "0", specifier)


def _bfloat16(context: Context) -> Diagnosis:
    paddlex, capabilities = context.target.version_of("paddlex"), _capabilities(context)
    lowest = min(capabilities, default=None)
    evidence = message("evidence-cpu", paddlex=paddlex)
    if lowest:
        evidence = message("evidence-capability", paddlex=paddlex, capability=lowest)
    if (lowest is None or lowest < _AMPERE) and _paddlex_has_failure(context, "dtype-mismatch-bf16"):
        return problem(Status.ERROR, "paddlex", evidence)
    return ok("paddlex", evidence)


def _flash_attention(context: Context) -> Diagnosis:
    system, build = context.facts.host.system, context.target.paddle
    paddlex, capabilities = context.target.version_of("paddlex"), _capabilities(context)
    cuda = Version(build.cuda) if build is not None and build.cuda else None
    unavailable = system == "windows" or (cuda is not None and cuda < _FLASH_CUDA)
    requested = bool(capabilities) and max(capabilities) >= _AMPERE
    if requested and unavailable and _paddlex_has_failure(context, "flashattention2-unsupported"):
        return problem(Status.ERROR, "paddlex", f"{paddlex}, {system}, CUDA {cuda}")
    return ok("paddlex", paddlex)


def _several_gpus(context: Context) -> Diagnosis:
    """Report a note: one pipeline sends a document of up to 64 pages to one GPU only."""
    count = len(_capabilities(context))
    if count > 1 and _paddlex_has_failure(context, "multi-device-batch-starvation"):
        return problem(Status.NOTE, "NVML", message("evidence-gpus", count=count), count=count)
    return ok("NVML", message("evidence-gpus", count=count))


_STACK = ("no-paddleocr-installed", "paddleocr-too-old-for-vl", "no-paddle-installed")

CAPABILITY_CHECKS = (
    Check("dtype-mismatch-bf16", _bfloat16, needs=_STACK),
    Check("flashattention2-unsupported", _flash_attention, needs=_STACK),
    Check("multi-device-batch-starvation", _several_gpus, needs=_STACK),
)


_GpuEstimate = tuple[Gpu, "Estimate"]
_LOADING_MB = 9000
"""The peak memory of loading PaddleOCR-VL on a processor: 9,004 to 9,175 MiB in six runs with paddlex 3.7.2 (10,848
with 3.3.6), with random weights in a file as large as the released one (tests/benchmarks/released_size.py)."""


def _estimates(context: Context) -> tuple[_GpuEstimate, ...]:
    """Return the estimated memory use on each GPU that paddle uses and whose memory size is known."""
    build = context.target.paddle
    if build is None or build.cuda is None or not context.gpus:
        return ()
    from paddlevl_doctor.knowledge.resource_estimates import estimate, in_blocks  # noqa: PLC0415 - only for machines with a GPU

    minimum = numbers(minimum_compute_capability())  # paddle does not use a GPU below it
    system, paddlex = context.facts.host.system, context.target.version_of("paddlex") or "0"
    patched = is_cured(load_failure("vision-attention-oom"), context)
    estimates = (
        (gpu, estimate(system, gpu.compute_capability, paddlex))
        for gpu in context.gpus
        if gpu.memory_total_mb and numbers(gpu.compute_capability) >= minimum
    )
    return tuple((gpu, in_blocks(need) if patched else need) for gpu, need in estimates)


def _memory_evidence(gpu: Gpu, need: Estimate) -> Evidence:
    memory = {"free": gpu.memory_free_mb, "total": gpu.memory_total_mb, "peak": need.peak_mb}
    settings = {"pixels": need.pixels, "dtype": need.dtype, "attention": need.attention}
    return Evidence(f"GPU {gpu.index} ({gpu.name})", message("evidence-gpu-memory", **memory, **settings))


def _judge_memory(estimates: tuple[_GpuEstimate, ...], memory_mb: Callable[[Gpu], int]) -> Diagnosis:
    """Compare the total or free memory of each GPU, which `memory_mb` returns, with the estimated use.

    Report a warning if all GPUs are too small, and a note if another GPU is large enough.
    """
    if not estimates:
        return skipped(message("evidence-no-cuda-wheel-known-memory"))
    too_small = [(gpu, need) for gpu, need in estimates if memory_mb(gpu) < need.peak_mb]
    evidence = tuple(_memory_evidence(gpu, need) for gpu, need in estimates)
    if not too_small:
        return Diagnosis(Status.OK, evidence)
    from paddlevl_doctor.knowledge.resource_estimates import fitting_pixels  # noqa: PLC0415 - as above

    gpu, need = too_small[0]
    status = Status.WARNING if len(too_small) == len(estimates) else Status.NOTE
    params = {"gpu": gpu.name, "has_mb": memory_mb(gpu), "needed_mb": need.peak_mb}
    return Diagnosis(status, evidence, {**params, "pixels": fitting_pixels(memory_mb(gpu), need)})


def _total_memory(context: Context) -> Diagnosis:
    return _judge_memory(_estimates(context), lambda gpu: gpu.memory_total_mb)


def _free_memory(context: Context) -> Diagnosis:
    host = context.facts.host
    if host.system != "windows" and not host.wsl:
        return skipped(message("evidence-no-shared-memory", system=host.system))
    return _judge_memory(_estimates(context), lambda gpu: gpu.memory_free_mb)


def _host_memory(context: Context) -> Diagnosis:
    """Report a note if main memory is too small for the native model: the machine may have swap or use a server."""
    build, total = context.target.paddle, context.facts.host.memory_total_mb
    if build is None or build.cuda is not None or context.gpus:
        return skipped(message("evidence-no-cpu-wheel-or-gpu"))
    if not total:
        return skipped(message("evidence-memory-unknown"))
    if total >= _LOADING_MB:
        return ok("memory", f"{total} MiB")
    return problem(Status.NOTE, "memory", f"{total} MiB", has_mb=total, needed_mb=_LOADING_MB)


_GPU_STACK = (
    "no-paddle-installed",
    "gpu-wheel-2-6-2",
    "no-paddleocr-installed",
    "paddleocr-too-old-for-vl",
)

MEMORY_CHECKS = (
    Check("vision-attention-oom", _total_memory, needs=_GPU_STACK),
    Check("windows-sysmem-fallback", _free_memory, needs=_GPU_STACK),
    Check("cpu-memory-short", _host_memory, needs=_GPU_STACK),
)
