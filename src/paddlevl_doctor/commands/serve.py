"""`serve`: runs a server for the vision model in a separate environment, and configures a client for it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from paddlevl_doctor.checks.base import Diagnosis, problem
from paddlevl_doctor.checks.runner import describe
from paddlevl_doctor.checks.server import judge_environment, judge_platform, judge_server
from paddlevl_doctor.commands.diagnose import TargetOptions, examine
from paddlevl_doctor.commands.judge_facts import Examination
from paddlevl_doctor.facts.collect import PIPELINES
from paddlevl_doctor.facts.server import ask_server
from paddlevl_doctor.facts.target import Choice as TargetChoice
from paddlevl_doctor.facts.target import collect_target, python_of, refuse_foreign
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.knowledge.catalogue import Pipeline, load_models, load_pipelines
from paddlevl_doctor.knowledge.servers import Backend, load_backends, load_server_memory
from paddlevl_doctor.knowledge.tables import numbers
from paddlevl_doctor.knowledge.version_sets import default_set
from paddlevl_doctor.messages import Text, message
from paddlevl_doctor.packages.indexes import IndexChoice, choose_index
from paddlevl_doctor.packages.request import Request
from paddlevl_doctor.packages.uv import index_options
from paddlevl_doctor.serve import process
from paddlevl_doctor.serve.plan import (
    Choice,
    ServerPlan,
    Share,
    choose_gpu,
    gpus_unknown,
    is_too_old,
    plan_server,
    refusal,
)
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.errors import UsageError
from paddlevl_doctor.values.facts import Facts, Target
from paddlevl_doctor.values.findings import Evidence, ExitCode, Finding, Stage, Status

FOLDER = ".venv-server"
PORT = 8118
"""The port in PaddleOCR's documentation."""


@dataclass(frozen=True)
class ServeRequest:
    """The options of `serve`."""

    backend: str = "vllm"
    dry_run: bool = False
    port: int = PORT
    folder: str = FOLDER
    model: str | None = None
    """PaddleX's name of the model; None: the newest that the client's paddlex has."""
    fraction: float | None = None
    ready_timeout: float = process.READY_TIMEOUT
    index: str | None = None
    """The package index, as for `fix --mirror`; None: the one that uv or pip is configured for."""
    names_folder: bool = False
    """Whether the user named the folder."""


@dataclass(frozen=True)
class Running:
    """A server that has answered a real request."""

    pid: int
    url: str
    seconds: float
    """From the start of its process to the first answer."""
    log: str


@dataclass(frozen=True)
class ServeReport:
    """The report of `serve`. `plan` is None for the check of a running server."""

    findings: tuple[Finding, ...]
    plan: ServerPlan | None = None
    running: Running | None = None
    dry_run: bool = False
    url: str | None = None
    notes: tuple[Text, ...] = ()
    """Notes about the chosen index."""

    def exit_code(self) -> ExitCode:
        """Return 1 for an error, else 3 for a check without a result, else 0."""
        statuses = {finding.status for finding in self.findings}
        if Status.ERROR in statuses:
            return ExitCode.PROBLEMS
        return ExitCode.NOT_LOOKED_AT if Status.UNKNOWN in statuses else ExitCode.OK


def check_server(system: System, options: TargetOptions, url: str, model: str | None) -> ServeReport:
    """Check a running server; without `model`, with the model that the target's client would request."""
    wanted = model or client_model(system, examine(system, options).facts)
    return ServeReport(judge_server(ask_server(system, url, wanted)), url=url)


def client_model(system: System, facts: Facts) -> str | None:
    """Return the model that the pipeline of the target requests by default, None without a client."""
    if facts.target is None or facts.target.version_of("paddlex") is None:
        return None
    return _pipeline(system, facts.target, None).language_model


@contextlib.contextmanager
def serving(
    system: System, options: TargetOptions, request: ServeRequest, stage: Stage
) -> Iterator[tuple[ServeReport, process.Server | None]]:
    """Plan, prepare and start a server, and stop it at the end; yield the report, and the server if it runs.

    With `dry_run`, or after an error in the report, no server is started. Raises UsageError for invalid options,
    DoctorError if the server does not start, RolledBackError if its environment cannot be created.
    """
    report, adopted = _plan_report(system, options, request)
    if request.dry_run or report.plan is None or report.exit_code() is not ExitCode.OK:
        yield report, None
        return
    plan = report.plan
    if not system.port_is_free(request.port):
        raise UsageError(message("serve-port-taken", port=request.port))
    process.prepare(system, plan, stage, adopted=adopted)
    process.write_client_file(system, plan)
    with process.started(system, plan, stage, request.ready_timeout) as server:
        running = Running(server.pid, plan.url, server.seconds, str(server.log))
        yield replace(report, running=running), server


def _plan_report(system: System, options: TargetOptions, request: ServeRequest) -> tuple[ServeReport, bool]:
    """Return the report with its plan, and whether the server's environment was not created by the doctor."""
    if not 0 < request.port < 1 << 16:
        raise UsageError(message("serve-port-unusable", port=request.port))
    if request.fraction is not None and not 0 < request.fraction <= 1:
        raise UsageError(message("serve-fraction-unusable", fraction=request.fraction))
    backend = load_backends()[request.backend]
    examination = examine(system, options)
    facts = examination.facts
    folder = system.cwd() / request.folder
    if not request.names_folder:
        refuse_foreign(system, folder, f"--venv-server {request.folder}")
    adopted = _adopted(system, folder, backend)
    installed = _inventory(system, folder) if adopted else None
    choice = _choice(system, examination, request, backend, folder)
    source = _sources(system, request, backend, choice, adopted=adopted)
    words = tuple(index_options(source.request.index, source.request.extra_indexes))
    choice = replace(choice, target=_target_options(options), adopted=adopted, indexes=words)
    plan = plan_server(choice, facts)
    findings = _findings(system, backend, facts, plan, installed)
    return ServeReport(findings, plan, dry_run=request.dry_run, notes=source.notes), adopted


