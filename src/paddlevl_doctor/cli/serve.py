"""The options of `serve`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from paddlevl_doctor.cli.common import Backend, Common, Mirror, command
from paddlevl_doctor.commands.serve import FOLDER, PORT, ServeRequest, check_server, serving
from paddlevl_doctor.messages import message
from paddlevl_doctor.report.serve import serve_document, show
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.errors import UsageError

app = typer.Typer(rich_markup_mode=None)


@command(app, "serve")
def serve(
    common: Common,
    backend: Annotated[Backend, typer.Option(help="Inference server.")] = Backend.VLLM,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show both environments and start nothing.")
    ] = False,
    port: Annotated[int | None, typer.Option(help="Port on 127.0.0.1; default: 8118.")] = None,
    venv_server: Annotated[
        str | None, typer.Option(help="Environment of the server; default: .venv-server.", metavar="DIR")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Model, e.g. PaddleOCR-VL-1.6-0.9B; default: the one that the client uses.", metavar="NAME"
        ),
    ] = None,
    gpu_memory: Annotated[
        float | None,
        typer.Option(
            help="Share of the GPU memory to reserve; default: chosen by GPU memory.", metavar="FRACTION"
        ),
    ] = None,
    ready_timeout: Annotated[float, typer.Option(help="Seconds until the server must answer.")] = 1800.0,
    url: Annotated[
        str | None,
        typer.Option(
            help="Check this running server instead of starting one; its key: $PADDLEVL_DOCTOR_API_KEY.",
            metavar="URL",
        ),
    ] = None,
    mirror: Mirror = None,
) -> int:
    """Run a server for the vision model in a separate environment, and write the pipeline file for its clients."""
    if url is not None:
        if dry_run or (port, venv_server, gpu_memory, mirror) != (None, None, None, None):
            raise UsageError(message("serve-backend-only"))
        report = check_server(RealSystem(), common.target(), url, model)
        common.answer(lambda: serve_document(report), lambda screen: show(screen, report))
        return report.exit_code()
    request = ServeRequest(
        backend.value,
        dry_run,
        PORT if port is None else port,
        venv_server or FOLDER,
        model,
        gpu_memory,
        ready_timeout,
        mirror,
        names_folder=venv_server is not None,
    )
    with serving(RealSystem(), common.target(), request, common.progress().stage) as (report, server):
        common.answer(lambda: serve_document(report), lambda screen: show(screen, report))
        if server is not None:
            sys.stdout.flush()
            server.watch()
    return report.exit_code()
