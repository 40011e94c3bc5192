"""A run of `parse` for CI systems: JUnit XML with a test case per document, and GitHub annotations."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from paddlevl_doctor.messages import render, tr
from paddlevl_doctor.parsing.run.report import DocumentReport, Judgement, ParseReport
from paddlevl_doctor.redaction import Redactor
from paddlevl_doctor.report.ci import escaped_data, escaped_property, writable

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


def renderers(report: ParseReport, root: Path, lang: str) -> Mapping[str, Callable[[], str]]:
    """Return for each format a function that writes the redacted run. Documents are named relative to `root`."""
    return {
        "junit": lambda: junit(redacted_report(report, root, lang), lang),
        "github": lambda: github(redacted_report(report, root, lang), lang),
    }


def checkout(env: Mapping[str, str], cwd: Path) -> Path:
    """Return the folder to which file names of the CI system are relative: $GITHUB_WORKSPACE, else `cwd`."""
    return Path(env.get("GITHUB_WORKSPACE") or cwd)


def redacted_report(report: ParseReport, root: Path, lang: str) -> ParseReport:
    """Return a redacted report in which every document is a path that a CI system can resolve.

    A document below `root` gets its relative path, which is not redacted, so that it can be resolved. Any other
    document gets its file name.
    """
    redacted: ParseReport = Redactor.of_this_machine().value(replace(report, run_report=None, fix=None), lang)
    names = (_name_below(Path(document.input), root) for document in report.documents)
    documents = zip(redacted.documents, names, strict=True)
    return replace(redacted, documents=tuple(replace(document, input=name) for document, name in documents))


def _name_below(document: Path, root: Path) -> str:
    """Return the path relative to `root`, also if one of them is reached through a link, else the file name."""
    absolute = tuple(Path(os.path.abspath(path)) for path in (document, root))  # noqa: PTH100 - keeps links
    for path, folder in (absolute, (document.resolve(), root.resolve())):
        if path.is_relative_to(folder):
            return path.relative_to(folder).as_posix()
    return document.name


def junit(report: ParseReport, lang: str) -> str:
    """Return the JUnit document. A document that failed is a failure, and one without a verdict is skipped."""
    run_reasons = _run_reasons(report, lang)
    counts = _counts(report, run_reasons)
    suites = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(suites, "testsuite", counts)
    seconds = iter(report.pages)
    for document in report.documents:
        time = sum(page.seconds for _, page in zip(range(document.pages), seconds, strict=False))
        _case(suite, document.input, document.verdict, time, lang)
    _case(suite, f"engine {report.engine}", Judgement(not run_reasons, reasons=run_reasons), 0, lang)
    ElementTree.indent(suites)
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    return head + ElementTree.tostring(suites, encoding="unicode") + "\n"


def _counts(report: ParseReport, run_reasons: tuple[str, ...]) -> dict[str, str]:
    verdicts = [document.verdict for document in report.documents]
    return {
        "name": "paddlevl-doctor parse",
        "tests": str(len(verdicts) + 1),
        "failures": str(sum(not verdict.passed for verdict in verdicts) + bool(run_reasons)),
        "skipped": str(sum(verdict.passed and not verdict.judged for verdict in verdicts)),
        "time": f"{sum(report.seconds.values()):.3f}",
    }


def _case(suite: Element, name: str, verdict: Judgement, seconds: float, lang: str) -> None:
    attributes = {"classname": "paddlevl-doctor.parse", "name": writable(name), "time": f"{seconds:.3f}"}
    case = ElementTree.SubElement(suite, "testcase", attributes)
    if not verdict.passed:
        reasons = [render(reason, lang) for reason in verdict.reasons or (verdict.summary,)]
        failure = ElementTree.SubElement(case, "failure", message=writable(reasons[0]))
        failure.text = writable("\n".join(reasons))
    elif not verdict.judged:
        ElementTree.SubElement(case, "skipped", message=writable(render(verdict.summary, lang)))


def _run_reasons(report: ParseReport, lang: str) -> tuple[str, ...]:
    """Return the reasons for the failure of the run that do not belong to a document, such as the wrong engine."""
    document_reasons = {render(r, lang) for document in report.documents for r in document.verdict.reasons}
    failed = (document.verdict for document in report.documents if not document.verdict.passed)
    firsts = ((*verdict.reasons, verdict.summary)[0] for verdict in failed)
    # The reason `document-failed` of the run repeats the first reason of a document after its name.
    repeated = tuple(tr("document-failed", lang, name="", reason=first) for first in firsts)
    reasons = () if report.verdict.passed else tuple(render(r, lang) for r in report.verdict.reasons)
    return tuple(r for r in reasons if r not in document_reasons and not r.endswith(repeated))


def github(report: ParseReport, lang: str) -> str:
    """Return a workflow command for each failed document and for each other reason."""
    failed = (document for document in report.documents if not document.verdict.passed)
    lines = [
        f"::error file={escaped_property(d.input)}::{escaped_data(_description(d, lang))}\n" for d in failed
    ]
    lines += [f"::error title=parse::{escaped_data(reason)}\n" for reason in _run_reasons(report, lang)]
    return "".join(lines)


def _description(document: DocumentReport, lang: str) -> str:
    texts = (document.verdict.summary, *document.verdict.reasons)
    return "\n".join(dict.fromkeys(render(text, lang) for text in texts))
