"""The options of `fix` and `undo`."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from paddlevl_doctor.cli.common import Common, Mirror, Only, SetName, command
from paddlevl_doctor.commands.fix import fix as run_fix
from paddlevl_doctor.commands.fix import fix_by_file
from paddlevl_doctor.commands.undo import undo_command
from paddlevl_doctor.messages import message
from paddlevl_doctor.packages.request import Request
from paddlevl_doctor.report.json_documents import fix_document, undo_document
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.errors import UsageError

app = typer.Typer(rich_markup_mode=None)


class Gate(str, Enum):
    """The check after a repair."""

    QUICK = "quick"
    DEEP = "deep"


@command(app, "fix")
def fix(
    common: Common,
    plan: Annotated[
        Path | None,
        typer.Argument(metavar="[PLAN]", help="With --apply: a plan file of --output."),
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Carry the plan out.")] = False,
    only: Only = None,
    skip: Annotated[list[str] | None, typer.Option(help="Do not fix this finding.", metavar="ID")] = None,
    set_name: SetName = None,
    mirror: Mirror = None,
    base_python: Annotated[
        str | None, typer.Option(help="Python to create a new environment with.", metavar="PATH")
    ] = None,
    dev_safetensors: Annotated[
        bool, typer.Option("--dev-safetensors", help="Install Paddle's safetensors 0.6.2.dev0 (set 2025-11).")
    ] = False,
    wheelhouse: Annotated[
        Path | None, typer.Option(help="Install from this folder, without a network.", metavar="DIR")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Also if other packages are downgraded or removed.")
    ] = False,
    gate: Annotated[
        Gate, typer.Option(help="The check that a repair must pass, else it is rolled back.")
    ] = Gate.QUICK,
) -> int:
    """Show the plan that fixes the findings; with --apply, carry it out. `undo` takes it back."""
    request = Request(
        tuple(only or ()),
        tuple(skip or ()),
        index=mirror,
        interpreter=base_python,
        yes=yes,
        dev_safetensors=dev_safetensors,
        wheelhouse=str(wheelhouse.absolute()) if wheelhouse else None,
    )
    target, progress = common.target(set_name), common.progress()
    stage, bar = progress.stage, progress.bytes
    if plan is None:
        report = run_fix(RealSystem(), target, request, stage, apply=apply, bar=bar, deep=gate is Gate.DEEP)
    elif apply and request == Request(interpreter=base_python):
        report = fix_by_file(
            RealSystem(), target, plan, stage, bar, deep=gate is Gate.DEEP, interpreter=base_python
        )
    else:
        raise UsageError(message("plan-alone"))
    common.answer(lambda: fix_document(report), lambda screen: screen.fix(report))
    return report.exit_code()


@command(app, "undo")
def undo(
    common: Common,
    list_: Annotated[bool, typer.Option("--list", help="List the transactions that can be undone.")] = False,
    to: Annotated[
        int | None, typer.Option(min=0, help="Undo all transactions after this one (0: all).")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be undone.")] = False,
    yes: Annotated[
        bool,
        typer.Option(
            "--yes", help="Also set aside what you have changed since, and salvage damaged repairs."
        ),
    ] = False,
) -> int:
    """Undo the last `fix --apply`, byte for byte and without a network."""
    stage = common.progress().stage
    report = undo_command(
        RealSystem(), common.target(), stage, listing=list_, to=to, yes=yes, dry_run=dry_run
    )
    common.answer(lambda: undo_document(report), lambda screen: screen.undo(report, listing=list_))
    return report.exit_code()
