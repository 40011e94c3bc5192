"""A run of `parse` for CI systems: JUnit XML with a test case a document, and GitHub's annotations."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from paddlevl_doctor.messages import render, say
from paddlevl_doctor.parsing.run.report import DocumentReport, Judgement, ParseReport
from paddlevl_doctor.redaction import Redactor
from paddlevl_doctor.report.ci import escaped_data, escaped_property, writable

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


def renderers(report: ParseReport, root: Path, lang: str) -> Mapping[str, Callable[[], str]]:
    """Return what writes a run in each format; redacted, and imported only where it is asked for.

    Documents are named from `root`, the folder of the checkout.
    """
    return {
        "junit": lambda: junit(for_everybody(report, root, lang), lang),
        "github": lambda: github(for_everybody(report, root, lang), lang),
    }


def checkout(env: Mapping[str, str], here: Path) -> Path:
    """Return the folder from which a CI system names files: GitHub says it, else it is the working folder."""
    return Path(env.get("GITHUB_WORKSPACE") or here)


def for_everybody(report: ParseReport, root: Path, lang: str) -> ParseReport:
    """Return a report without names and home folders, in which every document is a path that a CI system can resolve.

    A document in the checkout is named from there, as it is: a path with anything taken out is no path. One that
    lies elsewhere is called by its name only.
    """
    redacted: ParseReport = Redactor.of_this_machine().value(replace(report, run_report=None, fix=None), lang)
    names = (_from(Path(document.input), root) for document in report.documents)
    documents = zip(redacted.documents, names, strict=True)
    return replace(redacted, documents=tuple(replace(document, input=name) for document, name in documents))


def _from(document: Path, root: Path) -> str:
    """Return a path from the root, also where one of them is reached through a link; else the name."""
    ways = ((Path(os.path.abspath(path)) for path in (document, root)), (document.resolve(), root.resolve()))  # noqa: PTH100 - keeps links
    for inside, folder in ways:
        if inside.is_relative_to(folder):
            return inside.relative_to(folder).as_posix()
    return document.name


def junit(report: ParseReport, lang: str) -> str:
    """Return the document: what was not read well enough is a failure, what nobody could judge is skipped."""
    alone = _alone(report, lang)
    counts = _counts(report, alone)
    suites = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(suites, "testsuite", counts)
    seconds = iter(report.pages)
    for document in report.documents:
        time = sum(page.seconds for _, page in zip(range(document.pages), seconds, strict=False))
        _case(suite, document.input, document.verdict, time, lang)
    _case(suite, f"engine {report.engine}", Judgement(not alone, reasons=alone), 0, lang)
    ElementTree.indent(suites)
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    return head + ElementTree.tostring(suites, encoding="unicode") + "\n"


def _counts(report: ParseReport, alone: tuple[str, ...]) -> dict[str, str]:
    verdicts = [document.verdict for document in report.documents]
    return {
        "name": "paddlevl-doctor parse",
        "tests": str(len(verdicts) + 1),
        "failures": str(sum(not verdict.passed for verdict in verdicts) + bool(alone)),
        "skipped": str(sum(verdict.passed and not verdict.judged for verdict in verdicts)),
        "time": f"{sum(report.seconds.values()):.3f}",
    }


def _case(suite: Element, name: str, verdict: Judgement, seconds: float, lang: str) -> None:
    words = {"classname": "paddlevl-doctor.parse", "name": writable(name), "time": f"{seconds:.3f}"}
    case = ElementTree.SubElement(suite, "testcase", words)
    if not verdict.passed:
        reasons = [render(reason, lang) for reason in verdict.reasons or (verdict.summary,)]
        failure = ElementTree.SubElement(case, "failure", message=writable(reasons[0]))
        failure.text = writable("\n".join(reasons))
    elif not verdict.judged:
        ElementTree.SubElement(case, "skipped", message=writable(render(verdict.summary, lang)))


def _alone(report: ParseReport, lang: str) -> tuple[str, ...]:
    """Return why the run fails although its documents may not: the environment, or the wrong engine."""
    of_documents = {render(r, lang) for document in report.documents for r in document.verdict.reasons}
    bad = (document.verdict for document in report.documents if not document.verdict.passed)
    firsts = ((*verdict.reasons, verdict.summary)[0] for verdict in bad)
    named = tuple(say("document-failed", lang, name="", reason=first) for first in firsts)
    reasons = () if report.verdict.passed else tuple(render(r, lang) for r in report.verdict.reasons)
    return tuple(reason for reason in reasons if reason not in of_documents and not reason.endswith(named))


def github(report: ParseReport, lang: str) -> str:
    """Return one line for every document that was not read well enough, and for what failed besides."""
    bad = (document for document in report.documents if not document.verdict.passed)
    lines = [f"::error file={escaped_property(d.input)}::{escaped_data(_words(d, lang))}\n" for d in bad]
    lines += [f"::error title=parse::{escaped_data(reason)}\n" for reason in _alone(report, lang)]
    return "".join(lines)


def _words(document: DocumentReport, lang: str) -> str:
    said = (document.verdict.summary, *document.verdict.reasons)
    return "\n".join(dict.fromkeys(render(one, lang) for one in said))
