"""`check`: collect facts, or load a recording, and report the findings. Changes nothing and needs no network."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from paddlevl_doctor.commands.diagnose import TargetOptions, examine
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import Text, message
from paddlevl_doctor.redaction import Redactor
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.errors import UsageError
from paddlevl_doctor.values.facts import DeepFacts, Facts
from paddlevl_doctor.values.findings import Bar, Finding, Stage, Status, no_bar

if TYPE_CHECKING:
    from paddlevl_doctor.checks.report import CheckReport
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
        findings = _with_integrity(system, examination, findings, bar) if request.integrity else findings
        if request.server_url is not None:
            findings = (*findings, *_server_findings(system, examination.facts, request.server_url))
    shown = tuple(
        f for f in findings if f.id not in request.ignore and (not request.only or f.id in request.only)
    )
    from paddlevl_doctor.checks.report import CheckReport  # noqa: PLC0415 - `examine` loads the checks while the facts are collected

    return CheckReport(examination.facts, shown, round(system.clock() - started, 3))


def _with_integrity(
    system: System, examination: Examination, findings: tuple[Finding, ...], bar: Bar
) -> tuple[Finding, ...]:
    """Replace the findings about installed files by those of a comparison of every file with its RECORD."""
    from paddlevl_doctor.checks.file_findings import judge_files  # noqa: PLC0415 - loads `patches`
    from paddlevl_doctor.facts.conda import without_conda_files  # noqa: PLC0415 - as below
    from paddlevl_doctor.facts.installed_files import compare  # noqa: PLC0415 - loads `concurrent.futures`
    from paddlevl_doctor.facts.run_probes import user_cache  # noqa: PLC0415 - loads psutil

    target = examination.facts.target
    if target is None:  # the finding target-environment reports it
        return findings
    result = compare(target, system.cpu_count(), bar, message("stage-integrity"), user_cache(system))
    result = without_conda_files(system, target, result)
    by_id = {finding.id: finding for finding in judge_files(result, examination.facts)}
    # Damaged RECORD files, and files that several distributions claim, must be fixed first.
    for finding in findings:
        if finding.id in ("half-installed-dist", "overlapping-dists") and finding.status in _WRONG:
            by_id.pop(finding.id)
    return (*(by_id.pop(f.id, f) for f in findings), *by_id.values())


def _server_findings(system: System, facts: Facts, url: str) -> tuple[Finding, ...]:
    """Send the requests of the target's client to a running server and return the findings."""
    from paddlevl_doctor.checks.server import judge_server  # noqa: PLC0415 - loads urllib3
    from paddlevl_doctor.commands.serve import client_model  # noqa: PLC0415 - as above
    from paddlevl_doctor.facts.server import ask_server  # noqa: PLC0415 - as above

    return judge_server(ask_server(system, url, client_model(system, facts)))


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
    known = {check.id for check in listing() if check.seen != "log"} if ids else set()
    for name in ids:
        if name not in known:
            raise UsageError(message("unknown-check", name=name))


@dataclass(frozen=True)
class ListedCheck:
    """A failure of `check --list`: its id, where it is detected (quick, deep, server or log), and what is examined."""

    id: str
    seen: str
    looks_at: Text


def listing() -> tuple[ListedCheck, ...]:
    """Return all known failures: the checks in their order, then those that only a log can show."""
    from paddlevl_doctor.checks import ALL  # noqa: PLC0415 - `examine` loads the checks while the facts are collected
    from paddlevl_doctor.checks.deep import DEEP  # noqa: PLC0415 - loads `logs`
    from paddlevl_doctor.checks.server import SERVER_FINDINGS  # noqa: PLC0415 - loads urllib3
    from paddlevl_doctor.knowledge.failures import all_ids, load_failure  # noqa: PLC0415 - as the checks

    seen = dict.fromkeys(SERVER_FINDINGS, "server") | dict.fromkeys(DEEP, "deep")
    seen |= dict.fromkeys((check.id for check in ALL), "quick")
    quick = tuple(check.id for check in ALL)
    ids = (*quick, *(name for name in DEEP if seen[name] == "deep"), *SERVER_FINDINGS)
    rest = (name for name in all_ids() if name not in seen)
    return tuple(
        ListedCheck(name, seen.get(name, "log"), load_failure(name).message("looks_at"))
        for name in (*ids, *rest)
    )
