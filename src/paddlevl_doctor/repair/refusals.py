"""What must not be changed: environments and packages that belong to somebody else. Said before the first change."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from paddlevl_doctor.errors import UsageError
from paddlevl_doctor.facts.model import Distribution, Target
from paddlevl_doctor.knowledge.patches import find_patch
from paddlevl_doctor.messages import text
from paddlevl_doctor.system import System
from paddlevl_doctor.values import Plan, Step


def refuse_untouchable(system: System, target: Target | None, plan: Plan) -> None:
    """Raise UsageError, with the way out, for a plan that would change what is not the user's to change."""
    if target is None or not any(_touches_target(step) for step in plan.steps):
        return
    if target.externally_managed:
        raise UsageError(text("externally-managed", path=target.python))
    owner = system.foreign_owner(Path(target.prefix if target.is_virtual else target.purelib))
    if owner is not None:
        raise UsageError(text("other-owner", path=target.prefix, owner=owner))
    for folder in dict.fromkeys((target.purelib, target.platlib)):
        if not system.can_write(Path(folder)):
            raise UsageError(text("site-read-only", path=folder))
    for distribution in _touched(target, plan.steps):
        _refuse_foreign(system, target, distribution)


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


def _refuse_foreign(system: System, target: Target, distribution: Distribution) -> None:
    if distribution.editable:
        raise UsageError(text("editable-install", name=distribution.name, path=target.prefix))
    installer = system.read_text(Path(distribution.path) / "INSTALLER") or ""
    if installer.strip() == "conda":
        raise UsageError(text("conda-owned", name=distribution.name, path=target.prefix))
