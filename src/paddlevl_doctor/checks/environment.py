"""Checks of the machine and of the target's interpreter: nothing here looks at installed packages."""

from __future__ import annotations

from packaging.version import Version

from paddlevl_doctor.checks.base import Check, Context, Diagnosis, ok, problem, skipped
from paddlevl_doctor.facts.host import LIMIT, longest_path
from paddlevl_doctor.knowledge.data_files import numbers
from paddlevl_doctor.knowledge.visible_gpus import LIST
from paddlevl_doctor.knowledge.wheel_choice import required_glibc
from paddlevl_doctor.messages import message
from paddlevl_doctor.values.facts import Gpus
from paddlevl_doctor.values.findings import Status

# Installing `current` took 1.4 GB in the environment and 0.7 GB in uv's cache (CPU, measured); the GPU wheels
# add 4 to 6 GB of downloads (matrix.md, 1.4).
_NEEDED_MB = {"paddlepaddle": 2_500, "paddlepaddle-gpu": 12_000}
_BITS = 64


def _target_environment(context: Context) -> Diagnosis:
    target, reason = context.facts.target, context.facts.target_problem
    if target is not None:
        return ok(target.python, f"Python {target.version}")
    if reason is not None:
        return problem(Status.UNKNOWN, "inventory probe", reason, planned=context.facts.planned_target)
    return problem(
        Status.ERROR,
        context.facts.planned_target,
        message("evidence-absent"),
        planned=context.facts.planned_target,
    )


def _python_version(context: Context) -> Diagnosis:
    target = context.target
    flaws = [
        flaw
        for flaw, present in (
            (f"{target.bits} bit", target.bits != _BITS),
            ("free-threaded", target.free_threaded),
            (target.implementation, target.implementation != "cpython"),
        )
        if present
    ]
    described = " ".join([target.version, *flaws])
    if flaws or not context.version_set.supports_python(target.version):
        return problem(Status.ERROR, target.python, described, version=described)
    return ok(target.python, described)


def _glibc(context: Context) -> Diagnosis:
    host = context.facts.host
    if host.glibc is None:
        return skipped(message("evidence-no-glibc"))
    needed = required_glibc(context.wheel.version)
    if Version(host.glibc) < Version(needed):
        return problem(Status.ERROR, "glibc", host.glibc, glibc=host.glibc, needed=needed)
    return ok("glibc", host.glibc)


def _musl(context: Context) -> Diagnosis:
    host = context.facts.host
    if host.system != "linux":
        return skipped(host.system)
    if host.musl:
        return problem(Status.ERROR, "C library", f"musl, {host.distribution or 'linux'}")
    return ok("C library", f"glibc {host.glibc}" if host.glibc else message("evidence-not-musl"))


def _avx(context: Context) -> Diagnosis:
    host = context.facts.host
    if host.machine != "x86_64" or host.cpu is None:
        return skipped(f"{host.system} {host.machine}")
    if "avx" not in host.cpu_flags:
        return problem(Status.ERROR, "/proc/cpuinfo", host.cpu, cpu=host.cpu)
    return ok("/proc/cpuinfo", " ".join(host.cpu_flags))


def _intel_mac(context: Context) -> Diagnosis:
    host = context.facts.host
    if host.system != "macos":
        return skipped(host.system)
    if host.machine == "x86_64":
        return problem(Status.ERROR, "machine", host.machine)
    return ok("machine", host.machine)


def _aarch64(context: Context) -> Diagnosis:
    host = context.facts.host
    if (host.system, host.machine) != ("linux", "aarch64"):
        return skipped(f"{host.system} {host.machine}")
    if context.facts.gpus.devices:
        return problem(Status.NOTE, "NVML", context.facts.gpus.devices[0].name)
    return ok("machine", host.machine)


def _disk_space(context: Context) -> Diagnosis:
    facts = context.facts
    if facts.target is not None and facts.target.version_of("paddleocr") is not None:
        return skipped(message("evidence-already-installed"))
    needed = _NEEDED_MB[context.wheel.package]
    tight = {
        name: free
        for name, free in facts.free_disk_mb.items()
        if name in ("target", "uv-cache") and free < needed
    }
    if not tight:
        return ok("free disk", facts.free_disk_mb.get("target", message("evidence-unknown")))
    name, free = min(tight.items(), key=lambda item: item[1])
    path = facts.planned_target if name == "target" else "UV_CACHE_DIR"
    return problem(
        Status.ERROR, f"free disk ({name})", f"{free} MB", path=path, free_mb=free, needed_mb=needed
    )


