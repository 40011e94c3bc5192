"""Console output of `check`, `fix`, `undo` and `pipelines`: problems first, details with -v.

Colours only repeat what the text says. Text from files, logs or packages is never interpreted as markup."""

from __future__ import annotations

import dataclasses
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from paddlevl_doctor.fix.undo_preview import kept_lines
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.invocation import NAME, invocation
from paddlevl_doctor.messages import Text as Words
from paddlevl_doctor.messages import is_known, message, render
from paddlevl_doctor.redaction import printable, without_home
from paddlevl_doctor.report.wrap import wrapped
from paddlevl_doctor.values.facts import BrokenEnvironment, Facts, Gpus, ModelCache
from paddlevl_doctor.values.findings import Command, Finding, Status

if TYPE_CHECKING:
    from rich.table import Table

    from paddlevl_doctor.commands.list_checks import ListedCheck
    from paddlevl_doctor.commands.pipelines import PipelineRow
    from paddlevl_doctor.fix.report import FixReport, UndoReport
    from paddlevl_doctor.fix.undo_preview import UndoPreview
    from paddlevl_doctor.packages.request import Request
    from paddlevl_doctor.values.check_report import CheckReport
    from paddlevl_doctor.values.facts import Facts
    from paddlevl_doctor.values.plan import Outcome, SkippedFix, Step

PROBLEMS = (Status.ERROR, Status.UNKNOWN, Status.WARNING)
"""Statuses of problems, worst first."""


@dataclass(frozen=True)
class Cause:
    """A problem and the findings that it blocks."""

    finding: Finding
    consequences: tuple[Finding, ...] = ()


def causes(findings: Sequence[Finding]) -> tuple[Cause, ...]:
    """Return the problems, the worst first, each with the findings that it blocks."""
    problems = sorted((f for f in findings if f.status in PROBLEMS), key=lambda f: PROBLEMS.index(f.status))
    return tuple(Cause(f, tuple(w for w in findings if root_of(w, findings) == f.id)) for f in problems)


def root_of(finding: Finding, findings: Sequence[Finding]) -> str | None:
    """Return the id of the first finding in the chain of `blocked_by`, or None if the finding is not blocked."""
    by_id = {f.id: f for f in findings}
    root, seen = finding.blocked_by, {finding.id}
    while root is not None and root not in seen:
        seen.add(root)
        blocker = by_id.get(root)
        if blocker is None or blocker.blocked_by is None:
            return root
        root = blocker.blocked_by
    return root


_NO_HOST = "model-hoster-unreachable"
_STACK = ("paddlepaddle", "paddlepaddle-gpu", "paddleocr", "paddlex", "safetensors", "numpy")


def describe_facts(facts: Facts) -> list[tuple[Words, Words]]:
    """Return labels and values for the head of a report: machine, GPUs, target and stack."""
    host = facts.host
    place = f"WSL {host.wsl}" if host.wsl else host.container or host.notebook
    parts = [
        host.distribution or host.system,
        host.machine,
        place,
        f"{host.cpu_count} CPU",
        f"{host.memory_total_mb >> 10} GB",
    ]
    rows: list[tuple[Words, Words]] = [
        (message("machine"), ", ".join(part for part in parts if part)),
        (message("gpu"), _gpus(facts.gpus)),
        (message("target"), _target(facts)),
    ]
    if facts.target is not None:
        found = [f"{name} {version}" for name in _STACK for version in facts.target.versions_of(name)]
        rows.append((message("stack"), ", ".join(found) or "-"))
    if facts.cache is not None:
        rows.append((message("models"), _models(facts.cache)))
    return rows


def _gpus(gpus: Gpus) -> Words:
    if not gpus.devices:
        known = is_known(f"gpu-{gpus.reason}")
        reason = (
            message(f"gpu-{gpus.reason}", detail=gpus.detail) if known else f"{gpus.reason} {gpus.detail}"
        )
        return message("no-gpu", reason=reason)
    names = [f"{g.name} ({g.compute_capability}, {g.memory_total_mb >> 10} GB)" for g in gpus.devices]
    return f"{', '.join(names)}; driver {gpus.driver}, CUDA {gpus.cuda}"


