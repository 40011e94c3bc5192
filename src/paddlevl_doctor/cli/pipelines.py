"""The options of `pipelines list` and `pipelines link`."""

from __future__ import annotations

import typer

from paddlevl_doctor.cli.common import Common, command
from paddlevl_doctor.commands.fix import link_pipelines
from paddlevl_doctor.commands.pipelines import list_pipelines
from paddlevl_doctor.report.json_documents import fix_document, pipelines_document
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.findings import ExitCode

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="List PaddleOCR's pipelines and their files, or link to them.",
)


@command(app, "pipelines", name="list")
def pipelines_list(common: Common) -> int:
    """List the pipelines: PaddleOCR's names, PaddleX's names, and the files in the target."""
    rows = list_pipelines(RealSystem(), common.interpreter, common.venv)
    common.answer(lambda: pipelines_document(rows), lambda screen: screen.pipelines(rows))
    return ExitCode.OK


@command(app, "pipelines", name="link")
def pipelines_link(common: Common) -> int:
    """Link ./pipelines to the target's pipeline files; an existing file or link stays unchanged."""
    report = link_pipelines(RealSystem(), common.target(), common.progress().stage)
    common.answer(lambda: fix_document(report), lambda screen: screen.fix(report))
    return ExitCode.OK
