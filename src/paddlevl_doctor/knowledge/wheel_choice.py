"""Chooses the paddle wheel for a machine, and says why. Pure: facts and a version set in, a choice out."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from paddlevl_doctor.knowledge.data_files import numbers
from paddlevl_doctor.knowledge.selection_rules import RULES, RuleText, rule_text, with_source
from paddlevl_doctor.knowledge.version_sets import PLANNED_PYTHON, VersionSet, gpu_version, minor_of
from paddlevl_doctor.knowledge.wheel_tables import (
    CudaLine,
    family_of,
    load_compiled,
    load_gpu_wheels,
    load_indexes,
    load_lines,
    minimum_compute_capability,
)
from paddlevl_doctor.values.facts import Gpu, Gpus, Host, PaddleBuild


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
    reasons: tuple[RuleText, ...]
    refusals: tuple[RuleText, ...] = ()
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
        # Choose the CPU wheel; where a GPU may be there but could not be asked, say so.
        if gpus.reason in (None, "no-library"):
            return _cpu(host, version_set, (rule_text("no-gpu"),))
        rule = gpus.reason if gpus.reason in RULES else "nvml-error"
        return _cpu(host, version_set, refusals=(rule_text(rule, detail=gpus.detail or gpus.reason),))
    if host.machine != "x86_64" or host.system == "macos":
        return _cpu(host, version_set, refusals=_unused_on_arm(host, gpus))
    if host.wsl == 1:
        return _cpu(host, version_set, refusals=(rule_text("wsl-1", gpus=_kinds(gpus)),))
    return _with_devices(host, gpus, python_version, version_set)


def _with_devices(host: Host, gpus: Gpus, python_version: str, version_set: VersionSet) -> WheelChoice:
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


def usable_gpus(wheel: WheelChoice, installed: PaddleBuild | None) -> tuple[Gpu, ...]:
    """Return the GPUs of a choice that the installed CUDA wheel has code for, as far as it says what it has."""
    archs = installed.architectures if installed else ()
    return tuple(gpu for gpu in wheel.used if not archs or architecture_covers(archs, gpu.compute_capability))


def _of_set(version_set: VersionSet, tag: str) -> RuleText:
    row = gpu_version(version_set.name, tag)
    return with_source(rule_text("gpu-version", version=row.version, tag=tag), row)


def _unused_on_arm(host: Host, gpus: Gpus) -> tuple[RuleText, ...]:
    """Say that paddle cannot use these GPUs: Jetson, Grace Hopper and DGX Spark have ARM processors."""
    if host.system != "linux":
        return ()
    from paddlevl_doctor.knowledge.servers import backends_for  # noqa: PLC0415 - only these machines need it

    servers = ", ".join(backend.name for backend in backends_for(host.system, host.machine))
    return (rule_text("arm-gpu-unused", gpus=_kinds(gpus), servers=servers),)


def _kinds(gpus: Gpus) -> str:
    return ", ".join(dict.fromkeys(gpu.name for gpu in gpus.devices))


def _impossible(host: Host, python_version: str, version_set: VersionSet) -> tuple[RuleText, ...]:
    """Return why there is no wheel at all for this machine or this Python."""
    found: list[RuleText] = []
    if (host.system, host.machine) == ("macos", "x86_64"):
        found.append(rule_text("intel-mac"))
    elif (host.system, host.machine) == ("windows", "aarch64"):
        found.append(rule_text("windows-arm"))
    elif host.system not in ("linux", "windows", "macos") or host.machine not in ("x86_64", "aarch64"):
        found.append(rule_text("machine-unsupported", system=host.system, machine=host.machine))
    needed = required_glibc(version_set.paddle_cpu)
    if host.glibc is not None and numbers(host.glibc) < numbers(needed):
        version = version_set.paddle_cpu
        found.append(rule_text("glibc-too-old", glibc=host.glibc, needed=needed, version=version))
    if host.musl:
        found.append(rule_text("musl"))
    if not version_set.supports_python(python_version):
        known = {"python": python_version, "wanted": version_set.python, "best": PLANNED_PYTHON}
        found.append(rule_text("python-unsupported", **known))
    return tuple(found)


def _cpu(
    host: Host,
    version_set: VersionSet,
    reasons: tuple[RuleText, ...] = (),
    refusals: tuple[RuleText, ...] = (),
    *,
    installable: bool = True,
) -> WheelChoice:
    version = version_set.paddle_cpu
    why = (*reasons, *_of_platform(host), rule_text("cpu-version", version=version)) if installable else ()
    return WheelChoice("paddlepaddle", version, "cpu", None, "cpu", why, refusals, installable)


def _of_platform(host: Host) -> tuple[RuleText, ...]:
    if host.system == "macos":
        return (rule_text("apple-silicon"),)
    return (rule_text("aarch64"),) if host.machine == "aarch64" else ()


def _seen(tag: str, version: str, system: str, python_version: str) -> tuple[RuleText, ...]:
    """Return a warning where nothing public shows the wheel for this Python."""
    python = minor_of(python_version)
    known = (row for row in load_gpu_wheels() if (row.tag, row.version, row.system) == (tag, version, system))
    return (
        () if any(python in row.pythons for row in known) else (rule_text("wheel-not-seen", python=python),)
    )


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


ABOUT_DRIVERS = ("driver-too-old", "blackwell-driver")
"""Rules about a GPU that a newer driver would make usable."""
ABOUT_CODE = ("windows-needs-7-5", "architecture-not-built")
"""Rules about a GPU that no wheel of this system has code for."""


@dataclass(frozen=True)
class LineChoice:
    """A CUDA line with the GPUs that it serves; no line and no GPUs where none can be used."""

    line: CudaLine | None
    used: tuple[Gpu, ...]
    reasons: tuple[RuleText, ...]
    refusals: tuple[RuleText, ...]
    driver: str | None = None
    """The oldest driver that runs this line on all of these GPUs, numbered as the machine's drivers are."""