def _target(facts: Facts) -> Words:
    if facts.target_problem:
        return message("no-target-problem", problem=facts.target_problem)
    if facts.target is None:
        return message(_without_target(facts.broken_environment), path=facts.planned_target)
    return f"{facts.target.prefix} (Python {facts.target.version})"


def _without_target(broken: BrokenEnvironment | None) -> str:
    if broken is None:
        return "no-target"
    return "target-without-settings" if broken.without_settings else "target-without-python"


def _models(cache: ModelCache) -> Words:
    if not cache.models:
        return message("models-none", path=cache.root)
    names = [f"{m.name} ✗" if m.missing or m.damaged else m.name for m in cache.models]
    return f"{', '.join(names)} ({sum(m.size_mb for m in cache.models) / 1024:.1f} GB)"


STYLES = {
    Status.OK: ("✓", "green"),
    Status.NOTE: ("i", "cyan"),
    Status.WARNING: ("!", "yellow"),
    Status.ERROR: ("✗", "red"),
    Status.UNKNOWN: ("?", "magenta"),
    Status.BLOCKED: ("·", "dim"),
    Status.SKIPPED: ("-", "dim"),
}


class Screen:
    """Prints reports; `verbose` adds details, `quiet` prints only problems."""

    def __init__(self, color: bool | None, verbose: bool, quiet: bool, home: Path, lang: str) -> None:
        self.console = Console(
            file=sys.stdout,
            highlight=False,
            soft_wrap=not sys.stdout.isatty(),
            force_terminal=color or None,
            no_color=True if color is False else None,
        )
        self.verbose, self.quiet, self.home, self.lang = verbose, quiet, home, lang

    def line(self, text: Words, style: str = "") -> None:
        """Print a cleaned paragraph."""
        self.indented(Text(self.clean(text), style=style), 0)

    def tr(self, message_id: str, /, **params: object) -> str:
        """Return the sentence of a message id in the language of this screen."""
        return self.render(message(message_id, **params))

    def render(self, text: Words) -> str:
        """Return a message in the language of this screen; return a string unchanged."""
        return render(text, self.lang)

    def clean(self, text: Words) -> str:
        """Render a text and remove secrets, the home folder and control characters."""
        return printable(without_home(self.render(text), self.home))

    def table(self, *columns: str) -> Table:
        """Return an empty table; a column is a message id `column-…` or a literal title."""
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        for column in columns:
            table.add_column(self.tr(column) if column.startswith("column-") else column)
        return table

    # --- check

    def check(self, report: CheckReport) -> None:
        """Print a whole check."""
        if not self.quiet:
            grid = Table.grid(padding=(0, 2))
            for name, value in describe_facts(report.facts):
                grid.add_row(Text(self.render(name), style="bold"), Text(self.clean(value)))
            self.console.print(grid)
            self.console.print()
        for cause in causes(report.findings):
            self._finding(cause)
        for finding in report.findings if self.verbose else ():
            if finding.status is Status.NOTE:
                self._finding(Cause(finding))
        if self.verbose:
            self._all(report.findings)
        self._counts(report)

    def _finding(self, cause: Cause) -> None:
        finding = cause.finding
        mark, style = STYLES[finding.status]
        title = (f"{mark} {self.clean(finding.title)}", f"bold {style}")
        self.indented(Text.assemble(title, " ", (f"[{finding.id}]", "dim")), 0)
        body = [Text(self.clean(finding.cause))] if finding.cause else []
        body += [self._labelled("evidence", f"{e.source}: {self.render(e.value)}") for e in finding.evidence]
        if finding.remedy is not None:
            body.append(self._labelled("remedy", finding.remedy.text))
        for part in body:
            self.indented(part, 2)
        for command in finding.remedy.commands if finding.remedy else ():
            self.command("run", command, 2)
        for link in finding.links if self.verbose else ():
            self.indented(Text(link, style="dim"), 2)
        if cause.consequences:
            self.indented(self._consequences(cause.consequences), 2)
        self.console.print()

    def indented(self, words: Text, columns: int) -> None:
        """Print a paragraph: wrapped and indented on a terminal, but never within a command; else as it is."""
        width = self.console.width - columns
        for line in wrapped(words, width) if self.console.is_terminal else (words,):
            self.console.print(Text(" " * columns) + line, soft_wrap=True)

    def command(self, label: str, command: Command, columns: int) -> None:
        """Print the sentence of a message id and a command in one line."""
        head = (self.tr(label) + self.tr("label-colon"), "bold")
        self.unbroken(Text.assemble(head, self.clean(command_line(command))), columns)

    def unbroken(self, words: Text | str, columns: int) -> None:
        """Print a line with a command, indented; only the terminal wraps it."""
        shown = Text(self.clean(words)) if isinstance(words, str) else words
        self.console.print(Text(" " * columns) + shown, soft_wrap=True)

    def _labelled(self, label: str, text: Words) -> Text:
        return Text.assemble((self.tr(label) + self.tr("label-colon"), "bold"), self.clean(text))

    def _consequences(self, blocked: Sequence[Finding]) -> Text:
        """Return the ids of the blocked findings with -v, else their number."""
        if self.verbose:
            return Text(self.tr("follows-all", names=", ".join(f.id for f in blocked)), style="dim")
        return Text(self.tr("follows-count", count=len(blocked)), style="dim")

    def _all(self, findings: Sequence[Finding]) -> None:
        table = self.table("column-status", "column-check", "column-title")
        for finding in findings:
            mark, style = STYLES[finding.status]
            word = self.tr(f"status-{finding.status.value}")
            table.add_row(Text(f"{mark} {word}", style=style), finding.id, Text(self.clean(finding.title)))
        self.console.print(table)

    def _counts(self, report: CheckReport) -> None:
        counts = report.summary
        if report.exit_code(strict=True) == 0:
            if any(f.id == _NO_HOST and f.status is Status.NOTE for f in report.findings):
                self.line("! " + self.tr("well-without-models"), "bold yellow")
            else:
                self.line("✓ " + self.tr("all-well"), "bold green")
        elif any(f.remedy and f.remedy.commands for f in report.findings if f.status in PROBLEMS):
            self.line(self.tr("next-fix"))
        if not self.quiet:
            numbers = {name + "s": counts[name] for name in ("error", "warning", "note")}
            rest = {name: counts[name] for name in ("unknown", "blocked", "ok")}
            self.line(self.tr("counts", **numbers, **rest, seconds=report.seconds), "dim")

    def listing(self, rows: Sequence[ListedCheck]) -> None:
        """Print all known failures and where they are detected."""
        table = self.table("column-check", "column-seen", "column-looks-at")
        for row in rows:
            table.add_row(row.id, self.tr(f"seen-{row.seen}"), Text(self.render(row.looks_at)))
        self.console.print(table)

    # --- fix and undo

    def fix(self, report: FixReport) -> None:
        """Print a plan, or the outcome of its steps if it was applied."""
        if report.recovered is not None:
            self.line(self.tr("recovered", number=report.recovered.transaction), "yellow")
            self._undo(report.recovered, would=False)
        if report.note:
            self.line(report.note, "yellow")
        if report.applied is None:
            self._plan(report)
        else:
            self.outcomes(report.applied.outcomes, report.plan.steps)
            self._skipped(report.held)
            self.line(self.tr("applied-in", number=report.applied.number), "dim")
        if report.recheck is not None:
            self.console.print()
            self.check(report.recheck)

    def _plan(self, report: FixReport) -> None:
        for number, step in enumerate(report.plan.steps, 1):
            self._step(number, step)
        self._skipped(report.plan.skipped)
        if not report.plan.steps:
            self.line(self.tr("nothing-to-do"), "green")
        if report.plan.allowed().steps:
            self.line(self.tr("next-apply", command=command_line(apply_command(report.request))), "bold")
        if any(step.needs_consent for step in report.plan.steps):
            command = command_line(apply_command(dataclasses.replace(report.request, yes=True)))
            self.line(self.tr("next-consent", command=command), "bold")
        for option in invocation().hidden() if report.plan.steps else ():
            self.line(self.tr("password-not-printed", option=option), "yellow")

    def _skipped(self, rows: Sequence[SkippedFix]) -> None:
        for skipped in rows:
            label = self.tr("not-done") + self.tr("label-colon")
            self.line(f"- {label}{skipped.finding}: {self.render(skipped.reason)}", "yellow")

    def _step(self, number: int, step: Step) -> None:
        self.line(f"{number}. {self.render(step.summary)}", "bold")
        reasons = getattr(step, "reasons", ())
        for reason in reasons:
            self.indented(self._labelled("because", reason), 3)
        for command in step.commands:
            self.command("run", command, 3)
        for line in step.diff.splitlines():
            style = {"+": "green", "-": "red"}.get(line[:1], "dim")
            self.indented(Text(self.clean(line), style=style), 3)
        for change in step.needs_consent:
            self.indented(self._labelled("needs-consent", change), 3)
        for note in step.notes:
            self.indented(self._labelled("note", note), 3)
        if self.verbose:
            self.indented(self._labelled("before", step.precondition), 3)
            self.indented(self._labelled("undo", step.undo), 3)
        self.console.print()

    def outcomes(self, outcomes: Sequence[Outcome], steps: Sequence[Step]) -> None:
        """Print the outcome of each step."""
        summaries = {step.id: step.summary for step in steps}
        table = self.table("column-status", "column-step", "column-seconds")
        for outcome in outcomes:
            style = {"failed": "red", "rolled-back": "yellow"}.get(outcome.status, "green")
            summary = Text(self.clean(summaries.get(outcome.step, outcome.step)))
            table.add_row(Text(outcome.status, style=style), summary, f"{outcome.seconds:.1f}")
        self.console.print(table)
        for outcome in (one for one in outcomes if one.message):
            head = self.render(summaries.get(outcome.step, outcome.step)) + self.tr("label-colon")
            self.line(head + self.render(outcome.message), "dim")

    def undo(self, report: UndoReport, *, listing: bool) -> None:
        """Print the transactions that were undone, or with `listing` those that can be undone."""
        if not listing:
            if not report.dry_run:
                self.line(self.tr("undone", numbers=", ".join(map(str, report.undone))), "green")
            for change in report.changes:
                self._undo(change, would=report.dry_run)
            return
        if not report.left:
            self.line(self.tr("no-transactions"))
        for row in report.left:
            self.line(f"{row['transaction']}  {row['state']}", "bold")
            for step in _words(row["steps"]):
                self.line(f"   {self.render(step)}")

    def _undo(self, change: UndoPreview, *, would: bool) -> None:
        """Print what one undo changed or `would` change, and what of the user's stays."""
        if would:
            counts = {"restored": change.restored, "removed": change.removed}
            self.line(self.tr("undo-would", number=change.transaction, **counts))
        for sentence in kept_lines(change, would=would):
            self.line(sentence)
        for path in change.left_alone:
            self.line(self.tr("undo-left-alone", path=path))
        if change.refusal is not None:
            self.line(change.refusal.message, "yellow")

    # --- pipelines

    def pipelines(self, rows: Sequence[PipelineRow]) -> None:
        """Print the pipelines and their files."""
        table = self.table("column-pipeline", "PaddleX", "column-yaml", "column-since")
        for row in rows:
            table.add_row(row.paddleocr, row.paddlex, Text(self.clean(row.path or "-")), row.since)
        self.console.print(table)


def _words(value: object) -> list[Words]:
    return list(value) if isinstance(value, (list, tuple)) else []


def apply_command(request: Request) -> Command:
    """Return the command that carries out the plan of a request."""
    chosen = [("--only", one) for one in request.only] + [("--skip", one) for one in request.skip]
    agreed = ("--yes",) if request.yes else ()
    return (NAME, "fix", "--apply", *itertools.chain.from_iterable(chosen), *agreed)


def command_line(command: Command) -> str:
    """Return a command as one line for the user's shell; a command of the doctor is completed."""
    return invocation().line(command)
