"""Common options of all commands, output of the result, and conversion of errors to exit codes."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from paddlevl_doctor.commands.diagnose import TargetOptions
from paddlevl_doctor.facts.target import SYSTEM
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.invocation import TARGETED, Option, invocation, set_invocation, without_password
from paddlevl_doctor.messages import message, render, set_language
from paddlevl_doctor.redaction import mask_url, printable, remember_url, without_home, without_secrets
from paddlevl_doctor.report.json_documents import Document, as_json, error_document
from paddlevl_doctor.report.progress import Progress
from paddlevl_doctor.report.streams import for_stdout
from paddlevl_doctor.system.files import json_bytes, new_file
from paddlevl_doctor.system.machine import interface_locale
from paddlevl_doctor.system.processes import end_children
from paddlevl_doctor.values.errors import DoctorError, UsageError
from paddlevl_doctor.values.findings import ExitCode

if TYPE_CHECKING:
    from paddlevl_doctor.report.console import Screen


class Format(str, Enum):
    """Output formats of most commands."""

    CONSOLE = "console"
    JSON = "json"


class ReportFormat(str, Enum):
    """Output formats of `check`."""

    CONSOLE = "console"
    JSON = "json"
    MARKDOWN = "markdown"
    JUNIT = "junit"
    GITHUB = "github"
    HTML = "html"


class ReadFormat(str, Enum):
    """Output formats of `parse`."""

    CONSOLE = "console"
    JSON = "json"
    JUNIT = "junit"
    GITHUB = "github"


class LogFormat(str, Enum):
    """Output formats of `explain`."""

    CONSOLE = "console"
    JSON = "json"
    MARKDOWN = "markdown"


class Lang(str, Enum):
    """The language of messages."""

    EN = "en"
    ZH = "zh"


class Backend(str, Enum):
    """The inference server that runs the vision model."""

    VLLM = "vllm"
    SGLANG = "sglang"
    FASTDEPLOY = "fastdeploy"
    MLX_VLM = "mlx-vlm"
    LLAMA_CPP = "llama-cpp"


Python = Annotated[
    str | None, typer.Option(help="Python interpreter of the target environment.", metavar="PATH")
]
SystemPython = Annotated[
    bool,
    typer.Option(
        "--system", help="Use the system's Python as target: the first on PATH outside any environment."
    ),
]
Venv = Annotated[str | None, typer.Option(help="Virtual environment to use as target.", metavar="DIR")]
SetName = Annotated[
    str | None, typer.Option("--set", help="Version set to use, e.g. current.", metavar="NAME")
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output", help="Write the result to this file; its suffix chooses the format.", metavar="FILE"
    ),
]
LangOption = Annotated[
    Lang | None, typer.Option("--lang", help="Language of messages; default: that of the locale.")
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Show only problems.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Show all details.")]
NoColor = Annotated[bool, typer.Option("--no-color", help="Use no colours.")]
Only = Annotated[
    list[str] | None, typer.Option("--only", help="Only this finding (may be repeated).", metavar="ID")
]
Mirror = Annotated[
    str | None,
    typer.Option(
        help="Package index to use instead of the default one; auto: the fastest.", metavar="URL|NAME|auto"
    ),
]

_DECIDING = {
    "python": ("--python", TARGETED),
    "venv": ("--venv", (*TARGETED, "matrix")),
    "system": ("--system", (*TARGETED, "matrix")),
    "set_name": ("--set", ("check", "fix")),
    "mirror": ("--mirror", ("fix", "serve")),
    "wheelhouse": ("--wheelhouse", ("fix",)),
    "base_python": ("--base-python", ("fix",)),
    "dev_safetensors": ("--dev-safetensors", ("fix",)),
    "to": ("--to", ("undo",)),
}
"""For a parameter of a command: its option, and the commands whose printed form repeats it.

