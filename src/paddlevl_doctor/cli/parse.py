"""`parse`."""

from __future__ import annotations

import os
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from paddlevl_doctor.cli.common import Backend, Common, Mirror, ReadFormat, SetName, command
from paddlevl_doctor.cluster import report as cluster_report
from paddlevl_doctor.cluster.parse import parse_on_ray
from paddlevl_doctor.commands.parse import parse as run_parse
from paddlevl_doctor.parsing.evaluate.compare_engines import parse_engine_names
from paddlevl_doctor.parsing.run.report import ParseRequest
from paddlevl_doctor.report.ci_parse import checkout, renderers
from paddlevl_doctor.report.json_documents import parse_document
from paddlevl_doctor.report.parse import show
from paddlevl_doctor.report.parse_html import write_page
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.system.processes import hangup_is_interrupt

app = typer.Typer(rich_markup_mode=None)


class Engine(str, Enum):
    """The engine that reads the documents."""

    AUTO = "auto"
    NATIVE = "native"
    SERVER = "server"
    READER = "reader"
    SELFTEST = "selftest"


class Pipeline(str, Enum):
    """The pipeline of PaddleOCR that reads the documents."""

    VL = "PaddleOCR-VL"
    STRUCTURE = "PP-StructureV3"
    OCR = "OCR"


class PipelineVersion(str, Enum):
    """The version of PaddleOCR-VL, named as in PaddleOCR's own command line."""

    V1_6 = "v1.6"
    V1_5 = "v1.5"
    V1 = "v1"


class CrossCheck(str, Enum):
    """The pages that the embedded reader reads as well."""

    AUTO = "auto"
    ALL = "all"
    NONE = "none"


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
        CrossCheck, typer.Option(help="Which pages the embedded reader reads as well, to find what was lost.")
    ] = CrossCheck.AUTO,
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
        cluster = parse_on_ray(ray, output, common.target(set_name), request, progress.bar, expect)
        common.answer(
            lambda: cluster_report.reading_document(cluster),
            lambda screen: cluster_report.show_reading(screen, cluster),
            renderers=renderers(
                cluster_report.as_reading(cluster), checkout(os.environ, Path.cwd()), common.language
            ),
        )
        return cluster.exit_code()
    with hangup_is_interrupt():
        report = run_parse(RealSystem(), common.target(set_name), request, progress.stage, progress.bar)

    if report.run_report is not None:
        page = write_page(report.run_report, Path(output), common.language)
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

    return parse_engine_names(words)
