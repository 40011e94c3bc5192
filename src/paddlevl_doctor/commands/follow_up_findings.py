"""Predicts the problems that a plan uncovers, so that one `fix --apply` fixes them, too.

A check that is blocked now (by a missing paddle, for example) runs on the versions that the plan installs.
"""

from __future__ import annotations

from dataclasses import replace

from paddlevl_doctor.checks import ALL
from paddlevl_doctor.checks.runner import run_checks
from paddlevl_doctor.commands.judge_facts import context_of
from paddlevl_doctor.fix.package_changes import versions_after
from paddlevl_doctor.fix.plan_input import PlanInput
from paddlevl_doctor.values.facts import Distribution, Facts
from paddlevl_doctor.values.findings import Finding, Status
from paddlevl_doctor.values.plan import Plan

_PROBLEMS = (Status.ERROR, Status.WARNING)


def with_follow_ups(given: PlanInput, plan: Plan, set_name: str | None) -> PlanInput:
    """Return the input with the findings that the plan uncovers, unchanged with --only or if it uncovers none. Pure."""
    facts = None if given.request.only else _facts_after(given.context.facts, plan.allowed())
    if facts is None:
        return given
    known = {finding.id for finding in given.findings if finding.status in _PROBLEMS}
    later = run_checks(context_of(facts, set_name), ALL)
    uncovered = {f.id: f for f in later if f.status in _PROBLEMS and f.id not in known}
    if not uncovered:
        return given
    findings = (*(f for f in given.findings if f.id not in uncovered), *uncovered.values())
    return replace(given, findings=_in_order(findings))


def _in_order(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Return the findings in the order of their checks; those of the deep check stay last."""
    places = {check.id: number for number, check in enumerate(ALL)}
    return tuple(sorted(findings, key=lambda finding: places.get(finding.id, len(places))))


def _facts_after(facts: Facts, plan: Plan) -> Facts | None:
    """Return the facts with the versions that the plan installs, None if it changes no installed package."""
    target, versions = facts.target, versions_after(plan)
    if target is None or not versions:
        return None
    kept = tuple(d for d in target.distributions if d.name not in versions)
    new = tuple(
        Distribution(name, version, f"{target.purelib}/{name}-{version}.dist-info", has_record=True)
        for name, version in versions.items()
        if version is not None
    )
    paddle_changes = any(name.startswith("paddlepaddle") for name in versions)
    return replace(
        facts,
        target=replace(
            target,
            distributions=(*kept, *new),
            paddle=None if paddle_changes else target.paddle,
            leftovers=(),
        ),
        suspect_files=tuple(f for f in facts.suspect_files if not set(f.claims) & set(versions)),
        patched_files=() if "paddlex" in versions else facts.patched_files,
    )
