"""`check`: collect facts, or load a recording, and report the findings. Changes nothing and needs no network."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from paddlevl_doctor.commands.diagnose import TargetOptions, examine
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import message
from paddlevl_doctor.redaction import Redactor
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.check_report import CheckReport
from paddlevl_doctor.values.errors import UsageError
from paddlevl_doctor.values.facts import DeepFacts, Facts
from paddlevl_doctor.values.findings import Bar, Finding, Stage, Status, no_bar

if TYPE_CHECKING:
    from paddlevl_doctor.commands.judge_facts import Examination

    _Result = tuple[Examination, tuple[Finding, ...]]


_WRONG = (Status.ERROR, Status.WARNING)


@dataclass(frozen=True)
class CheckRequest:
    """The options of `check`."""

    deep: bool = False
    only: Sequence[str] = ()
    ignore: Sequence[str] = ()
    record: Path | None = None
    """The file to save the collected facts to."""
    replay: Path | None = None
    """The recording to check instead of this machine."""
    integrity: bool = False
    """Compare every installed file with its RECORD, not only those of the stack."""
    server_url: str | None = None
    """URL of a server of the vision model to check, too."""


def check(
    system: System, options: TargetOptions, stage: Stage, request: CheckRequest, bar: Bar = no_bar
) -> CheckReport:
    """Check the machine, or a recording, and return the report.

    Raises UsageError for unknown ids, for options that exclude each other, and for an invalid recording.
    """
    refuse_unknown(request.only, request.ignore)
    started = system.clock()
    if request.replay is not None:
        examination, findings = _replay(request, options)
    else:
        examination, findings = _examine_machine(system, options, stage, request)
        if request.integrity:
            from paddlevl_doctor.commands.integrity import with_integrity  # noqa: PLC0415 - loads psutil

            findings = with_integrity(system, examination.facts, findings, bar)
        if request.server_url is not None:
            from paddlevl_doctor.commands.server_findings import server_findings  # noqa: PLC0415 - loads urllib3

            findings = (*findings, *server_findings(system, examination.facts, request.server_url))
    shown = tuple(
        f for f in findings if f.id not in request.ignore and (not request.only or f.id in request.only)
    )
    return CheckReport(examination.facts, shown, round(system.clock() - started, 3))


def _examine_machine(system: System, options: TargetOptions, stage: Stage, request: CheckRequest) -> _Result:
    examination = examine(system, options)
    deep = None
    if request.deep:
        from paddlevl_doctor.commands.diagnose_deep import run_deep_probes  # noqa: PLC0415 - loads `logs` and the probes

        deep = run_deep_probes(system, examination, stage)
    if request.record is not None:
        _record(request.record, examination.facts, deep, request, options)
    return _with_deep_findings(examination, deep, looked_deep=request.deep)


def _with_deep_findings(examination: Examination, deep: DeepFacts | None, *, looked_deep: bool) -> _Result:
    if not looked_deep:
        return examination, examination.findings
    from paddlevl_doctor.commands.diagnose_deep import with_deep  # noqa: PLC0415 - loads `logs`

    return examination, with_deep(examination, deep)


def _record(
    path: Path, facts: Facts, deep: DeepFacts | None, request: CheckRequest, options: TargetOptions
) -> None:
    from paddlevl_doctor.facts.recording import Provenance, Recording, redact_with, save  # noqa: PLC0415 - loads zipfile

    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    provenance = Provenance("recorded", today)
    recording = Recording(facts, provenance, deep, request.deep, options.set_name)
    save(path, recording, redact_with(Redactor.of_this_machine().masked))


def _replay(request: CheckRequest, options: TargetOptions) -> _Result:
    """Check a recording. Raises UsageError for wrong options and for a recording with unusable values."""
    from paddlevl_doctor.commands.judge_facts import examine_facts  # noqa: PLC0415 - as in `examine`
    from paddlevl_doctor.facts.recording import load  # noqa: PLC0415 - loads zipfile

    path = request.replay
    if (
        path is None
        or request.record
        or request.integrity
        or request.server_url
        or options.python
        or options.venv
    ):
        raise UsageError(message("replay-alone"))
    recording = load(path)
    if request.deep and not recording.looked_deep:
        raise UsageError(message("recorded-without-deep", path=path))
    try:
        examination = examine_facts(recording.facts, options.set_name or recording.set_name)
        return _with_deep_findings(examination, recording.deep, looked_deep=recording.looked_deep)
    except (ValueError, TypeError, LookupError, AttributeError, AssertionError) as error:
        raise UsageError(message("recording-refused", path=path, reason=error)) from error


def refuse_unknown(*groups: Sequence[str]) -> None:
    """Raise UsageError for an id that is not the id of a check."""
    ids = [name for group in groups for name in group]
    if not ids:
        return
    from paddlevl_doctor.commands.list_checks import listing  # noqa: PLC0415 - loads `logs`

    known = {check.id for check in listing() if check.seen != "log"}
    for name in ids:
        if name not in known:
            raise UsageError(message("unknown-check", name=name))
