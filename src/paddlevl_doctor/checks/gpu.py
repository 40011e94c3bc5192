"""Checks of the GPUs against the driver and against the paddle wheel that is installed."""

from __future__ import annotations

from collections.abc import Container

from packaging.version import Version

from paddlevl_doctor.checks.dlls import judge_libraries, wanted_dlls
from paddlevl_doctor.checks.model import Check, Context, Diagnosis, bad, ok, skipped
from paddlevl_doctor.checks.pins import pins
from paddlevl_doctor.facts.model import Gpu, PaddleBuild
from paddlevl_doctor.facts.settings import WSL_LIBRARIES
from paddlevl_doctor.facts.wsl import hidden_driver
from paddlevl_doctor.knowledge.rules import Sentence
from paddlevl_doctor.knowledge.selection import architecture_covers, driver_system, required_driver
from paddlevl_doctor.messages import language
from paddlevl_doctor.values import Evidence, Status

# NVML's reasons that mean "there is no GPU to use here", as against "there is one and it cannot be asked".
_NO_GPU = ("no-library", "no-devices", "driver-not-loaded")


def _wsl_library(context: Context) -> Diagnosis:
    """Under WSL the driver's libraries lie in a folder that the loader often does not know."""
    host, gpus, settings = context.facts.host, context.facts.gpus, context.facts.settings
    if not host.wsl:
        return skipped(f"{host.system} is not WSL")
    hidden = hidden_driver(context.facts)
    if hidden is None:
        return ok("NVML", gpus.detail or gpus.reason or f"{len(gpus.devices)} GPUs")
    paddle = context.facts.target.version_of("paddlepaddle-gpu") if context.facts.target else None
    shown = f"{hidden}; LD_LIBRARY_PATH names {WSL_LIBRARIES}: {settings.get('LD_LIBRARY_PATH', 'no')}"
    # Where NVML was found, only the name that paddle asks for is missing; paddle itself merely warns of that.
    status = Status.ERROR if paddle and not gpus.devices else Status.WARNING
    return bad(status, "loader" if gpus.devices else "NVML", shown, folder=WSL_LIBRARIES)


def _detection(context: Context) -> Diagnosis:
    gpus = context.facts.gpus
    if hidden_driver(context.facts) and not gpus.devices:
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


def _refusal(context: Context, rules: Container[str]) -> Sentence | None:
    """Return what `matrix` says of the first GPU that one of these rules keeps from being used."""
    return next((said for said in context.wheel.refusals if said.rule in rules), None)


def _refused(status: Status, source: str, value: str, said: Sentence) -> Diagnosis:
    evidence = (Evidence(source, value), Evidence("matrix", said.text(language())))
    return Diagnosis(status, evidence, dict(said.about))


def _unbuilt_architecture(context: Context) -> Diagnosis:
    """Compare with what the documentation asks for, then with what any wheel of this system has code for."""
    weakest = _weakest(context)
    if weakest is None:
        return skipped("no NVIDIA GPU")
    from paddlevl_doctor.knowledge.lines import ABOUT_CODE  # noqa: PLC0415 - reads files that only GPUs need
    from paddlevl_doctor.knowledge.wheels import minimum_compute_capability  # noqa: PLC0415 - as above

    minimum = Version(minimum_compute_capability())
    if Version(weakest.compute_capability) >= minimum:
        # An installed wheel says itself what it has code for: see blackwell-arch-mismatch.
        said = None if _build(context) else _refusal(context, ABOUT_CODE)
        seen = ("compute capability", weakest.compute_capability)
        return _refused(Status.NOTE, *seen, said) if said else ok(*seen)
    usable = any(Version(gpu.compute_capability) >= minimum for gpu in context.gpus)
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
    """An error where the installed wheel cannot run; a warning where a newer driver would make a GPU usable."""
    gpus, build = context.facts.gpus, _build(context)
    if not gpus.devices or gpus.driver is None:
        return skipped("no NVIDIA GPU")
    cuda = str(build.cuda) if build else None
    needed = required_driver(cuda, driver_system(context.facts.host)) if cuda else None
    if needed is not None and Version(gpus.driver) < Version(needed):
        return bad(Status.ERROR, "driver", gpus.driver, driver=gpus.driver, needed=needed, cuda=cuda)
    from paddlevl_doctor.knowledge.lines import ABOUT_DRIVERS  # noqa: PLC0415 - reads files that only GPUs need

    said = _refusal(context, ABOUT_DRIVERS)
    return _refused(Status.WARNING, "driver", gpus.driver, said) if said else ok("driver", gpus.driver)


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
    """Compare what the CUDA wheel asks for with what is there: it looks for these libraries nowhere else.

    On Windows it does, so that there the files are looked at.
    """
    target = context.target
    if target.version_of("paddlepaddle-gpu") is None:
        return skipped("no CUDA wheel")
    if dlls := wanted_dlls(context):
        return judge_libraries(context, dlls)
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
