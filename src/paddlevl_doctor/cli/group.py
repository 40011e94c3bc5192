"""The commands by name. The module of a command is imported when the command is called, and only then.

This is the one place of the command line that is lazy: the modules of the commands import what they need at the top.
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
        "What is this machine, what is installed, what is wrong, why, and what cures it. Changes nothing.",
    ),
    "explain": (
        "explain",
        "Name the failures in a log or traceback, the root cause, whether it concerns the target, and the cure.",
    ),
    "fix": (
        "fix",
        "Show what cures the findings; with --apply install, patch and link it. `undo` takes it back.",
    ),
    "undo": ("fix", "Take back the last thing that `fix --apply` did, exactly and offline."),
    "parse": ("parse", "Read documents end to end and judge the result."),
    "matrix": (
        "matrix",
        "Say what can be installed on this machine or on any other, how much it takes, and which rule says so.",
    ),
    "serve": (
        "serve",
        "Run a server for the vision model in an environment of its own, with the pipeline file for a client.",
    ),
    "env": (
        "env",
        "Print the environment variables that PaddleOCR-VL should be started with here, as lines for a shell.",
    ),
    "pipelines": ("pipelines", "PaddleOCR's pipelines and their files."),
    "patches": ("patches", "The source patches, and what the target's files are to them."),
}
"""The module of this package that has the command, and the command's help, by name in the order of `--help`.

The help stands here as well because `--help` would take a second if it imported all modules."""


class LazyGroup(TyperGroup):
    """A group whose commands are names and help texts until one is called."""

    def __init__(self, **attributes: Any) -> None:
        named = {name: TyperCommand(name, help=words) for name, (_, words) in COMMANDS.items()}
        super().__init__(**{**attributes, "commands": named})

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Return the command that is called, as its module defines it; click raises UsageError for an unknown one."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, load(name) if name else None, rest


def load(name: str) -> Any:
    """Import the module of a command and return the command."""
    module = importlib.import_module(f"paddlevl_doctor.cli.{COMMANDS[name][0]}")
    family = get_group(module.app)
    return family.commands.get(name, family)


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},  # the commands inherit it
    rich_markup_mode=None,
)


def _version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"paddlevl-doctor {__version__}\n")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Finds, explains and cures what keeps PaddleOCR-VL from reading documents, and proves it on a real page."""
