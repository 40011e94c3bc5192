"""What runs on a node of a Ray cluster: a document is fetched, read and put where it belongs, or the node looked at."""

from __future__ import annotations

import contextlib
import functools
import platform
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from paddlevl_doctor.cluster.ledger import ClusterDocument
from paddlevl_doctor.cluster.storage import Found, RemotePath
from paddlevl_doctor.commands.check import CheckRequest, check
from paddlevl_doctor.commands.diagnose import TargetOptions
from paddlevl_doctor.commands.parse import parse
from paddlevl_doctor.messages import Text, language, message, render, set_language
from paddlevl_doctor.parsing.run.report import ParseReport, ParseRequest
from paddlevl_doctor.report.formats import renderers
from paddlevl_doctor.report.json_documents import check_document
from paddlevl_doctor.report.parse_html import write_page
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.errors import DoctorError
from paddlevl_doctor.values.findings import as_dict, no_bar


@dataclass(frozen=True)
class RunConfig:
    """What is the same for all documents of a run."""

    output: RemotePath
    options: TargetOptions
    request: ParseRequest
    lang: str
    cores: int
    """That the task asked Ray for, and uses no more of."""


@dataclass(frozen=True)
class DocumentTask:
    """One document. `results` is the folder of its results below the output."""

    found: Found
    called: str
    results: str
    key: str
    expected: RemotePath | None = None
    """Its known text."""
    missing: str = ""
    """Where its known text was looked for in vain."""

    def started(self, engine: str) -> ClusterDocument:
        """Return what is known of it before anything was read; `engine` is the one that is asked for."""
        return ClusterDocument(
            self.called, self.found.version, requested_engine=engine, key=self.key, results=self.results
        )


class LimitedSystem(RealSystem):
    """This node, as far as the task may use it."""

    def __init__(self, cores: int) -> None:
        self._cores = cores

    def cpu_count(self) -> int:
        """Return how many processors the task asked for."""
        return max(1, min(self._cores, super().cpu_count()))


def read_document(job: DocumentTask, errand: RunConfig) -> ClusterDocument:
    """Read one document here; what fails is its outcome."""
    set_language(errand.lang)
    begun, started = replace(job.started(errand.request.engine), node=platform.node()), time.monotonic()
    try:
        report, outputs = _parsed(job, errand)
    except DoctorError as error:
        return begun.failed(render(error.message, errand.lang), round(time.monotonic() - started, 2))
    verdict = report.verdict
    return replace(
        begun,
        passed=verdict.passed,
        pages=len(report.pages),
        seconds=round(time.monotonic() - started, 2),
        engine=report.engine,
        device=report.device,
        summary=render(verdict.summary, errand.lang),
        reasons=tuple(render(reason, errand.lang) for reason in verdict.reasons),
        reason=render(report.reason, errand.lang),
        judged=verdict.judged,
        similarity=verdict.similarity,
        threshold=verdict.threshold,
        outputs=outputs,
        incidents=tuple(render(incident, errand.lang) for incident in report.incidents),
    )


def _parsed(job: DocumentTask, errand: RunConfig) -> tuple[ParseReport, tuple[str, ...]]:
    """Fetch, read and put the results where they belong; return the report and where they are."""
    there = errand.output.inside(job.results)
    with tempfile.TemporaryDirectory(prefix="paddlevl-doctor-") as scratch:
        local, results = Path(scratch) / "in" / job.found.place.name, Path(scratch) / "out"
        names = {str(local): job.called, str(results): there.shown}
        with _named_as(names):
            _fetch(job.found.place, local)
            expect = _expected(job, Path(scratch) / "expect")
            request = replace(
                errand.request, inputs=(str(local),), output=results, expect=expect, missing=job.missing
            )
            report = parse(LimitedSystem(errand.cores), errand.options, request, _quiet, no_bar)
        written = [Path(path) for path in report.outputs]
        report = replace(
            report, incidents=tuple(_renamed(render(said, errand.lang), names) for said in report.incidents)
        )
        if report.run_report is not None:
            written.append(
                write_page(replace(report.run_report, incidents=report.incidents), results, errand.lang)
            )
        there.put(results)
        return report, tuple(there.inside(path.relative_to(results).as_posix()).url for path in written)


def _renamed(sentence: str, names: Mapping[str, str]) -> str:
    """Let a sentence name what was on this node for a while as it is called elsewhere."""
    return functools.reduce(lambda said, pair: said.replace(*pair), names.items(), sentence)


@contextlib.contextmanager
def _named_as(names: Mapping[str, str]) -> Iterator[None]:
    """Let errors name the document as the user did, and not its copy here."""
    try:
        yield
    except DoctorError as error:
        error.message = _renamed(render(error.message, language()), names)
        raise


def _fetch(place: RemotePath, path: Path) -> None:
    """Copy a file from its place; raises DoctorError that says what a cluster needs where this node cannot see it."""
    path.parent.mkdir(exist_ok=True)
    try:
        place.fetch(path)
    except DoctorError as error:
        raise DoctorError(message("node-cannot-see", node=platform.node(), detail=error.message)) from error


def _expected(job: DocumentTask, folder: Path) -> Path | None:
    """Return the known text, fetched."""
    if job.expected is None:
        return None
    path = folder / job.expected.name
    _fetch(job.expected, path)
    return path


def check_node(
    options: TargetOptions, request: CheckRequest, written_as: str, lang: str
) -> tuple[Mapping[str, Any], str] | str:
    """Look at this node: return the JSON document and the answer in a format of reports, or why it cannot be looked at.

    What is written is redacted here, where the names are known.
    """
    set_language(lang)
    try:
        report = check(RealSystem(), options, _quiet, request)
    except DoctorError as error:
        return render(error.message, lang)
    write = renderers(report, lang).get(written_as)
    return as_dict(check_document(report), lang), write() if write else ""


def _quiet(_title: Text) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext()
