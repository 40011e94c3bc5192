"""Two engines or more on the same documents: how alike is what they read, and where does it differ?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rapidfuzz.distance import Levenshtein

from paddlevl_doctor.messages import message
from paddlevl_doctor.parsing.evaluate.ground_truth import without_markdown
from paddlevl_doctor.parsing.evaluate.judge import readable_diff
from paddlevl_doctor.parsing.evaluate.text_similarity import comparison_key
from paddlevl_doctor.parsing.output.markdown import plain_text
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


@dataclass(frozen=True)
class _Read:
    """One document as one engine read it."""

    pages: tuple[Page, ...]

    def words(self) -> str:
        return "\n".join(without_markdown(plain_text(page)) for page in self.pages)


def engines_of(words: str) -> tuple[str, ...]:
    """Return the engines of `--compare`; raises UsageError for others, and where there is nothing to compare."""
    names = tuple(dict.fromkeys(word.strip() for word in words.split(",") if word.strip()))
    if len(names) < 2 or not set(names) <= set(ENGINES):  # noqa: PLR2004 - it takes two
        raise UsageError(message("compare-engines", words=words, names=",".join(ENGINES)))
    return names


def compare_engines(
    engines: Sequence[str], request: ParseRequest, read: Callable[[ParseRequest], ParseReport]
) -> ParseReport:
    """Read everything with each engine, into a folder of its own; return the first one's report with the comparison.

    An engine that cannot read is said, and fails the run; raises DoctorError where none can, UsageError for bad input
    and where an engine is required that is none of them.
    """
    if request.require not in (None, *engines):
        raise UsageError(message("compare-require", required=request.require, engines=",".join(engines)))
    reports: dict[str, ParseReport | DoctorError] = {}
    for engine in engines:
        one = replace(request, engine=engine, compare=(), output=request.output / engine)
        one = replace(one, require=engine if request.require == engine else None)
        try:
            reports[engine] = read(one)
        except DoctorError as error:
            if isinstance(error, UsageError) and not reports:
                raise
            reports[engine] = error
    done = {name: report for name, report in reports.items() if isinstance(report, ParseReport)}
    if not done:
        raise DoctorError("\n".join(str(error) for error in reports.values()))
    base = next(iter(done))
    compared = tuple(_compared(name, report, done[base]) for name, report in reports.items())
    return replace(
        done[base],
        compared=compared,
        verdict=_verdict(done[base].verdict, compared),
        run_report=merge_comparison([report.run_report for report in done.values()], compared),
    )


def _verdict(first: Judgement, compared: Sequence[ComparedEngine]) -> Judgement:
    """Return the first engine's verdict, or which engines failed and why."""
    failed = [engine for engine in compared if engine.failure]
    if not failed:
        return first
    names = ", ".join(engine.engine for engine in failed)
    summary = message("compare-failed", failed=len(failed), count=len(compared), engines=names)
    reasons = tuple(
        message("engine-failed", engine=engine.engine, reason=engine.failure) for engine in failed
    )
    return replace(first, passed=False, summary=summary, reasons=(*reasons, *first.reasons))


def _compared(name: str, report: ParseReport | DoctorError, base: ParseReport) -> ComparedEngine:
    if isinstance(report, DoctorError):
        return ComparedEngine(name, failure=report.message)
    names = display_names([document.input for document in base.documents])
    pairs = zip(names, _documents(base), _documents(report), strict=True)
    documents = tuple(_document(called, one, other, (base.engine, name)) for called, one, other in pairs)
    seconds = report.seconds.get("read", 0.0)
    failure = "" if report.verdict.passed else report.verdict.summary
    return ComparedEngine(name, report.device, seconds, len(report.pages), documents, failure)


def _documents(report: ParseReport) -> list[_Read]:
    """Return the pages of each document; they follow each other in the report."""
    found, start = [], 0
    for document in report.documents:
        found.append(_Read(report.pages[start : start + document.pages]))
        start += document.pages
    return found


def _document(called: str, one: _Read, other: _Read, names: tuple[str, str]) -> ComparedDocument:
    if not one.pages and not other.pages:
        return ComparedDocument(called, None, "")
    similarity = Levenshtein.normalized_similarity(comparison_key(one.words()), comparison_key(other.words()))
    return ComparedDocument(called, round(similarity, 4), readable_diff(one.words(), other.words(), names))
