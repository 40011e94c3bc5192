"""`parse`: reads documents end to end and evaluates the result; with --fix it first fixes the environment."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from paddlevl_doctor.commands.diagnose import Background, TargetOptions, examine
from paddlevl_doctor.commands.diagnose_deep import devices_of, judge_deep, run_deep_probes
from paddlevl_doctor.commands.engine_choice import check_options, choose_engine
from paddlevl_doctor.commands.fix import fix
from paddlevl_doctor.commands.judge_facts import Examination
from paddlevl_doctor.commands.parse_context import ParseContext, RunRecord
from paddlevl_doctor.commands.read_documents import read_documents
from paddlevl_doctor.messages import Text, message
from paddlevl_doctor.packages.request import Request
from paddlevl_doctor.parsing.evaluate.compare_engines import compare_engines
from paddlevl_doctor.parsing.evaluate.ground_truth import find_ground_truths
from paddlevl_doctor.parsing.input.documents import (
    PAGES_SUFFIX,
    Input,
    check_input,
    check_output_folder,
    find_documents,
)
from paddlevl_doctor.parsing.input.page_source import PageSource, render_processes_for
from paddlevl_doctor.parsing.run.page_store import PageStore
from paddlevl_doctor.parsing.run.report import Judgement, ParseReport, ParseRequest, unreadable
from paddlevl_doctor.parsing.run.result_files import refuse_to_replace
from paddlevl_doctor.parsing.run.scheduler import DocumentJob
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.errors import UsageError
from paddlevl_doctor.values.findings import Bar, Finding, Stage, Status

ASSETS = Path(__file__).parents[1] / "assets"
DEMO = "demo.png"

FindDocuments = Callable[..., tuple[Input, ...]]
"""Finds the documents among paths and folders."""


def parse(
    system: System, options: TargetOptions, request: ParseRequest, stage: Stage, bar: Bar
) -> ParseReport:
    """Read documents with one engine, or with each engine of a comparison, and evaluate the result.

    Raises UsageError for invalid input, DoctorError if the engine cannot run, and the errors of `fix`.
    """
    outputs = tuple(request.output / engine for engine in request.compare) or (request.output,)
    # All engines of a comparison read the same documents, under the same names.
    find_once = functools.cache(lambda *paths: find_documents(paths, *{*outputs, request.output}))

    def parse_with(engine_request: ParseRequest) -> ParseReport:
        with tempfile.TemporaryDirectory(prefix="paddlevl-doctor-") as scratch:
            processes = render_processes_for(system.cpu_count(), system.memory_mb()[1])
            source = PageSource(Path(scratch), system.env, processes=processes)
            source.start_worker()
            try:
                return _parse(system, options, engine_request, stage, bar, source, find_once, outputs)
            finally:
                source.close()

    if not request.compare:
        return parse_with(request)

    for engine in request.compare:
        check_options(replace(request, engine=engine))
    return compare_engines(request.compare, request, parse_with)


def _parse(
    system: System,
    options: TargetOptions,
    request: ParseRequest,
    stage: Stage,
    bar: Bar,
    source: PageSource,
    find: FindDocuments,
    outputs: Sequence[Path],
) -> ParseReport:
    """Read the documents with one engine; `outputs` are the folders of all engines of a comparison."""
    # The facts are collected while the documents are opened.
    background = None if request.fix else Background(lambda: examine(system, options))
    record = RunRecord(system.clock)
    check_options(request)
    inputs = find(*(_input_path(system, record, name) for name in request.inputs))
    known = find_ground_truths(request.expect, inputs, ASSETS, request.missing)
    if request.threshold is not None and not (known.truths or known.missing):
        raise UsageError(message("threshold-alone"))
    jobs = _open_documents(record, request, source, inputs)
    if request.engine != "selftest":  # the self-test writes no results
        protected = (*known.files, *(item.path for item in inputs))
        refuse_to_replace([job.name for job in jobs], outputs, protected)
    check_output_folder(request.output)
    if request.fix:
        options = _fix(system, options, request, stage, bar, record)
    with stage(message("stage-check")), record.timed("check"):
        examination = background.result() if background else examine(system, options)
    deep: tuple[Finding, ...] = ()
    if request.fix or request.engine == "selftest":
        deep = _selftest(system, examination, stage, record)
    context = ParseContext(system, request, examination, stage, bar)
    choice = choose_engine(context, deep)
    if choice.name == "selftest":
        return _selftest_report(request, record, jobs[0].path)
    return read_documents(context, record, choice, jobs, source, known)


def _input_path(system: System, record: RunRecord, name: str) -> Path:
    """Return the path of an input; if demo.png is missing, the page in the package replaces it."""
    path = system.cwd() / name
    if name == DEMO and not system.exists(path):
        record.incidents.append(message("demo-used", name=DEMO))
        return ASSETS / DEMO
    return path


def _open_documents(
    record: RunRecord, request: ParseRequest, source: PageSource, inputs: Sequence[Input]
) -> list[DocumentJob]:
    """Open the documents. One that cannot be read is reported; raises UsageError if none can be read."""
    record.order = [item.path for item in inputs]
    jobs = []
    for item in inputs:
        try:
            notes: list[Text] = [*check_input(item.path).notes]
            count = source.count(item.path)
        except UsageError as error:
            if len(inputs) == 1:
                raise
            record.documents[item.path] = unreadable(item.path, error.message)
            continue
        if count.frames > count.pages:
            notes.append(message("first-frame", name=item.path.name, frames=count.frames))
        store = PageStore(request.output / f"{item.name}{PAGES_SUFFIX}", "", item.path.name)
        jobs.append(DocumentJob(item.path, item.name, count.pages, store, notes))
    if not jobs:
        raise UsageError(message("no-readable-document", count=len(inputs)))
    return jobs


def _fix(
    system: System, options: TargetOptions, request: ParseRequest, stage: Stage, bar: Bar, record: RunRecord
) -> TargetOptions:
    """Fix the environment; returns the options of the target, with its folder if it was created."""
    record.fix = fix(system, options, Request(index=request.index), stage, apply=True, bar=bar)
    for outcome in record.fix.applied.outcomes if record.fix.applied else ():
        record.seconds[outcome.step] = outcome.seconds
    if not record.fix.is_new():
        return options
    planned = options.venv or record.fix.before.facts.planned_target
    return TargetOptions(None, str(system.cwd() / planned), options.set_name)


def _selftest(
    system: System, examination: Examination, stage: Stage, record: RunRecord
) -> tuple[Finding, ...]:
    """Run the self-test of the native engine and record its failures; returns its findings."""
    with record.timed("self-test"):
        deep_facts = run_deep_probes(system, examination, stage)
        findings = judge_deep(examination, deep_facts)
    record.proved_on = deep_facts.selftest_devices() if deep_facts else devices_of(examination.context)
    for finding in findings:
        if finding.status in (Status.ERROR, Status.UNKNOWN):
            value = finding.evidence[0].value if finding.evidence else finding.title
            detail = message("finding-detail", id=finding.id, detail=value)
            record.failures.append(message("selftest-failed", detail=detail))
    blocked = next((f.blocked_by for f in findings if f.status is Status.BLOCKED), None)
    if blocked is not None and not record.failures:
        record.failures.append(message("selftest-failed", detail=blocked))
    return findings


def _selftest_report(request: ParseRequest, record: RunRecord, document: Path) -> ParseReport:
    """Return the report of a self-test, which reads no document."""
    failures = tuple(record.failures)
    summary = failures[0] if failures else message("selftest-passed")
    verdict = Judgement(not failures, reasons=failures, summary=summary)
    memory: dict[str, int | None] = {"rss_mb": 0, "vram_mb": None}
    head = (str(document), "selftest", ",".join(record.proved_on), request.engine, "")
    return ParseReport(*head, (), (), verdict, record.seconds, memory, tuple(record.incidents))
