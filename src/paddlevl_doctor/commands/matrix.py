"""`matrix`: chooses the installation that fits this machine, or a described machine. Changes nothing."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import replace

from paddlevl_doctor.checks.index_page import compare
from paddlevl_doctor.commands.judge_facts import require_set, set_for_target
from paddlevl_doctor.facts.gpu import collect_gpus
from paddlevl_doctor.facts.host import collect_host
from paddlevl_doctor.facts.network import read_index_page
from paddlevl_doctor.facts.target import SYSTEM, choose_target, collect_target
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.knowledge.catalogue import (
    find_gpus,
    known_names,
    load_platforms,
    processor_of,
    renumbered,
    row_of,
)
from paddlevl_doctor.knowledge.install_options import InstallOption, Machine, resolve_install
from paddlevl_doctor.knowledge.selection_rules import RuleText, rule_text, with_source
from paddlevl_doctor.knowledge.version_sets import (
    PLANNED_PYTHON,
    VersionSet,
    default_set,
    minor_of,
    planned_python,
)
from paddlevl_doctor.knowledge.visible_gpus import find_visible_gpus
from paddlevl_doctor.messages import message
from paddlevl_doctor.packages.indexes import choose_index
from paddlevl_doctor.packages.request import Request
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.errors import UsageError
from paddlevl_doctor.values.facts import Gpu, Gpus, Host, Target
from paddlevl_doctor.values.findings import Command

_VERSION = re.compile(r"\d+(\.\d+){0,3}")
_MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}
_SUGGESTED = 3


@dataclass(frozen=True)
class MatrixRequest:
    """The options; values that are None or empty come from this machine, or from the platform."""

    platform: str | None = None
    gpus: tuple[str, ...] = ()
    driver: str | None = None
    python: str | None = None
    set_name: str | None = None
    machine: str | None = None
    glibc: str | None = None
    mirror: str | None = None
    """A mirror's name, the URL of an index, or auto, which measures."""
    online: bool = False
    """Read the index page too, where it can be reached."""


def matrix(
    system: System, request: MatrixRequest, venv: str | None = None, interpreter: str | None = None
) -> InstallOption:
    """Return the installation that fits; raises UsageError for an unknown value and names the known ones."""
    for name, value in (("driver", request.driver), ("python", request.python), ("glibc", request.glibc)):
        if value is not None and _VERSION.fullmatch(value) is None:
            raise UsageError(message("matrix-no-version", option=f"--{name}", value=value))
    version_set = default_set() if request.set_name is None else require_set(request.set_name)
    here = _LocalMachine(system, venv, interpreter, version_set)
    described = request.platform is not None or request.machine is not None
    machine = _described_machine(request) if described else _this_machine(system, request, here)
    fix = _fix_command_elsewhere(request) if machine.described else here.fix(request)
    answer = replace(resolve_install(machine, version_set), fix=fix)
    if request.mirror is not None:
        # The answer with the URL that `fix` would use, none if `auto` finds no mirror, and the measured
        # rates.
        found = choose_index(system, Request(index=request.mirror), answer.version_set.paddle_cpu)
        answer = replace(answer, mirror=found.request.index, notes=found.notes if found.mirrors else ())
    return _with_index_page(system, answer) if request.online and answer.wheel.find_links else answer


def _with_index_page(system: System, answer: InstallOption) -> InstallOption:
    """Return the answer compared with the current index page."""
    page = read_index_page(system, answer.wheel.find_links or "")
    return replace(answer, index=compare(page, answer.wheel, answer.machine.host, answer.machine.python))


@dataclass(frozen=True)
class _LocalMachine:
    """The target that was named on this machine, and the options of `fix` for it."""

    system: System
    venv: str | None
    interpreter: str | None
    version_set: VersionSet

    @functools.cached_property
    def target(self) -> Target | None:
        """The target environment, None if there is none yet."""
        choice = choose_target(self.system, self.interpreter, self.venv)
        found = collect_target(self.system, choice) if choice.python else None
        return found if isinstance(found, Target) else None

    @property
    def python(self) -> str:
        """The version of the target's Python, or the one that a new environment gets."""
        return self.target.version if self.target else planned_python(self.version_set)

    def fix(self, request: MatrixRequest) -> Command:
        """Return the `fix` command that installs the answer here."""
        place: tuple[str, ...] = ("--venv", self.venv) if self.venv else ()
        if self.interpreter:
            place = (SYSTEM,) if self.interpreter == SYSTEM else ("--python", self.interpreter)
        follows = set_for_target(self.target).name == self.version_set.name
        wanted = () if follows and request.set_name is None else ("--set", self.version_set.name)
        return ("paddlevl-doctor", "fix", "--apply", *place, *wanted, *_fix_options(request))


def _fix_command_elsewhere(request: MatrixRequest) -> Command:
    """Return the `fix` command for the described machine."""
    wanted = ("--set", request.set_name) if request.set_name else ()
    return ("paddlevl-doctor", "fix", "--apply", *wanted, *_fix_options(request))


