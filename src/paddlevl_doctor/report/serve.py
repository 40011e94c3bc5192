"""How `serve` looks: what is in the way, both environments with their commands, and the file between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from paddlevl_doctor.messages import text
from paddlevl_doctor.report.console import Screen, command_line, make_table
from paddlevl_doctor.report.documents import Document, document
from paddlevl_doctor.values import Finding, Status

if TYPE_CHECKING:
    from paddlevl_doctor.commands.serve import ServeReport
    from paddlevl_doctor.repair.server_plan import ClientSide, Proof, ServerPlan

_STYLES = {Status.ERROR: "bold red", Status.UNKNOWN: "magenta", Status.WARNING: "yellow", Status.OK: "green"}


def show(screen: Screen, report: ServeReport) -> None:
    """Print the answer; quiet leaves what is wrong, and the address of a server that runs."""
    for finding in report.findings:
        _finding(screen, finding)
    if report.plan is not None and not screen.quiet:
        if report.exit_code() != 0:
            screen.line(text("serve-cannot"), "yellow")
        _plan(screen, report.plan)
    if report.running is not None:
        seconds = f"{report.running.seconds:.1f}"
        screen.line(text("serve-ready", url=report.running.url, seconds=seconds), "bold green")
    elif report.dry_run and report.exit_code() == 0 and not screen.quiet:
        screen.line(text("serve-next"), "bold")


def _finding(screen: Screen, finding: Finding) -> None:
    silent = finding.status in (Status.SKIPPED, Status.BLOCKED)
    calm = finding.status in (Status.OK, Status.NOTE)
    if (silent and not screen.verbose) or (calm and screen.quiet):
        return
    label = text(f"status-{finding.status.value}")
    screen.line(f"{label}: {finding.title} [{finding.id}]", _STYLES.get(finding.status, "dim"))
    if calm and not screen.verbose:
        return
    for evidence in finding.evidence:
        screen.line(f"   {evidence.source}: {evidence.value}", "dim")
    if finding.cause:
        screen.line(f"   {finding.cause}")
    if finding.remedy is not None:
        screen.line(f"   {finding.remedy.text}")


def _plan(screen: Screen, plan: ServerPlan) -> None:
    screen.console.print()
    server = plan.server
    title = text("serve-server", folder=server.folder) if server.folder else text("serve-program")
    screen.line(title, "bold")
    for command in server.prepare:
        screen.line(f"   {command_line(command)}")
    words = " ".join(f"{name}={value}" for name, value in server.environment.items())
    screen.line(f"   {text('serve-start')}: {words} {command_line(server.start)}")
    if plan.share is not None:
        fraction = f"{plan.share.fraction:.2f}"
        screen.line("   " + text("serve-share", fraction=fraction, total=plan.share.total_mb), "dim")
    _client(screen, plan.client)
    if plan.proof is not None:
        _proof(screen, plan.proof)


def _client(screen: Screen, client: ClientSide) -> None:
    screen.line(text("serve-client", folder=client.folder), "bold")
    for command in (*client.prepare, client.read):
        screen.line(f"   {command_line(command)}")
    screen.line(text("serve-file", file=client.file), "bold")
    if client.yaml is None:
        screen.line("   " + text("serve-file-later"), "dim")
    for name, value in client.settings.items():
        screen.line(f"   {name}: {value}")


def _proof(screen: Screen, proof: Proof) -> None:
    screen.line(
        text("serve-proof", paddle=proof.paddle, server=proof.server, count=len(proof.clashes)), "bold"
    )
    table = make_table("column-package", proof.paddle, proof.server)
    for clash in proof.clashes:
        table.add_row(Text(f"   {clash.package}"), clash.paddle, clash.server)
    screen.console.print(table)
    if screen.verbose:
        for source in proof.sources:
            screen.line(f"   {source}", "dim")


def serve_document(report: ServeReport) -> Document:
    """Describe the answer."""
    return document(
        "serve",
        findings=report.findings,
        plan=report.plan,
        running=report.running,
        dry_run=report.dry_run,
        url=report.url,
    )
