"""Chooses the paddle wheel for a machine from facts and a version set, with the reasons; without I/O."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.knowledge.selection_rules import RULES, RuleText, rule_text, with_source
from paddlevl_doctor.knowledge.tables import numbers
from paddlevl_doctor.knowledge.version_sets import PLANNED_PYTHON, VersionSet, gpu_version, minor_of
from paddlevl_doctor.knowledge.visible_gpus import gpu_names
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

    `refusals` are the reasons why paddle cannot use a part of the machine, each with a solution. If `installable` is
    False, there is no wheel for the machine; package and version are then those of the CPU wheel.
    """

    package: str
    """paddlepaddle or paddlepaddle-gpu."""
    version: str
    tag: str
    """cpu, cu118, cu126 or cu129."""
    find_links: str | None
    """The page for --find-links; None for the CPU wheel, which is on the default index."""
    device: str
    """The device for paddle: cpu or gpu:N, where N is the number that nvidia-smi shows."""
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

    If no GPU can be used, the CPU wheel is chosen, and the refusals are the reasons.
    """
    unsupported = _unsupported(host, python_version, version_set)
    if unsupported:
        return _cpu_choice(host, version_set, (), unsupported, installable=False)
    if not gpus.devices:
        if gpus.reason in (None, "no-library"):
            return _cpu_choice(host, version_set, (rule_text("no-gpu"),))
        # There may be a GPU that NVML could not query: the refusal is the reason.
        rule = gpus.reason if gpus.reason in RULES else "nvml-error"
        return _cpu_choice(host, version_set, refusals=(rule_text(rule, detail=gpus.detail or gpus.reason),))
    models = ", ".join(dict.fromkeys(gpu.name for gpu in gpus.devices))
    if host.machine != "x86_64" or host.system == "macos":
        return _cpu_choice(host, version_set, refusals=_unused_on_arm(host, models))
    if host.wsl == 1:
        return _cpu_choice(host, version_set, refusals=(rule_text("wsl-1", gpus=models),))
    return _gpu_choice(host, gpus, python_version, version_set)


def _gpu_choice(host: Host, gpus: Gpus, python_version: str, version_set: VersionSet) -> WheelChoice:
    choice = choose_line(host, gpus, version_set.paddle_gpu)
    if choice.line is None:
        return _cpu_choice(host, version_set, refusals=choice.refusals)
    tag, row = choice.line.tag, gpu_version(version_set.name, choice.line.tag)
    of_set = with_source(rule_text("gpu-version", version=row.version, tag=tag), row)
    version = version_set.paddle_gpu[tag]
    return WheelChoice(
        "paddlepaddle-gpu",
        version,
        tag,
        load_indexes()[tag].flat,
        f"gpu:{choice.used[0].index}",
        (*choice.reasons, of_set, *_unlisted_wheel(tag, version, host.system, python_version)),
        choice.refusals,
        used=choice.used,
    )


def usable_gpus(wheel: WheelChoice, installed: PaddleBuild | None) -> tuple[Gpu, ...]:
    """Return the GPUs of a choice that the installed CUDA wheel has code for: all of them if it lists no code."""
    archs = installed.architectures if installed else ()
    return tuple(gpu for gpu in wheel.used if not archs or architecture_covers(archs, gpu.compute_capability))


def _unused_on_arm(host: Host, models: str) -> tuple[RuleText, ...]:
    """Return the refusal of GPUs beside an ARM processor, as in Jetson, Grace Hopper and DGX Spark."""
    if host.system != "linux":
        return ()
    from paddlevl_doctor.knowledge.servers import backends_for  # noqa: PLC0415 - only these machines need it

    servers = ", ".join(backend.name for backend in backends_for(host.system, host.machine))
    return (rule_text("arm-gpu-unused", gpus=models, servers=servers),)


def _unsupported(host: Host, python_version: str, version_set: VersionSet) -> tuple[RuleText, ...]:
    """Return the reasons why there is no wheel for this machine or this Python, nothing if there is one."""
    reasons: list[RuleText] = []
    if (host.system, host.machine) == ("macos", "x86_64"):
        reasons.append(rule_text("intel-mac"))
    elif (host.system, host.machine) == ("windows", "aarch64"):
        reasons.append(rule_text("windows-arm"))
    elif host.system not in ("linux", "windows", "macos") or host.machine not in ("x86_64", "aarch64"):
        reasons.append(rule_text("machine-unsupported", system=host.system, machine=host.machine))
    needed = required_glibc(version_set.paddle_cpu)
    if host.glibc is not None and numbers(host.glibc) < numbers(needed):
        version = version_set.paddle_cpu
        reasons.append(rule_text("glibc-too-old", glibc=host.glibc, needed=needed, version=version))
    if host.musl:
        reasons.append(rule_text("musl"))
    if not version_set.supports_python(python_version):
        params = {"python": python_version, "wanted": version_set.python, "best": PLANNED_PYTHON}
        reasons.append(rule_text("python-unsupported", **params))
    return tuple(reasons)


def _cpu_choice(
    host: Host,
    version_set: VersionSet,
    reasons: tuple[RuleText, ...] = (),
    refusals: tuple[RuleText, ...] = (),
    *,
    installable: bool = True,
) -> WheelChoice:
    version = version_set.paddle_cpu
    if host.system == "macos":
        reasons = (*reasons, rule_text("apple-silicon"))
    elif host.machine == "aarch64":
        reasons = (*reasons, rule_text("aarch64"))
    reasons = (*reasons, rule_text("cpu-version", version=version)) if installable else ()
    return WheelChoice("paddlepaddle", version, "cpu", None, "cpu", reasons, refusals, installable)


def _unlisted_wheel(tag: str, version: str, system: str, python_version: str) -> tuple[RuleText, ...]:
    """Return a warning if matrix/indexes.toml does not list the wheel for this Python."""
    python, wheel = minor_of(python_version), (tag, version, system)
    rows = (row for row in load_gpu_wheels() if (row.tag, row.version, row.system) == wheel)
    return () if any(python in row.pythons for row in rows) else (rule_text("wheel-not-seen", python=python),)


def architecture_covers(archs: Sequence[int], compute_capability: str) -> bool:
    """Return whether code compiled for these architectures (75, 86, 120) runs on a GPU of this compute capability.

    Code for X.y runs on capability X.z if z >= y (CUDA C++ programming guide, binary compatibility). Paddle's wheels
    contain no PTX, which could be compiled for other GPUs.
    """
    parts = numbers(compute_capability)
    if len(parts) < 2:  # noqa: PLR2004 - major and minor
        return False
    major, minor = parts[:2]
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
    """Return the oldest GNU C library that a version of paddle runs with; the tags of its wheels name older ones.

    Source: the symbols of libphi_core.so in the CPU wheels 3.2.0 and 3.3.1 (failure glibc-too-old).
    """
    return "2.28" if numbers(paddle) >= (3, 3) else "2.27"


def driver_system(host: Host) -> str:
    """Return the system whose driver versions NVML reports: Windows under WSL (microsoft/WSL#11277, #11589)."""
    return "windows" if host.wsl else host.system


ABOUT_DRIVERS = ("driver-too-old", "blackwell-driver")
"""Rules about a GPU that a newer driver would make usable."""
ABOUT_CODE = ("windows-needs-7-5", "architecture-not-built")
"""Rules about a GPU that no wheel of this system has code for."""


@dataclass(frozen=True)
class LineChoice:
    """The chosen CUDA version and the GPUs that its wheel can use; None and nothing if no GPU can be used."""

    line: CudaLine | None
    used: tuple[Gpu, ...]
    reasons: tuple[RuleText, ...]
    refusals: tuple[RuleText, ...]
    driver: str | None = None
    """The oldest driver that runs this CUDA version on all of these GPUs, in the numbering of `driver_system`."""


def choose_line(host: Host, gpus: Gpus, tags: Container[str]) -> LineChoice:
    """Return the first CUDA version among `tags` that serves every usable GPU, else the one for the best GPU.

    A GPU below the minimum of PaddleOCR-VL does not influence the choice.
    """
    minimum = numbers(minimum_compute_capability())
    able = tuple(gpu for gpu in gpus.devices if numbers(gpu.compute_capability) >= minimum)
    weak = tuple(gpu for gpu in gpus.devices if gpu not in able)
    machine = _Machine(host, gpus.driver, tuple(line for line in load_lines() if line.tag in tags))
    line, used = machine.best(able)
    unused = tuple(gpu for gpu in able if gpu not in used)
    refusals = tuple(dict.fromkeys([*machine.too_weak(weak), *machine.unserved(unused)]))
    if line is None:
        return LineChoice(None, (), (), refusals)
    reasons = machine.reasons(line, used, gpus.devices)
    return LineChoice(line, used, reasons, refusals, machine.needed_by(line, used))


def loads_eagerly(host: Host, gpus: Iterable[Gpu]) -> bool:
    """Return whether CUDA must load all kernels at once: for RTX 50 GPUs under WSL (PaddlePaddle/docs#5498)."""
    return bool(host.wsl) and any(numbers(gpu.compute_capability)[:1] == (12,) for gpu in gpus)


@dataclass(frozen=True)
class _Machine:
    host: Host
    driver: str | None
    lines: tuple[CudaLine, ...]

    def best(self, able: tuple[Gpu, ...]) -> tuple[CudaLine | None, tuple[Gpu, ...]]:
        """Return a CUDA version for all GPUs, else one for the newest and largest GPU, and the GPUs that it serves."""
        ranked = sorted(
            able, key=lambda gpu: (numbers(gpu.compute_capability), gpu.memory_total_mb), reverse=True
        )
        for group in [able, *((gpu,) for gpu in ranked)]:
            for line in self.lines:
                if group and all(self.serves(line, gpu) for gpu in group):
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
        # If the driver's version is unknown, assume that it is new enough; the rule driver-unknown reports that.
        return self.driver is None or numbers(self.driver) >= numbers(self.needed(line, gpu))

    def reasons(
        self, line: CudaLine, used: tuple[Gpu, ...], devices: tuple[Gpu, ...]
    ) -> tuple[RuleText, ...]:
        """Return the reasons for a CUDA version: architectures, driver, kernel loading, and the other GPUs."""
        row = load_compiled()[line.tag, self.host.system]
        archs = " ".join(map(str, row.sm))
        texts = [
            rule_text("architecture", gpu=g.name, cc=g.compute_capability, tag=line.tag, archs=archs)
            for g in used
        ]
        reasons = [*dict.fromkeys(with_source(one, row) for one in texts), *self._driver_reasons(line, used)]
        if loads_eagerly(self.host, used):
            reasons.append(rule_text("wsl-blackwell-eager"))
        unused = tuple(gpu for gpu in devices if gpu not in used)
        if unused:
            names = {"used": gpu_names(used), "unused": gpu_names(unused)}
            reasons.append(rule_text("some-gpus", device=f"gpu:{used[0].index}", **names))
        elif len(used) > 1:
            reasons.append(rule_text("several-gpus", tag=line.tag, count=len(used)))
        return tuple(reasons)

    def _driver_reasons(self, line: CudaLine, used: tuple[Gpu, ...]) -> list[RuleText]:
        needed = self.needed_by(line, used)
        if self.driver is None:
            return [rule_text("driver-unknown", cuda=line.cuda, needed=needed)]
        reasons = [rule_text("driver", driver=self.driver, cuda=line.cuda, needed=needed)]
        if self.host.wsl:
            reasons.append(rule_text("wsl-driver"))
        toolkit = line.toolkit_driver(driver_system(self.host))
        if numbers(self.driver) < numbers(toolkit):
            reasons.append(rule_text("minor-version-compatibility", cuda=line.cuda, toolkit=toolkit))
        return reasons

    def too_weak(self, weak: tuple[Gpu, ...]) -> list[RuleText]:
        """Return the refusals of GPUs below the minimum, with an alternative on Kaggle."""
        minimum = minimum_compute_capability()
        refusals = [
            rule_text("compute-capability-too-low", gpu=g.name, cc=g.compute_capability, minimum=minimum)
            for g in weak
        ]
        if weak and self.host.notebook == "kaggle":
            refusals.append(rule_text("kaggle-choose-t4", gpu=weak[0].name))
        return refusals

    def unserved(self, unused: tuple[Gpu, ...]) -> list[RuleText]:
        """Return the refusals of the unused GPUs that no CUDA version serves; `reasons` names the other ones."""
        unserved = [gpu for gpu in unused if not any(self.serves(line, gpu) for line in self.lines)]
        refusals = [self._refusal(gpu) for gpu in unserved]
        if self.host.wsl and any(one.rule in ABOUT_DRIVERS for one in refusals):
            refusals.append(rule_text("wsl-driver"))
        return refusals

    def _refusal(self, gpu: Gpu) -> RuleText:
        """Return why no CUDA version serves this GPU: no wheel is built for it, or the driver is too old."""
        cc = gpu.compute_capability
        built = [line for line in self.lines if self.covers(line, gpu)]
        if not built and self.host.system == "windows" and numbers(cc) < (7, 5):
            return rule_text("windows-needs-7-5", gpu=gpu.name, cc=cc)
        if not built:
            return rule_text("architecture-not-built", gpu=gpu.name, cc=cc)
        line = min(built, key=lambda one: numbers(self.needed(one, gpu)))
        is_blackwell = numbers(cc) >= numbers(line.toolkit_driver_from or "1000")
        rule = "blackwell-driver" if is_blackwell else "driver-too-old"
        needed = self.needed(line, gpu)
        return rule_text(rule, gpu=gpu.name, tag=line.tag, cuda=line.cuda, needed=needed, driver=self.driver)
