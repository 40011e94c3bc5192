"""Which rung of the ladder helped stands on the console and in report.html, and nothing where none was needed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from paddlevl_doctor.parsing.output.run_report import build_run_report
from paddlevl_doctor.parsing.run.page_store import PageRead, PageStore
from paddlevl_doctor.parsing.run.report import DocumentReport, Judgement, ParseReport
from paddlevl_doctor.parsing.run.scheduler import DocumentJob
from paddlevl_doctor.report.console import Screen
from paddlevl_doctor.report.parse import show
from paddlevl_doctor.report.parse_html import run_page
from paddlevl_doctor.values.pages import Page

HOME = Path("/home/somebody")
SENTENCE = "Pages not read on the first try: at half the size (1), on the processor (2)."


def told(capsys: pytest.CaptureFixture[str], *rungs: str) -> tuple[str, str]:
    """Return what the console and report.html say of a document whose pages were read on these rungs."""
    good = Judgement(True, summary="good")
    document = DocumentReport("a.pdf", len(rungs), 0, (), (), good)
    head = ("a.pdf", "native", "gpu:0", "auto", "")
    counts = {name: rungs.count(name) for name in dict.fromkeys(rungs)}
    read = {n: PageRead(Page(n, 10, 10, (), 1.0), {}, "gpu:0", rung) for n, rung in enumerate(rungs)}
    work = DocumentJob(Path("a.pdf"), "a", len(rungs), PageStore(HOME, ""), pages=read)
    report = ParseReport(*head, (), (), good, {}, {}, documents=(document,), rungs=counts)
    report = replace(report, run_report=build_run_report(report, [work], []))
    show(Screen(color=False, verbose=False, quiet=False, home=HOME, lang="en"), report)
    assert report.run_report is not None
    return " ".join(capsys.readouterr().out.split()), run_page(report.run_report, HOME, "en")


def test_pages_that_needed_help_are_counted_and_say_which(capsys: pytest.CaptureFixture[str]) -> None:
    console, page = told(capsys, "first", "smaller", "cpu", "cpu")

    assert f"! {SENTENCE}" in console
    assert f"<p>{SENTENCE}</p>" in page
    assert [
        page.count(f" · {words}</span></summary>") for words in ("at half the size", "on the processor")
    ] == [1, 2]
    assert "first try</span>" not in page


def test_pages_that_needed_none_say_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    console, page = told(capsys, "first", "first")

    assert "first try" not in console + page
