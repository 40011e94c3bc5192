"""Runs the checks in order, blocks those whose needs are not met, and turns each diagnosis into a finding."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping, Sequence

from paddlevl_doctor.checks.base import Check, Context, Diagnosis
from paddlevl_doctor.knowledge.failures import Failure, load_failure, placeholders_of
from paddlevl_doctor.messages import Message
from paddlevl_doctor.values.findings import Evidence, Finding, Remedy, Status

_BLOCKING = (Status.ERROR, Status.UNKNOWN, Status.BLOCKED)
_WITHOUT_DETAILS = (Status.OK, Status.SKIPPED, Status.BLOCKED)
AUTOMATIC = (
    "packages",
    "requirements",
    "separate",
    "patch",
    "set",
    "recreate",
    "roll-back",
    "paddle",
    "link",
    "reinstall-paddle",
    "reinstall",
    "set-aside",
    "share",
    "edit-config",
    "environment",
)
"""The kinds of cure that `fix` applies automatically."""


def run_checks(context: Context, checks: Sequence[Check]) -> tuple[Finding, ...]:
    """Return one finding for each check, in the order of `checks`."""
    findings: dict[str, Finding] = {}
    for check in checks:
        blocker = next((n for n in check.needs if n in findings and findings[n].status in _BLOCKING), None)
        if blocker is not None:
            root = findings[blocker].blocked_by or blocker
            findings[check.id] = describe(check.id, Diagnosis(Status.BLOCKED), blocked_by=root)
            continue
        started = time.perf_counter()
        diagnosis = _run(check, context)
        elapsed = 1000 * (time.perf_counter() - started)
        findings[check.id] = describe(check.id, diagnosis, duration_ms=round(elapsed, 2))
    return tuple(findings.values())


def _run(check: Check, context: Context) -> Diagnosis:
    """Run one check. If it raises, return an unknown diagnosis, so that the other checks still run."""
    try:
        return check.run(context)
    except Exception:
        last = traceback.format_exc().strip().splitlines()[-1]
        return Diagnosis(Status.UNKNOWN, (Evidence("check crashed", last),))


def describe(
    finding_id: str,
    diagnosis: Diagnosis,
    *,
    blocked_by: str | None = None,
    duration_ms: float = 0.0,
) -> Finding:
    """Return the finding of a diagnosis, with the texts of the failure file `finding_id`."""
    failure = load_failure(finding_id)
    silent = diagnosis.status in _WITHOUT_DETAILS
    crashed = diagnosis.status is Status.UNKNOWN and not diagnosis.params
    return Finding(
        id=finding_id,
        status=diagnosis.status,
        title=_title(failure, diagnosis, crashed=crashed),
        cause="" if silent or crashed else failure.message("cause", **diagnosis.params),
        evidence=diagnosis.evidence,
        remedy=None if silent or crashed else _remedy(failure, diagnosis.params),
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
    if not placeholders_of(failure.texts["title.bad"]["en"]) <= set(diagnosis.params):
        return failure.message("title.short")
    return failure.message("title.bad", **diagnosis.params)


def _remedy(failure: Failure, params: Mapping[str, object]) -> Remedy:
    text = failure.message("remedy", **params)
    if failure.cure.kind not in AUTOMATIC:
        return Remedy(text)
    # The broken environment may lie beside the target: a Python in it was named that belongs to another folder.
    recreated = failure.cure.kind == "recreate" and "path" in params
    venv = ("--venv", str(params["path"])) if recreated else ()
    return Remedy(text, (("paddlevl-doctor", "fix", "--apply", "--only", failure.id, *venv),))
