"""The options of `explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from paddlevl_doctor.cli.common import Common, LogFormat, command
from paddlevl_doctor.commands.explain import explain as run_explain
from paddlevl_doctor.report.explain import explain_document, markdown, show
from paddlevl_doctor.system.machine import RealSystem

app = typer.Typer(rich_markup_mode=None)


@command(app, "explain", formats=LogFormat)
def explain(
    common: Common,
    source: Annotated[
        str | None, typer.Argument(metavar="[FILE|-]", help="Log to explain; default (or -): standard input.")
    ] = None,
) -> int:
    """Name the failures in a log or traceback, the root cause, whether they can affect the target, and the fix."""
    home = Path.home()
    report = run_explain(RealSystem(), source, common.target(), common.progress().stage)
    common.answer(
        lambda: explain_document(report, home, common.language),
        lambda screen: show(screen, report),
        renderers={"markdown": lambda: markdown(report, home, common.language)},
    )
    return report.exit_code()
