"""`check`: what is this machine, what is installed, what is wrong. Reads only, works offline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from paddlevl_doctor.commands.examine import TargetOptions, examine
from paddlevl_doctor.errors import UsageError
from paddlevl_doctor.facts.model import Facts
from paddlevl_doctor.messages import language, text
from paddlevl_doctor.system import System
from paddlevl_doctor.values import ExitCode, Finding, Stage, Status

_WORST_FIRST = (Status.ERROR, Status.UNKNOWN, Status.WARNING, Status.NOTE, Status.OK)


@dataclass(frozen=True)
class CheckReport:
    """The whole answer of `check`."""

    facts: Facts
    findings: tuple[Finding, ...]
    seconds: float

    @property
    def summary(self) -> dict[str, object]:
        """The worst status, and how many findings have each status."""
        counts = Counter(finding.status for finding in self.findings)
        worst = next((status for status in _WORST_FIRST if counts[status]), Status.OK)
        return {"status": worst.value, **{status.value: counts[status] for status in Status}}

    def exit_code(self, *, strict: bool = False) -> ExitCode:
        """0 nothing wrong, 1 problems (with `strict` warnings too), 3 something could not be looked at."""
        statuses = {finding.status for finding in self.findings}
        if Status.ERROR in statuses or (strict and Status.WARNING in statuses):
            return ExitCode.PROBLEMS
        return ExitCode.NOT_LOOKED_AT if Status.UNKNOWN in statuses else ExitCode.OK


def check(
    system: System,
    options: TargetOptions,
    stage: Stage,
    *,
    deep: bool = False,
    only: Sequence[str] = (),
    ignore: Sequence[str] = (),
) -> CheckReport:
    """Look at the machine and report; raises UsageError for unknown ids."""
    _known(only, ignore)
    started = system.clock()
    examination = examine(system, options)
    findings = examination.findings
    if deep:
        from paddlevl_doctor.checks import deep as deep_checks  # noqa: PLC0415 - start-up time
        from paddlevl_doctor.commands.deep import look_deep  # noqa: PLC0415 - as above

        findings = deep_checks.merge(findings, look_deep(system, examination, stage))
    shown = tuple(f for f in findings if f.id not in ignore and (not only or f.id in only))
    return CheckReport(examination.facts, shown, round(system.clock() - started, 3))


def _known(*groups: Sequence[str]) -> None:
    asked = [name for group in groups for name in group]
    known = {known.id for known in listing() if known.seen != "log"} if asked else set()
    for name in asked:
        if name not in known:
            raise UsageError(text("unknown-check", name=name))


@dataclass(frozen=True)
class Known:
    """One thing that the doctor knows: its id, where it is seen (quick, deep or log), and what is looked at."""

    id: str
    seen: str
    looks_at: str


def listing() -> tuple[Known, ...]:
    """Return everything that the doctor knows: the checks in their order, then what only a log can show."""
    from paddlevl_doctor.checks import ALL  # noqa: PLC0415 - start-up time
    from paddlevl_doctor.checks.deep import DEEP  # noqa: PLC0415 - as above
    from paddlevl_doctor.knowledge.failures import all_ids, load_failure  # noqa: PLC0415 - as above

    seen = dict.fromkeys(DEEP, "deep") | dict.fromkeys((check.id for check in ALL), "quick")
    ids = (*(check.id for check in ALL), *(name for name in DEEP if seen[name] == "deep"))
    rest = (name for name in all_ids() if name not in seen)
    return tuple(
        Known(name, seen.get(name, "log"), load_failure(name).text("looks_at", language()))
        for name in (*ids, *rest)
    )
