"""Options in, exit code out. What a command does is in `commands`, what it looks like is in `report`."""

from __future__ import annotations

import gc
import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from paddlevl_doctor import __version__
from paddlevl_doctor.errors import UsageError
from paddlevl_doctor.messages import text
from paddlevl_doctor.options import Common, LogFormat, ReportFormat, SetName, command
from paddlevl_doctor.system import RealSystem
from paddlevl_doctor.values import ExitCode

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
pipelines_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="PaddleOCR's pipelines and their files."
)
app.add_typer(pipelines_app, name="pipelines")
patches_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="The source patches, and what the target's files are to them.",
)
app.add_typer(patches_app, name="patches")


class Shell(str, Enum):
    """What reads the lines of `env`."""

    SH = "sh"
    POWERSHELL = "powershell"
    NOTEBOOK = "notebook"


class Engine(str, Enum):
    """What reads a document."""

    AUTO = "auto"
    NATIVE = "native"
    READER = "reader"
    SELFTEST = "selftest"


Only = Annotated[
    list[str] | None, typer.Option("--only", help="Only this finding (may be repeated).", metavar="ID")
]
Mirror = Annotated[
    str | None, typer.Option(help="Package index to use instead of the default one.", metavar="URL")
]


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


@command(app, "check", formats=ReportFormat)
def check(
    common: Common,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also import the stack and let it read a chart it has never seen.")
    ] = False,
    integrity: Annotated[
        bool, typer.Option("--integrity", help="Also compare every installed file with its RECORD.")
    ] = False,
    only: Only = None,
    ignore: Annotated[list[str] | None, typer.Option(help="Leave this finding out.", metavar="ID")] = None,
    list_: Annotated[bool, typer.Option("--list", help="List all checks and what they look at.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as problems.")] = False,
    record: Annotated[
        Path | None, typer.Option(help="Keep what was seen, redacted, in this zip file.", metavar="FILE")
    ] = None,
    replay: Annotated[
        Path | None, typer.Option(help="Judge what was recorded instead of this machine.", metavar="FILE")
    ] = None,
    set_name: SetName = None,
) -> int:
    """What is this machine, what is installed, what is wrong, why, and what cures it. Changes nothing."""
    from paddlevl_doctor.commands.check import CheckRequest, listing
    from paddlevl_doctor.commands.check import check as look
    from paddlevl_doctor.report.documents import check_document, list_document
    from paddlevl_doctor.report.formats import renderers

    if list_:
        rows = listing()
        common.answer(lambda: list_document(rows), lambda screen: screen.listing(rows))
        return ExitCode.OK
    request = CheckRequest(deep, only or (), ignore or (), record, replay, integrity)
    progress = common.progress()
    report = look(RealSystem(), common.target(set_name), progress.stage, request, progress.bar)
    common.answer(
        lambda: check_document(report), lambda screen: screen.check(report), renderers=renderers(report)
    )
    return report.exit_code(strict=strict)


@command(app, "explain", formats=LogFormat)
def explain(
    common: Common,
    source: Annotated[
        str | None, typer.Argument(metavar="[FILE|-]", help="Log to explain; - or nothing: standard input.")
    ] = None,
) -> int:
    """Name the failures in a log or traceback, the root cause, whether it concerns the target, and the cure."""
    from paddlevl_doctor.commands.explain import explain as read
    from paddlevl_doctor.report.explain import explain_document, markdown, show

    home = Path.home()
    report = read(RealSystem(), source, common.target(), common.progress().stage)
    common.answer(
        lambda: explain_document(report, home),
        lambda screen: show(screen, report),
        renderers={"markdown": lambda: markdown(report, home)},
    )
    return report.exit_code()


