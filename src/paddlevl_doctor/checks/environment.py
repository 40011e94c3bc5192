"""Checks of the machine, of the target's interpreter, and of environment variables."""

from __future__ import annotations

from functools import partial

from packaging.version import Version

from paddlevl_doctor.checks.base import Check, Context, Diagnosis, ok, problem, skipped
from paddlevl_doctor.facts.host import MAX_PATH, longest_path
from paddlevl_doctor.knowledge.tables import numbers
from paddlevl_doctor.knowledge.visible_gpus import VISIBLE_DEVICES
from paddlevl_doctor.knowledge.wheel_choice import required_glibc
from paddlevl_doctor.messages import message
from paddlevl_doctor.values.facts import BrokenEnvironment, Gpus
from paddlevl_doctor.values.findings import Status

# Installing `current` took 1.4 GB in the environment and 0.7 GB in uv's cache (CPU, measured); the GPU wheels
# add 4 to 6 GB of downloads (matrix.md, 1.4).
_NEEDED_MB = {"paddlepaddle": 2_500, "paddlepaddle-gpu": 12_000}


def _base_python(context: Context) -> Diagnosis:
    target, broken = context.facts.target, context.facts.broken_environment
    if broken is None or broken.without_settings:
        return ok("base", target.base_prefix if target else message("evidence-none"))
    return _broken(broken, Status.ERROR)


def _settings(context: Context) -> Diagnosis:
    """environment-without-settings: only a note about the environment of an interpreter that the user named."""
    target, broken = context.facts.target, context.facts.broken_environment
    if broken is None or not broken.without_settings:
        return ok("pyvenv.cfg", target.prefix if target else message("evidence-none"))
    return _broken(broken, Status.ERROR if target is None else Status.NOTE)


def _broken(broken: BrokenEnvironment, status: Status) -> Diagnosis:
    packages = ", ".join(f"{name} {version}" for name, version in broken.packages.items())
    return problem(
        status,
        broken.folder,
        broken.home or message("evidence-unknown"),
        path=broken.folder,
        version=broken.version or "?",
        home=broken.home or "?",
        packages=packages or message("evidence-none"),
    )


def _interrupted(context: Context) -> Diagnosis:
    number = context.facts.interrupted_transaction
    if number is None:
        return ok("transactions", message("evidence-none"))
    return problem(Status.WARNING, "transactions", number, number=number)


def _damaged_journal(context: Context) -> Diagnosis:
    damaged = context.facts.damaged_journals
    if not damaged:
        return ok("transactions", message("evidence-none"))
    newest = damaged[-1]
    return problem(
        Status.WARNING, newest.folder, newest.reason, folder=newest.folder, number=newest.transaction
    )


def _startup_file(context: Context) -> Diagnosis:
    path = context.facts.startup_file
    if path is None:
        return ok("startup files", message("evidence-none"))
    reason = context.facts.target_problem or ""
    return problem(Status.ERROR, path, reason, path=path)


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
    unsupported = {
        f"{target.bits} bit": target.bits != 64,  # noqa: PLR2004 - bits of a pointer
        "free-threaded": target.free_threaded,
        target.implementation: target.implementation != "cpython",
    }
    flaws = [flaw for flaw, present in unsupported.items() if present]
    description = " ".join([target.version, *flaws])
    if flaws or not context.version_set.supports_python(target.version):
        return problem(Status.ERROR, target.python, description, version=description)
    return ok(target.python, description)


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
    missing = [flag.upper() for flag in _NEEDED_FLAGS if flag not in host.cpu_flags]
    if missing:
        return problem(Status.ERROR, "/proc/cpuinfo", host.cpu, cpu=host.cpu, missing=missing)
    return ok("/proc/cpuinfo", " ".join(host.cpu_flags))


_NEEDED_FLAGS = ("avx2", "fma")
"""What paddlepaddle 3.2.0 and 3.2.2 die without when they are imported (measured with QEMU's processors; BMI1, too)."""


def _emulated(context: Context) -> Diagnosis:
    host = context.facts.host
    if (host.system, host.machine) != ("linux", "x86_64"):
        return skipped(f"{host.system} {host.machine}")
    if host.emulated_on is not None:
        return problem(Status.WARNING, "/proc/cpuinfo", host.emulated_on)
    return ok("/proc/cpuinfo", host.machine)


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
    if longest <= MAX_PATH:
        return ok(purelib, message("evidence-longest-path", length=longest))
    if context.facts.long_paths is None:
        return skipped(message("evidence-registry"))
    if context.facts.long_paths:
        return ok("LongPathsEnabled", 1)
    # Installed files have been unpacked already; only a new installation can fail.
    installed = context.target.version_of("paddleocr") is not None
    status = Status.NOTE if installed else Status.WARNING
    return problem(status, "LongPathsEnabled", 0, path=purelib, length=longest, limit=MAX_PATH)


