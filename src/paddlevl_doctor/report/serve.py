"""The result of `serve` for the console and as JSON: problems, both environments, and the pipeline file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING

from rich.text import Text

from paddlevl_doctor.invocation import invocation
from paddlevl_doctor.messages import Text as Words
from paddlevl_doctor.report.console import Screen, command_line
from paddlevl_doctor.report.json_documents import Document, completed, document
from paddlevl_doctor.values.findings import Finding, Status

if TYPE_CHECKING:
    from paddlevl_doctor.commands.serve import ServeReport
    from paddlevl_doctor.serve.plan import ClientSide, Proof, ServerPlan

_STYLES = {Status.ERROR: "bold red", Status.UNKNOWN: "magenta", Status.WARNING: "yellow", Status.OK: "green"}
_COMMAND_INDENT = 6


def show(screen: Screen, report: ServeReport) -> None:
    """Print the report; with --quiet, only problems and the URL of a running server."""
    for finding in report.findings:
        _finding(screen, finding)
    if report.plan is not None and not screen.quiet:
        if report.exit_code() != 0:
            screen.line(screen.tr("serve-cannot"), "yellow")
        _plan(screen, report.plan, report.notes)
    if report.running is not None:
        seconds = f"{report.running.seconds:.1f}"
        screen.line(screen.tr("serve-ready", url=report.running.url, seconds=seconds), "bold green")
    if report.plan is not None and not screen.quiet:
        _next(screen, report, report.plan)


def _next(screen: Screen, report: ServeReport, plan: ServerPlan) -> None:
    """Print the next steps of the user: fix the problems, create the client, start the server, read a page."""
    read = command_line(plan.client.read)
    if report.exit_code() != 0:
        screen.line(screen.tr("serve-nothing"), "bold")
    elif report.dry_run:
        screen.line(screen.tr("serve-next"), "bold")
        first = map(command_line, plan.client.prepare)
        steps = [*first, screen.tr("serve-next-serve"), screen.tr("serve-next-read", command=read)]
        for number, step in enumerate(steps, 1):
            screen.unbroken(f"{number}. {step}", _COMMAND_INDENT)
    elif plan.client.yaml is None:
        command = " && ".join(map(command_line, plan.client.prepare))
        screen.line(screen.tr("serve-next-again", file=plan.client.file, command=command), "yellow")
    else:
        screen.unbroken(screen.tr("serve-next-read", command=read), _COMMAND_INDENT)


def _finding(screen: Screen, finding: Finding) -> None:
    inactive = finding.status in (Status.SKIPPED, Status.BLOCKED)
    harmless = finding.status in (Status.OK, Status.NOTE)
    if (inactive and not screen.verbose) or (harmless and screen.quiet):
        return
    label = screen.tr(f"status-{finding.status.value}") + screen.tr("label-colon")
    title = screen.render(finding.title)
    screen.line(f"{label}{title} [{finding.id}]", _STYLES.get(finding.status, "dim"))
    if harmless and not screen.verbose:
        return
    for source, value in ((one.source, screen.render(one.value)) for one in finding.evidence):
        if value not in title:
            screen.line(f"   {source}: {value}", "dim")
    if finding.cause:
        screen.line(f"   {screen.render(finding.cause)}")
    if finding.remedy is not None:
        screen.line(f"   {screen.render(finding.remedy.text)}")


def _plan(screen: Screen, plan: ServerPlan, notes: Sequence[Words]) -> None:
    screen.console.print()
    server = plan.server
    if server.folder is None:
        screen.line(screen.tr("serve-program", program=server.start[0]), "bold")
    else:
        key = "serve-server" if server.prepare else "serve-adopted"
        screen.line(screen.tr(key, folder=server.folder), "bold")
    for note in notes:
        screen.line(f"   {screen.render(note)}", "dim")
    for command in server.prepare:
        screen.unbroken(command_line(command), _COMMAND_INDENT)
    _start(screen, plan)
    _client(screen, plan.client)
    if plan.proof is not None:
        _proof(screen, plan.proof)


def _start(screen: Screen, plan: ServerPlan) -> None:
    share = plan.share
    if share is None:
        screen.line(f"   {screen.tr('serve-start')}", "dim")
    else:
        fraction = f"{share.fraction:.2f}"
        screen.line("   " + screen.tr("serve-start-share", fraction=fraction, total=share.total_mb), "dim")
    variables = " ".join(f"{name}={value}" for name, value in plan.server.environment.items())
    screen.unbroken(f"{variables} {command_line(plan.server.start)}", _COMMAND_INDENT)
    if plan.server.config is not None:
        screen.line("   " + screen.tr("serve-config", config=plan.server.config.strip()), "dim")
    screen.line("   " + screen.tr("serve-answers", url=plan.url, model=plan.model), "dim")
    key = "serve-weights-cached" if PurePath(plan.weights).is_absolute() else "serve-weights-hub"
    screen.line("   " + screen.tr(key, weights=plan.weights), "dim")


def _client(screen: Screen, client: ClientSide) -> None:
    screen.line(screen.tr("serve-client", folder=client.folder), "bold")
    if client.prepare:
        screen.line(f"   {screen.tr('serve-client-first')}", "dim")
    for command in client.prepare:
        screen.unbroken(command_line(command), _COMMAND_INDENT)
    screen.line(f"   {screen.tr('serve-client-reads')}", "dim")
    screen.unbroken(command_line(client.read), _COMMAND_INDENT)
    screen.line(screen.tr("serve-file", file=client.file), "bold")
    screen.line("   " + screen.tr("serve-file-later" if client.yaml is None else "serve-file-now"), "dim")
    for name, value in client.settings.items():
        screen.line(f"      {name}: {value}")


def _proof(screen: Screen, proof: Proof) -> None:
    screen.line(
        screen.tr("serve-proof", paddle=proof.paddle, server=proof.server, count=len(proof.clashes)), "bold"
    )
    table = screen.table("column-package", proof.paddle, proof.server)
    for clash in proof.clashes:
        table.add_row(Text(f"   {clash.package}"), clash.paddle, clash.server)
    screen.console.print(table)
    if screen.verbose:
        for source in proof.sources:
            screen.line(f"   {source}", "dim")


def serve_document(report: ServeReport) -> Document:
    """Return the JSON document of `serve`."""
    return document(
        "serve",
        findings=completed(report.findings),
        plan=_completed_plan(report.plan),
        running=report.running,
        dry_run=report.dry_run,
        url=report.url,
        notes=report.notes,
    )


def _completed_plan(plan: ServerPlan | None) -> ServerPlan | None:
    """Return the plan with the commands that prepare the client completed."""
    if plan is None:
        return None
    prepare = tuple(map(invocation().complete, plan.client.prepare))
    return replace(plan, client=replace(plan.client, prepare=prepare))