def _long_paths(context: Context) -> Diagnosis:
    if context.facts.host.system != "windows":
        return skipped(context.facts.host.system)
    purelib = context.target.purelib
    longest = longest_path(purelib)
    if longest <= LIMIT:
        return ok(purelib, message("evidence-longest-path", length=longest))
    if context.facts.long_paths is None:
        return skipped(message("evidence-registry"))
    if context.facts.long_paths:
        return ok("LongPathsEnabled", 1)
    # What is installed was unpacked; only what has yet to be can fail.
    installed = context.target.version_of("paddleocr") is not None
    status = Status.NOTE if installed else Status.WARNING
    return problem(status, "LongPathsEnabled", 0, path=purelib, length=longest, limit=LIMIT)


def _library(name: str) -> Check:
    """Make the check for a system library; the ids are those of the knowledge."""
    sonames = {"libgl-missing": ("libGL.so.1", "libglib-2.0.so.0"), "libgomp-missing": ("libgomp.so.1",)}[
        name
    ]

    def look(context: Context) -> Diagnosis:
        if context.facts.host.system != "linux":
            return skipped(context.facts.host.system)
        missing = [so for so in context.target.missing_libraries if so in sonames]
        if missing:
            return problem(Status.ERROR, "dlopen", ", ".join(missing), library=", ".join(missing))
        return ok("dlopen", ", ".join(sonames))

    return Check(name, look, needs=("target-environment",))


CHECKS = (
    Check("target-environment", _target_environment),
    Check("python-version-unsupported", _python_version, needs=("target-environment",)),
    Check("glibc-too-old", _glibc),
    Check("musl-libc", _musl),
    Check("no-avx-illegal-instruction", _avx),
    Check("macos-intel", _intel_mac),
    Check("aarch64-no-gpu-wheel", _aarch64),
    Check("disk-space", _disk_space),
    Check("windows-long-path", _long_paths, needs=("target-environment",)),
    _library("libgl-missing"),
    _library("libgomp-missing"),
)


_MISPRINT = "DISABLE_MODEL_SOURCE_CHECK"
_RIGHT = "PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK"
_FIRST_WITH_CHECK = (3, 3, 11)
"""The first paddlex that reads `_RIGHT`; none of the 26 releases 3.3.0-3.7.2 reads `_MISPRINT`."""


def _source_check(context: Context) -> Diagnosis:
    settings = context.facts.settings
    if _MISPRINT not in settings:
        return skipped(message("evidence-not-set", name=_MISPRINT))
    if settings.get(_RIGHT):
        return ok(_RIGHT, settings[_RIGHT])
    paddlex = context.target.version_of("paddlex") or "0"
    if numbers(paddlex) < _FIRST_WITH_CHECK:
        return problem(Status.NOTE, _MISPRINT, settings[_MISPRINT], paddlex=paddlex)
    return problem(Status.WARNING, _MISPRINT, settings[_MISPRINT], paddlex=paddlex)


def _visible_devices(context: Context) -> Diagnosis:
    value, gpus = context.facts.settings.get(LIST), context.facts.gpus
    if value is None:
        return skipped(message("evidence-not-set", name=LIST))
    if context.target.version_of("paddlepaddle-gpu") is None or not gpus.devices:
        return skipped(message("evidence-no-cuda-wheel-gpu"))
    if _wrong_entry(value, gpus) is None:
        return ok(LIST, value)
    shown, there = value or message("evidence-empty"), len(gpus.devices)
    return problem(Status.WARNING, LIST, shown, devices=shown, count=there)


def _wrong_entry(value: str, gpus: Gpus) -> str | None:
    """Return the first entry that names no GPU, or one that was named before; CUDA then sees fewer, or none.

    Source: see `visible`. A GPU that could not be asked still has a number, and UUIDs that nobody could look up
    are taken as right; an empty value hides every GPU.
    """
    count = None if gpus.detail else len(gpus.devices)
    before: set[str] = set()
    for entry in (part.strip() for part in value.split(",")):
        by_uuid = entry.startswith(("GPU-", "MIG-"))
        there = entry.isdecimal() and (count is None or int(entry) < count)
        there = (gpus.by_uuid is None or entry in gpus.by_uuid) if by_uuid else there
        if not there or entry in before:
            return entry
        before.add(entry)
    return None


SETTINGS_CHECKS = (
    Check("misprinted-source-check-env", _source_check, needs=("no-paddleocr-installed",)),
    Check("cuda-visible-devices", _visible_devices, needs=("no-paddle-installed",)),
)
