"""Options in, exit code out. What a command does is in `commands`, what it looks like is in `report`."""

from __future__ import annotations

import contextlib
import gc
import locale
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from paddlevl_doctor import __version__
from paddlevl_doctor.errors import DoctorError
from paddlevl_doctor.messages import set_language, text
from paddlevl_doctor.system import RealSystem
from paddlevl_doctor.values import ExitCode

if TYPE_CHECKING:
    from paddlevl_doctor.commands.examine import TargetOptions
    from paddlevl_doctor.report.console import Screen
    from paddlevl_doctor.report.documents import Document
    from paddlevl_doctor.report.progress import Progress

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


class Format(str, Enum):
    """How an answer is written."""

    CONSOLE = "console"
    JSON = "json"


class Lang(str, Enum):
    """The language of messages."""

    EN = "en"
    ZH = "zh"


class Engine(str, Enum):
    """What reads a document."""

    AUTO = "auto"
    NATIVE = "native"
    READER = "reader"
    SELFTEST = "selftest"


Python = Annotated[str | None, typer.Option(help="Interpreter of the environment to treat.", metavar="PATH")]
Venv = Annotated[str | None, typer.Option(help="Virtual environment to treat.", metavar="DIR")]
FormatOption = Annotated[Format, typer.Option("--format", help="console, or one JSON document on stdout.")]
Output = Annotated[
    Path | None, typer.Option("--output", help="Write the answer to this file.", metavar="FILE")
]
LangOption = Annotated[
    Lang | None, typer.Option("--lang", help="Language of messages; default: the locale's.")
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Only problems.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="All details.")]
NoColor = Annotated[bool, typer.Option("--no-color", help="No colours.")]
Only = Annotated[
    list[str] | None, typer.Option("--only", help="Only this finding (may be repeated).", metavar="ID")
]
SetName = Annotated[
    str | None, typer.Option("--set", help="Version set to follow, e.g. current.", metavar="NAME")
]
Mirror = Annotated[
    str | None, typer.Option(help="Package index to use instead of the default one.", metavar="URL")
]


@dataclass(frozen=True)
class Common:
    """The options that every command has."""

    verb: str
    format: Format = Format.CONSOLE
    output: Path | None = None
    lang: Lang | None = None
    quiet: bool = False
    verbose: bool = False
    no_color: bool = False

    def progress(self) -> Progress:
        """Return what announces stages on stderr."""
        from paddlevl_doctor.report.progress import Progress

        return Progress(enabled=not self.quiet)

    def screen(self) -> Screen:
        """Return what prints for people."""
        from paddlevl_doctor.report.console import Screen

        color = False if self.no_color or "NO_COLOR" in os.environ else None
        return Screen(color=color, verbose=self.verbose, quiet=self.quiet, home=Path.home())

    def answer(self, document: Callable[[], Document], show: Callable[[Screen], None]) -> None:
        """Print the answer in the format that was asked for."""
        from paddlevl_doctor.report.documents import as_json

        if self.format is Format.CONSOLE and self.output is None:
            show(self.screen())
            return
        words = as_json(document()) + "\n"
        if self.output is None:
            sys.stdout.write(words)
        else:
            self.output.write_text(words, encoding="utf-8")


