"""Compares engines on the same documents: how similar are the texts that they read, and where do they differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from rapidfuzz.distance import Levenshtein

from paddlevl_doctor.messages import message
from paddlevl_doctor.parsing.evaluate.judge import plain_text, text_diff
from paddlevl_doctor.parsing.evaluate.text_similarity import comparison_key
from paddlevl_doctor.parsing.output.run_report import merge_comparison
from paddlevl_doctor.parsing.run.report import (
    ComparedDocument,
    ComparedEngine,
    Judgement,
    ParseReport,
    ParseRequest,
    display_names,
)
from paddlevl_doctor.values.errors import DoctorError, UsageError
from paddlevl_doctor.values.pages import Page

ENGINES = ("native", "server", "reader")


def parse_engine_names(text: str) -> tuple[str, ...]:
    """Return the engines that `--compare` names; raises UsageError for an unknown engine and for fewer than two."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if len(names) < 2 or not set(names) <= set(ENGINES):  # noqa: PLR2004 - a comparison needs two
        raise UsageError(message("compare-engines", words=text, names=",".join(ENGINES)))
    return names


def compare_engines(
    engines: Sequence[str], request: ParseRequest, read: Callable[[ParseRequest], ParseReport]
) -> ParseReport:
    """Read all documents with each engine into a folder of its own; return the first report with the comparison.

    An engine that cannot read is named in the verdict, which then fails. Raises DoctorError if no engine can read, and
    UsageError for unusable input and for a required engine that is not among those compared.
    """
    if request.require not in (None, *engines):
        raise UsageError(message("compare-require", required=request.require, engines=",".join(engines)))
    results: dict[str, ParseReport | DoctorError] = {}
    for engine in engines:
        required = engine if request.require == engine else None
        output = request.output / engine
        try:
            results[engine] = read(
                replace(request, engine=engine, compare=(), output=output, require=required)
            )
        except DoctorError as error:
            if isinstance(error, UsageError) and not results:
                raise
            results[engine] = error
    reports = [report for report in results.values() if isinstance(report, ParseReport)]
    if not reports:
        raise DoctorError("\n".join(str(error) for error in results.values()))
    base = reports[0]
    compared = tuple(_compare_with_base(engine, result, base) for engine, result in results.items())
    return replace(
        base,
        compared=compared,
        verdict=_verdict(base.verdict, compared),
        run_report=merge_comparison([report.run_report for report in reports], compared),
    )


def _verdict(base: Judgement, compared: Sequence[ComparedEngine]) -> Judgement:
    """Return the first engine's verdict; if engines failed, a failed one that names them and the reasons."""
    failed = [engine for engine in compared if engine.failure]
    if not failed:
        return base
    names = ", ".join(engine.engine for engine in failed)
    summary = message("compare-failed", failed=len(failed), count=len(compared), engines=names)
    reasons = tuple(
        message("engine-failed", engine=engine.engine, reason=engine.failure) for engine in failed
    )
    return replace(base, passed=False, summary=summary, reasons=(*reasons, *base.reasons))


def _compare_with_base(engine: str, result: ParseReport | DoctorError, base: ParseReport) -> ComparedEngine:
    if isinstance(result, DoctorError):
        return ComparedEngine(engine, failure=result.message)
    names = display_names([document.input for document in base.documents])
    documents = tuple(
        _compare_document(name, base_pages, pages, (base.engine, engine))
        for name, base_pages, pages in zip(
            names, _pages_by_document(base), _pages_by_document(result), strict=True
        )
    )
    seconds = result.seconds.get("read", 0.0)
    failure = "" if result.verdict.passed else result.verdict.summary
    return ComparedEngine(engine, result.device, seconds, len(result.pages), documents, failure)


def _pages_by_document(report: ParseReport) -> list[tuple[Page, ...]]:
    """Return the pages of each document; in the report the pages of all documents follow one another."""
    groups, start = [], 0
    for document in report.documents:
        groups.append(report.pages[start : start + document.pages])
        start += document.pages
    return groups


def _compare_document(
    name: str, base_pages: Sequence[Page], pages: Sequence[Page], engines: tuple[str, str]
) -> ComparedDocument:
    if not base_pages and not pages:
        return ComparedDocument(name, None, "")
    one, other = plain_text(base_pages), plain_text(pages)
    similarity = Levenshtein.normalized_similarity(comparison_key(one), comparison_key(other))
    return ComparedDocument(name, round(similarity, 4), text_diff(one, other, engines))