def choose_line(host: Host, gpus: Gpus, tags: Container[str]) -> LineChoice:
    """Return the first line among `tags` that serves every usable GPU, else the one for the best GPU.

    A GPU below the minimum of PaddleOCR-VL is left out before that, so that an old card beside a new one does
    no harm.
    """
    minimum = numbers(minimum_compute_capability())
    able = tuple(gpu for gpu in gpus.devices if numbers(gpu.compute_capability) >= minimum)
    weak = tuple(gpu for gpu in gpus.devices if gpu not in able)
    machine = _Machine(host, gpus.driver, tuple(line for line in load_lines() if line.tag in tags))
    line, used = machine.best(able)
    left = tuple(gpu for gpu in able if gpu not in used)
    refusals = _distinct([*machine.too_weak(weak), *machine.left_out(left)])
    if line is None:
        return LineChoice(None, (), (), refusals)
    return LineChoice(
        line, used, machine.why(line, used, gpus.devices), refusals, machine.needed_by(line, used)
    )


def loads_eagerly(host: Host, gpus: Iterable[Gpu]) -> bool:
    """Say whether CUDA has to load all kernels at once: RTX 50 cards under WSL (PaddlePaddle/docs#5498)."""
    return bool(host.wsl) and any(numbers(gpu.compute_capability)[:1] == (12,) for gpu in gpus)


def _distinct(sentences: list[RuleText]) -> tuple[RuleText, ...]:
    return tuple(dict.fromkeys(sentences))


def _names(gpus: tuple[Gpu, ...]) -> str:
    return ", ".join(f"gpu:{gpu.index} ({gpu.name})" for gpu in gpus)


