"""Judges documents and whole runs: against the ground truth if there is one, else by the cross-check."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice

from paddlevl_doctor.messages import Message, Text, message, sentences
from paddlevl_doctor.parsing.evaluate.cross_check_queue import PageCheck
from paddlevl_doctor.parsing.evaluate.ground_truth import Truth, without_markdown
from paddlevl_doctor.parsing.evaluate.verdict import (
    MIN_ORDER,
    NATIVE_CLAIMS,
    READER_CLAIMS,
    THRESHOLDS,
    compare_with_truth,
)
from paddlevl_doctor.parsing.output.run_report_model import Difference, DifferenceKind
from paddlevl_doctor.parsing.run.report import DocumentReport, Judgement, display_names
from paddlevl_doctor.values.pages import Page, Reading

_MIN_LOST_SHARE = 0.5
"""Share of the lines found by the cross-check that must be missing for a page to fail."""
_MIN_LOST_LINES = 3
"""Number of lines that must be missing for a page to fail."""
_MAX_QUOTED_CHARS = 60
"""Length of a text that is quoted in a reason."""

MAX_DIFF_LINES = 200
"""Longer diffs are cut, so that they do not hide the rest of a report."""
_MAX_LINE_CHARS = 300
_MAX_COMPARED_LINES = 5000
"""Lines that are compared of each text: difflib's time grows with the square of their number."""
_ELLIPSIS = "…"
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs"})
"""Unicode categories of control and formatting characters (they steer terminals) and of lone surrogates."""


def judge_with_truth(
    reading: Reading, truth: Truth, threshold: float | None, failed: Sequence[Text]
) -> Judgement:
    """Return the verdict on a document that has a ground truth.

    `threshold` is the required similarity, 0 to 1, None for the engine's default; `failed` are the reasons of the
    pages that could not be read.
    """
    is_reader = reading.engine == "reader"
    if threshold is None:
        threshold = THRESHOLDS["reader" if is_reader else "native"]
    claims = READER_CLAIMS if is_reader else NATIVE_CLAIMS
    verdict = compare_with_truth(reading, truth, claims=claims, threshold=threshold)
    passed = verdict.passed and not failed
    numbers = {"similarity": f"{verdict.similarity:.1%}", "threshold": f"{threshold:.0%}"}
    summary: Text = message("verdict-passed" if passed else "verdict-failed", **numbers)
    if verdict.order is not None and verdict.order < MIN_ORDER:
        order = message("verdict-order", order=f"{verdict.order:.0%}", needed=f"{MIN_ORDER:.0%}")
        summary = sentences((summary, order))
    return replace(verdict, passed=passed, reasons=(*failed, *verdict.reasons), summary=summary)


def judge_without_truth(
    reading: Reading,
    checks: Mapping[int, PageCheck],
    failed: Sequence[Text],
    *,
    blank: bool,
    missing: Text = "",
) -> Judgement:
    """Return the verdict on a document without a ground truth.

    `checks` are the cross-checks by page, `failed` the reasons of the pages that could not be read, `blank` says that
    all pages are blank. `missing` is set if a ground truth was given for the document but does not exist: it fails.
    """
    read = any(block.text.strip() for page in reading.pages for block in page.blocks)
    nothing = () if read or blank or not reading.pages else (message("nothing-read"),)
    reasons = (*failed, *nothing, *_cross_check_reasons(checks))
    if missing:
        return Judgement(False, reasons=(missing, *reasons), summary=missing, judged=False)
    if reasons:
        return Judgement(False, reasons=reasons, summary=message("verdict-doubtful"))
    if any(check.lines for check in checks.values()):
        return Judgement(True, summary=message("verdict-witnessed"))
    if blank and not read:
        return Judgement(True, summary=message("verdict-blank"))
    return Judgement(True, summary=message("verdict-none"), judged=False)


def _cross_check_reasons(checks: Mapping[int, PageCheck]) -> list[Message]:
    """Return the differences that no correct reading can have; smaller ones are shown, but do not fail a document."""
    reasons = []
    for index, check in sorted(checks.items()):
        page = index + 1
        if check.rotation:
            reasons.append(message("page-lies", page=page, degrees=check.rotation))
        reasons += [
            _difference_reason(page, difference)
            for difference in check.differences
            if difference.kind in (DifferenceKind.BLANK, DifferenceKind.REPEATED)
        ]
        lost = sum(difference.kind is DifferenceKind.LOST for difference in check.differences)
        if lost >= _MIN_LOST_LINES and lost >= _MIN_LOST_SHARE * check.lines:
            reasons.append(message("witness-lost", page=page, lost=lost, seen=check.lines))
    return reasons