def _shared_libraries(sonames: tuple[str, ...], context: Context) -> Diagnosis:
    if context.facts.host.system != "linux":
        return skipped(context.facts.host.system)
    missing = [so for so in context.target.missing_libraries if so in sonames]
    if missing:
        return problem(Status.ERROR, "dlopen", ", ".join(missing), library=", ".join(missing))
    return ok("dlopen", ", ".join(sonames))


_libgl = partial(_shared_libraries, ("libGL.so.1", "libglib-2.0.so.0"))
_libgomp = partial(_shared_libraries, ("libgomp.so.1",))


_STARTS = ("base-python-missing", "environment-without-settings", "startup-file")
"""What keeps the Python of the target from starting, or from using the packages of the target."""

CHECKS = (
    Check("base-python-missing", _base_python),
    Check("environment-without-settings", _settings),
    Check("startup-file", _startup_file),
    Check("target-environment", _target_environment, needs=_STARTS),
    Check("interrupted-repair", _interrupted),
    Check("damaged-journal", _damaged_journal),
    Check("python-version-unsupported", _python_version, needs=("target-environment",)),
    Check("glibc-too-old", _glibc),
    Check("musl-libc", _musl),
    Check("no-avx-illegal-instruction", _avx),
    Check("emulated-x86-on-arm", _emulated),
    Check("macos-intel", _intel_mac),
    Check("aarch64-no-gpu-wheel", _aarch64),
    Check("disk-space", _disk_space),
    Check("windows-long-path", _long_paths, needs=("target-environment",)),
    Check("libgl-missing", _libgl, needs=("target-environment",)),
    Check("libgomp-missing", _libgomp, needs=("target-environment",)),
)


_MISPRINTED_NAME = "DISABLE_MODEL_SOURCE_CHECK"
_CORRECT_NAME = "PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK"
_FIRST_WITH_CHECK = (3, 3, 11)
"""The first paddlex that reads _CORRECT_NAME; none of the 26 releases 3.3.0-3.7.2 reads _MISPRINTED_NAME."""


def _source_check(context: Context) -> Diagnosis:
    settings = context.facts.settings
    if _MISPRINTED_NAME not in settings:
        return skipped(message("evidence-not-set", name=_MISPRINTED_NAME))
    if settings.get(_CORRECT_NAME):
        return ok(_CORRECT_NAME, settings[_CORRECT_NAME])
    paddlex = context.target.version_of("paddlex") or "0"
    if numbers(paddlex) < _FIRST_WITH_CHECK:
        return problem(Status.NOTE, _MISPRINTED_NAME, settings[_MISPRINTED_NAME], paddlex=paddlex)
    return problem(Status.WARNING, _MISPRINTED_NAME, settings[_MISPRINTED_NAME], paddlex=paddlex)


def _visible_devices(context: Context) -> Diagnosis:
    value, gpus = context.facts.settings.get(VISIBLE_DEVICES), context.facts.gpus
    if value is None:
        return skipped(message("evidence-not-set", name=VISIBLE_DEVICES))
    if context.target.version_of("paddlepaddle-gpu") is None or not gpus.devices:
        return skipped(message("evidence-no-cuda-wheel-gpu"))
    if _wrong_entry(value, gpus) is None:
        return ok(VISIBLE_DEVICES, value)
    devices = value or message("evidence-empty")
    return problem(Status.WARNING, VISIBLE_DEVICES, devices, devices=devices, count=len(gpus.devices))


def _wrong_entry(value: str, gpus: Gpus) -> str | None:
    """Return the first entry of CUDA_VISIBLE_DEVICES that is a duplicate or names no GPU, None if all are right.

    CUDA ignores a wrong entry and all entries after it; an empty value hides every GPU (source: see
    knowledge/visible_gpus.py). Every number is accepted if NVML failed for a GPU, every UUID if none was looked up.
    """
    count = None if gpus.detail else len(gpus.devices)
    seen: set[str] = set()
    for entry in (part.strip() for part in value.split(",")):
        exists = entry.isdecimal() and (count is None or int(entry) < count)
        if entry.startswith(("GPU-", "MIG-")):
            exists = gpus.by_uuid is None or entry in gpus.by_uuid
        if not exists or entry in seen:
            return entry
        seen.add(entry)
    return None


VARIABLE_CHECKS = (
    Check("misprinted-source-check-env", _source_check, needs=("no-paddleocr-installed",)),
    Check("cuda-visible-devices", _visible_devices, needs=("no-paddle-installed",)),
)
