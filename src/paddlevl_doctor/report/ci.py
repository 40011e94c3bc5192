"""A check for CI systems: JUnit XML with a test case per finding, and GitHub annotations."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from paddlevl_doctor.messages import render, tr
from paddlevl_doctor.report.console import causes, root_of
from paddlevl_doctor.values.check_report import CheckReport
from paddlevl_doctor.values.findings import Finding, Status

# Characters that XML 1.0, section 2.2, does not allow, not even as references.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SKIPPED = (Status.SKIPPED, Status.BLOCKED)


def junit(report: CheckReport, lang: str) -> str:
    """Return the JUnit document. A status error is a failure, unknown is an error, and a warning passes."""
    suites = ElementTree.Element("testsuites", _counts(report))
    suite = ElementTree.SubElement(suites, "testsuite", _counts(report))
    for finding in report.findings:
        _case(suite, finding, report, lang)
    ElementTree.indent(suites)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suites, encoding="unicode") + "\n"
    )


def _counts(report: CheckReport) -> dict[str, str]:
    statuses = [finding.status for finding in report.findings]
    return {
        "name": "paddlevl-doctor check",
        "tests": str(len(statuses)),
        "failures": str(statuses.count(Status.ERROR)),
        "errors": str(statuses.count(Status.UNKNOWN)),
        "skipped": str(sum(statuses.count(status) for status in _SKIPPED)),
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
        return tr("report-waits-for", lang, id=root)
    parts = (tr("status-skipped", lang), *(render(e.value, lang) for e in finding.evidence))
    return tr("label-colon", lang).join(parts)


def details(finding: Finding, lang: str) -> str:
    """Return cause, evidence, fix and links of a finding as plain lines."""
    lines = [render(finding.cause, lang)]
    lines += [f"{e.source}: {render(e.value, lang)}" for e in finding.evidence]
    lines += [render(finding.remedy.text, lang)] if finding.remedy else []
    return "\n".join([*filter(None, lines), *finding.links])


def writable(text: str) -> str:
    """Return a text with the characters replaced that XML does not allow."""
    return _FORBIDDEN.sub("\ufffd", text)


_LEVELS = {Status.ERROR: "error", Status.UNKNOWN: "error", Status.WARNING: "warning"}


def github(report: CheckReport, lang: str) -> str:
    """Return a workflow command for each problem, the worst first."""
    return "".join(_annotation(cause.finding, lang) for cause in causes(report.findings))


def _annotation(finding: Finding, lang: str) -> str:
    text = f"{render(finding.title, lang)}\n{details(finding, lang)}"
    return f"::{_LEVELS[finding.status]} title={escaped_property(finding.id)}::{escaped_data(text)}\n"


# The escapes of actions/toolkit, packages/core/src/command.ts.
def escaped_data(text: str) -> str:
    """Return a text escaped for the message of a workflow command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escaped_property(text: str) -> str:
    """Return a text escaped for a property of a workflow command."""
    return escaped_data(text).replace(":", "%3A").replace(",", "%2C")
