"""Asks uv what a plan would change, and marks in the plan what the user must allow.

A package step names requirements; uv decides which distributions change with them. The whole set is judged: a
downgrade or removal that no fix names needs `--yes`, unless `--only` names the fix that requires it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import Version

from paddlevl_doctor.fix.plan import build_plan
from paddlevl_doctor.fix.plan_input import PlanInput
from paddlevl_doctor.fix.project_locks import lock_notes
from paddlevl_doctor.messages import Text, message
from paddlevl_doctor.packages.uv import Change, required_by, resolve
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.findings import Plan, Step


def with_changes(system: System, given: PlanInput, plan: Plan) -> Plan:
    """Add to every package step the changes that uv plans; a new environment needs no such list.

    Steps that need the consent of the user come last, and say so. Raises UvError.
    """
    if not given.site.exists:
        return plan
    plan = _resolved(system, given, plan)
    held = [step for step in plan.steps if step.needs_consent]
    return _separated(system, given, plan) if held else plan


def versions_after(plan: Plan) -> dict[str, str | None]:
    """Return the versions that the resolved steps of a plan install, by name; None for a removed package."""
    versions: dict[str, str | None] = {}
    for step in plan.steps:
        if step.kind == "remove-packages":
            versions.update(dict.fromkeys(step.arguments["names"]))
        elif step.kind == "install-packages":
            versions.update(dict.fromkeys(re.findall(r"^- (\S+) ", step.diff, re.MULTILINE)))
            versions.update(pin.split("==", 1) for pin in step.arguments.get("exact", ()))
    return versions


def _resolved(system: System, given: PlanInput, plan: Plan) -> Plan:
    removed = {n for s in plan.steps if s.kind == "remove-packages" for n in s.arguments["names"]}
    steps = tuple(_resolved_step(system, given, step, removed) for step in plan.steps)
    return replace(plan, steps=steps)


def _resolved_step(system: System, given: PlanInput, step: Step, removed: Collection[str]) -> Step:
    if step.kind != "install-packages":
        return step
    changes = resolve(system, step.commands[0])
    asked = given.request.yes or given.request.only
    unrequested = () if asked else _unrequested(changes, step, removed)
    exact = [f"{change.name}=={change.after}" for change in changes if change.after is not None]
    return replace(
        step,
        diff="\n".join(map(str, changes)),
        arguments={**step.arguments, "exact": exact},
        notes=(*step.notes, *lock_notes(system, Path(given.site.prefix), changes, _requirements(step))),
        needs_consent=(*step.needs_consent, *_with_reasons(system, step, unrequested)),
    )


def _requirements(step: Step) -> tuple[str, ...]:
    return tuple(step.arguments["requirements"])


def _unrequested(changes: Sequence[Change], step: Step, removed: Collection[str]) -> tuple[Change, ...]:
    """Return the downgrades and removals of packages that no fix names."""
    named = {canonicalize_name(re.split(r"[\[<>=!~ @]", r, maxsplit=1)[0]) for r in _requirements(step)}
    return tuple(
        change
        for change in changes
        if change.before is not None
        and change.name not in named
        and change.name not in removed
        and (change.after is None or Version(change.after) < Version(change.before))
    )


def _with_reasons(system: System, step: Step, changes: Sequence[Change]) -> list[Text]:
    """Return every change with the distributions that require it."""
    if not changes:
        return []
    requirers = required_by(system, step.commands[0], _requirements(step))
    return [
        message("change-needed-by", change=change, names=requirers[change.name])
        if change.name in requirers
        else str(change)
        for change in changes
    ]


# --- consent ----------------------------------------------------------------------------------------------


def _separated(system: System, given: PlanInput, plan: Plan) -> Plan:
    """Plan the findings whose fix needs no consent first, and mark the steps of the others."""
    installed = {i for s in plan.steps if s.kind in _PACKAGE_STEPS for i in s.resolves}
    held = {i for i in installed if _needs_consent(system, given, i)}
    clean = _plan_without(system, given, held)
    if not held or any(step.needs_consent for step in clean.steps):
        # The cause is the choice of the set, or the fixes need consent only together.
        held, clean = installed, _plan_without(system, given, installed)
    ids = {step.id for step in clean.steps}
    if held == installed:
        rest = plan
    else:
        findings = [finding for finding in given.findings if finding.id in held]
        rest = _resolved(system, given, build_plan(replace(given, findings=findings)))
    marked = tuple(
        _marked(step, ids) for step in rest.steps if step.id not in ids or step.kind in _PACKAGE_STEPS
    )
    return Plan((*clean.steps, *marked), clean.skipped)


_PACKAGE_STEPS = ("remove-packages", "clear-leftovers", "install-packages")


def _needs_consent(system: System, given: PlanInput, finding: str) -> bool:
    alone = [one for one in given.findings if one.id == finding]
    request = replace(given.request, set_name=None)
    plan = _resolved(system, given, build_plan(replace(given, findings=alone, request=request)))
    return any(step.needs_consent for step in plan.steps)


def _plan_without(system: System, given: PlanInput, held: Collection[str]) -> Plan:
    findings = [finding for finding in given.findings if finding.id not in held]
    request = replace(given.request, set_name=None)
    return _resolved(system, given, build_plan(replace(given, findings=findings, request=request)))


def _marked(step: Step, taken: Collection[str]) -> Step:
    """Return the step with the mark, and with an id that no other step of the plan has."""
    step_id = f"{step.id}-with-consent" if step.id in taken else step.id
    return replace(step, id=step_id, needs_consent=step.needs_consent or (message("consent-with-others"),))
