"""The options of `env`."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from paddlevl_doctor.cli.common import Common, command
from paddlevl_doctor.commands.env import variables
from paddlevl_doctor.fix.start_variables import script
from paddlevl_doctor.report.json_documents import document
from paddlevl_doctor.shells import shell_of
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.findings import ExitCode

app = typer.Typer(rich_markup_mode=None)


class Shell(str, Enum):
    """The shell for which `env` writes its lines."""

    SH = "sh"
    POWERSHELL = "powershell"
    NOTEBOOK = "notebook"


@command(app, "env")
def env(
    common: Common,
    shell: Annotated[
        Shell | None,
        typer.Option(
            help="Shell that the lines are written for; default: this system's shell.", metavar="SHELL"
        ),
    ] = None,
) -> int:
    """Print the environment variables that PaddleOCR-VL should be started with on this machine."""
    start_variables = variables(RealSystem(), common.target())
    name = shell.value if shell else shell_of(RealSystem().platform)
    common.answer(
        lambda: document("env", variables=start_variables),
        lambda screen: screen.console.out(script(start_variables, name), end=""),
    )
    return ExitCode.OK
