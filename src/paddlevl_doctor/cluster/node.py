"""The Ray tasks that run on a node: download and read a document and upload its results, or check the node."""

from __future__ import annotations

import contextlib
import platform
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from paddlevl_doctor.cluster.ledger import ClusterDocument
from paddlevl_doctor.cluster.storage import RemoteFile, RemotePath
from paddlevl_doctor.commands.check import CheckRequest, check
from paddlevl_doctor.commands.diagnose import TargetOptions
from paddlevl_doctor.commands.parse import parse
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.invocation import TARGETED, Invocation, Option, set_invocation
from paddlevl_doctor.messages import Text, message, render, set_language
from paddlevl_doctor.parsing.run.report import ParseReport, ParseRequest
from paddlevl_doctor.redaction import map_texts
from paddlevl_doctor.report.formats import renderers
from paddlevl_doctor.report.json_documents import check_document
from paddlevl_doctor.report.parse_html import write_page
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.errors import DoctorError
from paddlevl_doctor.values.findings import as_dict, no_bar


@dataclass(frozen=True)
class RunConfig:
    """The settings that all documents of a run share."""

    output: RemotePath
    options: TargetOptions
    request: ParseRequest
    lang: str
    cores: int
    """The number of processor cores that each task requests from Ray; it uses no more."""


@dataclass(frozen=True)
class DocumentTask:
    """One document to read. `results` is the folder of its results, relative to the output."""

    source: RemoteFile
    display_name: str
    results: str
    key: str
    expected: RemotePath | None = None
    """The ground truth."""
    missing: str = ""
    """The path at which no ground truth was found, empty if it was not missed."""

    def started(self, engine: str) -> ClusterDocument:
        """Return the record of this document before it is read; `engine` is the requested engine."""
        return ClusterDocument(
            self.display_name,
            self.source.version,
            requested_engine=engine,
            key=self.key,
            results=self.results,
        )


class LimitedSystem(RealSystem):
    """This node, limited to the processor cores of the task."""

    def __init__(self, cores: int) -> None:
        self._cores = cores

    def cpu_count(self) -> int:
        """Return the number of requested cores, or of existing ones if these are fewer."""
        return max(1, min(self._cores, super().cpu_count()))


def read_document(task: DocumentTask, config: RunConfig) -> ClusterDocument:
    """Read a document on this node. A DoctorError becomes a record of the failed document."""
    set_language(config.lang)
    record, started = replace(task.started(config.request.engine), node=platform.node()), time.monotonic()
    try:
        report, outputs = _parse_and_upload(task, config)
    except DoctorError as error:
        return record.as_failed(render(error.message, config.lang), round(time.monotonic() - started, 2))
    verdict = report.verdict
    return replace(
        record,
        passed=verdict.passed,
        pages=len(report.pages),
        seconds=round(time.monotonic() - started, 2),
        engine=report.engine,
        device=report.device,
        summary=render(verdict.summary, config.lang),
        reasons=tuple(render(reason, config.lang) for reason in verdict.reasons),
        reason=render(report.reason, config.lang),
        judged=verdict.judged,
        similarity=verdict.similarity,
        threshold=verdict.threshold,
        outputs=outputs,
        incidents=tuple(render(incident, config.lang) for incident in report.incidents),
    )


def _parse_and_upload(task: DocumentTask, config: RunConfig) -> tuple[ParseReport, tuple[str, ...]]:
    """Download and read the document and upload its results; return the report and the URLs of the results."""
    remote_results = config.output.child(task.results)
    with tempfile.TemporaryDirectory(prefix="paddlevl-doctor-") as scratch:
        local, results = Path(scratch) / "in" / task.source.path.name, Path(scratch) / "out"

        def rename(text: str) -> str:
            """Replace the temporary paths of this node by the names that the user knows."""
            text = text.replace(str(local), task.display_name)
            return text.replace(str(results), remote_results.display_name)

        try:
            _download(task.source.path, local)
            expect = None
            if task.expected is not None:
                expect = Path(scratch) / "expect" / task.expected.name
                _download(task.expected, expect)
            request = replace(
                config.request, inputs=(str(local),), output=results, expect=expect, missing=task.missing
            )
            report = parse(LimitedSystem(config.cores), config.options, request, _no_stage, no_bar)
        except DoctorError as error:
            error.message = map_texts(error.message, rename)
            raise
        written = [Path(path) for path in report.outputs]
        report = replace(report, incidents=map_texts(report.incidents, rename))
        if report.run_report is not None:
            written.append(
                write_page(replace(report.run_report, incidents=report.incidents), results, config.lang)
            )
        remote_results.upload(results)
        names = (path.relative_to(results).as_posix() for path in written)
        return report, tuple(remote_results.child(name).url for name in names)


def _download(source: RemotePath, path: Path) -> None:
    """Copy a file to `path`; raises DoctorError with the requirements of a cluster if this node cannot read it."""
    path.parent.mkdir(exist_ok=True)
    try:
        source.download(path)
    except DoctorError as error:
        raise DoctorError(message("node-cannot-see", node=platform.node(), detail=error.message)) from error


def check_node(
    options: TargetOptions, request: CheckRequest, written_as: str, lang: str
) -> tuple[Mapping[str, Any], str] | str:
    """Check this node: return the JSON document and the report in the format `written_as`, or the error message.

    The report is redacted on this node, because only here the names of its user and host are known.
    """
    set_language(lang)
    named = (("--python", options.python), ("--venv", options.venv))
    words = [(option, value) for option, value in named if value]
    set_invocation(Invocation(options=tuple(Option(pair, TARGETED) for pair in words)))
    try:
        report = check(RealSystem(), options, _no_stage, request)
    except DoctorError as error:
        return render(error.message, lang)
    write = renderers(report, lang).get(written_as)
    return as_dict(check_document(report), lang), write() if write else ""


def _no_stage(_title: Text) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext()
