"""Judges documents and runs: against a known text where there is one, else by what the witness saw."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice

from paddlevl_doctor.messages import Message, Text, message, sentences
from paddlevl_doctor.parsing.evaluate.cross_check_queue import PageCheck
from paddlevl_doctor.parsing.evaluate.ground_truth import Truth, without_markdown
from paddlevl_doctor.parsing.evaluate.verdict import NATIVE_CLAIMS, ORDER, READER_CLAIMS, THRESHOLDS, judge
from paddlevl_doctor.parsing.output.markdown import plain_text
from paddlevl_doctor.parsing.output.run_report_model import Difference, DifferenceKind
from paddlevl_doctor.parsing.run.report import DocumentReport, Judgement, display_names
from paddlevl_doctor.values.pages import Reading

MAX_LINES = 200
"""A longer diff is not read by anybody, and would drown the report that it stands in."""
_MAX_WIDTH = 300
"""Characters of one line."""
_MAX_COMPARED = 5000
"""Lines that are compared of each text: difflib's time grows with the square of them."""
_ELLIPSIS = "…"
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs"})
"""Unicode categories of what steers a terminal or turns the direction of text, and of what cannot be encoded."""


def readable_diff(known: str, read: str, names: tuple[str, str] = ("known", "read")) -> str:
    """Return a unified diff of two texts, line by line, "" where they say the same.

    Whitespace is folded, empty lines and control characters are left out. It has at most MAX_LINES lines; "…" stands
    for the rest of it, and for the end of a very long line.
    """
    old, new = (_clean(name) for name in names)
    changes = difflib.unified_diff(_lines(known), _lines(read), old, new, n=1, lineterm="")
    shown = list(islice(changes, MAX_LINES + 1))
    if len(shown) > MAX_LINES:
        shown[MAX_LINES - 1 :] = [_ELLIPSIS]
    return "\n".join(
        line if len(line) <= _MAX_WIDTH else line[: _MAX_WIDTH - 1] + _ELLIPSIS for line in shown
    )


def _lines(text: str) -> list[str]:
    folded = (_clean(line) for line in text.splitlines())
    return list(islice((line for line in folded if line), _MAX_COMPARED))


def _clean(line: str) -> str:
    """Return one line with single spaces and nothing that is not shown."""
    spaced = " ".join(line.split())
    return "".join(sign for sign in spaced if unicodedata.category(sign) not in _UNPRINTABLE).strip()


_MIN_LOST_SHARE = 0.5
_MIN_LOST_LINES = 3
"""So many lines have to be lost before a page counts as not read."""
_MAX_QUOTED_CHARS = 60
"""Characters of a text that a reason quotes."""


def compare(reading: Reading, truth: Truth, asked: float | None, failed: Sequence[Text]) -> Judgement:
    """Return how like a document was read to what it says; `asked` is the similarity it must reach, 0 to 1."""
    is_reader = reading.engine == "reader"
    claims = READER_CLAIMS if is_reader else NATIVE_CLAIMS
    threshold = asked if asked is not None else THRESHOLDS["reader" if is_reader else "native"]
    verdict = judge(reading, truth, claims=claims, threshold=threshold)
    numbers = {"similarity": f"{verdict.similarity:.1%}", "threshold": f"{verdict.threshold:.0%}"}
    passed = verdict.passed and not failed
    summary: Text = message("verdict-passed" if passed else "verdict-failed", **numbers)
    if verdict.order < ORDER:
        order = message("verdict-order", order=f"{verdict.order:.0%}", needed=f"{ORDER:.0%}")
        summary = sentences((summary, order))
    return Judgement(
        passed=passed,
        similarity=verdict.similarity,
        threshold=threshold,
        reference=verdict.reference,
        reasons=(*failed, *verdict.reasons),
        summary=summary,
        order=verdict.order,
    )


def judge_alone(
    reading: Reading,
    looks: Mapping[int, PageCheck],
    failed: Sequence[Text],
    *,
    blank: bool,
    missing: Text = "",
) -> Judgement:
    """Return how well a document was read of which nothing is known.

    `failed` says which pages were not read, `blank` that nothing is on any page, `missing` that a known text was
    promised for it and is not there: then it fails, whatever else can be said.
    """
    found = _judged_alone(reading, looks, failed, blank=blank)
    if not missing:
        return found
    return Judgement(False, reasons=(missing, *found.reasons), summary=missing, judged=False)


