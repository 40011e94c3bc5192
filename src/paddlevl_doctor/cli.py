"""Options in, exit code out. What a command does is in `commands`, what it looks like is in `report`."""

from __future__ import annotations

import gc
import os
import sys
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from paddlevl_doctor import __version__
from paddlevl_doctor.cli_common import Common, LogFormat, ReadFormat, ReportFormat, SetName, command
from paddlevl_doctor.messages import message
from paddlevl_doctor.report.streams import accept_every_character
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.errors import UsageError
from paddlevl_doctor.values.findings import ExitCode

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},  # the commands inherit it
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
    SERVER = "server"
    READER = "reader"
    SELFTEST = "selftest"


class Pipeline(str, Enum):
    """What PaddleOCR reads with."""

    VL = "PaddleOCR-VL"
    STRUCTURE = "PP-StructureV3"
    OCR = "OCR"


class PipelineVersion(str, Enum):
    """The versions of PaddleOCR-VL, as PaddleOCR's own command calls them."""

    V1_6 = "v1.6"
    V1_5 = "v1.5"
    V1 = "v1"


class Witness(str, Enum):
    """Which pages are looked at by the embedded reader as well."""

    AUTO = "auto"
    ALL = "all"
    NONE = "none"


class Backend(str, Enum):
    """What serves the vision model."""

    VLLM = "vllm"
    SGLANG = "sglang"
    FASTDEPLOY = "fastdeploy"
    MLX_VLM = "mlx-vlm"
    LLAMA_CPP = "llama-cpp"


Only = Annotated[
    list[str] | None, typer.Option("--only", help="Only this finding (may be repeated).", metavar="ID")
]
Mirror = Annotated[
    str | None,
    typer.Option(
        help="Package index instead of the default one; auto: the fastest.", metavar="URL|NAME|auto"
    ),
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
    ray: Annotated[
        str | None, typer.Option(help="Look at every node of this Ray cluster.", metavar="ADDRESS")
    ] = None,
    set_name: SetName = None,
    server_url: Annotated[
        str | None,
        typer.Option(
            "--server-url",
            help="Also ask this server of the model; its key: $PADDLEVL_DOCTOR_API_KEY.",
            metavar="URL",
        ),
    ] = None,
) -> int:
    """What is this machine, what is installed, what is wrong, why, and what cures it. Changes nothing."""
    from paddlevl_doctor.commands.check import CheckRequest, listing
    from paddlevl_doctor.commands.check import check as look
    from paddlevl_doctor.report.formats import renderers
    from paddlevl_doctor.report.json_documents import check_document, list_document

    if list_:
        rows = listing()
        common.answer(lambda: list_document(rows), lambda screen: screen.listing(rows))
        return ExitCode.OK
    request = CheckRequest(deep, only or (), ignore or (), record, replay, integrity, server_url)
    if ray is not None:
        from paddlevl_doctor.cluster import report as view
        from paddlevl_doctor.cluster.check import check_on_ray

        cluster = check_on_ray(ray, common.target(set_name), request, common.format_name)
        common.answer(
            lambda: view.check_document(cluster),
            lambda screen: view.show_check(screen, cluster),
            renderers=view.check_renderers(cluster),
        )
        return cluster.exit_code(strict=strict)
    progress = common.progress()
    report = look(RealSystem(), common.target(set_name), progress.stage, request, progress.bar)
    common.answer(
        lambda: check_document(report),
        lambda screen: screen.check(report),
        renderers=renderers(report, common.language),
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
        lambda: explain_document(report, home, common.language),
        lambda screen: show(screen, report),
        renderers={"markdown": lambda: markdown(report, home, common.language)},
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
    wheelhouse: Annotated[
        Path | None, typer.Option(help="Install from this folder, without any network.", metavar="DIR")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Also where other packages are downgraded or removed.")
    ] = False,
) -> int:
    """Show what cures the findings; with --apply install, patch and link it. `undo` takes it back."""
    from paddlevl_doctor.commands.fix import fix as repair
    from paddlevl_doctor.commands.fix import fix_by_file
    from paddlevl_doctor.packages.request import Request
    from paddlevl_doctor.report.json_documents import fix_document

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
        report = repair(RealSystem(), target, request, stage, apply=apply, bar=bar)
    elif apply and request == Request():
        report = fix_by_file(RealSystem(), target, plan, stage, bar)
    else:
        raise UsageError(message("plan-alone"))
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
    from paddlevl_doctor.report.json_documents import undo_document

    stage = common.progress().stage
    report = undo_command(RealSystem(), common.target(), stage, listing=list_, to=to, yes=yes)
    common.answer(lambda: undo_document(report), lambda screen: screen.undo(report, listing=list_))
    return ExitCode.OK


