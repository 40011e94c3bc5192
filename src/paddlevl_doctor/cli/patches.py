"""The options of `patches list`, `show`, `status` and `build`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from paddlevl_doctor.cli.common import Common, command
from paddlevl_doctor.commands.patches import build_wheel, show_patch
from paddlevl_doctor.commands.patches import patches_status as run_status
from paddlevl_doctor.knowledge.patches import load_patches
from paddlevl_doctor.report import patches as view
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.findings import ExitCode

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="List the source patches, show the state of the target's files, or build a patched wheel.",
)

PatchId = Annotated[str, typer.Argument(metavar="ID", help="Id of the patch, from `patches list`.")]


@command(app, "patches", name="list")
def patches_list(common: Common) -> int:
    """List the patches, what they do, and whether `fix` applies them automatically."""
    common.answer(
        lambda: view.list_document(load_patches()), lambda screen: view.show_list(screen, load_patches())
    )
    return ExitCode.OK


@command(app, "patches", name="show")
def patches_show(common: Common, patch: PatchId) -> int:
    """Show a patch: the problem that it fixes, and the change for the installed version."""
    detail = show_patch(RealSystem(), patch, common.interpreter, common.venv)
    common.answer(lambda: view.detail_document(detail), lambda screen: view.show_detail(screen, detail))
    return ExitCode.OK


@command(app, "patches", name="status")
def patches_status(
    common: Common,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Fail if a patch is lost, no longer needed, or for another release."),
    ] = False,
) -> int:
    """Show the state of every file that a patch changes: as published, patched, or changed by another program."""
    files = run_status(RealSystem(), common.interpreter, common.venv)
    common.answer(lambda: view.status_document(files), lambda screen: view.show_status(screen, files))
    return ExitCode.PROBLEMS if strict and any(file.problem for file in files) else ExitCode.OK


@command(app, "patches", name="build")
def patches_build(
    common: Common,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Only this patch (may be repeated).", metavar="ID")
    ] = None,
    output: Annotated[Path, typer.Option("--output", help="Folder for the wheel.", metavar="DIR")] = Path(),
) -> int:
    """Write a patched wheel of the target's paddlex, for container images and offline machines."""
    path, chosen, python = build_wheel(RealSystem(), only or (), output, common.interpreter, common.venv)
    common.answer(
        lambda: view.wheel_document(path, chosen),
        lambda screen: view.show_wheel(screen, path, chosen, python),
    )
    return ExitCode.OK