def _judged_alone(
    reading: Reading, looks: Mapping[int, PageCheck], failed: Sequence[Text], *, blank: bool
) -> Judgement:
    read = any(block.text.strip() for page in reading.pages for block in page.blocks)
    nothing = () if read or blank or not reading.pages else (message("nothing-read"),)
    reasons = (*failed, *nothing, *_cross_check_reasons(looks))
    if reasons:
        return Judgement(False, reasons=reasons, summary=message("verdict-doubtful"))
    if any(look.seen for look in looks.values()):
        return Judgement(True, summary=message("verdict-witnessed"))
    if blank and not read:
        return Judgement(True, summary=message("verdict-blank"))
    return Judgement(True, summary=message("verdict-none"), judged=False)


def _cross_check_reasons(looks: Mapping[int, PageCheck]) -> list[Message]:
    """Return what the witness saw that no reading can be right with; lesser differences are shown, and pass."""
    reasons = []
    for index, look in sorted(looks.items()):
        if look.lies:
            reasons.append(message("page-lies", page=index + 1, degrees=look.lies))
        reasons += [_reason(index, found) for found in look.differences if _is_decisive(found)]
        lost = sum(found.kind is DifferenceKind.LOST for found in look.differences)
        if lost >= _MIN_LOST_LINES and lost >= _MIN_LOST_SHARE * look.seen:
            reasons.append(message("witness-lost", page=index + 1, lost=lost, seen=look.seen))
    return reasons


def _is_decisive(found: Difference) -> bool:
    return found.kind in (DifferenceKind.BLANK, DifferenceKind.REPEATED)


def _reason(index: int, found: Difference) -> Message:
    words = found.text if len(found.text) <= _MAX_QUOTED_CHARS else found.text[:_MAX_QUOTED_CHARS] + "…"
    return message(f"witness-{found.kind.value}", page=index + 1, text=words)


def difference_of(reading: Reading, truth: Truth) -> str:
    """Return the known text and what was read as a diff that people can read."""
    known = "\n".join(_known_words(truth))
    read = "\n".join(without_markdown(plain_text(page)) for page in reading.pages)
    return readable_diff(known, read, (truth.name, reading.engine))


def _known_words(truth: Truth) -> list[str]:
    blocks = [block for page in truth.pages for block in page.blocks]
    return [
        "\n".join(" ".join(row) for row in block.rows) if block.rows else block.text or block.latex
        for block in blocks
    ]


def judge_run(
    documents: Sequence[DocumentReport], flaws: Sequence[Text], engine: str, required: str | None
) -> Judgement:
    """Return the verdict on a whole run: its only document's, or that of all in one."""
    if required is not None and engine != required:
        flaws = (*flaws, message("engine-required", required=required, engine=engine))
    if len(documents) == 1:
        only = documents[0].verdict
        reasons = (*flaws, *only.reasons)
        passed = only.passed and not flaws
        summary = only.summary if passed or not only.passed else flaws[0]
        return replace(only, passed=passed, reasons=reasons, summary=summary)
    named = zip(display_names([document.input for document in documents]), documents, strict=True)
    bad = [(name, document.verdict) for name, document in named if not document.verdict.passed]
    known = [d.verdict.similarity for d in documents if d.verdict.similarity is not None]
    orders = [d.verdict.order for d in documents if d.verdict.order is not None]
    reasons = (
        *flaws,
        *(message("document-failed", name=name, reason=_first(verdict)) for name, verdict in bad),
    )
    judged = bool(reasons) or any(document.verdict.judged for document in documents)
    return Judgement(
        passed=not reasons,
        similarity=min(known, default=None),
        reasons=reasons,
        summary=_count(documents),
        judged=judged,
        order=min(orders, default=None),
    )


def _count(documents: Sequence[DocumentReport]) -> Message:
    """Return how many documents were read well, and how many nobody could judge: those are neither good nor bad."""
    verdicts = [document.verdict for document in documents]
    good = sum(verdict.passed and verdict.judged for verdict in verdicts)
    unjudged = sum(not verdict.judged for verdict in verdicts)
    if not unjudged:
        return message("verdict-documents", good=good, count=len(verdicts))
    bad = len(verdicts) - good - unjudged
    return message("verdict-apart", count=len(verdicts), good=good, bad=bad, unjudged=unjudged)


def _first(verdict: Judgement) -> Text:
    return verdict.reasons[0] if verdict.reasons else verdict.summary
