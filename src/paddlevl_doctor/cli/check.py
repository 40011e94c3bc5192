"""The options of `check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from paddlevl_doctor.cli.common import Common, Only, ReportFormat, SetName, command
from paddlevl_doctor.commands.check import CheckRequest
from paddlevl_doctor.commands.check import check as run_check
from paddlevl_doctor.report.formats import renderers
from paddlevl_doctor.report.json_documents import check_document, list_document
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.findings import ExitCode

app = typer.Typer(rich_markup_mode=None)


@command(app, "check", formats=ReportFormat)
def check(
    common: Common,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also import the stack and let it read a newly drawn chart.")
    ] = False,
    integrity: Annotated[
        bool, typer.Option("--integrity", help="Also compare every installed file with its RECORD.")
    ] = False,
    only: Only = None,
    ignore: Annotated[list[str] | None, typer.Option(help="Omit this finding.", metavar="ID")] = None,
    list_: Annotated[bool, typer.Option("--list", help="List all checks and what they examine.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Count warnings as problems.")] = False,
    record: Annotated[
        Path | None, typer.Option(help="Save the facts, redacted, in this zip file.", metavar="FILE")
    ] = None,
    replay: Annotated[
        Path | None, typer.Option(help="Check this recording instead of this machine.", metavar="FILE")
    ] = None,
    ray: Annotated[
        str | None, typer.Option(help="Check every node of this Ray cluster.", metavar="ADDRESS")
    ] = None,
    set_name: SetName = None,
    server_url: Annotated[
        str | None,
        typer.Option(
            "--server-url",
            help="Also check this model server; its key: $PADDLEVL_DOCTOR_API_KEY.",
            metavar="URL",
        ),
    ] = None,
) -> int:
    """Show the machine, the installed packages, the problems, their causes and the fixes. Changes nothing."""
    if list_:
        from paddlevl_doctor.commands.list_checks import listing  # noqa: PLC0415 - loads `logs`

        rows = listing()
        common.answer(lambda: list_document(rows), lambda screen: screen.listing(rows))
        return ExitCode.OK
    request = CheckRequest(deep, only or (), ignore or (), record, replay, integrity, server_url)
    if ray is not None:
        # `cluster.report` loads rich and `parsing`, which would double the time of a check of one machine.
        from paddlevl_doctor.cluster import report as cluster_report  # noqa: PLC0415
        from paddlevl_doctor.cluster.check import check_on_ray  # noqa: PLC0415

        cluster = check_on_ray(ray, common.target(set_name), request, common.format_name)
        common.answer(
            lambda: cluster_report.check_document(cluster),
            lambda screen: cluster_report.show_check(screen, cluster),
            renderers=cluster_report.check_renderers(cluster),
        )
        return cluster.exit_code(strict=strict)
    progress = common.progress()
    report = run_check(RealSystem(), common.target(set_name), progress.stage, request, progress.bar)
    common.answer(
        lambda: check_document(report),
        lambda screen: screen.check(report),
        renderers=renderers(report, common.language),
    )
    return report.exit_code(strict=strict)