@dataclass(frozen=True)
class _Machine:
    host: Host
    driver: str | None
    lines: tuple[CudaLine, ...]

    def best(self, able: tuple[Gpu, ...]) -> tuple[CudaLine | None, tuple[Gpu, ...]]:
        """Return a line for all GPUs, else one for the newest and largest of them, and the GPUs it serves."""
        ranked = sorted(
            able, key=lambda gpu: (numbers(gpu.compute_capability), gpu.memory_total_mb), reverse=True
        )
        for wanted in [able, *((gpu,) for gpu in ranked)]:
            for line in self.lines:
                if wanted and all(self.serves(line, gpu) for gpu in wanted):
                    return line, tuple(gpu for gpu in able if self.serves(line, gpu))
        return None, ()

    def serves(self, line: CudaLine, gpu: Gpu) -> bool:
        return self.covers(line, gpu) and self.drives(line, gpu)

    def covers(self, line: CudaLine, gpu: Gpu) -> bool:
        compiled = load_compiled().get((line.tag, self.host.system))
        return compiled is not None and architecture_covers(compiled.sm, gpu.compute_capability)

    def needed(self, line: CudaLine, gpu: Gpu) -> str:
        return line.needed_driver(driver_system(self.host), gpu.compute_capability)

    def needed_by(self, line: CudaLine, used: tuple[Gpu, ...]) -> str:
        return max((self.needed(line, gpu) for gpu in used), key=numbers)

    def drives(self, line: CudaLine, gpu: Gpu) -> bool:
        # A driver without a readable version is given the benefit of the doubt, and a sentence says so.
        return self.driver is None or numbers(self.driver) >= numbers(self.needed(line, gpu))

    def why(self, line: CudaLine, used: tuple[Gpu, ...], devices: tuple[Gpu, ...]) -> tuple[RuleText, ...]:
        """Say why this line: the architecture, the driver, and what became of the other GPUs."""
        return (
            *self._architectures(line, used),
            *self._driver(line, used),
            *self._loading(used),
            *self._others(line, used, devices),
        )

    def _architectures(self, line: CudaLine, used: tuple[Gpu, ...]) -> tuple[RuleText, ...]:
        row = load_compiled()[line.tag, self.host.system]
        archs = " ".join(map(str, row.sm))
        said = (
            rule_text("architecture", gpu=g.name, cc=g.compute_capability, tag=line.tag, archs=archs)
            for g in used
        )
        return _distinct([with_source(one, row) for one in said])

    def _driver(self, line: CudaLine, used: tuple[Gpu, ...]) -> tuple[RuleText, ...]:
        needed = self.needed_by(line, used)
        if self.driver is None:
            return (rule_text("driver-unknown", cuda=line.cuda, needed=needed),)
        said = [rule_text("driver", driver=self.driver, cuda=line.cuda, needed=needed)]
        if self.host.wsl:
            said.append(rule_text("wsl-driver"))
        toolkit = line.toolkit_driver(driver_system(self.host))
        if numbers(self.driver) < numbers(toolkit):
            said.append(rule_text("minor-version-compatibility", cuda=line.cuda, toolkit=toolkit))
        return tuple(said)

    def _loading(self, used: tuple[Gpu, ...]) -> tuple[RuleText, ...]:
        return (rule_text("wsl-blackwell-eager"),) if loads_eagerly(self.host, used) else ()

    def _others(
        self, line: CudaLine, used: tuple[Gpu, ...], devices: tuple[Gpu, ...]
    ) -> tuple[RuleText, ...]:
        unused = tuple(gpu for gpu in devices if gpu not in used)
        if unused:
            device = f"gpu:{used[0].index}"
            return (rule_text("some-gpus", used=_names(used), unused=_names(unused), device=device),)
        return (rule_text("several-gpus", tag=line.tag, count=len(used)),) if len(used) > 1 else ()

    def too_weak(self, weak: tuple[Gpu, ...]) -> list[RuleText]:
        """Say that these GPUs are below the minimum, and on Kaggle what to choose instead."""
        minimum = minimum_compute_capability()
        said = [
            rule_text("compute-capability-too-low", gpu=g.name, cc=g.compute_capability, minimum=minimum)
            for g in weak
        ]
        if weak and self.host.notebook == "kaggle":
            said.append(rule_text("kaggle-choose-t4", gpu=weak[0].name))
        return said

    def left_out(self, left: tuple[Gpu, ...]) -> list[RuleText]:
        """Say why no line serves some of these GPUs; those that only another line serves are named elsewhere."""
        unserved = [gpu for gpu in left if not any(self.serves(line, gpu) for line in self.lines)]
        said = [self._left_out(gpu) for gpu in unserved]
        if self.host.wsl and any(one.rule in ABOUT_DRIVERS for one in said):
            said.append(rule_text("wsl-driver"))
        return said

    def _left_out(self, gpu: Gpu) -> RuleText:
        """Say why no line serves this GPU: nothing is built for it, or the driver is too old."""
        cc = gpu.compute_capability
        built = [line for line in self.lines if self.covers(line, gpu)]
        if not built and self.host.system == "windows" and numbers(cc) < (7, 5):
            return rule_text("windows-needs-7-5", gpu=gpu.name, cc=cc)
        if not built:
            return rule_text("architecture-not-built", gpu=gpu.name, cc=cc)
        line = min(built, key=lambda one: numbers(self.needed(one, gpu)))
        rule = (
            "blackwell-driver"
            if numbers(cc) >= numbers(line.toolkit_driver_from or "1000")
            else "driver-too-old"
        )
        needed = self.needed(line, gpu)
        return rule_text(rule, gpu=gpu.name, tag=line.tag, cuda=line.cuda, needed=needed, driver=self.driver)