def _fix_options(request: MatrixRequest) -> tuple[str, ...]:
    pairs = (("--base-python", request.python), ("--mirror", request.mirror))
    return tuple(word for option, value in pairs if value for word in (option, value))


def _described_machine(request: MatrixRequest) -> Machine:
    platforms = load_platforms()
    platform = platforms.get(request.platform or "linux")
    if platform is None:
        raise UsageError(message("matrix-no-platform", value=request.platform, names=", ".join(platforms)))
    devices = named_gpus(request.gpus or platform.gpus)
    brought = processor_of(devices)
    if brought and request.machine and _processor(request.machine) != brought[0]:
        shown = {"gpu": brought[1].name, "machine": brought[0], "value": request.machine}
        raise UsageError(message("matrix-gpu-machine", **shown))
    host = platform.host(_processor(request.machine) or (brought[0] if brought else None))
    host = _with_glibc(host, request.glibc, platform.name)
    notes = _capability_sources(devices)
    if devices and not request.gpus:
        taken = rule_text("platform-gpus", platform=platform.name, gpus=", ".join(platform.gpus))
        notes = (with_source(taken, platform), *notes)
    gpus = Gpus(devices, request.driver)
    notes = (*notes, *_driver_alone(gpus))
    return Machine(host, gpus, request.python or PLANNED_PYTHON, described=True, notes=notes)


def _driver_alone(gpus: Gpus) -> tuple[RuleText, ...]:
    """Return a note if a driver is named without a GPU, because it then has no effect."""
    alone = gpus.driver is not None and not gpus.devices
    return (rule_text("driver-without-gpu", driver=gpus.driver),) if alone else ()


def _capability_sources(gpus: Iterable[Gpu]) -> tuple[RuleText, ...]:
    """Return the sources of the compute capabilities of named GPUs."""
    said = []
    for gpu in gpus:
        row = row_of(gpu)
        if row is not None:
            known = {"architecture": row.architecture, "cc": row.compute_capability}
            said.append(with_source(rule_text("gpu-model", gpu=gpu.name, **known), row))
        if row is not None and row.machine:
            said.append(with_source(rule_text("gpu-processor", gpu=gpu.name, machine=row.machine), row))
    return tuple(dict.fromkeys(said))


def _this_machine(system: System, request: MatrixRequest, here: _LocalMachine) -> Machine:
    """Return this machine, options first. A GPU that needs another processor makes it another machine."""
    host = collect_host(system)
    if request.gpus and _needs_other_processor(host, request.gpus):
        return _described_machine(request)
    host = _with_glibc(host, request.glibc, host.distribution or host.system)
    gpus, hidden = _gpus_here(system, request)
    notes = (
        *(_capability_sources(gpus.devices) if request.gpus else ()),
        *(_driver_alone(gpus) if request.driver else ()),
    )
    python = request.python or here.python
    other = here.target is not None and minor_of(python) != minor_of(here.target.version)
    described = other or bool(request.gpus or request.driver or request.glibc)
    return Machine(host, gpus, python, described, hidden, notes)


def _needs_other_processor(host: Host, names: Iterable[str]) -> bool:
    brought = processor_of(named_gpus(names))
    return brought is not None and brought[0] != host.machine


def _with_glibc(host: Host, glibc: str | None, name: str) -> Host:
    if glibc is not None and (host.system != "linux" or host.musl):
        raise UsageError(message("matrix-no-glibc", name=name))
    return host if glibc is None else replace(host, glibc=glibc)


def _gpus_here(system: System, request: MatrixRequest) -> tuple[Gpus, tuple[RuleText, ...]]:
    """Return the GPUs and the driver, each from the options or from NVML, and the notes about hidden GPUs."""
    found = collect_gpus(system)
    gpus = replace(found, driver=request.driver or found.driver)
    if request.gpus:
        return Gpus(named_gpus(request.gpus), gpus.driver), ()
    if not gpus.devices:
        return gpus, ()
    seen = find_visible_gpus(gpus, system.env)
    return seen.gpus, seen.notes


def named_gpus(names: Iterable[str]) -> tuple[Gpu, ...]:
    """Return the named GPUs as those of one machine; raises UsageError for an unknown name."""
    groups = []
    for name in names:
        found = find_gpus(name)
        if not found:
            from rapidfuzz import fuzz, process  # noqa: PLC0415 - only for an unknown name

            best = process.extract(
                name.lower(), known_names(), scorer=fuzz.WRatio, processor=str.lower, limit=_SUGGESTED
            )
            raise UsageError(
                message("matrix-no-gpu", value=name, names=", ".join([known for known, _, _ in best]))
            )
        groups.append(found)
    return renumbered(groups)


def _processor(name: str | None) -> str | None:
    if name is not None and name.lower() not in _MACHINES:
        raise UsageError(message("matrix-no-machine", value=name, names=", ".join(_MACHINES)))
    return _MACHINES[name.lower()] if name else None
