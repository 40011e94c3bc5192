"""A check as Markdown for an issue: problems first, the rest folded; nothing in it that GitHub would act upon."""

from __future__ import annotations

import re

from paddlevl_doctor import __version__
from paddlevl_doctor.checks.report import CheckReport
from paddlevl_doctor.messages import text
from paddlevl_doctor.report.console import Cause, causes, describe_facts
from paddlevl_doctor.values.findings import Finding, Status

_SPECIAL = re.compile(r"([\\*_\[\]<>|#~!])")
_CODE = re.compile(r"(`[^`\n]+`)")
_MARKS = {
    Status.OK: "✅",
    Status.NOTE: "ℹ️",
    Status.WARNING: "⚠️",
    Status.ERROR: "❌",
    Status.UNKNOWN: "❓",
    Status.BLOCKED: "⏸️",
    Status.SKIPPED: "➖",
}
_WORD_JOINER = "\u2060"
"""Invisible; between @ and a name it keeps GitHub from telling somebody."""


def render(report: CheckReport) -> str:
    """Return the document; the report is already redacted."""
    found = causes(report.findings)
    parts = [
        f"# {text('report-title')}",
        _verdict(report),
        *(_problem(cause) for cause in found),
        _folded(text("report-machine"), _machine(report)),
        _folded(text("report-all"), _all(report)),
        text("report-written", version=__version__, seconds=report.seconds),
    ]
    return "\n\n".join(parts) + "\n"


def escape(words: str) -> str:
    """Return text in which nothing is markup but the code spans that it has."""
    parts = _CODE.split(" ".join(words.split()))
    shown = (part if _CODE.fullmatch(part) else _plain(part) for part in parts)
    return "".join(shown)


def _plain(words: str) -> str:
    return _SPECIAL.sub(r"\\\1", words).replace("`", "\\`").replace("@", f"@{_WORD_JOINER}")


def code(words: str) -> str:
    """Return a fenced block whose fence is longer than any run of backticks inside."""
    longest = max((len(run) for run in re.findall(r"`+", words)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{words}\n{fence}"


def _verdict(report: CheckReport) -> str:
    counts = report.summary
    shown = [s for s in Status if counts[s.value] and s not in (Status.OK, Status.SKIPPED)]
    colon = text("label-colon")
    found = [f"{_MARKS[s]} {text(f'status-{s.value}')}{colon}{counts[s.value]}" for s in shown]
    listed = text("list-separator").join(found)
    return listed or f"{_MARKS[Status.OK]} {text('report-nothing')}"


def _problem(cause: Cause) -> str:
    finding = cause.finding
    lines = [f"## {_MARKS[finding.status]} {escape(finding.title)}", f"`{finding.id}`"]
    if finding.cause:
        lines.append(escape(finding.cause))
    if finding.evidence:
        lines.append(code("\n".join(f"{e.source}: {e.value}" for e in finding.evidence)))
    if finding.remedy is not None:
        lines.append(f"**{text('report-cure')}{text('label-colon').rstrip()}** {escape(finding.remedy.text)}")
    if cause.consequences:
        waiting = ", ".join(f"`{f.id}`" for f in cause.consequences)
        lines.append(f"{text('report-follows')}{text('label-colon')}{waiting}")
    if finding.links:
        lines.append("\n".join(f"- <{link}>" for link in finding.links))
    return "\n\n".join(lines)


def _machine(report: CheckReport) -> str:
    rows = [f"{name}{text('label-colon')}{value}" for name, value in describe_facts(report.facts)]
    target = report.facts.target
    if target is not None:
        rows.append(text("report-packages") + text("label-colon").rstrip())
        rows += [f"  {d.name} {d.version}" for d in target.distributions]
    return code("\n".join(rows))


def _all(report: CheckReport) -> str:
    head = (
        f"| {text('column-status')} | {text('column-check')} | {text('column-title')} |\n| --- | --- | --- |"
    )
    return "\n".join([head, *(_row(finding) for finding in report.findings)])


def _row(finding: Finding) -> str:
    status = f"{_MARKS[finding.status]} {text(f'status-{finding.status.value}')}"
    title = escape(finding.title).replace("\\|", "|").replace("|", "\\|")
    return f"| {status} | `{finding.id}` | {title} |"


def _folded(title: str, body: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"
