"""Checks a repaired target before the repair is committed. A repair that makes something worse is rolled back.

The gate checks again, and imports the stack once if packages were changed. The gate `deep` also lets the stack read a
chart, as `check --deep` does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from paddlevl_doctor.checks.deep import DEEP, blocker, merge
from paddlevl_doctor.commands.diagnose import Background
from paddlevl_doctor.commands.diagnose_deep import deep_findings
from paddlevl_doctor.commands.judge_facts import Examination
from paddlevl_doctor.facts.collect_deep import PROBE_TIMEOUT
from paddlevl_doctor.facts.run_probes import probe_environment, run_probe
from paddlevl_doctor.fix.steps import StepContext
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import message
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.check_report import CheckReport
from paddlevl_doctor.values.errors import RolledBackError
from paddlevl_doctor.values.facts import ProbeResult, Target
from paddlevl_doctor.values.findings import Finding, Stage, Status

_MAX_SHOWN = 5
_LOOKED_AT = (Status.OK, Status.NOTE, Status.WARNING)


class GateError(RolledBackError):
    """The repair made something worse, or the installed packages do not work; it was rolled back."""


@dataclass(frozen=True)
class StateBefore:
    """The state before a repair: the findings, and whether the stack could be imported (None: it was not tried)."""

    findings: tuple[Finding, ...]
    imports: Background[bool | None]


def state_before_repair(system: System, report: CheckReport, *, installs: bool) -> StateBefore:
    """Return the state before a repair; the import runs in the background, and only if packages will change."""
    target = report.facts.target
    tries = installs and target is not None and blocker(report.findings) is None
    imports = Background(
        lambda: None if target is None or not tries else failure_of(import_stack(system, target)) is None
    )
    return StateBefore(report.findings, imports)


def import_stack(system: System, target: Target) -> ProbeResult:
    """Import paddle, paddlex and paddleocr in a fresh process of the target, and find the pipeline of PaddleOCR-VL."""
    environment = probe_environment(system, target)
    return run_probe(system, target.python, "imports", ("--pipeline",), PROBE_TIMEOUT, environment)


def failure_of(result: ProbeResult) -> str | None:
    """Return why the stack could not be imported, None if it could."""
    if result.data is None:
        return f"{result.status}: {result.detail}"
    error = result.data.get("error")
    return str(error.get("root") or error.get("message")) if error else None


@dataclass(frozen=True)
class RepairGate:
    """The gate of one repair. `examine` checks the target again; `after` has its last result."""

    system: System
    examine: Callable[[Target], Examination]
    before: StateBefore
    deep: bool
    stage: Stage
    after: list[Examination]

    def __call__(self, context: StepContext) -> None:
        """Raise GateError if the changed target is worse than before."""
        target = context.target()
        with self.stage(message("stage-recheck")):
            examination = self.examine(target)
        if self.deep:
            deep = deep_findings(self.system, examination, self.stage)
            examination = replace(examination, findings=merge(examination.findings, deep))
        self.after.append(examination)
        worse = [f for f in examination.findings if _is_new_error(f, self.before.findings)]
        if worse:
            raise GateError(message("gate-worse", titles=[finding.title for finding in worse]))
        if context.installed and blocker(examination.findings) is None:
            before = context.installed_files()
            with self.stage(message("stage-import")):
                failure = failure_of(import_stack(self.system, target))
            deleted = sorted(before - context.installed_files())
            if deleted:  # by imported code: only the kept files can restore them
                context.restore_deleted(deleted)
                raise GateError(
                    message("gate-import-deletes", count=len(deleted), paths=deleted[:_MAX_SHOWN])
                )
            if failure is not None and self.before.imports.result() is not False:
                raise GateError(message("gate-import", reason=failure))


def _is_new_error(finding: Finding, before: Collection[Finding]) -> bool:
    """Return whether an error is new: it was checked before the repair and was none, or it names other subjects now.

    A deep error counts too if the deep check could not look before.
    """
    if finding.status is not Status.ERROR:
        return False
    former = next((one for one in before if one.id == finding.id), None)
    if former is None:
        return False
    if former.status is Status.ERROR:
        return bool(set(finding.subjects) - set(former.subjects))
    return former.status in _LOOKED_AT or (finding.id in DEEP and former.status is Status.BLOCKED)