@command(app, "parse", formats=ReadFormat)
def parse(
    common: Common,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...", help="Images, PDFs, folders of them; demo.png is the page that ships."
        ),
    ],
    output: Annotated[
        str, typer.Option("--output", help="Folder for what was read.", metavar="DIR")
    ] = "output",
    engine: Annotated[Engine, typer.Option(help="What reads the documents.")] = Engine.AUTO,
    pipeline: Annotated[Pipeline, typer.Option(help="Which pipeline of PaddleOCR.")] = Pipeline.VL,
    pipeline_version: Annotated[
        PipelineVersion | None,
        typer.Option(help="Of PaddleOCR-VL (default: the newest whose weights are here)."),
    ] = None,
    device: Annotated[
        str, typer.Option(help="auto, cpu, gpu:0 or several: gpu:0,gpu:1", metavar="DEVICE")
    ] = ("auto"),
    resume: Annotated[bool, typer.Option("--resume", help="Keep the pages that were read before.")] = False,
    expect: Annotated[
        str | None, typer.Option(help="Known text, or a folder of them, to judge against.", metavar="PATH")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Similarity with it from which a document passes.")
    ] = None,
    require: Annotated[
        Engine | None, typer.Option(help="Fail unless this engine has read, and no stand-in.")
    ] = None,
    witness: Annotated[
        Witness, typer.Option(help="Which pages the embedded reader reads as well, to find what was lost.")
    ] = Witness.AUTO,
    compare: Annotated[
        str | None,
        typer.Option(help="Read with each of these engines and compare: native,reader", metavar="ENGINES"),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            help="Read on the nodes of this Ray cluster (auto: the one of this machine).", metavar="ADDRESS"
        ),
    ] = None,
    server_url: Annotated[
        str,
        typer.Option(help="OpenAI-compatible server; its key: $PADDLEVL_DOCTOR_API_KEY.", metavar="URL"),
    ] = "",
    server_backend: Annotated[
        Backend | None,
        typer.Option(help="What serves PaddleOCR-VL there (vllm), under whatever name of the model."),
    ] = None,
    server_model: Annotated[str, typer.Option(help="Which of its models.", metavar="NAME")] = "",
    server_prompt: Annotated[
        str, typer.Option(help="What a model other than PaddleOCR-VL is asked.", metavar="TEXT")
    ] = "",
    keep_warm: Annotated[
        float | None,
        typer.Option(
            min=0, help="Let the pipeline wait so long for the next run (0: end it).", metavar="MINUTES"
        ),
    ] = None,
    stall: Annotated[
        float | None,
        typer.Option(min=1, help="End a worker that stands still for so long.", metavar="SECONDS"),
    ] = None,
    fix: Annotated[bool, typer.Option("--fix", help="First install and cure what is needed.")] = False,
    set_name: SetName = None,
    mirror: Mirror = None,
) -> int:
    """Read documents end to end and judge the result."""
    from paddlevl_doctor.commands.parse import parse as read
    from paddlevl_doctor.parsing.run.report import ParseRequest
    from paddlevl_doctor.system.processes import hangup_is_interrupt

    request = ParseRequest(
        inputs=tuple(inputs),
        output=Path(output),
        engine=engine.value,
        pipeline=pipeline.value,
        pipeline_version=pipeline_version.value if pipeline_version else "",
        device=device,
        resume=resume,
        expect=Path(expect) if expect else None,
        threshold=threshold,
        require=require.value if require else None,
        witness=witness.value,
        compare=_compared(compare),
        server_url=server_url,
        server_backend=f"{server_backend.value}-server" if server_backend else "",
        server_model=server_model,
        server_prompt=server_prompt,
        keep_warm=keep_warm,
        stall=stall,
        fix=fix,
        index=mirror,
    )
    progress = common.progress()
    if ray is not None:
        from paddlevl_doctor.cluster import report as view
        from paddlevl_doctor.cluster.parse import parse_on_ray
        from paddlevl_doctor.report.ci_parse import checkout, renderers

        cluster = parse_on_ray(ray, output, common.target(set_name), request, progress.bar, expect)
        common.answer(
            lambda: view.reading_document(cluster),
            lambda screen: view.show_reading(screen, cluster),
            renderers=renderers(view.as_reading(cluster), checkout(os.environ, Path.cwd()), common.language),
        )
        return cluster.exit_code()
    with hangup_is_interrupt():
        report = read(RealSystem(), common.target(set_name), request, progress.stage, progress.bar)
    from paddlevl_doctor.report.ci_parse import checkout, renderers
    from paddlevl_doctor.report.json_documents import parse_document
    from paddlevl_doctor.report.parse import show
    from paddlevl_doctor.report.parse_html import write_page

    if report.story is not None:
        page = write_page(report.story, Path(output), common.language)
        report = replace(report, outputs=(*report.outputs, str(page)))
    common.answer(
        lambda: parse_document(report),
        lambda screen: show(screen, report),
        renderers=renderers(report, checkout(os.environ, Path.cwd()), common.language),
    )
    return report.exit_code()


