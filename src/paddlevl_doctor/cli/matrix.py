"""The options of `matrix`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from paddlevl_doctor.cli.common import Common, Mirror, SetName, command
from paddlevl_doctor.commands.matrix import MatrixRequest
from paddlevl_doctor.commands.matrix import matrix as run_matrix
from paddlevl_doctor.report.matrix import matrix_document, show
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.findings import ExitCode

app = typer.Typer(rich_markup_mode=None)


@command(app, "matrix")
def matrix(
    common: Common,
    for_: Annotated[
        str | None,
        typer.Option(
            "--for",
            help="linux, windows, wsl, wsl1, alpine, kaggle, colab, jetson, macos; default: this machine.",
            metavar="NAME",
        ),
    ] = None,
    gpu: Annotated[
        list[str] | None,
        typer.Option("--gpu", help='GPU: T4, "RTX 5070 Ti", "2x A100 80GB", 8.9 (may be repeated).'),
    ] = None,
    driver: Annotated[str | None, typer.Option(help="NVIDIA driver version.", metavar="VERSION")] = None,
    python: Annotated[str | None, typer.Option(help="Python version.", metavar="VERSION")] = None,
    arch: Annotated[
        str | None, typer.Option(help="CPU architecture: x86_64 or aarch64.", metavar="NAME")
    ] = None,
    glibc: Annotated[str | None, typer.Option(help="GNU C library version.", metavar="VERSION")] = None,
    online: Annotated[
        bool, typer.Option("--online", help="Also read Paddle's index page and show where it differs.")
    ] = False,
    set_name: SetName = None,
    export: Annotated[
        tuple[str, Path] | None,
        typer.Option(
            help="Write a wheelhouse, requirements, dockerfile or notebook for this machine to DIR.",
            metavar="KIND DIR",
        ),
    ] = None,
    mirror: Mirror = None,
) -> int:
    """Show which wheels fit this machine or another one, their requirements, and the rule behind each choice."""
    request = MatrixRequest(for_, tuple(gpu or ()), driver, python, set_name, arch, glibc, mirror, online)
    answer = run_matrix(RealSystem(), request, common.venv, common.interpreter)
    files: tuple[Path, ...] = ()
    notes = answer.notes
    if export is not None and answer.possible:
        from paddlevl_doctor.commands import export as exporting  # noqa: PLC0415 - takes about 0.2 s to import

        machine = answer.machine
        chosen = exporting.Chosen(
            answer.version_set, answer.wheel, machine.host, machine.python, answer.mirror
        )
        written = exporting.export(RealSystem(), export[0], export[1], chosen, common.progress().bytes)
        files, notes = written.files, (*notes, *written.notes)
    common.answer(
        lambda: matrix_document(answer, files, notes),
        lambda screen: show(screen, answer, files, notes),
    )
    return ExitCode.OK if answer.possible else ExitCode.PROBLEMS
