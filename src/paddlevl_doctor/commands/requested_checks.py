"""Adds the findings that the quick check does not have: those of the deep check, and of every file's RECORD line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from paddlevl_doctor.checks.deep import DEEP, MODELS, merge
from paddlevl_doctor.commands.diagnose_deep import deep_findings
from paddlevl_doctor.commands.integrity import file_findings
from paddlevl_doctor.commands.judge_facts import Examination
from paddlevl_doctor.knowledge.failures import load_failure
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.findings import Stage, Status

_WRONG = (Status.ERROR, Status.WARNING)
_FILE_FINDINGS = ("half-installed-dist", "uv-cache-contamination", "overlapping-dists")
"""The findings that `check --integrity` reports about any distribution, and that `fix` cures."""


def with_requested_checks(
    system: System, examination: Examination, only: Sequence[str], stage: Stage, *, deep: bool
) -> tuple[Examination, bool]:
    """Run the checks that `deep` or the ids of --only ask for; return the examination, and whether it is deep now."""
    deep = deep or _needs_deep(examination, only)
    if deep:
        found = deep_findings(system, examination, stage)
        examination = replace(examination, findings=merge(examination.findings, found))
    if set(only) & set(_FILE_FINDINGS):
        examination = _with_integrity_check(system, examination)
    return examination, deep


def _needs_deep(examination: Examination, only: Sequence[str]) -> bool:
    """Return whether --only names damage that only the deep check reports, and the quick check did not."""
    seen = {f.id for f in examination.findings if f.status in _WRONG}
    unseen = set(only) & {*DEEP, MODELS} - seen
    return any(load_failure(name).cure.kind in ("reinstall", "set-aside") for name in unseen)


def _with_integrity_check(system: System, examination: Examination) -> Examination:
    """Compare every file with its RECORD, as `check --integrity` does, and add the differences to the findings."""
    found = {f.id: f for f in file_findings(system, examination.facts) if f.status in _WRONG}
    merged = merge(examination.findings, tuple(found.values()))
    subjects = {
        f.id: tuple(dict.fromkeys((*f.subjects, *found[f.id].subjects)))
        for f in merged
        if f.id in found and f.status in _WRONG
    }
    return replace(
        examination, findings=tuple(replace(f, subjects=subjects.get(f.id, f.subjects)) for f in merged)
    )
