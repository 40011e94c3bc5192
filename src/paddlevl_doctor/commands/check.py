"""`check`: what is this machine, what is installed, what is wrong. Reads only, works offline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from paddlevl_doctor.commands.examine import Examination, TargetOptions, examine
from paddlevl_doctor.errors import UsageError
from paddlevl_doctor.facts.model import Facts
from paddlevl_doctor.messages import language, text
from paddlevl_doctor.system import System
from paddlevl_doctor.values import ExitCode, Finding, Stage, Status

SELFTEST_TIMEOUT = 300.0
"""Seconds. The self-test takes 10 s on two cores; a cold network disk makes the import ten times slower."""
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

        findings = deep_checks.merge(findings, look_deep(system, examination, stage))
    shown = tuple(f for f in findings if f.id not in ignore and (not only or f.id in only))
    return CheckReport(examination.facts, shown, round(system.clock() - started, 3))


def look_deep(system: System, examination: Examination, stage: Stage) -> tuple[Finding, ...]:
    """Let the target read a chart with a tiny checkpoint; where the import fails, find the first exception."""
    from paddlevl_doctor.checks import deep as deep_checks  # noqa: PLC0415 - start-up time
    from paddlevl_doctor.facts.deep import run_probe  # noqa: PLC0415 - as above

    lang, target = language(), examination.facts.target
    by = deep_checks.blocker(examination.findings)
    if by is not None or target is None:
        return deep_checks.blocked_findings(by or "target-environment", lang)
    device = "gpu:0" if target.version_of("paddlepaddle-gpu") and examination.facts.gpus.devices else "cpu"
    with stage(text("stage-selftest", device=device)):
        result = run_probe(system, target.python, "selftest", ("--device", device), SELFTEST_TIMEOUT)
    read = deep_checks.judge_selftest(result, examination.context, lang)
    if result.data is not None and (result.data.get("seconds") or {}).get("import") is not None:
        return (deep_checks.imported(result, lang), *read)
    with stage(text("stage-imports")):
        imports = run_probe(system, target.python, "imports", (), SELFTEST_TIMEOUT)
    return (deep_checks.judge_imports(imports, lang), *read)


def _known(*groups: Sequence[str]) -> None:
    asked = [name for group in groups for name in group]
    known = {check_id for check_id, _ in listing()} if asked else set()
    for name in asked:
        if name not in known:
            raise UsageError(text("unknown-check", name=name))


def listing() -> list[tuple[str, str]]:
    """Return every check with what it looks at."""
    from paddlevl_doctor.checks import ALL  # noqa: PLC0415 - start-up time
    from paddlevl_doctor.checks.deep import DEEP  # noqa: PLC0415 - as above
    from paddlevl_doctor.knowledge.failures import load_failure  # noqa: PLC0415 - as above

    ids = (*(check.id for check in ALL), *DEEP)
    return [(name, load_failure(name).text("looks_at", language())) for name in ids]
