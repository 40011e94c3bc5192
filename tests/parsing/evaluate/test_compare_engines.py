"""The comparison of engines reports all of them, and the verdict names those that failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from paddlevl_doctor.parsing.evaluate.compare_engines import compare_engines
from paddlevl_doctor.parsing.output.run_report_model import (
    DocumentSection,
    EngineSection,
    OtherReading,
    PageSection,
    RunReport,
)
from paddlevl_doctor.parsing.run.report import (
    ComparedDocument,
    DocumentReport,
    Judgement,
    ParseReport,
    ParseRequest,
    unreadable,
)
from paddlevl_doctor.values.errors import DoctorError, UsageError
from paddlevl_doctor.values.pages import Block, Page
from wording import worded

GOOD, BAD = (
    Judgement(True, summary="Read well enough."),
    Judgement(False, summary="Failed: the cross-check found serious differences."),
)
REQUEST = ParseRequest(("page.png",), Path("output"))


def read_as(words: str, verdict: Judgement = GOOD) -> ParseReport:
    blocks = (Block("text", words, (0, 0, 9, 9)),)
    document = DocumentReport("in/page.png", 1, 0, (), (), verdict)
    section = DocumentSection("page.png", (PageSection(0, 9, 9, blocks, 1.0, "cpu"),), verdict.passed, "")
    return ParseReport(
        "in/page.png", "?", "cpu", "?", "", (Page(0, 9, 9, blocks, 1.0),), (), verdict, {"read": 1.0}, {},
        documents=(document,), run_report=RunReport("page.png", "?", "cpu", (section,)),
    )  # fmt: skip


def compared(**answers: ParseReport | DoctorError) -> ParseReport:
    return compared_as(REQUEST, [], answers)


def compared_as(
    request: ParseRequest, requests: list[ParseRequest], answers: Mapping[str, ParseReport | DoctorError]
) -> ParseReport:
    def read(request: ParseRequest) -> ParseReport:
        requests.append(request)
        answer = answers[request.engine]
        if isinstance(answer, DoctorError):
            raise answer
        assert answer.run_report is not None
        return replace(
            answer, engine=request.engine, run_report=replace(answer.run_report, engine=request.engine)
        )

    return compare_engines(tuple(answers), request, read)


def unread() -> ParseReport:
    """A document that could not be opened."""
    bad = unreadable(Path("in/page.png"), "It is empty.")
    sections = (DocumentSection("page.png", (), False, "It is empty."),)
    run_report = RunReport("page.png", "?", "cpu", sections)
    return replace(read_as("", bad.verdict), pages=(), documents=(bad,), run_report=run_report)


def test_a_document_that_no_engine_could_read_has_no_similarity() -> None:
    both = compared(native=unread(), reader=unread())
    one = compared(native=read_as("one"), reader=unread())

    assert [engine.documents for engine in both.compared] == [(ComparedDocument("page.png", None, ""),)] * 2
    assert [[d.similarity for d in engine.documents] for engine in one.compared] == [[1.0], [0.0]]


def test_a_required_engine_is_required_of_its_own_run_only() -> None:
    answers = {"native": read_as("one"), "reader": read_as("one")}
    requests: list[ParseRequest] = []
    report = compared_as(replace(REQUEST, require="native"), requests, answers)

    assert [(request.engine, request.require) for request in requests] == [
        ("native", "native"),
        ("reader", None),
    ]
    assert report.verdict == GOOD
    with pytest.raises(UsageError) as caught:
        compared_as(replace(REQUEST, require="server"), [], answers)
    assert str(caught.value.message) == (
        "'server' is required, but is not among the compared engines: native,reader. Add it to "
        "--compare, or remove --require."
    )


def test_the_run_report_has_the_readings_of_all_engines() -> None:
    report = compared(native=read_as("one two"), reader=read_as("one too"))
    assert report.run_report is not None
    (document,) = report.run_report.documents
    ((other),) = document.others
    (section,) = (read_as("one too").run_report or report.run_report).documents

    assert other == OtherReading(
        "reader", section, 0.8333, "--- native\n+++ reader\n@@ -1 +1 @@\n-one two\n+one too"
    )
    assert report.run_report.engines == (
        EngineSection("native", "cpu", 1.0, ""),
        EngineSection("reader", "cpu", 1.0, ""),
    )
    assert report.verdict == GOOD


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (DoctorError("No answer."), "No answer."),
        (UsageError("There is no gpu:7."), "There is no gpu:7."),
        (read_as("", BAD), BAD.summary),
    ],
)
def test_the_summary_names_the_engine_that_failed(failure: ParseReport | DoctorError, words: str) -> None:
    report = compared(reader=read_as("one"), server=failure)

    assert (report.verdict.passed, str(report.verdict.summary), worded(report.verdict.reasons)) == (
        False,
        "Failed with 1 of 2 engines: server.",
        (f"server: {words}",),
    )


def test_if_the_first_engine_fails_the_next_one_is_the_base() -> None:
    report = compared(server=DoctorError("No answer."), reader=read_as("one"))
    assert report.run_report is not None

    assert (report.engine, report.run_report.engines[0]) == (
        "reader",
        EngineSection("server", "", 0.0, "No answer."),
    )


def test_input_that_no_engine_can_read_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no file"):
        compared(native=UsageError("no file"), reader=read_as("one"))
