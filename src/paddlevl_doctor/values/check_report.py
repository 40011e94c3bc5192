"""The result of `check`: facts, findings, their summary and the exit code."""

from __future__ import annotations

from collections import Counter

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.values.facts import Facts
from paddlevl_doctor.values.findings import ExitCode, Finding, Status

_WORST_FIRST = (Status.ERROR, Status.UNKNOWN, Status.WARNING, Status.NOTE, Status.OK)


@dataclass(frozen=True)
class CheckReport:
    """The result of `check`; `seconds` is the time that it took."""

    facts: Facts
    findings: tuple[Finding, ...]
    seconds: float

    @property
    def summary(self) -> dict[str, object]:
        """The worst status, and the number of findings of each status."""
        counts = Counter(finding.status for finding in self.findings)
        worst = next((status for status in _WORST_FIRST if counts[status]), Status.OK)
        return {"status": worst.value, **{status.value: counts[status] for status in Status}}

    def exit_code(self, *, strict: bool = False) -> ExitCode:
        """Return 0 without a problem, 1 with an error (`strict`: or a warning), 3 if a finding is unknown."""
        statuses = {finding.status for finding in self.findings}
        if Status.ERROR in statuses or (strict and Status.WARNING in statuses):
            return ExitCode.PROBLEMS
        return ExitCode.NOT_LOOKED_AT if Status.UNKNOWN in statuses else ExitCode.OK
