"""What can be installed on a machine, with every figure that somebody wants to know before. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from paddlevl_doctor.knowledge.resource_estimates import Download, estimate, expected_download, in_blocks
from paddlevl_doctor.knowledge.selection_rules import RuleText, rule_text
from paddlevl_doctor.knowledge.version_sets import VersionSet
from paddlevl_doctor.knowledge.wheel_choice import WheelChoice, choose_line, choose_wheel, driver_system
from paddlevl_doctor.messages import Text, message
from paddlevl_doctor.values.facts import Gpu, Gpus, Host
from paddlevl_doctor.values.findings import Command

if TYPE_CHECKING:
    from paddlevl_doctor.knowledge.wheel_choice import LineChoice

_WHEELS = ("--only-binary", ":all:")
"""Nothing is ever compiled on the user's machine; `fix` installs the same way."""


@dataclass(frozen=True)
class Machine:
    """A machine, looked at or described."""

    host: Host
    gpus: Gpus
    python: str
    """For example 3.12 or 3.12.1."""
    described: bool
    hidden: tuple[RuleText, ...] = ()
    """What is said about GPUs that CUDA_VISIBLE_DEVICES hides."""
    notes: tuple[RuleText, ...] = ()
    """Where what is known of a described machine comes from."""


@dataclass(frozen=True)
class GpuNeed:
    """The GPU memory that reading a page takes at its peak, in MiB: an estimate, see matrix/memory.toml."""

    gpu: str
    peak_mb: int
    """As paddlex is published."""
    patched_mb: int
    """With the patch vision-attention-chunks, which `fix` applies."""
    dtype: str
    memory_mb: int | None
    """What the GPU has, where it is known."""

    def short(self) -> RuleText:
        """Say that the GPU has less than it takes even with the patch."""
        assert self.memory_mb is not None  # noqa: S101 - the caller looked
        return rule_text(
            "gpu-memory-short", gpu=self.gpu, has=self.memory_mb / 1024, peak=self.patched_mb / 1024
        )


@dataclass(frozen=True)
class DriverNeed:
    """The driver that the chosen CUDA wheel needs."""

    minimum: str
    toolkit: str
    """The driver that came with this CUDA: from there on nothing depends on compatibility."""
    cuda: str
    source: str
    verified: str


@dataclass(frozen=True)
class InstallOption:
    """The set, the wheel and what they need on one machine; `possible` is False where nothing can be installed."""

    machine: Machine
    version_set: VersionSet
    wheel: WheelChoice
    driver: DriverNeed | None
    download: Download | None
    memory: tuple[GpuNeed, ...]
    used: tuple[Gpu, ...]
    index: IndexLook | None = None
    """What the index page said, where it was asked."""
    mirror: str | None = None
    """URL of an index that stands in for the default one."""
    fix: Command = ()
    """How `fix` is told to do the same, on this machine or on the described one."""
    notes: tuple[Text, ...] = ()
    """What was measured for the mirror, in sentences."""

    @property
    def possible(self) -> bool:
        """Say whether PaddleOCR-VL can be installed at all."""
        return self.wheel.installable

    @property
    def reasons(self) -> tuple[RuleText, ...]:
        """Why this set and this wheel; nothing where none can be installed."""
        chosen = self.version_set
        why = RuleText("set", message(f"set:{chosen.name}:why"), chosen.source, chosen.verified)
        seen = self.index is not None and any(one.rule == "index-confirms" for one in self.index.said)
        chosen_by = [said for said in self.wheel.reasons if not (seen and said.rule == "wheel-not-seen")]
        return (why, *self.machine.notes, *chosen_by) if self.possible else ()

    @property
    def refusals(self) -> tuple[RuleText, ...]:
        """What cannot be used, each with its way out."""
        short = (need.short() for need in self.memory if need.memory_mb and need.memory_mb < need.patched_mb)
        return (*self.wheel.refusals, *short, *self.machine.hidden)

    @property
    def commands(self) -> tuple[Command, ...]:
        """How uv installs it into a new environment; nothing where it cannot be installed."""
        if not self.possible:
            return ()
        python = ".".join(self.machine.python.split(".")[:2])
        page = ("--find-links", self.wheel.find_links) if self.wheel.find_links else ()
        index = ("--default-index", self.mirror) if self.mirror else ()
        wanted = (self.wheel.requirement, *self.version_set.stack())
        return (
            ("uv", "venv", "--python", python, ".venv"),
            ("uv", "pip", "install", *_WHEELS, *page, *index, *wanted),
        )


def resolve_install(machine: Machine, version_set: VersionSet) -> InstallOption:
    """Return what can be installed on a machine from a set; never raises."""
    wheel = choose_wheel(machine.host, machine.gpus, machine.python, version_set)
    if not wheel.installable:
        return InstallOption(machine, version_set, wheel, None, None, (), ())
    download = expected_download(machine.host, wheel.tag, version_set)
    if wheel.tag == "cpu":
        return InstallOption(machine, version_set, wheel, None, download, (), ())

    line = choose_line(machine.host, machine.gpus, version_set.paddle_gpu)
    needs = _memory(machine.host, line.used, version_set.paddlex)
    return InstallOption(machine, version_set, wheel, _driver(machine.host, line), download, needs, line.used)


def _driver(host: Host, choice: LineChoice) -> DriverNeed | None:
    if choice.line is None or choice.driver is None:
        return None
    line = choice.line
    return DriverNeed(
        choice.driver, line.toolkit_driver(driver_system(host)), line.cuda, line.source, line.verified
    )


def _memory(host: Host, gpus: tuple[Gpu, ...], paddlex: str) -> tuple[GpuNeed, ...]:
    """Estimate for every kind of GPU once."""
    needs = []
    for gpu in gpus:
        need = estimate(host.system, gpu.compute_capability, paddlex)
        has = gpu.memory_total_mb or None
        needs.append(GpuNeed(gpu.name, need.peak_mb, in_blocks(need).peak_mb, need.dtype, has))
    return tuple(dict.fromkeys(needs))


@dataclass(frozen=True)
class IndexLook:
    """What a page said.

    `state`: confirmed (the chosen wheel is there, and every known one), differs, empty (not believed) or
    unreachable. Wheels that nobody knew yet are said and make no difference.
    """

    url: str
    state: str
    versions: tuple[str, ...]
    """What the page has for this system and this Python, the newest last."""
    said: tuple[RuleText, ...]
