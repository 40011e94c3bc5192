"""Reads the pages of all documents, writes and evaluates the results, and builds the report of `parse`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from paddlevl_doctor.commands.engine_choice import EngineChoice
from paddlevl_doctor.commands.engine_factory import EngineSet, create_cross_checker, create_engines
from paddlevl_doctor.commands.parse_context import ParseContext, RunRecord
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import Text, message
from paddlevl_doctor.parsing.evaluate.cross_check_queue import CrossCheckQueue, PageCheck
from paddlevl_doctor.parsing.evaluate.ground_truth import GroundTruths
from paddlevl_doctor.parsing.evaluate.judge import (
    judge_run,
    judge_with_truth,
    judge_without_truth,
    truth_diff,
)
from paddlevl_doctor.parsing.evaluate.reread_rotated import may_have_rotated_pages, reread_rotated_pages
from paddlevl_doctor.parsing.input.documents import unopenable_error
from paddlevl_doctor.parsing.input.page_source import PageSource
from paddlevl_doctor.parsing.output.run_report import build_run_report
from paddlevl_doctor.parsing.output.writer import write_outputs
from paddlevl_doctor.parsing.run.page_store import PageRead, cache_key_of
from paddlevl_doctor.parsing.run.report import DocumentReport, ParseReport, unreadable
from paddlevl_doctor.parsing.run.scheduler import DocumentJob, Scheduler
from paddlevl_doctor.parsing.workers.watchdog import sum_by_time
from paddlevl_doctor.values.errors import DoctorError, UsageError
from paddlevl_doctor.values.pages import Reading


def read_documents(
    context: ParseContext,
    record: RunRecord,
    choice: EngineChoice,
    jobs: Sequence[DocumentJob],
    source: PageSource,
    known: GroundTruths,
) -> ParseReport:
    """Read all pages, write and evaluate the results; raises DoctorError if no page can be read."""
    pages = sum(job.count for job in jobs)
    engines = create_engines(context, choice.name, source.folder, pages)
    checker = create_cross_checker(context, choice.name, source, engines)
    jobs = _with_cache_keys(record, jobs, engines.cache_key)
    for job in jobs if context.request.resume else ():
        job.resume()
    run = _ParseRun(context, record, choice, jobs, source, engines, checker, {})
    try:
        run.read()
    except KeyboardInterrupt:
        done, count = sum(len(job.pages) for job in jobs), sum(job.count for job in jobs)
        raise KeyboardInterrupt(message("parse-interrupted", done=done, count=count)) from None
    for job in jobs:
        record.documents[job.path] = run.document_report(job, known)
    report = run.report()
    return replace(report, run_report=build_run_report(report, jobs, engines.samples))


def _with_cache_keys(record: RunRecord, jobs: Sequence[DocumentJob], cache_key: str) -> list[DocumentJob]:
    """Set the cache key of each document, and return the documents that can be opened.

    A document that has been removed is reported; raises UsageError if none is left.
    """
    for job in jobs:
        try:
            job.store = replace(job.store, key=cache_key_of(job.path, cache_key))
        except OSError as error:
            unopenable = unopenable_error(job.path, error)
            if len(record.order) == 1:
                raise unopenable from error
            record.documents[job.path] = unreadable(job.path, unopenable.message)
    openable = [job for job in jobs if job.path not in record.documents]
    if not openable:
        raise UsageError(message("no-readable-document", count=len(record.order)))
    return openable


@dataclass(frozen=True)
class _ParseRun:
    """The engines, the cross-check and the documents of one run."""

    context: ParseContext
    record: RunRecord
    choice: EngineChoice
    jobs: Sequence[DocumentJob]
    source: PageSource
    engines: EngineSet
    checker: CrossCheckQueue
    outputs: dict[Path, tuple[str, ...]]
    """The paths of the results by document."""

    def read(self) -> None:
        """Read all pages, cross-check them, read rotated pages again, and close all engines."""
        try:
            with self.record.timed("read"):
                self._read_pages()
            for job in self.jobs:
                for index in sorted(job.kept):
                    self.checker.submit(job, job.pages[index])
            if self.checker.pending():
                with self.context.stage(message("stage-witness")), self.record.timed("witness"):
                    self.checker.wait()
            self._reread_rotated_pages()
        finally:
            self.checker.close()
            self.engines.close()

    def _read_pages(self) -> None:
        """Read all pages; if the last engine is lost, write the pages that were read."""
        name: Text = message("documents-count", count=len(self.jobs))
        if len(self.jobs) == 1:
            name = self.jobs[0].path.name
        title = message("stage-parse", name=name, engine=self.choice.name)
        total = sum(job.count - job.resumed for job in self.jobs)
        try:
            with self.context.bar(title, total) as advance:

                def on_page(job: DocumentJob, page: PageRead | Text) -> None:
                    if isinstance(page, PageRead):
                        self.checker.submit(job, page)
                    advance(1)

                self.engines.on_stage(lambda stage: advance.say(message(f"worker-{stage}")))
                scheduler = Scheduler(self.jobs, self.source, on_page, self._write)
                self.record.incidents += scheduler.run(self.engines.engines)
        except DoctorError as error:
            if isinstance(error, UsageError) or not any(job.pages for job in self.jobs):
                raise
            for job in [job for job in self.jobs if not job.is_done]:
                job.failed |= dict.fromkeys(job.missing(), error.message)
                self._write(job)

    def _reread_rotated_pages(self) -> None:
        """Read rotated pages again; then join and write their documents again."""
        rotated = [job for job in self.jobs if may_have_rotated_pages(job, self.checker)]
        if rotated:
            engines = self.engines.engines
            with self.context.stage(message("stage-upright")), self.record.timed("upright"):
                for job in rotated:
                    if reread_rotated_pages(job, self.checker, engines, self.source):
                        job.markdown = engines[0].join([page.markdown for page in job.pages_in_order()])
                        self._write(job)
        self.record.incidents += dict.fromkeys(self.checker.errors)

    def _write(self, job: DocumentJob) -> None:
        """Write the results of a document."""
        output = self.context.request.output
        self.outputs[job.path] = write_outputs(job, self._reading(job), output, self.source)

    def _reading(self, job: DocumentJob) -> Reading:
        pages = job.pages_in_order()
        device = ",".join(sorted({page.device for page in pages}))
        vram = max((page.vram_mb for page in pages if page.vram_mb is not None), default=None)
        notes = tuple(note for page in pages for note in page.notes)
        seconds = {"read": round(sum(page.page.seconds for page in pages), 2)}
        return Reading(self.choice.name, device, tuple(p.page for p in pages), seconds, 0, vram, notes)

    def document_report(self, job: DocumentJob, known: GroundTruths) -> DocumentReport:
        """Return the report of a document with its verdict, compared with its ground truth if there is one."""
        reading, truth = self._reading(job), known.truths.get(job.path)
        checks: Mapping[int, PageCheck] = self.checker.checks_of(job)
        failed = tuple(job.failed[index] for index in sorted(job.failed))
        blank = all(page.blank for page in job.pages.values())
        verdict = (
            judge_without_truth(reading, checks, failed, blank=blank, missing=known.why_missing(job.path))
            if truth is None
            else judge_with_truth(reading, truth, self.context.request.threshold, failed)
        )
        return DocumentReport(
            input=str(job.path),
            pages=len(job.pages),
            resumed=job.resumed,
            failed=failed,
            outputs=self.outputs.get(job.path, ()),
            verdict=verdict,
            notes=(*job.notes, *reading.notes),
            witnessed=sum(check.lines > 0 for check in checks.values()),
            differences=tuple(
                difference for _, check in sorted(checks.items()) for difference in check.differences
            ),
            diff="" if truth is None else truth_diff(reading, truth),
        )

    def report(self) -> ParseReport:
        """Return the report of the run, without `run_report`."""
        record, request, name = self.record, self.context.request, self.choice.name
        pages = [page for job in self.jobs for page in job.pages_in_order()]
        documents = tuple(record.documents[path] for path in record.order)
        samples = sum_by_time(self.engines.samples)
        measured = (*(page.vram_mb for page in pages), *(sample.vram_mb for sample in samples))
        vram = [mb for mb in measured if mb is not None]
        started = {stage: seconds for stage, seconds in self.engines.seconds().items() if stage != "read"}
        strategies = [page.rung for page in pages]
        notes = (note for document in documents for note in document.notes)
        return ParseReport(
            input=request.inputs[0] if len(documents) > 1 else str(self.jobs[0].path),
            engine=name,
            device=",".join(dict.fromkeys(page.device for page in pages)) or ",".join(self.engines.devices),
            requested_engine=request.engine,
            reason=self.choice.reason,
            pages=tuple(page.page for page in pages),
            outputs=tuple(path for document in documents for path in document.outputs),
            verdict=judge_run(documents, record.failures, name, request.require),
            seconds={**record.seconds, **started},
            peak_memory={
                "rss_mb": max((sample.rss_mb for sample in samples), default=0),
                "vram_mb": max(vram, default=None),
            },
            incidents=(*record.incidents, *self.engines.incidents, *notes),
            documents=documents,
            pipeline=request.pipeline if name == "native" else None,
            rungs={name: strategies.count(name) for name in dict.fromkeys(strategies)},
            fix=record.fix,
        )
