"""Refuses, before the first change, plans for environments and packages that the user must not change."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

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


def refuse_untouchable(system: System, target: Target | None, plan: Plan) -> None:
    """Raise UsageError, with a solution, if the plan changes an environment or package that is not the user's."""
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
        if distribution.origin == "shadowing":
            names = {"name": distribution.name, "folder": distribution.imported_from, "path": target.prefix}
            raise UsageError(message("package-shadowed", **names))
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
"""Installed sizes of large packages, besides the CUDA libraries."""
_MB_OF_CUDA = 300
_MB_OF_OTHERS = 8
_OWN_MB = 20
"""The journal, the space that is reserved for a rollback, and the links to 25,000 former files."""


def needed_mb(plan: Plan) -> int:
    """Estimate the space that a plan needs: all new packages, because the removed ones are kept for undo."""
    names = {
        name for step in plan.steps for name in _ADDED.findall(step.diff) if step.kind == "install-packages"
    }
    return sum(map(_size, names)) + _OWN_MB


def _size(name: str) -> int:
    return _MB.get(name, _MB_OF_CUDA if name.startswith("nvidia-") else _MB_OF_OTHERS)


def refuse_tight(free_mb: Mapping[str, int], plan: Plan) -> None:
    """Raise DoctorError if the target's disk, or that of uv's cache, has less space than the plan needs."""
    needed = needed_mb(plan)
    for name in ("target", "uv-cache"):
        free = free_mb.get(name)
        if free is not None and free < needed:
            raise DoctorError(
                message("disk-too-tight", needed=needed, free=free, place=message(f"room-{name}"))
            )


def verify_wheelhouse(request: Request) -> Wheelhouse | None:
    """Return the requested wheelhouse with every file verified; None if none was requested.

    Raises DoctorError for a damaged wheelhouse, UsageError for options that need a network.
    """
    if request.wheelhouse is None:
        return None
    if request.index or request.dev_safetensors:
        raise UsageError(message("house-alone"))
    return Wheelhouse.check(Path(request.wheelhouse))


def refuse_unfit(wheelhouse: Wheelhouse | None, context: Context, plan: Plan, python_version: str) -> None:
    """Raise DoctorError if the wheelhouse lacks wheels of the plan, or is for another machine or CUDA variant."""
    steps = [step for step in plan.steps if step.kind == "install-packages"]
    if wheelhouse is None or not steps:
        return
    facts = context.facts
    version = facts.target.version if facts.target else python_version
    minor = ".".join(version.split(".")[:2])
    wheelhouse.refuse_other(TargetPlatform(facts.host.system, facts.host.machine, minor, facts.host.glibc))
    needed = [r for step in steps for r in step.arguments["requirements"]]
    wheelhouse.refuse_missing(needed)
    if any(r.startswith(f"{PACKAGE}==") for r in needed):
        wheelhouse.refuse_other_variant(context.wheel.tag)
