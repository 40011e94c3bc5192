"""Findings as a graph: what is wrong, worst first, and under each cause what waits for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from paddlevl_doctor.values import Finding, Status

PROBLEMS = (Status.ERROR, Status.UNKNOWN, Status.WARNING)
"""Statuses that people have to read, worst first."""


@dataclass(frozen=True)
class Cause:
    """One thing that is wrong, and the findings that cannot be judged before it is cured."""

    finding: Finding
    consequences: tuple[Finding, ...] = ()


def causes(findings: Sequence[Finding]) -> tuple[Cause, ...]:
    """Return the problems, the worst first; what waits for none of them is not lost but is not shown here."""
    problems = sorted((f for f in findings if f.status in PROBLEMS), key=lambda f: PROBLEMS.index(f.status))
    return tuple(Cause(f, tuple(w for w in findings if root_of(w, findings) == f.id)) for f in problems)


def root_of(finding: Finding, findings: Sequence[Finding]) -> str | None:
    """Return the id of the finding at the beginning of a chain of `blocked_by`, None for one that waits for none."""
    by_id = {f.id: f for f in findings}
    root, seen = finding.blocked_by, {finding.id}
    while root is not None and root not in seen:
        seen.add(root)
        above = by_id.get(root)
        if above is None or above.blocked_by is None:
            return root
        root = above.blocked_by
    return root
