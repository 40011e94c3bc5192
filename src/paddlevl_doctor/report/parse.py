"""Console output of `parse`: engine, times, incidents, results and verdict."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from paddlevl_doctor.parsing.engines.failures import fallback_summary
from paddlevl_doctor.parsing.run.report import (
    ComparedEngine,
    DocumentReport,
    Judgement,
    ParseReport,
    display_names,
)
from paddlevl_doctor.report.console import STYLES, Screen
from paddlevl_doctor.values.findings import Status

_DIFFERENCES, _DIFF_LINES = 5, 30
"""Maximum numbers of differences and of diff lines per document without -v."""


def show(screen: Screen, report: ParseReport) -> None:
    """Print a run; with --quiet, only the verdict, its reasons and the differences."""
    if not screen.quiet:
        _reading(screen, report)
        if len(report.documents) > 1:
            _documents(screen, report.documents)
    if report.compared:
        _comparison(screen, report.compared)
    _, colour = _mark(report.verdict)
    screen.line(report.verdict.summary, f"bold {colour}")
    for reason in report.verdict.reasons:
        screen.line(f"  {screen.render(reason)}", "dim")
    for document in report.documents:
        _differences(screen, document)


def _differences(screen: Screen, document: DocumentReport) -> None:
    """Print the differences of the cross-check and, for a failed document, the diff to the ground truth."""
    shown = document.differences if screen.verbose else document.differences[:_DIFFERENCES]
    for found in shown:
        line = screen.tr(f"difference-{found.kind.value}", page=found.page + 1, text=found.text)
        screen.line(f"  {line}", "yellow")
    hidden = len(document.differences) - len(shown)
    if hidden:
        screen.line("  " + screen.tr("differences-more", count=hidden), "dim")
    if screen.verbose or not document.verdict.passed:
        _diff(screen, document.diff)


def _reading(screen: Screen, report: ParseReport) -> None:
    screen.line(screen.tr("engine-line", engine=report.engine, device=report.device), "bold")
    if report.reason:
        screen.line(
            screen.tr("engine-differs", requested=report.requested_engine, reason=report.reason), "yellow"
        )
    table = screen.table("column-step", "column-seconds")
    for name, seconds in report.seconds.items():
        table.add_row(name, f"{seconds:.1f}")
    screen.console.print(table)
    if fallback_summary(report.rungs):
        screen.line(f"! {screen.render(fallback_summary(report.rungs))}", "yellow")
    for incident in report.incidents:
        screen.line(f"! {screen.render(incident)}", "yellow")
    if len(report.documents) == 1:
        screen.line(screen.tr("written", paths=", ".join(report.outputs)))


def _documents(screen: Screen, documents: Sequence[DocumentReport]) -> None:
    table = screen.table("column-status", "column-document", "column-pages", "column-written")
    names = display_names([document.input for document in documents])
    for name, document in zip(names, documents, strict=True):
        mark, style = _mark(document.verdict)
        written = next(iter(document.outputs), "-")
        row = (Text(screen.clean(words)) for words in (name, str(document.pages), written))
        table.add_row(Text(mark, style=style), *row)
    screen.console.print(table)


def _mark(verdict: Judgement) -> tuple[str, str]:
    """Return the mark and the colour of a verdict; a document without a ground truth counts as skipped."""
    if not verdict.passed:
        return STYLES[Status.ERROR]
    return STYLES[Status.OK if verdict.judged else Status.SKIPPED]


def _comparison(screen: Screen, engines: Sequence[ComparedEngine]) -> None:
    """Print a row for each engine and document, then the differences between the engines."""
    table = screen.table("column-engine", "column-document", "column-similarity", "column-seconds")
    for engine in engines:
        for document in engine.documents:
            alike = "-" if document.similarity is None else f"{document.similarity:.1%}"
            row = (engine.engine, document.name, alike, f"{engine.seconds:.1f}")
            table.add_row(*(Text(screen.clean(words)) for words in row))
        if not engine.documents:
            table.add_row(engine.engine, Text(screen.clean(engine.failure)), "-", "-")
    screen.console.print(table)
    for engine in engines[1:]:
        for document in engine.documents:
            _diff(screen, document.diff)


def _diff(screen: Screen, diff: str) -> None:
    lines = diff.splitlines()
    for line in lines if screen.verbose else lines[:_DIFF_LINES]:
        screen.indented(Text(screen.clean(line), style={"+": "green", "-": "red"}.get(line[:1], "dim")), 2)
