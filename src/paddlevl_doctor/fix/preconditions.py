"""What must not be changed: environments and packages that belong to somebody else. Said before the first change."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from paddlevl_doctor.checks.base import Context
from paddlevl_doctor.knowledge.patches import find_patch
from paddlevl_doctor.messages import message
from paddlevl_doctor.packages.gpu_wheel import PACKAGE
from paddlevl_doctor.packages.request import Request
from paddlevl_doctor.packages.resolve import TargetPlatform
from paddlevl_doctor.packages.wheelhouse import Wheelhouse
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.errors import DoctorError, UsageError
from paddlevl_doctor.values.facts import Distribution, Target
from paddlevl_doctor.values.findings import Plan, Step

if TYPE_CHECKING:
    from paddlevl_doctor.packages.wheelhouse import Wheelhouse


def refuse_untouchable(system: System, target: Target | None, plan: Plan) -> None:
    """Raise UsageError, with the way out, for a plan that would change what is not the user's to change."""
    if target is None or not any(_touches_target(step) for step in plan.steps):
        return
    if target.externally_managed:
        raise UsageError(message("externally-managed", path=target.python))
    owner = system.foreign_owner(Path(target.prefix if target.is_virtual else target.purelib))
    if owner is not None:
        raise UsageError(message("other-owner", path=target.prefix, owner=owner))
    for folder in dict.fromkeys((target.purelib, target.platlib)):
        if not system.can_write(Path(folder)):
            raise UsageError(message("site-read-only", path=folder))
    for distribution in _touched(target, plan.steps):
        if distribution.editable:
            raise UsageError(message("editable-install", name=distribution.name, path=target.prefix))
        installer = system.read_text(Path(distribution.path) / "INSTALLER") or ""
        if installer.strip() == "conda":
            raise UsageError(message("conda-owned", name=distribution.name, path=target.prefix))


def _touches_target(step: Step) -> bool:
    outside = ("create-environment", "link-pipelines", "repair-model-cache", "edit-config", "set-environment")
    return step.kind not in outside


def _touched(target: Target, steps: Iterable[Step]) -> list[Distribution]:
    """Return the installed distributions that the steps would replace, remove or patch."""
    names = {name for step in steps for name in _names(step)}
    return [d for d in target.distributions if d.name in names]


def _names(step: Step) -> list[str]:
    arguments = step.arguments
    if step.kind == "apply-patch":
        return [find_patch(str(arguments["patch"])).distribution]
    wanted = arguments.get("requirements", arguments.get("names", ()))
    return [re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~ ;@]", r, maxsplit=1)[0]).lower() for r in wanted]


_ADDED = re.compile(r"^[+~] ([A-Za-z0-9._-]+) ", re.MULTILINE)
_MB = {"paddlepaddle": 650, "paddlepaddle-gpu": 2_200, "torch": 1_200, "opencv-contrib-python": 170}
"""What the big ones take when they are installed; the libraries of CUDA are the others."""
_MB_OF_CUDA = 300
_MB_OF_OTHERS = 8
_OWN_MB = 20
"""The journal, the room that is reserved for undo, and the links to 25,000 former files."""


def needed_mb(plan: Plan) -> int:
    """Estimate what a plan takes: every package that comes, since those that go are kept for undo."""
    names = {
        name for step in plan.steps for name in _ADDED.findall(step.diff) if step.kind == "install-packages"
    }
    return sum(map(_size, names)) + _OWN_MB


def _size(name: str) -> int:
    return _MB.get(name, _MB_OF_CUDA if name.startswith("nvidia-") else _MB_OF_OTHERS)


def refuse_tight(free_mb: Mapping[str, int], plan: Plan) -> None:
    """Raise DoctorError where the target's disk, or the one of uv's cache, has less room than the plan takes."""
    needed = needed_mb(plan)
    for name in ("target", "uv-cache"):
        free = free_mb.get(name)
        if free is not None and free < needed:
            raise DoctorError(
                message("disk-too-tight", needed=needed, free=free, place=message(f"room-{name}"))
            )


def verify_wheelhouse(request: Request) -> Wheelhouse | None:
    """Return the wheelhouse that was asked for, every file compared with its list; None where none was.

    Raises DoctorError for one that is not as it was made, UsageError beside options that need a network.
    """
    if request.wheelhouse is None:
        return None
    if request.index or request.dev_safetensors:
        raise UsageError(message("house-alone"))

    return Wheelhouse.check(Path(request.wheelhouse))


def refuse_foreign(house: Wheelhouse | None, context: Context, plan: Plan, python_version: str) -> None:
    """Raise DoctorError where a plan needs wheels that the house does not have, or has for another machine or GPU."""
    steps = [step for step in plan.steps if step.kind == "install-packages"]
    if house is None or not steps:
        return

    facts = context.facts
    version = facts.target.version if facts.target else python_version
    minor = ".".join(version.split(".")[:2])
    house.refuse_other(TargetPlatform(facts.host.system, facts.host.machine, minor, facts.host.glibc))
    needed = [r for step in steps for r in step.arguments["requirements"]]
    house.refuse_missing(needed)
    if any(r.startswith(f"{PACKAGE}==") for r in needed):
        house.refuse_other_line(context.wheel.tag)