@command(app, "fix")
def fix(
    common: Common,
    plan: Annotated[
        Path | None, typer.Argument(metavar="[PLAN]", help="With --apply: the plan that --output wrote.")
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Do it; without this nothing is changed.")] = False,
    only: Only = None,
    skip: Annotated[list[str] | None, typer.Option(help="Leave this finding uncured.", metavar="ID")] = None,
    set_name: SetName = None,
    mirror: Mirror = None,
    base_python: Annotated[
        str | None, typer.Option(help="Python that a new environment is made from.", metavar="PATH")
    ] = None,
    dev_safetensors: Annotated[
        bool, typer.Option("--dev-safetensors", help="Paddle's own safetensors 0.6.2.dev0 (set 2025-11).")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Also where other packages are downgraded or removed.")
    ] = False,
) -> int:
    """Show what cures the findings; with --apply install, patch and link it. `undo` takes it back."""
    from paddlevl_doctor.commands.fix import fix as repair
    from paddlevl_doctor.commands.fix import fix_by_file
    from paddlevl_doctor.repair.plan import Request
    from paddlevl_doctor.report.documents import fix_document

    request = Request(
        tuple(only or ()),
        tuple(skip or ()),
        index=mirror,
        interpreter=base_python,
        yes=yes,
        dev_safetensors=dev_safetensors,
    )
    target, stage = common.target(set_name), common.progress().stage
    if plan is None:
        report = repair(RealSystem(), target, request, stage, apply=apply)
    elif apply and request == Request():
        report = fix_by_file(RealSystem(), target, plan, stage)
    else:
        raise UsageError(text("plan-alone"))
    common.answer(lambda: fix_document(report), lambda screen: screen.fix(report))
    return report.exit_code()


@command(app, "undo")
def undo(
    common: Common,
    list_: Annotated[bool, typer.Option("--list", help="List what can be undone.")] = False,
    to: Annotated[
        int | None, typer.Option(help="Undo everything after this transaction (0: everything).")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Also where packages were changed since.")] = False,
) -> int:
    """Take back the last thing that `fix --apply` did, exactly and offline."""
    from paddlevl_doctor.commands.fix import undo_command
    from paddlevl_doctor.report.documents import undo_document

    stage = common.progress().stage
    report = undo_command(RealSystem(), common.target(), stage, listing=list_, to=to, yes=yes)
    common.answer(lambda: undo_document(report), lambda screen: screen.undo(report, listing=list_))
    return ExitCode.OK


@command(app, "parse")
def parse(
    common: Common,
    input_: Annotated[
        str, typer.Argument(metavar="INPUT", help="Image to read; demo.png is the page that ships.")
    ],
    output: Annotated[Path, typer.Option("--output", help="Folder for what was read.", metavar="DIR")] = Path(
        "output"
    ),
    engine: Annotated[Engine, typer.Option(help="What reads the document.")] = Engine.AUTO,
    device: Annotated[str, typer.Option(help="auto, cpu, gpu:0", metavar="DEVICE")] = "auto",
    expect: Annotated[Path | None, typer.Option(help="Known text to judge against.", metavar="FILE")] = None,
    fix: Annotated[bool, typer.Option("--fix", help="First install and cure what is needed.")] = False,
    set_name: SetName = None,
    mirror: Mirror = None,
) -> int:
    """Read a document end to end and judge the result."""
    from paddlevl_doctor.commands.parse import ParseRequest
    from paddlevl_doctor.commands.parse import parse as read
    from paddlevl_doctor.report.documents import parse_document

    request = ParseRequest(input_, output, engine.value, device, expect, fix, mirror)
    report = read(RealSystem(), common.target(set_name), request, common.progress().stage)
    common.answer(lambda: parse_document(report), lambda screen: screen.parse(report))
    return report.exit_code()


@command(pipelines_app, "pipelines", name="list")
def pipelines_list(common: Common) -> int:
    """List PaddleOCR's pipeline names, the PaddleX pipelines behind them, and their files in the target."""
    from paddlevl_doctor.commands.pipelines import list_pipelines
    from paddlevl_doctor.report.documents import pipelines_document

    rows = list_pipelines(RealSystem(), common.python, common.venv)
    common.answer(lambda: pipelines_document(rows), lambda screen: screen.pipelines(rows))
    return ExitCode.OK


@command(pipelines_app, "pipelines", name="link")
def pipelines_link(common: Common) -> int:
    """Link ./pipelines to the target's pipeline files; a file or another link of that name is not touched."""
    from paddlevl_doctor.commands.fix import link_pipelines
    from paddlevl_doctor.report.documents import fix_document

    report = link_pipelines(RealSystem(), common.target(), common.progress().stage)
    common.answer(lambda: fix_document(report), lambda screen: screen.fix(report))
    return ExitCode.OK


@command(app, "env")
def env(
    common: Common,
    shell: Annotated[
        Shell | None, typer.Option(help="Whose language; default: this system's shell.", metavar="SHELL")
    ] = None,
) -> int:
    """Print the environment variables that PaddleOCR-VL should be started with here, as lines for a shell."""
    from paddlevl_doctor.commands.env import variables
    from paddlevl_doctor.repair.activation import script
    from paddlevl_doctor.report.documents import document

    found = variables(RealSystem(), common.target())
    name = shell.value if shell else "powershell" if sys.platform == "win32" else "sh"
    common.answer(
        lambda: document("env", variables=found),
        lambda screen: screen.console.out(script(found, name), end=""),
    )
    return ExitCode.OK


PatchId = Annotated[str, typer.Argument(metavar="ID", help="The patch, as `patches list` names it.")]


@command(patches_app, "patches", name="list")
def patches_list(common: Common) -> int:
    """List the patches, whether `fix` applies them by itself, and what they do."""
    from paddlevl_doctor.knowledge.patches import load_patches
    from paddlevl_doctor.report import patches as view

    common.answer(
        lambda: view.list_document(load_patches()), lambda screen: view.show_list(screen, load_patches())
    )
    return ExitCode.OK


@command(patches_app, "patches", name="show")
def patches_show(common: Common, patch: PatchId) -> int:
    """Show one patch: what is wrong without it, and the change for the installed version."""
    from paddlevl_doctor.commands.patches import show_patch
    from paddlevl_doctor.report import patches as view

    detail = show_patch(RealSystem(), patch, common.python, common.venv)
    common.answer(lambda: view.detail_document(detail), lambda screen: view.show_detail(screen, detail))
    return ExitCode.OK


@command(patches_app, "patches", name="status")
def patches_status(common: Common) -> int:
    """Show for every file that a patch knows whether it is as published, patched, or altered by someone else."""
    from paddlevl_doctor.commands.patches import patches_status as look
    from paddlevl_doctor.report import patches as view

    files = look(RealSystem(), common.python, common.venv)
    common.answer(lambda: view.status_document(files), lambda screen: view.show_status(screen, files))
    return ExitCode.OK


@command(patches_app, "patches", name="build")
def patches_build(
    common: Common,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Only this patch (may be repeated).", metavar="ID")
    ] = None,
    output: Annotated[Path, typer.Option("--output", help="Folder for the wheel.", metavar="DIR")] = Path(),
) -> int:
    """Write a wheel of the target's paddlex with patches in it, for images and machines without a network."""
    from paddlevl_doctor.commands.patches import build_wheel
    from paddlevl_doctor.report import patches as view

    path, chosen = build_wheel(RealSystem(), only or (), output, common.python, common.venv)
    common.answer(
        lambda: view.wheel_document(path, chosen), lambda screen: view.show_wheel(screen, path, chosen)
    )
    return ExitCode.OK


def main() -> None:
    """Run the command line."""
    gc.disable()  # a short process full of imports: collecting garbage would take a tenth of its time
    _only_the_asked_command(sys.argv[1:2])
    app()


def _only_the_asked_command(words: list[str]) -> None:
    """Leave out the other commands: typer would inspect the options of all of them at every start."""
    commands = [c for c in app.registered_commands if c.callback and [c.callback.__name__] == words]
    groups = [group for group in app.registered_groups if [group.name] == words]
    if commands or groups:
        app.registered_commands, app.registered_groups = commands, groups