--only, --skip and --yes belong to one plan; `report` repeats them in the command that carries it out.
"""

_SUFFIXES = {".json": "json", ".md": "markdown", ".xml": "junit", ".html": "html", ".htm": "html"}


def language_of(env: Mapping[str, str], interface: str) -> str:
    """Return en or zh from the POSIX locale variables in `env`, else from `interface`, the system's locale name."""
    locales = [env.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG")]
    locale = next((name for name in (*locales, interface) if name), "")
    return "zh" if locale.lower().startswith(("zh", "chinese")) else "en"


@dataclass(frozen=True)
class Common:
    """The values of the common options."""

    verb: str
    python: str | None = None
    venv: str | None = None
    system: bool = False
    format: Enum | None = None
    output: Path | None = None
    lang: Lang | None = None
    quiet: bool = False
    verbose: bool = False
    no_color: bool = False

    @property
    def language(self) -> str:
        """The language of --lang, else that of the locale: en or zh."""
        if self.lang is not None:
            return self.lang.value
        return language_of(os.environ, interface_locale())

    @property
    def format_name(self) -> str:
        """The format of --format, else that of the suffix of --output, else console."""
        if self.format is not None:
            return str(self.format.value)
        return _SUFFIXES.get(self.output.suffix.lower(), "console") if self.output else "console"

    def target(self, set_name: str | None = None) -> TargetOptions:
        """Return the options that choose the target environment."""
        return TargetOptions(self.interpreter, self.venv, set_name)

    @property
    def interpreter(self) -> str | None:
        """The interpreter of --python or --system. Raises UsageError if --system has another target beside it."""
        if not self.system:
            return self.python
        if self.python or self.venv:
            raise UsageError(message("system-and-other"))
        return SYSTEM

    def progress(self) -> Progress:
        """Return a reporter that prints stages to stderr."""
        return Progress(enabled=not self.quiet, lang=self.language)

    def answer(
        self,
        document: Callable[[], Document],
        show: Callable[[Screen], None],
        renderers: Mapping[str, Callable[[], str]] | None = None,
    ) -> None:
        """Write the result in the chosen format.

        `renderers` are the formats that the command offers besides console and json. Raises UsageError if the command
        has no such format, or stdout or the file of --output cannot be written.
        """
        try:
            self._answer(document, show, renderers or {})
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise UsageError(message("stdout-unwritable", reason=error.strerror or error)) from error

    def _answer(
        self,
        document: Callable[[], Document],
        show: Callable[[Screen], None],
        others: Mapping[str, Callable[[], str]],
    ) -> None:
        name = self.format_name
        if name == "console":
            self._console(show)
        elif name == "json":
            self._write(as_json(document(), self.language) + "\n")
        elif name in others:
            self._write(others[name]())
        else:
            raise UsageError(
                message("no-such-format", format=name, names=", ".join(["console", "json", *others]))
            )

    def _console(self, show: Callable[[Screen], None]) -> None:
        from rich.text import Text  # noqa: PLC0415 - rich takes a tenth of the time of a check; JSON does not need it

        from paddlevl_doctor.report.console import Screen  # noqa: PLC0415 - as above: it loads rich

        color = False if self.no_color or "NO_COLOR" in os.environ else None
        screen = Screen(color, self.verbose, self.quiet, Path.home(), self.language)
        if self.output is None:
            show(screen)
            return
        with screen.console.capture() as captured:
            show(screen)
        self._write(Text.from_ansi(captured.get()).plain.rstrip("\n") + "\n")

    def _write(self, output: str) -> None:
        if self.output is None:
            sys.stdout.write(for_stdout(output, self.format_name))
            return
        try:
            with new_file(self.output) as file:
                is_json = self.format_name == "json"
                file.write(json_bytes(output) if is_json else output.encode("utf-8", "replace"))
        except OSError as error:
            raise UsageError(
                message("cannot-write", option="--output", path=self.output, reason=error.strerror)
            ) from error


Body = Callable[..., int]


def command(
    app: typer.Typer, verb: str, name: str | None = None, formats: type[Enum] = Format
) -> Callable[[Body], Body]:
    """Register a function `(common, own options…) -> exit code` as a command with the common options added.

    `formats` are the values of --format. An own option replaces the common option of the same name.
    """

    def register(body: Body) -> Body:
        parameters = inspect.signature(body, eval_str=True).parameters
        own = [p.replace(kind=p.KEYWORD_ONLY) for name, p in parameters.items() if name != "common"]
        shared = [p for p in _common_options(formats) if p.name not in parameters]
        app.command(name or body.__name__)(_runner(verb, body, own, shared))
        return body

    return register


def _runner(
    verb: str, body: Body, own: list[inspect.Parameter], shared: list[inspect.Parameter]
) -> Callable[..., None]:
    """Return the function that typer calls: its parameters are the options, and it ends the process."""

    def call(**options: Any) -> None:
        common = Common(verb, **{parameter.name: options.pop(parameter.name) for parameter in shared})
        # Of an option that both have, the common one chooses the target.
        given = tuple(_deciding_options({**options, **vars(common)}))
        set_invocation(dataclasses.replace(invocation(), options=given))
        run(common, lambda common: body(common, **options))

    call.__name__, call.__doc__, call.__annotations__ = body.__name__, body.__doc__, {}
    call.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]
    return call


