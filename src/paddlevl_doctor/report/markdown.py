"""A check as Markdown for an issue: problems first, the rest collapsed. Text cannot become markup or mentions."""

from __future__ import annotations

import re

from paddlevl_doctor import __version__
from paddlevl_doctor.messages import render, tr
from paddlevl_doctor.report.console import Cause, causes, describe_facts
from paddlevl_doctor.values.check_report import CheckReport
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
"""An invisible character; after @ it prevents that GitHub notifies a user."""


def render_check(report: CheckReport, lang: str) -> str:
    """Return the document; the report is already redacted."""
    found = causes(report.findings)
    parts = [
        f"# {tr('report-title', lang)}",
        _verdict(report, lang),
        *(_problem(cause, lang) for cause in found),
        _folded(tr("report-machine", lang), _machine(report, lang)),
        _folded(tr("report-all", lang), _all(report, lang)),
        tr("report-written", lang, version=__version__, seconds=report.seconds),
    ]
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """Return a text in one line in which only its code spans are markup."""
    parts = _CODE.split(" ".join(text.split()))
    shown = (part if _CODE.fullmatch(part) else _plain(part) for part in parts)
    return "".join(shown)


def _plain(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text).replace("`", "\\`").replace("@", f"@{_WORD_JOINER}")


def code(text: str) -> str:
    """Return a fenced block whose fence is longer than any run of backticks inside."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"


def _verdict(report: CheckReport, lang: str) -> str:
    counts = report.summary
    shown = [s for s in Status if counts[s.value] and s not in (Status.OK, Status.SKIPPED)]
    colon = tr("label-colon", lang)
    found = [f"{_MARKS[s]} {tr(f'status-{s.value}', lang)}{colon}{counts[s.value]}" for s in shown]
    listed = tr("list-separator", lang).join(found)
    return listed or f"{_MARKS[Status.OK]} {tr('report-nothing', lang)}"


def _problem(cause: Cause, lang: str) -> str:
    finding = cause.finding
    lines = [f"## {_MARKS[finding.status]} {escape(render(finding.title, lang))}", f"`{finding.id}`"]
    if finding.cause:
        lines.append(escape(render(finding.cause, lang)))
    if finding.evidence:
        lines.append(code("\n".join(f"{e.source}: {render(e.value, lang)}" for e in finding.evidence)))
    if finding.remedy is not None:
        label = tr("report-cure", lang) + tr("label-colon", lang).rstrip()
        lines.append(f"**{label}** {escape(render(finding.remedy.text, lang))}")
    if cause.consequences:
        blocked = ", ".join(f"`{f.id}`" for f in cause.consequences)
        lines.append(f"{tr('report-follows', lang)}{tr('label-colon', lang)}{blocked}")
    if finding.links:
        lines.append("\n".join(f"- <{link}>" for link in finding.links))
    return "\n\n".join(lines)


def _machine(report: CheckReport, lang: str) -> str:
    rows = [
        f"{render(name, lang)}{tr('label-colon', lang)}{render(value, lang)}"
        for name, value in describe_facts(report.facts)
    ]
    target = report.facts.target
    if target is not None:
        rows.append(tr("report-packages", lang) + tr("label-colon", lang).rstrip())
        rows += [f"  {d.name} {d.version}" for d in target.distributions]
    return code("\n".join(rows))


def _all(report: CheckReport, lang: str) -> str:
    columns = (tr(column, lang) for column in ("column-status", "column-check", "column-title"))
    head = f"| {' | '.join(columns)} |\n| --- | --- | --- |"
    return "\n".join([head, *(_row(finding, lang) for finding in report.findings)])


def _row(finding: Finding, lang: str) -> str:
    status = f"{_MARKS[finding.status]} {tr(f'status-{finding.status.value}', lang)}"
    title = escape(render(finding.title, lang)).replace("\\|", "|").replace("|", "\\|")
    return f"| {status} | `{finding.id}` | {title} |"


def _folded(title: str, body: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"
