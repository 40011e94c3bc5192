"""A check as JUnit XML: one test case a finding, so that CI systems show what is wrong where tests are shown."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from paddlevl_doctor.checks.report import CheckReport
from paddlevl_doctor.messages import render, say
from paddlevl_doctor.report.console import causes, root_of
from paddlevl_doctor.values.findings import Finding, Status

# XML 1.0, section 2.2: everything else cannot be written, not even as a reference.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SKIPPED = (Status.SKIPPED, Status.BLOCKED)


def junit(report: CheckReport, lang: str) -> str:
    """Return the document. An error is a failure, what could not be looked at is an error, a warning passes."""
    suites = ElementTree.Element("testsuites", _counts(report))
    suite = ElementTree.SubElement(suites, "testsuite", _counts(report))
    for finding in report.findings:
        _case(suite, finding, report, lang)
    ElementTree.indent(suites)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suites, encoding="unicode") + "\n"
    )


def _counts(report: CheckReport) -> dict[str, str]:
    of = [finding.status for finding in report.findings]
    return {
        "name": "paddlevl-doctor check",
        "tests": str(len(of)),
        "failures": str(of.count(Status.ERROR)),
        "errors": str(of.count(Status.UNKNOWN)),
        "skipped": str(sum(of.count(status) for status in _SKIPPED)),
        "time": f"{report.seconds:.3f}",
    }


def _case(suite: ElementTree.Element, finding: Finding, report: CheckReport, lang: str) -> None:
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname="paddlevl-doctor.check",
        name=finding.id,
        time=f"{finding.duration_ms / 1000:.3f}",
    )
    title, body = writable(render(finding.title, lang)), writable(details(finding, lang))
    if finding.status is Status.ERROR:
        ElementTree.SubElement(case, "failure", message=title, type=finding.id).text = body
    elif finding.status is Status.UNKNOWN:
        ElementTree.SubElement(case, "error", message=title, type=finding.id).text = body
    elif finding.status in _SKIPPED:
        ElementTree.SubElement(case, "skipped", message=writable(_why_skipped(finding, report, lang)))
    elif finding.status is not Status.OK:
        ElementTree.SubElement(case, "system-out").text = f"{finding.status.value}: {title}\n{body}"


def _why_skipped(finding: Finding, report: CheckReport, lang: str) -> str:
    root = root_of(finding, report.findings)
    if root is not None:
        return say("report-waits-for", lang, id=root)
    words = (say("status-skipped", lang), *(render(e.value, lang) for e in finding.evidence))
    return say("label-colon", lang).join(words)


def details(finding: Finding, lang: str) -> str:
    """Return cause, evidence and cure of a finding as plain lines."""
    lines = [render(finding.cause, lang)]
    lines += [f"{e.source}: {render(e.value, lang)}" for e in finding.evidence]
    lines += [render(finding.remedy.text, lang)] if finding.remedy else []
    return "\n".join([*filter(None, lines), *finding.links])


def writable(words: str) -> str:
    """Return text with the characters replaced that XML cannot hold."""
    return _FORBIDDEN.sub("\ufffd", words)


_LEVELS = {Status.ERROR: "error", Status.UNKNOWN: "error", Status.WARNING: "warning"}


def github(report: CheckReport, lang: str) -> str:
    """Return one line a problem, the worst first; nothing where nothing is wrong."""
    return "".join(_annotation(cause.finding, lang) for cause in causes(report.findings))


def _annotation(finding: Finding, lang: str) -> str:
    words = f"{render(finding.title, lang)}\n{details(finding, lang)}"
    return f"::{_LEVELS[finding.status]} title={escaped_property(finding.id)}::{escaped_data(words)}\n"


# The escapes of actions/toolkit, packages/core/src/command.ts.
def escaped_data(words: str) -> str:
    """Return text for the message of a workflow command."""
    return words.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escaped_property(words: str) -> str:
    """Return text for a property of a workflow command."""
    return escaped_data(words).replace(":", "%3A").replace(",", "%2C")
