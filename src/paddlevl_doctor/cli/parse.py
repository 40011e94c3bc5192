"""The options of `parse`."""

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
    """The pages that the embedded reader also reads, to find omissions."""

    AUTO = "auto"
    ALL = "all"
    NONE = "none"


Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...", help="Images, PDFs, or folders of them; demo.png is the included page."
    ),
]
Output = Annotated[str, typer.Option("--output", help="Folder for the results.", metavar="DIR")]
EngineName = Annotated[Engine, typer.Option(help="Engine that reads the documents.")]
PipelineName = Annotated[Pipeline, typer.Option(help="PaddleOCR pipeline.")]
Version = Annotated[
    PipelineVersion | None,
    typer.Option(help="Version of PaddleOCR-VL; default: the newest with cached weights."),
]
Device = Annotated[
    str, typer.Option(help="Device: auto, cpu, gpu:0, or several: gpu:0,gpu:1.", metavar="DEVICE")
]
Resume = Annotated[bool, typer.Option("--resume", help="Keep the pages of an earlier run.")]
Expect = Annotated[
    str | None, typer.Option(help="Ground truth, or a folder of them, to compare with.", metavar="PATH")
]
Threshold = Annotated[
    float | None, typer.Option(min=0, max=1, help="Lowest similarity to the ground truth that passes.")
]
Require = Annotated[Engine | None, typer.Option(help="Fail unless this engine reads the documents.")]
Witness = Annotated[
    CrossCheck, typer.Option(help="Pages that the embedded reader also reads, to find omissions.")
]
Compare = Annotated[
    str | None,
    typer.Option(
        help="Read with each of these engines and compare the results: native,reader.", metavar="ENGINES"
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        help="Read on the nodes of this Ray cluster (auto: the one of this machine).", metavar="ADDRESS"
    ),
]
ServerUrl = Annotated[
    str,
    typer.Option(
        help="OpenAI-compatible server to read with; its key: $PADDLEVL_DOCTOR_API_KEY.", metavar="URL"
    ),
]
ServerBackend = Annotated[
    Backend | None,
    typer.Option(help="Inference server that serves PaddleOCR-VL at this URL."),
]
ServerModel = Annotated[str, typer.Option(help="Model on the server.", metavar="NAME")]
ServerPrompt = Annotated[
    str, typer.Option(help="Prompt for a model other than PaddleOCR-VL.", metavar="TEXT")
]
KeepWarm = Annotated[
    float | None,
    typer.Option(min=0, help="Keep the pipeline running for the next run (0: end it).", metavar="MINUTES"),
]
Stall = Annotated[
    float | None,
    typer.Option(min=1, help="End a worker that makes no progress for this long.", metavar="SECONDS"),
]
Fix = Annotated[bool, typer.Option("--fix", help="First install and fix what is needed.")]


@command(app, "parse", formats=ReadFormat)
def parse(
    common: Common,
    inputs: Inputs,
    output: Output = "output",
    engine: EngineName = Engine.AUTO,
    pipeline: PipelineName = Pipeline.VL,
    pipeline_version: Version = None,
    device: Device = "auto",
    resume: Resume = False,
    expect: Expect = None,
    threshold: Threshold = None,
    require: Require = None,
    witness: Witness = CrossCheck.AUTO,
    compare: Compare = None,
    ray: RayAddress = None,
    server_url: ServerUrl = "",
    server_backend: ServerBackend = None,
    server_model: ServerModel = "",
    server_prompt: ServerPrompt = "",
    keep_warm: KeepWarm = None,
    stall: Stall = None,
    fix: Fix = False,
    set_name: SetName = None,
    mirror: Mirror = None,
) -> int:
    """Read documents and evaluate the results."""
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
        compare=parse_engine_names(compare) if compare else (),
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
            lambda: cluster_report.parse_document(cluster),
            lambda screen: cluster_report.show_parse(screen, cluster),
            renderers=renderers(
                cluster_report.as_parse_report(cluster), checkout(os.environ, Path.cwd()), common.language
            ),
        )
        return cluster.exit_code()
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
