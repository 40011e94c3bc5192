"""Whether a wheelhouse may be used for a plan: looked at before anything is changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from paddlevl_doctor.checks.model import Context
from paddlevl_doctor.errors import UsageError
from paddlevl_doctor.messages import text
from paddlevl_doctor.repair.plan import Request
from paddlevl_doctor.values import Plan

if TYPE_CHECKING:
    from paddlevl_doctor.repair.wheelhouse import Wheelhouse


def open_house(request: Request) -> Wheelhouse | None:
    """Return the wheelhouse that was asked for, every file compared with its list; None where none was.

    Raises DoctorError for one that is not as it was made, UsageError beside options that need a network.
    """
    if request.wheelhouse is None:
        return None
    if request.index or request.dev_safetensors:
        raise UsageError(text("house-alone"))
    from paddlevl_doctor.repair.wheelhouse import Wheelhouse  # noqa: PLC0415 - start-up time

    return Wheelhouse.check(Path(request.wheelhouse))


def refuse_foreign(house: Wheelhouse | None, context: Context, plan: Plan, python_version: str) -> None:
    """Raise DoctorError where a plan needs wheels that the house does not have, or has for another machine or GPU."""
    steps = [step for step in plan.steps if step.kind == "install-packages"]
    if house is None or not steps:
        return
    from paddlevl_doctor.repair.cuda_line import PACKAGE  # noqa: PLC0415 - start-up time
    from paddlevl_doctor.repair.pylock import Machine  # noqa: PLC0415 - as above

    facts = context.facts
    version = facts.target.version if facts.target else python_version
    minor = ".".join(version.split(".")[:2])
    house.refuse_other(Machine(facts.host.system, facts.host.machine, minor, facts.host.glibc))
    needed = [r for step in steps for r in step.arguments["requirements"]]
    house.refuse_missing(needed)
    if any(r.startswith(f"{PACKAGE}==") for r in needed):
        house.refuse_other_line(context.wheel.tag)