def _compared(words: str | None) -> tuple[str, ...]:
    if not words:
        return ()
    from paddlevl_doctor.parsing.evaluate.compare_engines import engines_of

    return engines_of(words)


@command(app, "matrix")
def matrix(
    common: Common,
    for_: Annotated[
        str | None,
        typer.Option(
            "--for",
            help="linux, windows, wsl, wsl1, alpine, kaggle, colab, jetson, macos; without: here.",
            metavar="NAME",
        ),
    ] = None,
    gpu: Annotated[
        list[str] | None,
        typer.Option("--gpu", help='A GPU: T4, "RTX 5070 Ti", "2x A100 80GB", 8.9 (may be repeated).'),
    ] = None,
    driver: Annotated[str | None, typer.Option(help="Version of its driver.", metavar="VERSION")] = None,
    python: Annotated[str | None, typer.Option(help="Version of its Python.", metavar="VERSION")] = None,
    arch: Annotated[str | None, typer.Option(help="x86_64 or aarch64.", metavar="NAME")] = None,
    glibc: Annotated[
        str | None, typer.Option(help="Version of its GNU C library.", metavar="VERSION")
    ] = None,
    online: Annotated[
        bool, typer.Option("--online", help="Also read the index page, and say where it differs.")
    ] = False,
    set_name: SetName = None,
    export: Annotated[
        tuple[str, Path] | None,
        typer.Option(
            help="Write a wheelhouse, requirements, dockerfile or notebook for it there.", metavar="KIND DIR"
        ),
    ] = None,
    mirror: Mirror = None,
) -> int:
    """Say what can be installed on this machine or on any other, how much it takes, and which rule says so."""
    from paddlevl_doctor.commands.matrix import MatrixRequest
    from paddlevl_doctor.commands.matrix import matrix as choose
    from paddlevl_doctor.report import matrix as view

    request = MatrixRequest(for_, tuple(gpu or ()), driver, python, set_name, arch, glibc, mirror, online)
    answer = choose(RealSystem(), request, common.venv, common.interpreter)
    files: tuple[Path, ...] = ()
    notes = answer.notes
    if export is not None and answer.possible:
        from paddlevl_doctor.commands.export import Chosen
        from paddlevl_doctor.commands.export import export as write

        machine = answer.machine
        chosen = Chosen(answer.version_set, answer.wheel, machine.host, machine.python, answer.mirror)
        written = write(RealSystem(), export[0], export[1], chosen, common.progress().bytes)
        files, notes = written.files, (*notes, *written.notes)
    common.answer(
        lambda: view.matrix_document(answer, files, notes),
        lambda screen: view.show(screen, answer, files, notes),
    )
    return ExitCode.OK if answer.possible else ExitCode.PROBLEMS


