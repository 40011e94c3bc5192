"""A run of `parse` as CI systems want it."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from paddlevl_doctor.messages import message
from paddlevl_doctor.parsing.run.report import DocumentReport, Judgement, ParseReport
from paddlevl_doctor.report.ci_parse import checkout, github, junit, redacted_report, renderers
from paddlevl_doctor.values.pages import Page

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
    reasons=(
        message("document-failed", name="b.png", reason=BAD.reasons[0]),
        "'native' is required, but 'reader' was used.",
    ),
    summary="bad",
)


def test_a_document_is_a_test_case_and_what_the_run_itself_failed_for_another() -> None:
    written = junit(report(document("a.png", GOOD), document("x/b.png", BAD), verdict=FAILED), "en")
    (suite,) = ElementTree.fromstring(written)  # noqa: S314 - our own

    assert (suite.get("tests"), suite.get("failures")) == ("3", "2")
    assert [(c.get("name"), c.get("time"), [f.text for f in c]) for c in suite] == [
        ("a.png", "3.000", []),
        ("x/b.png", "3.000", ["lost \ufffd <b>title</b>\nand more"]),
        ("engine reader", "0.000", ["'native' is required, but 'reader' was used."]),
    ]


@pytest.mark.parametrize("name", ["a.png", "a,b:c%.png"])
def test_a_document_that_failed_is_an_annotation_of_its_file(name: str) -> None:
    lines = github(report(document(name, BAD)), "en").splitlines()

    assert lines == [
        f"::error file={name.replace('%', '%25').replace(':', '%3A').replace(',', '%2C')}"
        "::not read well enough%0Alost \x00 <b>title</b>%0Aand more"
    ]


def test_a_good_run_has_no_annotation() -> None:
    assert github(report(document("a.png", GOOD)), "en") == ""


def test_a_document_that_nobody_could_judge_is_skipped_with_the_reason() -> None:
    unjudged = Judgement(True, summary="Not evaluated: no ground truth.", judged=False)
    promised = Judgement(False, reasons=("No known text.",), summary="No known text.", judged=False)
    written = junit(report(document("a.png", unjudged), document("b.png", promised), verdict=FAILED), "en")
    (suite,) = ElementTree.fromstring(written)  # noqa: S314 - our own

    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "2", "1")
    assert [[(e.tag, e.get("message")) for e in c] for c in suite][:2] == [
        [("skipped", "Not evaluated: no ground truth.")],
        [("failure", "No known text.")],
    ]


def test_documents_are_named_from_the_checkout_even_where_it_lies_in_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "somebody"
    root = home / "work" / "checkout"
    monkeypatch.setattr(Path, "home", lambda: home)
    inside, outside = document(str(root / "in" / "page.png"), BAD), document(str(home / "page.png"), BAD)
    found = redacted_report(report(inside, outside), root, "en")

    assert [one.input for one in found.documents] == ["in/page.png", "page.png"]
    (first, _, *_) = renderers(report(inside, outside), root, "en")["github"]().splitlines()
    assert first.startswith("::error file=in/page.png::not read well enough%0A")


def test_a_checkout_that_is_reached_through_a_link_is_the_same_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    found = redacted_report(
        report(document(str(tmp_path / "link" / "page.png"), BAD)), tmp_path / "real", "en"
    )

    assert [one.input for one in found.documents] == ["page.png"]
    linked = tmp_path / "real" / "stored.png"
    linked.symlink_to(tmp_path / "elsewhere.png")
    found = redacted_report(report(document(str(linked), BAD)), tmp_path, "en")
    assert [one.input for one in found.documents] == ["real/stored.png"]


def test_github_says_where_the_checkout_is(tmp_path: Path) -> None:
    assert checkout({"GITHUB_WORKSPACE": "/github/workspace"}, tmp_path) == Path("/github/workspace")
    assert checkout({}, tmp_path) == tmp_path