def _difference_reason(page: int, difference: Difference) -> Message:
    text = difference.text
    text = text if len(text) <= _MAX_QUOTED_CHARS else text[:_MAX_QUOTED_CHARS] + _ELLIPSIS
    return message(f"witness-{difference.kind.value}", page=page, text=text)


def judge_run(
    documents: Sequence[DocumentReport], flaws: Sequence[Text], engine: str, required: str | None
) -> Judgement:
    """Return the verdict on a whole run: that of its only document, or one for all documents.

    `flaws` are other reasons to fail the run; another engine than the required one is such a reason too.
    """
    if required is not None and engine != required:
        flaws = (*flaws, message("engine-required", required=required, engine=engine))
    if len(documents) == 1:
        only = documents[0].verdict
        passed = only.passed and not flaws
        summary = only.summary if passed or not only.passed else flaws[0]
        return replace(only, passed=passed, reasons=(*flaws, *only.reasons), summary=summary)
    named = zip(display_names([document.input for document in documents]), documents, strict=True)
    bad = [(name, document.verdict) for name, document in named if not document.verdict.passed]
    verdicts = [document.verdict for document in documents]
    reasons = (
        *flaws,
        *(
            message("document-failed", name=name, reason=next(iter(verdict.reasons), verdict.summary))
            for name, verdict in bad
        ),
    )
    return Judgement(
        passed=not reasons,
        similarity=min((v.similarity for v in verdicts if v.similarity is not None), default=None),
        reasons=reasons,
        summary=_run_summary(verdicts),
        judged=bool(reasons) or any(verdict.judged for verdict in verdicts),
        order=min((v.order for v in verdicts if v.order is not None), default=None),
    )


def _run_summary(verdicts: Sequence[Judgement]) -> Message:
    """Return how many documents passed and failed; documents that were not judged are counted separately."""
    good = sum(verdict.passed and verdict.judged for verdict in verdicts)
    unjudged = sum(not verdict.judged for verdict in verdicts)
    if not unjudged:
        return message("verdict-documents", good=good, count=len(verdicts))
    bad = len(verdicts) - good - unjudged
    return message("verdict-apart", count=len(verdicts), good=good, bad=bad, unjudged=unjudged)


def truth_diff(reading: Reading, truth: Truth) -> str:
    """Return the unified diff from the ground truth to the text that was read."""
    blocks = [block for page in truth.pages for block in page.blocks]
    known = "\n".join(
        "\n".join(" ".join(row) for row in block.rows) if block.rows else block.text or block.latex
        for block in blocks
    )
    return text_diff(known, plain_text(reading.pages), (truth.name, reading.engine))


def plain_text(pages: Sequence[Page]) -> str:
    """Return the text of pages without Markdown, a line or more for each block."""
    texts = ("\n".join(block.text for block in page.blocks) for page in pages)
    return "\n".join(map(without_markdown, texts))


def text_diff(known: str, read: str, names: tuple[str, str] = ("known", "read")) -> str:
    """Return the unified diff of two texts, empty if they are equal.

    Whitespace is normalised, empty lines and control characters are removed. The diff has at most MAX_DIFF_LINES
    lines; an ellipsis stands for the rest of it, and for the end of a long line.
    """
    old, new = (_printable(name) for name in names)
    changes = difflib.unified_diff(_lines(known), _lines(read), old, new, n=1, lineterm="")
    shown = list(islice(changes, MAX_DIFF_LINES + 1))
    if len(shown) > MAX_DIFF_LINES:
        shown[MAX_DIFF_LINES - 1 :] = [_ELLIPSIS]
    return "\n".join(
        line if len(line) <= _MAX_LINE_CHARS else line[: _MAX_LINE_CHARS - 1] + _ELLIPSIS for line in shown
    )


def _lines(text: str) -> list[str]:
    return list(islice(filter(None, map(_printable, text.splitlines())), _MAX_COMPARED_LINES))


def _printable(line: str) -> str:
    """Return a line with single spaces and without unprintable characters."""
    spaced = " ".join(line.split())
    return "".join(char for char in spaced if unicodedata.category(char) not in _UNPRINTABLE).strip()
