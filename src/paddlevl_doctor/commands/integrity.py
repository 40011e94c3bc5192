"""Compares every installed file with its RECORD and judges the differences."""

from __future__ import annotations

from paddlevl_doctor.checks.file_findings import judge_files
from paddlevl_doctor.facts.conda import without_conda_files
from paddlevl_doctor.facts.installed_files import compare
from paddlevl_doctor.facts.run_probes import user_cache
from paddlevl_doctor.messages import message
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.facts import Facts
from paddlevl_doctor.values.findings import Bar, Finding, Status, no_bar

_WRONG = (Status.ERROR, Status.WARNING)


def file_findings(system: System, facts: Facts, bar: Bar = no_bar) -> tuple[Finding, ...]:
    """Return the findings about every installed file of the target; none without a target."""
    target = facts.target
    if target is None:  # the finding target-environment reports it
        return ()
    result = compare(target, system.cpu_count(), bar, message("stage-integrity"), user_cache(system))
    return judge_files(without_conda_files(system, target, result), facts)


def with_integrity(
    system: System, facts: Facts, findings: tuple[Finding, ...], bar: Bar
) -> tuple[Finding, ...]:
    """Replace the findings about installed files by those of a comparison of every file with its RECORD."""
    by_id = {finding.id: finding for finding in file_findings(system, facts, bar)}
    # Damaged RECORD files, and files that several distributions claim, must be fixed first.
    for finding in findings:
        if finding.id in ("half-installed-dist", "overlapping-dists") and finding.status in _WRONG:
            by_id.pop(finding.id, None)
    return (*(by_id.pop(f.id, f) for f in findings), *by_id.values())