def _deciding_options(given: Mapping[str, Any]) -> Iterator[Option]:
    """Yield the given options that decide what a later command does; none has a password in it."""
    for name, (option, verbs) in _DECIDING.items():
        value = given.get(name)
        if value is True:
            yield Option((option,), verbs)
        elif value or (value == 0 and value is not False):
            if "://" in str(value):
                remember_url(str(value))
            shown = without_password(str(value))
            shown = shown if without_secrets(mask_url(shown)) == shown else "URL"
            yield Option((option, shown), verbs, secret=shown != str(value))


def _common_options(formats: type[Enum]) -> list[inspect.Parameter]:
    """Return the common options as parameters, in the order of `--help`."""
    help_text = "Output format; json prints exactly one document to stdout."
    options: dict[str, tuple[object, object]] = {
        "python": (Python, None),
        "venv": (Venv, None),
        "system": (SystemPython, False),
        "format": (Annotated[formats | None, typer.Option("--format", help=help_text)], None),
        "output": (Output, None),
        "lang": (LangOption, None),
        "quiet": (Quiet, False),
        "verbose": (Verbose, False),
        "no_color": (NoColor, False),
    }
    kind = inspect.Parameter.KEYWORD_ONLY
    return [
        inspect.Parameter(name, kind, default=default, annotation=annotation)
        for name, (annotation, default) in options.items()
    ]


def run(common: Common, body: Callable[[Common], int]) -> None:
    """Run a command and end the process with its exit code; an error becomes one sentence and an exit code."""
    set_language(common.language)
    code = _exit_code(common, body)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # a closed pipe, or a full disk that `answer` reported
            stream.flush()
    os._exit(int(code))  # tearing down 300 modules would take a tenth of the time of a check


def fail(error: BaseException) -> None:
    """End the process as `run` does when a command raises `error`."""

    def body(_: Common) -> int:
        raise error

    run(Common(""), body)


def _exit_code(common: Common, body: Callable[[Common], int]) -> int:
    try:
        _require_working_folder()
        return body(common)
    except DoctorError as error:
        return _report_error(common, error)
    except KeyboardInterrupt as interrupt:
        end_children()  # those of other threads, which no interrupt reaches
        # A resumable run raises it with a message that says how to resume.
        text = interrupt.args[0] if interrupt.args else message("interrupted")
        with contextlib.suppress(OSError):  # the terminal may be closed
            sys.stderr.write(render(text, common.language) + "\n")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        return ExitCode.OK
    except Exception as error:
        if isinstance(error, OSError) and (error.errno in _REFUSALS or "temporary directory" in str(error)):
            names = ", ".join(str(name) for name in (error.filename, error.filename2) if name is not None)
            reason = error.strerror or str(error)
            return _report_error(
                common, DoctorError(message("system-refused", reason=reason, path=names or "-"))
            )
        # A bug: exit code 70 and a crash report.
        from paddlevl_doctor.report.crash import write_crash_report  # noqa: PLC0415 - loads tempfile

        text = message("internal", path=write_crash_report(error))
        sys.stderr.write(render(text, common.language) + "\n")
        return ExitCode.INTERNAL


_REFUSALS = frozenset(
    getattr(errno, name, -1)
    for name in ("ENOSPC", "EDQUOT", "EROFS", "EACCES", "EPERM", "EMFILE", "ENFILE", "EIO", "ESTALE")
)
"""What a full or read-only disk, missing rights and limits of the system do to any program."""


def _require_working_folder() -> None:
    """Raise UsageError if the working folder was deleted, or may not be read."""
    try:
        os.getcwd()  # noqa: PTH109 - nothing else is needed of it
    except OSError as error:
        raise UsageError(message("no-working-folder", reason=error.strerror)) from error


def _report_error(common: Common, error: DoctorError) -> int:
    if common.format_name == "json" and common.output is None:
        document = as_json(error_document(common.verb, error), common.language)
        with contextlib.suppress(OSError):  # stdout itself may be the problem
            sys.stdout.write(for_stdout(document, "json") + "\n")
    with contextlib.suppress(OSError):  # stderr may be closed or on a full disk
        sys.stderr.write(printable(without_home(render(error.message, common.language), Path.home())) + "\n")
    return error.exit_code