@command(app, "serve")
def serve(
    common: Common,
    backend: Annotated[Backend, typer.Option(help="Which inference server.")] = Backend.VLLM,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show both environments, start nothing.")
    ] = False,
    port: Annotated[int | None, typer.Option(help="Port on 127.0.0.1; default: 8118.")] = None,
    venv_server: Annotated[
        str | None, typer.Option(help="The server's environment; default: .venv-server.", metavar="DIR")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Model, e.g. PaddleOCR-VL-1.6-0.9B; default: the client's.", metavar="NAME"),
    ] = None,
    gpu_memory: Annotated[
        float | None,
        typer.Option(help="Share of the card to reserve; default: what fits.", metavar="FRACTION"),
    ] = None,
    ready_timeout: Annotated[float, typer.Option(help="Seconds until it must answer.")] = 1800.0,
    url: Annotated[
        str | None,
        typer.Option(
            help="Ask this running server instead of starting one; its key: $PADDLEVL_DOCTOR_API_KEY.",
            metavar="URL",
        ),
    ] = None,
    mirror: Mirror = None,
) -> int:
    """Run a server for the vision model in an environment of its own, with the pipeline file for a client."""
    from paddlevl_doctor.commands import serve as verb
    from paddlevl_doctor.report.serve import serve_document, show

    if url is not None:
        if dry_run or (port, venv_server, gpu_memory, mirror) != (None, None, None, None):
            raise UsageError(message("serve-backend-only"))
        report = verb.ask(RealSystem(), common.target(), url, model)
        common.answer(lambda: serve_document(report), lambda screen: show(screen, report))
        return report.exit_code()
    request = verb.ServeRequest(
        backend.value,
        dry_run,
        verb.PORT if port is None else port,
        venv_server or verb.FOLDER,
        model,
        gpu_memory,
        ready_timeout,
        mirror,
    )
    with verb.serving(RealSystem(), common.target(), request, common.progress().stage) as (report, server):
        common.answer(lambda: serve_document(report), lambda screen: show(screen, report))
        if server is not None:
            sys.stdout.flush()
            server.watch()
    return report.exit_code()


@command(pipelines_app, "pipelines", name="list")
def pipelines_list(common: Common) -> int:
    """List PaddleOCR's pipeline names, the PaddleX pipelines behind them, and their files in the target."""
    from paddlevl_doctor.commands.pipelines import list_pipelines
    from paddlevl_doctor.report.json_documents import pipelines_document

    rows = list_pipelines(RealSystem(), common.interpreter, common.venv)
    common.answer(lambda: pipelines_document(rows), lambda screen: screen.pipelines(rows))
    return ExitCode.OK


@command(pipelines_app, "pipelines", name="link")
def pipelines_link(common: Common) -> int:
    """Link ./pipelines to the target's pipeline files; a file or another link of that name is not touched."""
    from paddlevl_doctor.commands.fix import link_pipelines
    from paddlevl_doctor.report.json_documents import fix_document

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
    from paddlevl_doctor.fix.start_variables import script
    from paddlevl_doctor.report.json_documents import document
    from paddlevl_doctor.shells import shell_of

    found = variables(RealSystem(), common.target())
    name = shell.value if shell else shell_of(RealSystem().platform)
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

    detail = show_patch(RealSystem(), patch, common.interpreter, common.venv)
    common.answer(lambda: view.detail_document(detail), lambda screen: view.show_detail(screen, detail))
    return ExitCode.OK


@command(patches_app, "patches", name="status")
def patches_status(common: Common) -> int:
    """Show for every file that a patch knows whether it is as published, patched, or altered by someone else."""
    from paddlevl_doctor.commands.patches import patches_status as look
    from paddlevl_doctor.report import patches as view

    files = look(RealSystem(), common.interpreter, common.venv)
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

    path, chosen = build_wheel(RealSystem(), only or (), output, common.interpreter, common.venv)
    common.answer(
        lambda: view.wheel_document(path, chosen), lambda screen: view.show_wheel(screen, path, chosen)
    )
    return ExitCode.OK


def main() -> None:
    """Run the command line."""
    gc.disable()  # a short process full of imports: collecting garbage would take a tenth of its time
    accept_every_character()
    _only_the_asked_command(sys.argv[1:2])
    app()


def _only_the_asked_command(words: list[str]) -> None:
    """Leave out the other commands: typer would inspect the options of all of them at every start."""
    commands = [c for c in app.registered_commands if c.callback and [c.callback.__name__] == words]
    groups = [group for group in app.registered_groups if [group.name] == words]
    if commands or groups:
        app.registered_commands, app.registered_groups = commands, groups
