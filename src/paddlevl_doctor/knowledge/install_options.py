"""Determines what can be installed on a machine: versions, wheel, driver, download size, GPU memory; without I/O."""

from __future__ import annotations

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.knowledge.resource_estimates import Download, estimate, expected_download, in_blocks
from paddlevl_doctor.knowledge.selection_rules import RuleText, rule_text
from paddlevl_doctor.knowledge.version_sets import VersionSet
from paddlevl_doctor.knowledge.wheel_choice import WheelChoice, choose_line, choose_wheel, driver_system
from paddlevl_doctor.messages import Text, message
from paddlevl_doctor.values.facts import Gpu, Gpus, Host
from paddlevl_doctor.values.findings import Command

_WHEELS = ("--only-binary", ":all:")
"""uv must not compile packages on the user's machine; `fix` uses the same option."""
_NEW = ".venv"
"""The environment that the printed commands create, and into which they install even if another one is active."""


@dataclass(frozen=True)
class Machine:
    """A machine: this one, or one that the user described with options."""

    host: Host
    gpus: Gpus
    python: str
    """For example 3.12 or 3.12.1."""
    described: bool
    hidden: tuple[RuleText, ...] = ()
    """Notes about GPUs that CUDA_VISIBLE_DEVICES hides."""
    notes: tuple[RuleText, ...] = ()
    """The sources of what is assumed about a described machine."""


@dataclass(frozen=True)
class GpuNeed:
    """The peak GPU memory for reading a page, in MiB: an estimate, see matrix/memory.toml."""

    gpu: str
    peak_mb: int
    """The peak with the published paddlex."""
    patched_mb: int
    """The peak with the patch vision-attention-chunks, which `fix` applies."""
    dtype: str
    memory_mb: int | None
    """The memory of the GPU, None if it is unknown."""

    def refusal(self) -> RuleText | None:
        """Return the refusal of a GPU whose memory is too small even with the patch, else None."""
        if not self.memory_mb or self.memory_mb >= self.patched_mb:
            return None
        has, peak = self.memory_mb / 1024, self.patched_mb / 1024
        return rule_text("gpu-memory-short", gpu=self.gpu, has=has, peak=peak)


@dataclass(frozen=True)
class DriverNeed:
    """The driver that the chosen CUDA wheel needs."""

    minimum: str
    toolkit: str
    """The driver that was released with this CUDA version: from it on minor-version compatibility is not needed."""
    cuda: str
    source: str
    verified: str


@dataclass(frozen=True)
class InstallOption:
    """The version set and wheel for one machine, and what they require. `possible` is False if there is no wheel."""

    machine: Machine
    version_set: VersionSet
    wheel: WheelChoice
    driver: DriverNeed | None
    download: Download | None
    memory: tuple[GpuNeed, ...]
    used: tuple[Gpu, ...]
    index: IndexComparison | None = None
    """The comparison with the index page, None if the page was not read."""
    mirror: str | None = None
    """The URL of an index that replaces the default one."""
    fix: Command = ()
    """The `fix` command that installs the same, on this machine or on the described one."""
    notes: tuple[Text, ...] = ()
    """The measurements that led to the mirror."""

    @property
    def possible(self) -> bool:
        """Whether PaddleOCR-VL can be installed."""
        return self.wheel.installable

    @property
    def reasons(self) -> tuple[RuleText, ...]:
        """The reasons for this set and this wheel, nothing if no wheel can be installed."""
        chosen = self.version_set
        why = RuleText("set", message(f"set:{chosen.name}:why"), chosen.source, chosen.verified)
        confirmed = self.index is not None and any(one.rule == "index-confirms" for one in self.index.texts)
        wheel = [one for one in self.wheel.reasons if not (confirmed and one.rule == "wheel-not-seen")]
        return (why, *self.machine.notes, *wheel) if self.possible else ()

    @property
    def refusals(self) -> tuple[RuleText, ...]:
        """The parts of the machine that cannot be used, each with the reason and a solution."""
        memory = (refusal for need in self.memory if (refusal := need.refusal()))
        return (*self.wheel.refusals, *memory, *self.machine.hidden)

    @property
    def commands(self) -> tuple[Command, ...]:
        """The uv commands that install into a new environment, nothing if no wheel can be installed."""
        if not self.possible:
            return ()
        python = ".".join(self.machine.python.split(".")[:2])
        page = ("--find-links", self.wheel.find_links) if self.wheel.find_links else ()
        index = ("--default-index", self.mirror) if self.mirror else ()
        requirements = (self.wheel.requirement, *self.version_set.stack())
        return (
            ("uv", "venv", "--python", python, _NEW),
            ("uv", "pip", "install", "--python", _NEW, *_WHEELS, *page, *index, *requirements),
        )


def resolve_install(machine: Machine, version_set: VersionSet) -> InstallOption:
    """Return what can be installed on a machine from a set; never raises."""
    host = machine.host
    wheel = choose_wheel(host, machine.gpus, machine.python, version_set)
    if not wheel.installable:
        return InstallOption(machine, version_set, wheel, None, None, (), ())
    download = expected_download(host, wheel.tag, version_set)
    if wheel.tag == "cpu":
        return InstallOption(machine, version_set, wheel, None, download, (), ())

    choice = choose_line(host, machine.gpus, version_set.paddle_gpu)
    driver, line = None, choice.line
    if line is not None and choice.driver is not None:
        toolkit = line.toolkit_driver(driver_system(host))
        driver = DriverNeed(choice.driver, toolkit, line.cuda, line.source, line.verified)
    needs = _memory(host, choice.used, version_set.paddlex)
    return InstallOption(machine, version_set, wheel, driver, download, needs, choice.used)


def _memory(host: Host, gpus: tuple[Gpu, ...], paddlex: str) -> tuple[GpuNeed, ...]:
    """Return one estimate for each GPU model."""
    needs = []
    for gpu in gpus:
        need = estimate(host.system, gpu.compute_capability, paddlex)
        total = gpu.memory_total_mb or None
        needs.append(GpuNeed(gpu.name, need.peak_mb, in_blocks(need).peak_mb, need.dtype, total))
    return tuple(dict.fromkeys(needs))


@dataclass(frozen=True)
class IndexComparison:
    """The comparison of an index page with the known wheels.

    `state`: confirmed (the page lists the chosen wheel and all known wheels), differs, empty (an empty page is not
    trusted) or unreachable. Wheels that are not known yet appear in `texts` but do not change the state.
    """

    url: str
    state: str
    versions: tuple[str, ...]
    """The versions on the page for this system and this Python, the newest last."""
    texts: tuple[RuleText, ...]
