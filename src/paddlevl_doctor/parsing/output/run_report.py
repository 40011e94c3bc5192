"""Puts together what a run is told as: every document with its pages, and what happened on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

_PICTURES = 100
"""Pages whose pictures are shown; of those after them only where something differs, or the page gets too large."""


def build_run_report(
    report: ParseReport, works: Sequence[DocumentJob], samples: Sequence[Sample]
) -> RunReport:
    """Return the report of a run; documents that could not be opened are in it."""
    by_path = {str(work.path): work for work in works}
    shown, documents = 0, []
    names = display_names([document.input for document in report.documents])
    for name, document in zip(names, report.documents, strict=True):
        documents.append(_document(name, document, by_path.get(document.input), _PICTURES - shown))
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
    """Return the first report with what the other engines read beside it; None where there is none."""
    told = [run_report for run_report in run_reports if run_report is not None]
    if not told:
        return None
    first, *rest = told
    by_name = {engine.engine: engine for engine in compared}
    documents = tuple(
        replace(
            document, others=tuple(_other(run_report, by_name[run_report.engine], n) for run_report in rest)
        )
        for n, document in enumerate(first.documents)
    )
    engines = tuple(EngineSection(e.engine, e.device, e.seconds, e.failure) for e in compared)
    return replace(first, documents=documents, engines=engines)


def _other(run_report: RunReport, engine: ComparedEngine, number: int) -> OtherReading:
    found = engine.documents[number]
    return OtherReading(run_report.engine, run_report.documents[number], found.similarity, found.diff)


def _document(
    name: str, document: DocumentReport, work: DocumentJob | None, pictures: int
) -> DocumentSection:
    places = {found.page for found in document.differences}
    found = {page: [d for d in document.differences if d.page == page] for page in places}
    pages = work.pages if work is not None else {}
    run_reports = [
        _page(page, work, differences=found, picture=n < pictures or bool(found.get(index)))
        for n, (index, page) in enumerate(sorted(pages.items()))
        if work is not None
    ]
    return DocumentSection(
        name=name,
        pages=tuple(run_reports),
        passed=document.verdict.passed,
        summary=document.verdict.summary,
        reasons=document.verdict.reasons,
        failed=document.failed,
        judged=document.verdict.judged,
        difference=document.diff,
    )


def _page(
    read: PageRead, work: DocumentJob, *, differences: Mapping[int, Sequence[Difference]], picture: bool
) -> PageSection:
    index, page = read.page.index, read.page
    preview = work.store.folder_of(index) / PREVIEW
    return PageSection(
        index=index,
        width=page.width,
        height=page.height,
        blocks=page.blocks,
        seconds=page.seconds,
        device=read.device,
        picture=preview if picture and preview.is_file() else None,
        differences=tuple(differences.get(index, ())),
        notes=read.notes,
        rung=read.rung,
        folder=work.store.folder_of(index) if picture else None,
    )
