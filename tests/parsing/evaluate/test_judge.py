"""Verdicts on documents and runs, with and without a ground truth."""

from __future__ import annotations

import pytest

from paddlevl_doctor.parsing.evaluate.cross_check_queue import PageCheck
from paddlevl_doctor.parsing.evaluate.ground_truth import Truth, TruthBlock, TruthPage
from paddlevl_doctor.parsing.evaluate.judge import (
    judge_run,
    judge_with_truth,
    judge_without_truth,
    truth_diff,
)
from paddlevl_doctor.parsing.output.run_report_model import Difference, DifferenceKind
from paddlevl_doctor.parsing.run.report import DocumentReport, Judgement
from paddlevl_doctor.values.pages import Block, Page, Reading
from wording import worded

BOX = (0, 0, 10, 10)
WORDS = "The first sentence of the page stands here, and the second one follows it."
TRUTH = Truth("page.txt", (TruthPage((TruthBlock("text", WORDS),)),))


def reading(*texts: str, engine: str = "native") -> Reading:
    blocks = tuple(Block("text", words, BOX) for words in texts)
    return Reading(engine, "cpu", (Page(0, 100, 100, blocks, 1.0),), {}, 0)


def check(*kinds: DifferenceKind, lines: int = 10) -> dict[int, PageCheck]:
    return {0: PageCheck(lines, tuple(Difference(kind, 0, "a line of text", BOX) for kind in kinds))}


def alone(
    read: Reading, checks: dict[int, PageCheck], *failed: str, blank: bool = False
) -> tuple[bool, tuple[str, ...]]:
    verdict = judge_without_truth(read, checks, failed, blank=blank)
    return verdict.passed, worded(verdict.reasons)


def test_without_a_ground_truth_a_document_passes_unless_the_cross_check_finds_a_serious_difference() -> None:
    lost, made_up = DifferenceKind.LOST, DifferenceKind.MADE_UP

    assert alone(reading(WORDS), {}) == (True, ())
    assert alone(reading(WORDS), check()) == (True, ())
    assert alone(reading(WORDS), check(lost, lost, made_up)) == (True, ()), "shown, but no failure"
    assert alone(reading(WORDS), check(*[lost] * 5)) == (
        False,
        ("Page 1: 5 of the 10 lines that the cross-check found are missing.",),
    )
    assert alone(reading(WORDS), check(DifferenceKind.REPEATED)) == (
        False,
        ("Page 1: repeated text: a line of text",),
    )
    (passed, (reason,)) = alone(reading(WORDS), {0: PageCheck(10, (), rotation=90)})
    assert (passed, reason.partition(",")[0]) == (False, "Page 1 is not upright and was read as it is")
    assert alone(reading(), check(DifferenceKind.BLANK)) == (
        False,
        ("nothing was read", "Page 1: nothing was read where the cross-check found: a line of text"),
    )


def test_reading_nothing_passes_on_a_blank_page_only() -> None:
    assert alone(reading(), {}, blank=True) == (True, ())
    assert alone(reading(), {}) == (False, ("nothing was read",))


def test_a_document_is_judged_only_if_it_was_compared_with_something() -> None:
    nothing = judge_without_truth(reading(WORDS), {}, (), blank=False)
    assert (nothing.passed, nothing.judged) == (True, False)
    assert judge_without_truth(reading(WORDS), check(), (), blank=False).judged
    assert judge_without_truth(reading(), {}, (), blank=True).judged
    unjudged = report("a", nothing)
    assert not judge_run([unjudged], [], "native", None).judged
    assert not judge_run([unjudged, unjudged], [], "native", None).judged
    assert judge_run([unjudged, report("b", GOOD)], [], "native", None).judged


