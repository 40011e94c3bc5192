"""Checks of the GPUs against the driver and against the paddle wheel that is installed."""

from __future__ import annotations

from packaging.version import Version

from paddlevl_doctor.checks.model import Check, Context, Diagnosis, bad, ok, skipped
from paddlevl_doctor.checks.pins import pins
from paddlevl_doctor.facts.model import Gpu, PaddleBuild
from paddlevl_doctor.facts.settings import WSL_LIBRARIES
from paddlevl_doctor.knowledge.selection import architecture_covers, driver_system, required_driver
from paddlevl_doctor.values import Status

# NVML's reasons that mean "there is no GPU to use here", as against "there is one and it cannot be asked".
_NO_GPU = ("no-library", "no-devices", "driver-not-loaded")
_MINIMUM = Version("7.0")
"""Compute capability that the PaddleOCR-VL documentation asks for since v3.3.1 (matrix.md, 1.7)."""


def _wsl_library(context: Context) -> Diagnosis:
    """Under WSL the driver's libraries lie in a folder that the loader often does not know."""
    host, gpus, settings = context.facts.host, context.facts.gpus, context.facts.settings
    if not host.wsl:
        return skipped(f"{host.system} is not WSL")
    if not _hidden_by_wsl(context):
        return ok("NVML", gpus.detail or gpus.reason or f"{len(gpus.devices)} GPUs")
    paddle = context.facts.target.version_of("paddlepaddle-gpu") if context.facts.target else None
    shown = f"{gpus.detail}; LD_LIBRARY_PATH names it: {settings.get('LD_LIBRARY_PATH', 'no')}"
    return bad(Status.ERROR if paddle else Status.WARNING, "NVML", shown, folder=WSL_LIBRARIES)


def _hidden_by_wsl(context: Context) -> bool:
    gpus = context.facts.gpus
    named = WSL_LIBRARIES in gpus.detail
    return bool(context.facts.host.wsl) and gpus.reason == "library-not-on-path" and named


def _detection(context: Context) -> Diagnosis:
    gpus = context.facts.gpus
    if _hidden_by_wsl(context):
        return skipped("see wsl-libcuda-not-found")
    if gpus.devices:
        return ok("NVML", f"{len(gpus.devices)} x {gpus.devices[0].name}, driver {gpus.driver}")
    if gpus.reason == "no-library":
        return skipped("no NVIDIA driver library")
    status = Status.NOTE if gpus.reason in _NO_GPU else Status.WARNING
    return bad(status, "NVML", gpus.detail or gpus.reason, reason=gpus.detail or gpus.reason)


def _build(context: Context) -> PaddleBuild | None:
    """Return the installed paddle's build when it is a CUDA one."""
    build = context.facts.target.paddle if context.facts.target else None
    return build if build is not None and build.cuda is not None else None


def _weakest(context: Context) -> Gpu | None:
    return min(context.gpus, key=lambda gpu: Version(gpu.compute_capability), default=None)


def _named(gpu: Gpu) -> dict[str, object]:
    return {"gpu": gpu.name, "cc": gpu.compute_capability}


def _unbuilt_architecture(context: Context) -> Diagnosis:
    weakest = _weakest(context)
    if weakest is None:
        return skipped("no NVIDIA GPU")
    if Version(weakest.compute_capability) >= _MINIMUM:
        return ok("compute capability", weakest.compute_capability)
    usable = any(Version(gpu.compute_capability) >= _MINIMUM for gpu in context.gpus)
    # With a CPU wheel the old GPU is simply not used: worth knowing, nothing is wrong.
    status = Status.ERROR if _build(context) and not usable else Status.NOTE
    return bad(status, "compute capability", weakest.compute_capability, **_named(weakest))


def _architecture(context: Context) -> Diagnosis:
    build, devices = _build(context), context.gpus
    if build is None or not devices:
        return skipped("no CUDA wheel with a GPU")
    if not build.architectures:
        return skipped("the wheel does not name its architectures")
    shown = " ".join(map(str, build.architectures))
    uncovered = [
        gpu for gpu in devices if not architecture_covers(build.architectures, gpu.compute_capability)
    ]
    if not uncovered:
        return ok("compiled_cuda_archs", shown)
    status = Status.ERROR if len(uncovered) == len(devices) else Status.WARNING
    return bad(status, "compiled_cuda_archs", shown, architectures=shown, **_named(uncovered[0]))


def _driver(context: Context) -> Diagnosis:
    gpus, build = context.facts.gpus, _build(context)
    if not gpus.devices or gpus.driver is None:
        return skipped("no NVIDIA GPU")
    cuda = build.cuda if build else "11.8"  # the oldest line there is: below it no CUDA wheel can run
    needed = required_driver(str(cuda), driver_system(context.facts.host))
    if needed is None or Version(gpus.driver) >= Version(needed):
        return ok("driver", gpus.driver)
    status = Status.ERROR if build else Status.NOTE
    return bad(status, "driver", gpus.driver, driver=gpus.driver, needed=needed, cuda=cuda)


def _cpu_wheel(context: Context) -> Diagnosis:
    if context.wheel.package != "paddlepaddle-gpu":
        return skipped("no GPU that paddle could use")
    name = context.gpus[0].name
    if context.target.version_of("paddlepaddle-gpu") is None:
        return bad(Status.WARNING, "distributions", "paddlepaddle", gpu=name)
    return ok("distributions", "paddlepaddle-gpu")


def _no_gpu_visible(context: Context) -> Diagnosis:
    if context.target.version_of("paddlepaddle-gpu") is None:
        return skipped("no CUDA wheel")
    gpus = context.facts.gpus
    if gpus.devices:
        return ok("NVML", gpus.devices[0].name)
    return bad(Status.WARNING, "NVML", gpus.detail or gpus.reason, reason=gpus.detail or gpus.reason)


def _cuda_libraries(context: Context) -> Diagnosis:
    """Compare what the CUDA wheel asks for with what is there: it looks for these libraries nowhere else."""
    target = context.target
    if target.version_of("paddlepaddle-gpu") is None:
        return skipped("no CUDA wheel")
    wanted = pins(target, "paddlepaddle-gpu", context.facts.host)
    if not wanted:
        return skipped("the wheel asks for no CUDA libraries")
    missing = ", ".join(pin.name for pin in wanted if pin.installed is None)
    if missing:
        return bad(Status.ERROR, "distributions", f"missing: {missing}", libraries=missing)
    cudnn = next((pin for pin in wanted if pin.name.startswith("nvidia-cudnn")), None)
    return ok(cudnn.name, cudnn.installed) if cudnn else ok("distributions", f"{len(wanted)} libraries")


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
