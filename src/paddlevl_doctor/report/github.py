"""A check as GitHub workflow commands: the problems appear as annotations of the run."""

from __future__ import annotations

from paddlevl_doctor.commands.check import CheckReport
from paddlevl_doctor.report.causes import causes
from paddlevl_doctor.report.junit import details
from paddlevl_doctor.values import Finding, Status

_LEVELS = {Status.ERROR: "error", Status.UNKNOWN: "error", Status.WARNING: "warning"}


def render(report: CheckReport) -> str:
    """Return one line a problem, the worst first; nothing where nothing is wrong."""
    return "".join(_annotation(cause.finding) for cause in causes(report.findings))


def _annotation(finding: Finding) -> str:
    message = f"{finding.title}\n{details(finding)}"
    return f"::{_LEVELS[finding.status]} title={escaped_property(finding.id)}::{escaped_data(message)}\n"


# The escapes of actions/toolkit, packages/core/src/command.ts.
def escaped_data(words: str) -> str:
    """Return text for the message of a workflow command."""
    return words.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escaped_property(words: str) -> str:
    """Return text for a property of a workflow command."""
    return escaped_data(words).replace(":", "%3A").replace(",", "%2C")
