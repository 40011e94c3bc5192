"""Runs the checks in order, blocks what cannot be looked at yet, and puts words to the answers."""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence

from paddlevl_doctor.checks.base import Check, Context, Diagnosis
from paddlevl_doctor.knowledge.failures import Failure, load_failure
from paddlevl_doctor.messages import Message
from paddlevl_doctor.values.findings import Evidence, Finding, Remedy, Status

_WRONG = (Status.ERROR, Status.UNKNOWN, Status.BLOCKED)
_SILENT = (Status.OK, Status.SKIPPED, Status.BLOCKED)
AUTOMATIC = (
    "packages",
    "patch",
    "set",
    "paddle",
    "link",
    "reinstall-paddle",
    "reinstall",
    "set-aside",
    "share",
    "edit-config",
    "environment",
)
"""Kinds of cure that `fix` can do by itself."""


def run_checks(context: Context, checks: Sequence[Check]) -> tuple[Finding, ...]:
    """Return one finding a check, in the order of `checks`."""
    findings: dict[str, Finding] = {}
    for check in checks:
        blocker = next((n for n in check.needs if n in findings and findings[n].status in _WRONG), None)
        if blocker is not None:
            root = findings[blocker].blocked_by or blocker
            findings[check.id] = describe(check.id, Diagnosis(Status.BLOCKED), blocked_by=root)
            continue
        started = time.perf_counter()
        diagnosis = _look(check, context)
        elapsed = 1000 * (time.perf_counter() - started)
        findings[check.id] = describe(check.id, diagnosis, duration_ms=round(elapsed, 2))
    return tuple(findings.values())


def _look(check: Check, context: Context) -> Diagnosis:
    """Run one check; one that crashes is itself a result and never hides the others."""
    try:
        return check.look(context)
    except Exception:  # whatever it was, it is shown as `unknown` with its text
        last = traceback.format_exc().strip().splitlines()[-1]
        return Diagnosis(Status.UNKNOWN, (Evidence("check crashed", last),))


def describe(
    finding_id: str,
    diagnosis: Diagnosis,
    *,
    blocked_by: str | None = None,
    duration_ms: float = 0.0,
) -> Finding:
    """Put the words of the failure's entry to a diagnosis."""
    failure = load_failure(finding_id)
    silent = diagnosis.status in _SILENT
    crashed = diagnosis.status is Status.UNKNOWN and not diagnosis.params
    return Finding(
        id=finding_id,
        status=diagnosis.status,
        title=_title(failure, diagnosis, crashed=crashed),
        cause="" if silent or crashed else failure.message("cause", **diagnosis.params),
        evidence=diagnosis.evidence,
        remedy=None if silent or crashed else _remedy(failure, diagnosis),
        links=() if silent else failure.links,
        blocked_by=blocked_by,
        duration_ms=duration_ms,
        subjects=diagnosis.subjects,
    )


def _title(failure: Failure, diagnosis: Diagnosis, *, crashed: bool) -> Message:
    if crashed or diagnosis.status in (Status.SKIPPED, Status.BLOCKED):
        return failure.message("title.short")
    if diagnosis.status is Status.OK:
        return failure.message("title.ok")
    return failure.message("title.bad", **diagnosis.params)


def _remedy(failure: Failure, diagnosis: Diagnosis) -> Remedy:
    words = failure.message("remedy", **diagnosis.params)
    automatic = failure.cure.kind in AUTOMATIC
    commands = (("paddlevl-doctor", "fix", "--apply", "--only", failure.id),) if automatic else ()
    return Remedy(words, commands)
