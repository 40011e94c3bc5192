"""A run of `parse` as CI systems want it."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from paddlevl_doctor.parsing.model import Page
from paddlevl_doctor.parsing.outcome import DocumentReport, Judgement, ParseReport
from paddlevl_doctor.report.readings import github, junit

GOOD = Judgement(True, summary="good")
BAD = Judgement(False, reasons=("lost \x00 <b>title</b>", "and more"), summary="not read well enough")


def report(*documents: DocumentReport, verdict: Judgement = GOOD) -> ParseReport:
    pages = tuple(Page(0, 1, 1, (), 1.5) for _ in range(sum(d.pages for d in documents)))
    head = ("in", "reader", "cpu", "auto", "")
    return ParseReport(*head, pages, (), verdict, {"read": 2.0}, {}, documents=documents)


def document(name: str, verdict: Judgement) -> DocumentReport:
    return DocumentReport(name, 2, 0, (), (), verdict)


FAILED = Judgement(
    False,
    reasons=("b.png: lost \x00 <b>title</b>", "'native' was required, but 'reader' has read."),
    summary="bad",
)


def test_a_document_is_a_test_case_and_what_the_run_itself_failed_for_another() -> None:
    written = junit(report(document("a.png", GOOD), document("/x/b.png", BAD), verdict=FAILED))
    (suite,) = ElementTree.fromstring(written)  # noqa: S314 - our own

    assert (suite.get("tests"), suite.get("failures")) == ("3", "2")
    assert [(c.get("name"), c.get("time"), [f.text for f in c]) for c in suite] == [
        ("a.png", "3.000", []),
        ("b.png", "3.000", ["lost \ufffd <b>title</b>\nand more"]),
        ("engine reader", "0.000", ["'native' was required, but 'reader' has read."]),
    ]


@pytest.mark.parametrize("name", ["a.png", "a,b:c%.png"])
def test_a_document_that_failed_is_an_annotation_of_its_file(name: str) -> None:
    lines = github(report(document(name, BAD))).splitlines()

    assert lines == [
        f"::error file={name.replace('%', '%25').replace(':', '%3A').replace(',', '%2C')}"
        "::not read well enough%0Alost \x00 <b>title</b>%0Aand more"
    ]


def test_a_good_run_has_no_annotation() -> None:
    assert github(report(document("a.png", GOOD))) == ""
