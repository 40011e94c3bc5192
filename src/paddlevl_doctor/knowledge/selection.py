"""Chooses the paddle wheel for a machine, and says why. Pure: facts and a version set in, a choice out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from paddlevl_doctor.facts.model import Gpu, Gpus, Host, PaddleBuild
from paddlevl_doctor.knowledge.rules import RULES, Sentence, backed_by, sentence
from paddlevl_doctor.knowledge.sets import PLANNED_PYTHON, VersionSet, gpu_version, minor_of
from paddlevl_doctor.knowledge.tables import numbers


@dataclass(frozen=True)
class WheelChoice:
    """The paddle wheel for a machine.

    `refusals` say what this machine has and paddle cannot use, each with the way out. Where `installable` is
    False even the CPU wheel does not exist; package and version are then what would have been chosen.
    """

    package: str
    """paddlepaddle or paddlepaddle-gpu."""
    version: str
    tag: str
    """cpu, cu118, cu126 or cu129."""
    find_links: str | None
    """The flat page for --find-links; None for the CPU wheel, which is on the default index."""
    device: str
    """What to give paddle as device: cpu or gpu:N, with N as nvidia-smi counts."""
    reasons: tuple[Sentence, ...]
    refusals: tuple[Sentence, ...] = ()
    installable: bool = True
    used: tuple[Gpu, ...] = ()
    """The GPUs that this wheel serves."""

    @property
    def requirement(self) -> str:
        """The wheel as a requirement string."""
        return f"{self.package}=={self.version}"


def choose_wheel(host: Host, gpus: Gpus, python_version: str, version_set: VersionSet) -> WheelChoice:
    """Return the wheel of a set for a machine; `python_version` is 3.12 or 3.12.1. Never raises.

    The CPU wheel is chosen wherever no GPU can be used, and the refusals say why.
    """
    impossible = _impossible(host, python_version, version_set)
    if impossible:
        return _cpu(host, version_set, (), impossible, installable=False)
    if not gpus.devices:
        return _without_devices(host, gpus, version_set)
    if host.machine != "x86_64" or host.system == "macos":
        return _cpu(host, version_set, refusals=_unused_on_arm(host, gpus))
    if host.wsl == 1:
        return _cpu(host, version_set, refusals=(sentence("wsl-1", gpus=_kinds(gpus)),))
    return _with_devices(host, gpus, python_version, version_set)


def _with_devices(host: Host, gpus: Gpus, python_version: str, version_set: VersionSet) -> WheelChoice:
    from paddlevl_doctor.knowledge.lines import choose_line  # noqa: PLC0415 - reads files that only GPUs need
    from paddlevl_doctor.knowledge.wheels import load_indexes  # noqa: PLC0415 - as above

    answer = choose_line(host, gpus, version_set.paddle_gpu)
    if answer.line is None:
        return _cpu(host, version_set, refusals=answer.refusals)
    tag = answer.line.tag
    version = version_set.paddle_gpu[tag]
    seen = _seen(tag, version, host.system, python_version)
    return WheelChoice(
        "paddlepaddle-gpu",
        version,
        tag,
        load_indexes()[tag].flat,
        f"gpu:{answer.used[0].index}",
        (*answer.reasons, _of_set(version_set, tag), *seen),
        answer.refusals,
        used=answer.used,
    )


def served(wheel: WheelChoice, installed: PaddleBuild | None) -> tuple[Gpu, ...]:
    """Return the GPUs of a choice that the installed CUDA wheel has code for, as far as it says what it has."""
    archs = installed.architectures if installed else ()
    return tuple(gpu for gpu in wheel.used if not archs or architecture_covers(archs, gpu.compute_capability))


def _of_set(version_set: VersionSet, tag: str) -> Sentence:
    row = gpu_version(version_set.name, tag)
    return backed_by(sentence("gpu-version", version=row.version, tag=tag), row)


def _unused_on_arm(host: Host, gpus: Gpus) -> tuple[Sentence, ...]:
    """Say that paddle cannot use these GPUs: Jetson, Grace Hopper and DGX Spark have ARM processors."""
    if host.system != "linux":
        return ()
    from paddlevl_doctor.knowledge.servers import backends_for  # noqa: PLC0415 - only these machines need it

    servers = ", ".join(backend.name for backend in backends_for(host.system, host.machine))
    return (sentence("arm-gpu-unused", gpus=_kinds(gpus), servers=servers),)


def _kinds(gpus: Gpus) -> str:
    return ", ".join(dict.fromkeys(gpu.name for gpu in gpus.devices))


def _impossible(host: Host, python_version: str, version_set: VersionSet) -> tuple[Sentence, ...]:
    """Return why there is no wheel at all for this machine or this Python."""
    found: list[Sentence] = []
    if (host.system, host.machine) == ("macos", "x86_64"):
        found.append(sentence("intel-mac"))
    elif (host.system, host.machine) == ("windows", "aarch64"):
        found.append(sentence("windows-arm"))
    elif host.system not in ("linux", "windows", "macos") or host.machine not in ("x86_64", "aarch64"):
        found.append(sentence("machine-unsupported", system=host.system, machine=host.machine))
    needed = required_glibc(version_set.paddle_cpu)
    if host.glibc is not None and numbers(host.glibc) < numbers(needed):
        version = version_set.paddle_cpu
        found.append(sentence("glibc-too-old", glibc=host.glibc, needed=needed, version=version))
    if host.musl:
        found.append(sentence("musl"))
    if not version_set.supports_python(python_version):
        known = {"python": python_version, "wanted": version_set.python, "best": PLANNED_PYTHON}
        found.append(sentence("python-unsupported", **known))
    return tuple(found)


def _without_devices(host: Host, gpus: Gpus, version_set: VersionSet) -> WheelChoice:
    """Choose the CPU wheel; where a GPU may be there but could not be asked, say so."""
    if gpus.reason in (None, "no-library"):
        return _cpu(host, version_set, (sentence("no-gpu"),))
    rule = gpus.reason if gpus.reason in RULES else "nvml-error"
    return _cpu(host, version_set, refusals=(sentence(rule, detail=gpus.detail or gpus.reason),))


def _cpu(
    host: Host,
    version_set: VersionSet,
    reasons: tuple[Sentence, ...] = (),
    refusals: tuple[Sentence, ...] = (),
    *,
    installable: bool = True,
) -> WheelChoice:
    version = version_set.paddle_cpu
    why = (*reasons, *_of_platform(host), sentence("cpu-version", version=version)) if installable else ()
    return WheelChoice("paddlepaddle", version, "cpu", None, "cpu", why, refusals, installable)


def _of_platform(host: Host) -> tuple[Sentence, ...]:
    if host.system == "macos":
        return (sentence("apple-silicon"),)
    return (sentence("aarch64"),) if host.machine == "aarch64" else ()


def _seen(tag: str, version: str, system: str, python_version: str) -> tuple[Sentence, ...]:
    """Return a warning where nothing public shows the wheel for this Python."""
    from paddlevl_doctor.knowledge.wheels import load_gpu_wheels  # noqa: PLC0415 - only GPUs need it

    python = minor_of(python_version)
    known = (row for row in load_gpu_wheels() if (row.tag, row.version, row.system) == (tag, version, system))
    return () if any(python in row.pythons for row in known) else (sentence("wheel-not-seen", python=python),)


def architecture_covers(archs: Sequence[int], compute_capability: str) -> bool:
    """Say whether code compiled for these architectures (75, 86, 120) runs on a GPU of capability X.z.

    Code for X.y runs where z >= y and the major number is the same (CUDA C++ programming guide, binary
    compatibility); paddle's wheels carry no PTX that could be translated for others.
    """
    wanted = numbers(compute_capability)
    if len(wanted) < 2:  # noqa: PLR2004 - major and minor
        return False
    major, minor = wanted[:2]
    return any(arch // 10 == major and arch % 10 <= minor for arch in archs)


def required_driver(cuda: str, system: str) -> str | None:
    """Return the oldest driver that runs a wheel built with this CUDA; None for an unknown CUDA or system.

    `system` is linux or windows; under WSL it is windows, see `driver_system`. The numbers are NVIDIA's for
    minor-version compatibility.
    """
    from paddlevl_doctor.knowledge.wheels import family_of  # noqa: PLC0415 - reads a file that only GPUs need

    family = family_of(cuda)
    if family is None or system not in ("linux", "windows"):
        return None
    return family.windows if system == "windows" else family.linux


def required_glibc(paddle: str) -> str:
    """Return the oldest GNU C library that a version of paddle runs with; its wheels promise older ones.

    From the symbols of libphi_core.so in the CPU wheels 3.2.0 and 3.3.1 (failure glibc-too-old).
    """
    return "2.28" if numbers(paddle) >= (3, 3) else "2.27"


def driver_system(host: Host) -> str:
    """Return whose driver numbers NVML reports: under WSL those of Windows (microsoft/WSL#11277, #11589)."""
    return "windows" if host.wsl else host.system
