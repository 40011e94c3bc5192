"""Builds the report of a run: all documents with their pages, samples of memory, and incidents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from paddlevl_doctor.parsing.engines.failures import fallback_summary
from paddlevl_doctor.parsing.output.run_report_model import (
    Difference,
    DocumentSection,
    EngineSection,
    OtherReading,
    PageSection,
    RunReport,
    Sample,
)
from paddlevl_doctor.parsing.run.page_store import PageRead
from paddlevl_doctor.parsing.run.report import ComparedEngine, DocumentReport, ParseReport, display_names
from paddlevl_doctor.parsing.run.scheduler import PREVIEW, DocumentJob
from paddlevl_doctor.parsing.workers.watchdog import sum_by_time

_MAX_PICTURES = 100
"""Pages that are shown with a picture; later pages have one only if they have differences, to limit the size."""


def build_run_report(
    report: ParseReport, jobs: Sequence[DocumentJob], samples: Sequence[Sample]
) -> RunReport:
    """Return the report of a run, including the documents that could not be opened."""
    by_path = {str(job.path): job for job in jobs}
    shown, documents = 0, []
    names = display_names([document.input for document in report.documents])
    for name, document in zip(names, report.documents, strict=True):
        documents.append(_document(name, document, by_path.get(document.input), _MAX_PICTURES - shown))
        shown += document.pages
    return RunReport(
        title=", ".join(names[:3]),
        engine=report.engine,
        device=report.device,
        documents=tuple(documents),
        seconds=report.seconds,
        samples=sum_by_time(samples),
        incidents=report.incidents,
        rungs=fallback_summary(report.rungs),
    )


def merge_comparison(
    run_reports: Sequence[RunReport | None], compared: Sequence[ComparedEngine]
) -> RunReport | None:
    """Return the first report with the readings of the other engines added; None if there is no report."""
    available = [run_report for run_report in run_reports if run_report is not None]
    if not available:
        return None
    first, *rest = available
    by_name = {engine.engine: engine for engine in compared}
    documents = tuple(
        replace(
            document,
            others=tuple(_other_reading(run_report, by_name[run_report.engine], n) for run_report in rest),
        )
        for n, document in enumerate(first.documents)
    )
    engines = tuple(EngineSection(e.engine, e.device, e.seconds, e.failure) for e in compared)
    return replace(first, documents=documents, engines=engines)


def _other_reading(run_report: RunReport, engine: ComparedEngine, number: int) -> OtherReading:
    compared = engine.documents[number]
    return OtherReading(run_report.engine, run_report.documents[number], compared.similarity, compared.diff)


def _document(name: str, document: DocumentReport, job: DocumentJob | None, pictures: int) -> DocumentSection:
    differences: dict[int, list[Difference]] = {}
    for difference in document.differences:
        differences.setdefault(difference.page, []).append(difference)
    pages = [] if job is None else job.pages_in_order()
    sections = [
        _page(read, job, differences.get(read.page.index, ()), show=n < pictures)
        for n, read in enumerate(pages)
        if job is not None
    ]
    return DocumentSection(
        name=name,
        pages=tuple(sections),
        passed=document.verdict.passed,
        summary=document.verdict.summary,
        reasons=document.verdict.reasons,
        failed=document.failed,
        judged=document.verdict.judged,
        difference=document.diff,
    )


def _page(read: PageRead, job: DocumentJob, differences: Sequence[Difference], *, show: bool) -> PageSection:
    """Return a page with its pictures if `show` is set or there are differences."""
    page, show = read.page, show or bool(differences)
    folder = job.store.folder_of(page.index)
    preview = folder / PREVIEW
    return PageSection(
        index=page.index,
        width=page.width,
        height=page.height,
        blocks=page.blocks,
        seconds=page.seconds,
        device=read.device,
        picture=preview if show and preview.is_file() else None,
        differences=tuple(differences),
        notes=read.notes,
        rung=read.rung,
        folder=folder if show else None,
    )