def _language(chosen: Lang | None) -> str:
    if chosen is not None:
        return chosen.value
    names = [os.environ.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG")]
    if sys.platform == "win32":
        names.append(locale.getlocale()[0] or "")
    first = next((name for name in names if name), "")
    return "zh" if first.lower().startswith(("zh", "chinese")) else "en"


def run(common: Common, body: Callable[[], int]) -> None:
    """Run a command and end the process with its exit code; every failure becomes one sentence and a code."""
    set_language(_language(common.lang))
    code = _outcome(common, body)
    with contextlib.suppress(BrokenPipeError):  # the reader of our output had enough
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(int(code))  # taking 300 modules down one by one would cost a tenth of a check


def _outcome(common: Common, body: Callable[[], int]) -> int:
    try:
        return body()
    except DoctorError as error:
        return _report_error(common, error)
    except KeyboardInterrupt:
        sys.stderr.write(text("interrupted") + "\n")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        return ExitCode.OK
    except Exception as error:  # the last resort of the contract: exit code 70 and a report
        from paddlevl_doctor.report.crash import write_crash_report

        sys.stderr.write(text("internal", path=write_crash_report(error)) + "\n")
        return ExitCode.INTERNAL


def _report_error(common: Common, error: DoctorError) -> int:
    from paddlevl_doctor.report.documents import as_json, error_document
    from paddlevl_doctor.report.privacy import without_home

    if common.format is Format.JSON:
        sys.stdout.write(as_json(error_document(common.verb, error)) + "\n")
    sys.stderr.write(without_home(error.message, Path.home()) + "\n")
    return error.exit_code


def _target(python: str | None, venv: str | None, set_name: str | None = None) -> TargetOptions:
    from paddlevl_doctor.commands.examine import TargetOptions

    return TargetOptions(python, venv, set_name)


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


@app.command()
def check(
    deep: Annotated[
        bool, typer.Option(help="Also import the stack and let it read a chart it has never seen.")
    ] = False,
    only: Only = None,
    ignore: Annotated[list[str] | None, typer.Option(help="Leave this finding out.", metavar="ID")] = None,
    list_: Annotated[bool, typer.Option("--list", help="List all checks and what they look at.")] = False,
    strict: Annotated[bool, typer.Option(help="Warnings count as problems.")] = False,
    set_name: SetName = None,
    python: Python = None,
    venv: Venv = None,
    format: FormatOption = Format.CONSOLE,
    output: Output = None,
    lang: LangOption = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    no_color: NoColor = False,
) -> None:
    """What is this machine, what is installed, what is wrong, why, and what cures it. Changes nothing."""
    common = Common("check", format, output, lang, quiet, verbose, no_color)

    def body() -> int:
        from paddlevl_doctor.commands.check import check as look
        from paddlevl_doctor.commands.check import listing
        from paddlevl_doctor.report.documents import check_document

        if list_:
            common.screen().listing(listing())
            return ExitCode.OK
        target, stage = _target(python, venv, set_name), common.progress().stage
        report = look(RealSystem(), target, stage, deep=deep, only=only or (), ignore=ignore or ())
        common.answer(lambda: check_document(report), lambda screen: screen.check(report))
        return report.exit_code(strict=strict)

    run(common, body)


@app.command()
def fix(
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
    python: Python = None,
    venv: Venv = None,
    format: FormatOption = Format.CONSOLE,
    output: Output = None,
    lang: LangOption = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    no_color: NoColor = False,
) -> None:
    """Show what cures the findings; with --apply install, patch and link it. `undo` takes it back."""
    common = Common("fix", format, output, lang, quiet, verbose, no_color)

    def body() -> int:
        from paddlevl_doctor.commands.fix import fix as repair
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
        target, stage = _target(python, venv, set_name), common.progress().stage
        report = repair(RealSystem(), target, request, stage, apply=apply)
        common.answer(lambda: fix_document(report), lambda screen: screen.fix(report))
        return report.exit_code()

    run(common, body)


@app.command()
def undo(
    list_: Annotated[bool, typer.Option("--list", help="List what can be undone.")] = False,
    to: Annotated[
        int | None, typer.Option(help="Undo everything after this transaction (0: everything).")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Also where packages were changed since.")] = False,
    python: Python = None,
    venv: Venv = None,
    format: FormatOption = Format.CONSOLE,
    output: Output = None,
    lang: LangOption = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    no_color: NoColor = False,
) -> None:
    """Take back the last thing that `fix --apply` did, exactly and offline."""
    common = Common("undo", format, output, lang, quiet, verbose, no_color)

    def body() -> int:
        from paddlevl_doctor.commands.fix import undo_command
        from paddlevl_doctor.report.documents import undo_document

        stage = common.progress().stage
        report = undo_command(RealSystem(), _target(python, venv), stage, listing=list_, to=to, yes=yes)
        common.answer(lambda: undo_document(report), lambda screen: screen.undo(report, listing=list_))
        return ExitCode.OK

    run(common, body)


@app.command()
def parse(
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
    python: Python = None,
    venv: Venv = None,
    format: FormatOption = Format.CONSOLE,
    lang: LangOption = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    no_color: NoColor = False,
) -> None:
    """Read a document end to end and judge the result."""
    common = Common("parse", format, None, lang, quiet, verbose, no_color)

    def body() -> int:
        from paddlevl_doctor.commands.parse import ParseRequest
        from paddlevl_doctor.commands.parse import parse as read
        from paddlevl_doctor.report.documents import parse_document

        request = ParseRequest(input_, output, engine.value, device, expect, fix, mirror)
        report = read(RealSystem(), _target(python, venv, set_name), request, common.progress().stage)
        common.answer(lambda: parse_document(report), lambda screen: screen.parse(report))
        return report.exit_code()

    run(common, body)


@pipelines_app.command("list")
def pipelines_list(
    python: Python = None,
    venv: Venv = None,
    format: FormatOption = Format.CONSOLE,
    output: Output = None,
    lang: LangOption = None,
    no_color: NoColor = False,
) -> None:
    """List PaddleOCR's pipeline names, the PaddleX pipelines behind them, and their files in the target."""
    common = Common("pipelines", format, output, lang, no_color=no_color)

    def body() -> int:
        from paddlevl_doctor.commands.pipelines import list_pipelines
        from paddlevl_doctor.report.documents import pipelines_document

        rows = list_pipelines(RealSystem(), python, venv)
        common.answer(lambda: pipelines_document(rows), lambda screen: screen.pipelines(rows))
        return ExitCode.OK

    run(common, body)


@pipelines_app.command("link")
def pipelines_link(
    python: Python = None,
    venv: Venv = None,
    format: FormatOption = Format.CONSOLE,
    lang: LangOption = None,
    no_color: NoColor = False,
) -> None:
    """Link ./pipelines to the target's pipeline files; a file or another link of that name is not touched."""
    common = Common("pipelines", format, None, lang, no_color=no_color)

    def body() -> int:
        from paddlevl_doctor.commands.fix import link_pipelines
        from paddlevl_doctor.report.documents import fix_document

        report = link_pipelines(RealSystem(), _target(python, venv), common.progress().stage)
        common.answer(lambda: fix_document(report), lambda screen: screen.fix(report))
        return ExitCode.OK

    run(common, body)


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
