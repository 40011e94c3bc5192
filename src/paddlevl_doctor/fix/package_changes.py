"""Asks uv what a plan would change, and marks in the plan what the user must allow.

A package step names requirements; uv decides which distributions change with them. The whole set is judged: a
downgrade or removal that no fix names needs `--yes`, unless `--only` names the fix that requires it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import Version

from paddlevl_doctor.fix.plan import build_plan
from paddlevl_doctor.fix.plan_input import PlanInput
from paddlevl_doctor.fix.project_locks import lock_notes
from paddlevl_doctor.messages import Text, message
from paddlevl_doctor.packages.uv import Change, UvError, required_by, resolve
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.findings import Command
from paddlevl_doctor.values.plan import (
    ClearLeftovers,
    InstallPackages,
    PackageStep,
    Plan,
    RemovePackages,
    SkippedFix,
    Step,
)


@dataclass
class Resolver:
    """Asks uv what package steps change, and remembers the answers while a plan is made."""

    system: System
    answers: dict[Command, tuple[Change, ...]] = field(default_factory=dict)

    def changes(self, command: Command) -> tuple[Change, ...]:
        """Return the changes of an install command; raises UvError."""
        if command not in self.answers:
            self.answers[command] = resolve(self.system, command)
        return self.answers[command]


def with_changes(resolver: Resolver, given: PlanInput, plan: Plan) -> Plan:
    """Add to every package step the changes that uv plans; a new environment needs no such list.

    Steps that need the consent of the user come last, and say so. A fix whose versions the index does not have is
    skipped. Raises UvError if that is every fix.
    """
    if not given.site.exists:
        return plan
    try:
        plan = _resolved(resolver, given, plan)
    except UvError as error:
        if not error.unsolvable:
            raise
        return _without_unsolvable(resolver, given, plan, error)
    if any(step.needs_consent for step in plan.steps):
        plan = _separated(resolver, given, plan)
    return replace(plan, steps=tuple(_with_notes(resolver, given, step) for step in plan.steps))


def versions_after(plan: Plan) -> dict[str, str | None]:
    """Return the versions that the resolved steps of a plan install, by name; None for a removed package."""
    versions: dict[str, str | None] = {}
    for step in plan.steps:
        if isinstance(step, RemovePackages):
            versions.update(dict.fromkeys(step.names))
        elif isinstance(step, InstallPackages):
            versions.update(dict.fromkeys(re.findall(r"^- (\S+) ", step.diff, re.MULTILINE)))
            versions.update(
                (name, version) for name, _, version in (pin.partition("==") for pin in step.exact)
            )
    return versions


def _resolved(resolver: Resolver, given: PlanInput, plan: Plan) -> Plan:
    removed = {n for s in plan.steps if isinstance(s, RemovePackages) for n in s.names}
    return replace(plan, steps=tuple(_resolved_step(resolver, given, step, removed) for step in plan.steps))


def _resolved_step(resolver: Resolver, given: PlanInput, step: Step, removed: Collection[str]) -> Step:
    if not isinstance(step, InstallPackages):
        return step
    changes = resolver.changes(step.commands[0])
    asked = given.request.yes or given.request.only
    unrequested = () if asked else _unrequested(changes, step, removed)
    exact = tuple(f"{change.name}=={change.after}" for change in changes if change.after is not None)
    return replace(
        step,
        diff="\n".join(map(str, changes)),
        exact=exact,
        needs_consent=(*step.needs_consent, *map(str, unrequested)),
    )


def _with_notes(resolver: Resolver, given: PlanInput, step: Step) -> Step:
    """Add the lock files that would revert the step, and to every change that needs consent who requires it."""
    if not isinstance(step, InstallPackages):
        return step
    system, changes = resolver.system, resolver.changes(step.commands[0])
    notes = lock_notes(system, Path(given.site.prefix), changes, step.requirements)
    reasons = required_by(system, step.commands[0], step.requirements) if step.needs_consent else {}
    marks = {str(change): reasons.get(change.name) for change in changes}
    needs_consent = tuple(
        message("change-needed-by", change=mark, names=names)
        if isinstance(mark, str) and (names := marks.get(mark))
        else mark
        for mark in step.needs_consent
    )
    return replace(step, notes=(*step.notes, *notes), needs_consent=needs_consent)


def _unrequested(
    changes: Sequence[Change], step: InstallPackages, removed: Collection[str]
) -> tuple[Change, ...]:
    """Return the downgrades and removals of packages that no fix names."""
    named = {canonicalize_name(re.split(r"[\[<>=!~ @]", r, maxsplit=1)[0]) for r in step.requirements}
    return tuple(
        change
        for change in changes
        if change.before is not None
        and change.name not in named
        and change.name not in removed
        and (change.after is None or Version(change.after) < Version(change.before))
    )


def _without_unsolvable(resolver: Resolver, given: PlanInput, plan: Plan, error: UvError) -> Plan:
    """Plan the fixes that can be resolved; raises `error` if there is none, or if only their combination cannot be."""
    reasons = {i: reason for i in _installed(plan) if (reason := _unsolvable(resolver, given, i)) is not None}
    left = _installed(plan) - set(reasons)
    if not left or not reasons:
        raise error
    findings = [finding for finding in given.findings if finding.id not in reasons]
    fewer = replace(given, findings=findings, request=replace(given.request, set_name=None))
    rest = with_changes(resolver, fewer, build_plan(fewer))
    skipped = (SkippedFix(i, message("skip-unresolved", reason=reason)) for i, reason in reasons.items())
    return replace(rest, skipped=(*rest.skipped, *skipped))


def _installed(plan: Plan) -> set[str]:
    """Return the findings that the package steps of a plan resolve."""
    return {finding for step in plan.steps if isinstance(step, _PACKAGE_STEPS) for finding in step.resolves}


def _unsolvable(resolver: Resolver, given: PlanInput, finding: str) -> Text | None:
    """Return the reason why no versions fit the fix of one finding, None if some do."""
    try:
        _planned_alone(resolver, given, finding)
    except UvError as error:
        if not error.unsolvable:
            raise
        return error.message
    return None


# --- consent ----------------------------------------------------------------------------------------------


def _separated(resolver: Resolver, given: PlanInput, plan: Plan) -> Plan:
    """Plan the findings whose fix needs no consent first, and mark the steps of the others."""
    installed = _installed(plan)
    held = {
        i for i in installed if any(step.needs_consent for step in _planned_alone(resolver, given, i).steps)
    }
    clean = _plan_without(resolver, given, held)
    if not held or any(step.needs_consent for step in clean.steps):
        # The cause is the choice of the set, or the fixes need consent only together.
        held, clean = installed, _plan_without(resolver, given, installed)
    ids = {step.id for step in clean.steps}
    if held == installed:
        rest = plan
    else:
        findings = [finding for finding in given.findings if finding.id in held]
        rest = _resolved(resolver, given, build_plan(replace(given, findings=findings)))
    marked = tuple(
        _marked(step, ids) for step in rest.steps if step.id not in ids or isinstance(step, _PACKAGE_STEPS)
    )
    return Plan((*clean.steps, *marked), clean.skipped)


_PACKAGE_STEPS = (PackageStep, ClearLeftovers)


def _planned_alone(resolver: Resolver, given: PlanInput, finding: str) -> Plan:
    alone = [one for one in given.findings if one.id == finding]
    request = replace(given.request, set_name=None)
    return _resolved(resolver, given, build_plan(replace(given, findings=alone, request=request)))


def _plan_without(resolver: Resolver, given: PlanInput, held: Collection[str]) -> Plan:
    findings = [finding for finding in given.findings if finding.id not in held]
    request = replace(given.request, set_name=None)
    return _resolved(resolver, given, build_plan(replace(given, findings=findings, request=request)))


def _marked(step: Step, taken: Collection[str]) -> Step:
    """Return the step with the mark, and with an id that no other step of the plan has."""
    step_id = f"{step.id}-with-consent" if step.id in taken else step.id
    return replace(step, id=step_id, needs_consent=step.needs_consent or (message("consent-with-others"),))
