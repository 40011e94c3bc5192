"""The commands by name. The module of a command is imported when the command is called.

The modules of the commands import what they need at the top, with two exceptions: `check` imports `cluster` only for
--ray, and `matrix` imports `commands.export` only for --export.
"""

from __future__ import annotations

import importlib
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from paddlevl_doctor import __version__

COMMANDS = {
    "check": (
        "check",
        "Show the machine, the installed packages, the problems, their causes and the fixes. Changes nothing.",
    ),
    "explain": (
        "explain",
        "Name the failures in a log or traceback, the root cause, whether they can affect the target, and the fix.",
    ),
    "fix": (
        "fix",
        "Show the plan that fixes the findings; with --apply, carry it out. `undo` takes it back.",
    ),
    "undo": ("fix", "Undo the last `fix --apply`, byte for byte and without a network."),
    "parse": ("parse", "Read documents and evaluate the results."),
    "matrix": (
        "matrix",
        "Show which wheels fit this machine or another one, their requirements, and the rule behind each choice.",
    ),
    "serve": (
        "serve",
        "Run a server for the vision model in a separate environment, and write the pipeline file for its clients.",
    ),
    "env": (
        "env",
        "Print the environment variables that PaddleOCR-VL should be started with on this machine.",
    ),
    "pipelines": ("pipelines", "List PaddleOCR's pipelines and their files, or link to them."),
    "patches": (
        "patches",
        "List the source patches, show the state of the target's files, or build a patched wheel.",
    ),
}
"""For each command, in the order of `--help`: the module of this package that defines it, and its help text.

The help texts are repeated here because `--help` would take a second if it imported all modules."""


class LazyGroup(TyperGroup):
    """A group that knows the names and help texts of its commands, and loads a command when it is called."""

    def __init__(self, **attributes: Any) -> None:
        commands = {name: TyperCommand(name, help=text) for name, (_, text) in COMMANDS.items()}
        super().__init__(**{**attributes, "commands": commands})

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Return the called command as its module defines it; click raises UsageError if the name is unknown."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, load(name) if name else None, rest

    def invoke(self, ctx: Any) -> Any:
        """Run the called command. `common.run` handles an interrupt of a running command, this one of its import."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            from paddlevl_doctor.cli.common import fail  # noqa: PLC0415 - keeps it off the path of `--help`

            return fail(interrupt)


def load(name: str) -> Any:
    """Import the module of a command and return the command."""
    module = importlib.import_module(f"paddlevl_doctor.cli.{COMMANDS[name][0]}")
    group = get_group(module.app)
    return group.commands.get(name, group)


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},  # inherited by the commands
    rich_markup_mode=None,
)


def _print_version(requested: bool) -> None:
    if requested:
        sys.stdout.write(f"paddlevl-doctor {__version__}\n")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Find, explain and fix what keeps PaddleOCR-VL from reading documents, and prove it on a real page."""
