"""Judges facts: chooses the version set and the wheel, and runs the quick checks."""

from __future__ import annotations

from dataclasses import replace

from paddlevl_doctor.checks import ALL
from paddlevl_doctor.checks.base import Context
from paddlevl_doctor.checks.runner import run_checks
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.knowledge.failures import load_failure
from paddlevl_doctor.knowledge.patches import load_patches
from paddlevl_doctor.knowledge.version_sets import (
    VersionSet,
    default_set,
    find_set,
    load_sets,
    planned_python,
    set_of,
)
from paddlevl_doctor.knowledge.visible_gpus import find_visible_gpus
from paddlevl_doctor.knowledge.wheel_choice import choose_wheel
from paddlevl_doctor.messages import message
from paddlevl_doctor.values.errors import UsageError
from paddlevl_doctor.values.facts import Facts, Target
from paddlevl_doctor.values.findings import Finding


@dataclass(frozen=True)
class Examination:
    """The result of a diagnosis; `seconds` is its duration."""

    context: Context
    findings: tuple[Finding, ...]
    seconds: float = 0.0

    @property
    def facts(self) -> Facts:
        """The facts behind the findings."""
        return self.context.facts


def read_knowledge() -> None:
    """Read the files of the quick checks and the patches, so that `examine_facts` finds them read."""
    load_patches()
    for check in ALL:
        load_failure(check.id)


def examine_facts(facts: Facts, set_name: str | None) -> Examination:
    """Run the quick checks on facts of any machine. Raises UsageError for an unknown set."""
    context = context_of(facts, set_name)
    return Examination(context, run_checks(context, ALL))


def context_of(facts: Facts, set_name: str | None) -> Context:
    """Choose the version set and the paddle wheel for facts. Raises UsageError for an unknown set."""
    followed = set_of(facts.target) if facts.target else None
    version_set = require_set(set_name) if set_name else followed or _nearest_set(_paddleocr_of(facts))
    version = facts.target.version if facts.target else planned_python(version_set)
    visible = find_visible_gpus(facts.gpus, facts.settings)
    wheel = choose_wheel(facts.host, visible.gpus, version, version_set)
    wheel = replace(wheel, refusals=(*wheel.refusals, *visible.notes))
    return Context(facts, version_set, wheel, followed, visible.gpus.devices)


def set_for_target(target: Target | None) -> VersionSet:
    """Return the version set to use without --set: that of the installed packages, or the nearest one."""
    return (set_of(target) if target else None) or _nearest_set(
        target.version_of("paddleocr") if target else None
    )


def require_set(name: str) -> VersionSet:
    """Return the set of this name. Raises UsageError with the names of all sets if it does not exist."""
    found = find_set(name)
    if found is None:
        raise UsageError(
            message("unknown-set", name=name, names=", ".join(known.name for known in load_sets()))
        )
    return found


def _paddleocr_of(facts: Facts) -> str | None:
    """Return the version of paddleocr in the target, or in an environment whose Python no longer exists."""
    if facts.target is not None:
        return facts.target.version_of("paddleocr")
    return facts.broken_environment.packages.get("paddleocr") if facts.broken_environment else None


def _nearest_set(paddleocr: str | None) -> VersionSet:
    """Return the set whose paddleocr has the same minor version as the installed one, else the default set."""
    minor = (paddleocr or "").rpartition(".")[0]
    nearest = next((s for s in load_sets() if minor and s.paddleocr.rpartition(".")[0] == minor), None)
    return nearest or default_set()