def test_a_document_with_a_missing_ground_truth_fails_and_is_not_judged() -> None:
    missing = "No known text for a.png."

    assert judge_without_truth(reading(WORDS), check(), (), blank=False, missing=missing) == Judgement(
        False, reasons=(missing,), summary=missing, judged=False
    )
    bad = judge_without_truth(reading(), {}, (), blank=False, missing=missing)
    assert worded(bad.reasons) == (missing, "nothing was read")


def test_the_summary_counts_documents_that_were_not_judged_separately() -> None:
    unjudged = judge_without_truth(reading(WORDS), {}, (), blank=False)
    documents = [report("a", GOOD), report("b", unjudged), report("c", unjudged)]

    assert str(judge_run(documents[1:], [], "native", None).summary) == (
        "Of 2 documents, 0 passed, 0 failed, 2 were not evaluated."
    )
    assert str(judge_run(documents, [], "native", None).summary) == (
        "Of 3 documents, 1 passed, 0 failed, 2 were not evaluated."
    )


def test_a_page_that_could_not_be_read_fails_its_document() -> None:
    assert alone(reading(WORDS), {}, "Page 2 could not be read: x") == (
        False,
        ("Page 2 could not be read: x",),
    )
    verdict = judge_with_truth(reading(WORDS), TRUTH, None, ["Page 2 could not be read: x"])
    assert (verdict.passed, verdict.similarity, verdict.reasons) == (
        False,
        1.0,
        ("Page 2 could not be read: x",),
    )


@pytest.mark.parametrize(("asked", "passed"), [(None, True), (0.99, False), (0.5, True)])
def test_the_requested_threshold_is_used(asked: float | None, passed: bool) -> None:
    verdict = judge_with_truth(reading(WORDS.replace("second", "sec0nb")), TRUTH, asked, [])

    assert (verdict.passed, verdict.threshold) == (passed, asked or 0.9)


def test_the_summary_names_the_order_if_it_is_wrong() -> None:
    parts = [TruthBlock("text", words) for words in (WORDS, "Another paragraph.", "The end.")]
    verdict = judge_with_truth(
        reading("Another paragraph.", WORDS, "The end."), Truth("x", (TruthPage(tuple(parts)),)), 0.1, []
    )

    assert (verdict.passed, verdict.order) == (False, 0.6667)
    assert str(verdict.summary).endswith(" Parts in the order of the page: 67% (required: 95%).")


def test_the_diff_shows_the_changed_lines() -> None:
    assert truth_diff(reading(WORDS.replace("second", "last")), TRUTH).splitlines() == [
        "--- page.txt",
        "+++ native",
        "@@ -1 +1 @@",
        f"-{WORDS}",
        f"+{WORDS.replace('second', 'last')}",
    ]
    assert truth_diff(reading(WORDS), TRUTH) == ""


def report(name: str, verdict: Judgement) -> DocumentReport:
    return DocumentReport(name, 1, 0, (), (), verdict)


GOOD, BAD = Judgement(True, 0.98, summary="good"), Judgement(False, 0.5, reasons=("lost",), summary="bad")


def test_the_verdict_of_a_run_names_the_documents_that_failed() -> None:
    assert judge_run([report("a", BAD)], [], "native", None) == BAD
    assert worded(judge_run([report("a", GOOD), report("/x/b.png", BAD)], [], "native", None)) == Judgement(
        False, 0.5, reasons=("b.png: lost",), summary="1 of 2 documents passed."
    )


def test_documents_of_the_same_name_are_named_with_their_folders() -> None:
    documents = [report(f"/in/{folder}/1.png", BAD) for folder in ("a", "b")]

    assert worded(judge_run(documents, [], "native", None).reasons) == ("a/1.png: lost", "b/1.png: lost")


def test_another_engine_than_the_required_one_fails_the_run() -> None:
    verdict = judge_run([report("a", GOOD)], [], "reader", "native")

    assert (verdict.passed, str(verdict.summary)) == (False, "'native' is required, but 'reader' was used.")
    assert judge_run([report("a", GOOD)], [], "native", "native").passed
