"""The result of `explain` for the console, as Markdown, as JSON, and as a text for an issue."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.text import Text

from paddlevl_doctor import __version__
from paddlevl_doctor.commands.explain import ExplainReport, NamedFailure, UnknownError
from paddlevl_doctor.logs.recognise import COUNTED
from paddlevl_doctor.messages import Text as Words
from paddlevl_doctor.messages import message, render, tr
from paddlevl_doctor.redaction import Redactor, printable
from paddlevl_doctor.report.console import Screen, command_line, describe_facts
from paddlevl_doctor.report.json_documents import complete_remedy
from paddlevl_doctor.values.facts import Facts

_APPLIES = {
    "yes": "explain-applies-yes",
    "no": "explain-applies-no",
    "unknown": "explain-applies-unknown",
}
_FENCE = re.compile(r"`{3,}")
_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~&@!])")


def explain_document(report: ExplainReport, home: Path, lang: str) -> dict[str, Any]:
    """Return the JSON document of `explain`."""
    target = report.facts.target if report.facts else None
    shown = {"python": target.python, "version": target.version, "prefix": target.prefix} if target else None
    found = report.explanation
    return {
        "schema": "paddlevl-doctor/explain/1",
        "doctor": {"version": __version__},
        "source": report.source,
        "target": shown,
        "matches": [replace(named, remedy=complete_remedy(named.remedy)) for named in found.matches],
        "unknown": [
            {
                "line": error.line,
                "words": error.words,
                "count": error.count,
                "issue": issue_text(error, report.facts, home, lang),
            }
            for error in found.unknown
        ],
        "lines": found.lines,
        "bytes": found.bytes,
        "seconds": report.seconds,
    }


# --- console


def show(screen: Screen, report: ExplainReport) -> None:
    """Print the explanation, the root cause first; with --quiet, without details of unknown errors and counts."""
    found = report.explanation
    for named in found.matches:
        _named(screen, named)
    for error in found.unknown:
        _unknown(screen, error, report)
    if not found.matches and not found.unknown:
        screen.line("✓ " + screen.tr("explain-nothing", lines=found.lines), "bold green")
    elif not screen.quiet:
        screen.line(screen.tr("explain-counts", **_counts(report)), "dim")


def _counts(report: ExplainReport) -> dict[str, object]:
    found = report.explanation
    numbers = {"known": len(found.matches), "unknown": len(found.unknown)}
    return {"lines": found.lines, **numbers, "seconds": report.seconds}


def _named(screen: Screen, named: NamedFailure) -> None:
    mark, style = ("✗", "bold red") if named.root_cause else ("·", "bold")
    screen.console.print(
        Text(f"{mark} {screen.render(named.title)}", style=style),
        Text(f"[{named.id}] {screen.render(_role(named))}", style="dim"),
    )
    _paragraph(
        screen,
        "",
        f"{_where(named.line, named.count, screen.lang)}{screen.tr('label-colon')}{named.excerpt}",
    )
    if not screen.quiet:
        _paragraph(screen, screen.tr(_APPLIES[named.applies]), named.reason)
    if named.root_cause or screen.verbose:
        _paragraph(screen, screen.tr("explain-cause"), named.cause)
        _paragraph(screen, screen.tr("remedy"), named.remedy.text)
        for command in named.remedy.commands:
            screen.command("run", command, 2)
    for link in named.links if screen.verbose else ():
        _paragraph(screen, "", link, "dim")
    screen.console.print()


def _role(named: NamedFailure) -> Words:
    if named.root_cause:
        return message("explain-root")
    if named.consequence_of:
        return message("explain-follows", id=named.consequence_of)
    return message("explain-harmless") if named.weight == "harmless" else ""


def _where(line: int, count: int, lang: str) -> str:
    times = tr("explain-many" if count >= COUNTED else "explain-times", lang, count=count)
    return tr("explain-line", lang, line=line) + (f" ({times})" if count > 1 else "")


def _unknown(screen: Screen, error: UnknownError, report: ExplainReport) -> None:
    screen.line(
        f"? {_where(error.line, error.count, screen.lang)}{screen.tr('label-colon')}{error.words}",
        "bold magenta",
    )
    if screen.quiet:
        return
    _paragraph(screen, "", screen.tr("explain-unknown"))
    for line in issue_text(error, report.facts, screen.home, screen.lang).splitlines():
        _paragraph(screen, "", line, "dim")
    screen.console.print()


def _paragraph(screen: Screen, label: str, text: Words, style: str = "") -> None:
    """Print a paragraph with a label."""
    head = (label + screen.tr("label-colon"), "bold") if label else ""
    screen.indented(Text.assemble(head, (screen.clean(text), style)), 2)


# --- text for an issue, and Markdown


def issue_text(error: UnknownError, facts: Facts | None, home: Path, lang: str) -> str:
    """Return a redacted Markdown text about an unknown error for an issue."""
    known = describe_facts(facts) if facts else ()
    rows = [f"{render(name, lang)}{tr('label-colon', lang)}{render(value, lang)}" for name, value in known]
    body = [f"paddlevl-doctor {__version__}", *rows, f"line {error.line}", "", *error.trace]
    title = _inline(_public(error.words, home))
    return f"### {title}\n\n{_fenced(_public(chr(10).join(body), home))}"


def markdown(report: ExplainReport, home: Path, lang: str) -> str:
    """Write the explanation as Markdown for an issue."""
    parts = ["# " + tr("explain-heading", lang), tr("explain-counts", lang, **_counts(report))]
    for named in report.explanation.matches:
        parts += _section(named, home, lang)
    for error in report.explanation.unknown:
        parts += [issue_text(error, report.facts, home, lang)]
    return "\n\n".join(parts) + "\n"


def _section(named: NamedFailure, home: Path, lang: str) -> Iterator[str]:
    role, colon = render(_role(named), lang), tr("label-colon", lang)
    yield f"## {_inline(render(named.title, lang))} (`{named.id}`{', ' + role if role else ''})"
    yield _where(named.line, named.count, lang)
    yield _fenced(_public(named.excerpt, home))
    yield f"{tr(_APPLIES[named.applies], lang)}{colon}{_inline(_public(render(named.reason, lang), home))}"
    yield f"**{tr('explain-cause', lang)}**{colon}{_public(render(named.cause, lang), home)}"
    yield f"**{tr('remedy', lang)}**{colon}{_public(render(named.remedy.text, lang), home)}"
    if named.remedy.commands:
        yield _fenced("\n".join(_public(command_line(command), home) for command in named.remedy.commands))
    if named.links:
        yield "\n".join(f"- <{link}>" for link in named.links)


def _public(words: str, home: Path) -> str:
    """Redact a text and replace its control characters."""
    return printable(replace(Redactor.of_this_machine(), home=str(home)).text(words))


def _fenced(words: str) -> str:
    """Return a fenced block whose fence is longer than any run of backticks in the text."""
    longest = max((len(run) for run in _FENCE.findall(words)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}text\n{words}\n{fence}"


def _inline(words: str) -> str:
    return _MARKUP.sub(r"\\\1", " ".join(words.split()))