def _sources(
    system: System, request: ServeRequest, backend: Backend, choice: Choice, *, adopted: bool
) -> IndexChoice:
    """Choose the index as `fix` does; without packages to install, no mirror is measured."""
    wanted = Request(index=request.index)
    if backend.program or adopted:
        return IndexChoice(wanted)
    return choose_index(system, wanted, choice.version_set.paddle_cpu)


def _target_options(options: TargetOptions) -> tuple[str, ...]:
    """Return the options that name the client's environment, empty if there are none."""
    pairs = (("--venv", options.venv), ("--python", options.python))
    return tuple(word for name, value in pairs if value for word in (name, value))


def _adopted(system: System, folder: Path, backend: Backend) -> bool:
    """Return whether the folder is an environment that the doctor did not create.

    Raises UsageError for a folder with other files.
    """
    if backend.program or not system.exists(folder):
        return False
    if system.exists(folder / process.MARK):
        return False
    if system.exists(python_of(folder, system.platform)):
        return True
    if system.names(folder) or system.read_bytes(folder) is not None:
        raise UsageError(message("venv-is-not-one", path=folder, python=python_of(folder, system.platform)))
    return False


def _inventory(system: System, folder: Path) -> Target | None:
    choice = TargetChoice(python_of(folder, system.platform), str(folder), explicit=True)
    found = collect_target(system, choice)
    return found if isinstance(found, Target) else None


def _choice(
    system: System,
    examination: Examination,
    request: ServeRequest,
    backend: Backend,
    folder: Path,
) -> Choice:
    context = examination.context
    pipeline = _pipeline(system, context.facts.target, request.model)
    return Choice(
        backend,
        next(model for model in load_models() if model.name == pipeline.language_model),
        pipeline,
        request.port,
        folder,
        backend.python,
        context.wheel,
        default_set(),
        load_server_memory(),
        request.fraction,
        _pipeline_text(system, context.facts.target, pipeline),
    )


def _pipeline(system: System, target: Target | None, model: str | None) -> Pipeline:
    """Return the pipeline of the named model, else the newest that the target's paddlex has, else the newest."""
    known = [pipeline for pipeline in load_pipelines() if pipeline.language_model]
    named = next((p for p in known if model in (p.language_model, p.paddlex)), None)
    if model is not None and named is None:
        names = ", ".join(str(pipeline.language_model) for pipeline in known)
        raise UsageError(message("serve-unknown-model", name=model, names=names))
    known.sort(key=lambda pipeline: numbers(pipeline.since), reverse=True)
    there = (p for p in known if _pipeline_text(system, target, p) is not None)
    return named or next(there, known[0])


def _pipeline_text(system: System, target: Target | None, pipeline: Pipeline) -> str | None:
    if target is None:
        return None
    return system.read_text(Path(target.folder_of("paddlex")) / PIPELINES / pipeline.file)


def _findings(
    system: System, backend: Backend, facts: Facts, plan: ServerPlan, installed: Target | None
) -> tuple[Finding, ...]:
    platform = _platform(system, backend, facts)
    found = [platform]
    if facts.target is not None and is_too_old(backend, facts.target):
        said = f"{facts.target.version_of('paddleocr')}; {backend.client} is known since {backend.since}"
        found.append(describe("vl-backend-unknown", problem(Status.ERROR, "paddleocr", said)))
    if platform.status is Status.OK and plan.share is not None:
        found.append(describe("vllm-gpu-memory", _memory(plan.share)))
    if installed is not None:
        found += judge_environment(installed, backend, bool(facts.gpus.devices))
    if plan.proof is not None and plan.proof.clashes:  # the reason why the plan has two environments
        evidence = tuple(Evidence(c.package, f"{c.paddle}, or {c.server}") for c in plan.proof.clashes)
        found.append(
            describe("vllm-same-env-conflict", Diagnosis(Status.NOTE, evidence, {"names": backend.name}))
        )
    return tuple(found)


def _platform(system: System, backend: Backend, facts: Facts) -> Finding:
    why: Text | None = refusal(backend, facts)
    if why is None and backend.program and system.which(backend.program) is None:
        why = message("serve-no-program", program=backend.program)
    if why is None and gpus_unknown(backend, facts):
        said = facts.gpus.detail or str(facts.gpus.reason)
        return describe(
            "vllm-platform-and-cc", problem(Status.UNKNOWN, "NVML", said, names=backend.name, why=said)
        )
    return judge_platform(backend, facts, choose_gpu(backend, facts), why)


def _memory(share: Share) -> Diagnosis:
    said = (
        f"{share.fraction:.2f} of {share.total_mb} MiB = {share.reserved_mb} MiB; needed {share.needed_mb} MiB, "
        f"free {share.free_mb} MiB"
    )
    return Diagnosis(Status.OK if share.enough else Status.ERROR, (Evidence("GPU", said),))
