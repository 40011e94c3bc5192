"""A run of `parse` for CI systems: JUnit XML with a test case a document, and GitHub's annotations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from paddlevl_doctor.parsing.outcome import DocumentReport, ParseReport

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


def renderers(report: ParseReport) -> Mapping[str, Callable[[], str]]:
    """Return what writes a run in each format; redacted, and imported only where it is asked for."""
    return {"junit": lambda: junit(_redacted(report)), "github": lambda: github(_redacted(report))}


def _redacted(report: ParseReport) -> ParseReport:
    from paddlevl_doctor.report.redaction import Redactor  # noqa: PLC0415 - start-up time

    redacted: ParseReport = Redactor.of_this_machine().value(replace(report, story=None, fix=None))
    return redacted


def junit(report: ParseReport) -> str:
    """Return the document: a document that was not read well enough is a failure, and so is the run's own."""
    from xml.etree import ElementTree  # noqa: PLC0415 - start-up time

    bad = sum(not document.verdict.passed for document in report.documents)
    alone = _alone(report)
    counts = {
        "name": "paddlevl-doctor parse",
        "tests": str(len(report.documents) + 1),
        "failures": str(bad + bool(alone)),
        "time": f"{sum(report.seconds.values()):.3f}",
    }
    suites = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(suites, "testsuite", counts)
    seconds = iter(report.pages)
    for document in report.documents:
        time = sum(page.seconds for _, page in zip(range(document.pages), seconds, strict=False))
        _case(suite, Path(document.input).name, document.verdict.reasons, time)
    _case(suite, f"engine {report.engine}", alone, 0)
    ElementTree.indent(suites)
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    return head + ElementTree.tostring(suites, encoding="unicode") + "\n"


def _case(suite: Element, name: str, failures: tuple[str, ...], seconds: float) -> None:
    from xml.etree import ElementTree  # noqa: PLC0415 - as above

    from paddlevl_doctor.report.junit import writable  # noqa: PLC0415 - as above

    words = {"classname": "paddlevl-doctor.parse", "name": writable(name), "time": f"{seconds:.3f}"}
    case = ElementTree.SubElement(suite, "testcase", words)
    if failures:
        failure = ElementTree.SubElement(case, "failure", message=writable(failures[0]))
        failure.text = writable("\n".join(failures))


def _alone(report: ParseReport) -> tuple[str, ...]:
    """Return why the run fails although its documents may not: the environment, or the wrong engine."""
    of_documents = {reason for document in report.documents for reason in document.verdict.reasons}
    named = tuple(f"{Path(document.input).name}: " for document in report.documents)
    reasons = () if report.verdict.passed else report.verdict.reasons
    return tuple(reason for reason in reasons if reason not in of_documents and not reason.startswith(named))


def github(report: ParseReport) -> str:
    """Return one line for every document that was not read well enough, and for what failed besides."""
    from paddlevl_doctor.report.github import escaped_data, escaped_property  # noqa: PLC0415 - start-up time

    bad = (document for document in report.documents if not document.verdict.passed)
    lines = [f"::error file={escaped_property(d.input)}::{escaped_data(_words(d))}\n" for d in bad]
    lines += [f"::error title=parse::{escaped_data(reason)}\n" for reason in _alone(report)]
    return "".join(lines)


def _words(document: DocumentReport) -> str:
    return "\n".join((document.verdict.summary, *document.verdict.reasons))
