"""Which engine reads, on which devices, and the engines themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from paddlevl_doctor import __version__
from paddlevl_doctor.commands.diagnose import Examination
from paddlevl_doctor.facts.gpu import GpuUse
from paddlevl_doctor.facts.model_versions import (
    backends_known,
    cached_versions,
    has_layout,
    known_versions,
    missing_of_pipeline,
    missing_of_version,
    nested_layout,
    readers_of,
    version_for,
)
from paddlevl_doctor.facts.network import answering_hubs
from paddlevl_doctor.facts.run_probes import probe_environment, user_cache
from paddlevl_doctor.facts.server import api_key, past_proxies
from paddlevl_doctor.knowledge.visible_gpus import as_counted, is_guess
from paddlevl_doctor.knowledge.wheel_choice import served
from paddlevl_doctor.messages import text
from paddlevl_doctor.parsing.engines import fallbacks
from paddlevl_doctor.parsing.engines.base import Engine
from paddlevl_doctor.parsing.engines.devices import alone_on, cpu_workers, devices, faster_on
from paddlevl_doctor.parsing.engines.embedded import ReaderEngine, available, threads_for
from paddlevl_doctor.parsing.engines.fallbacks import server_rungs
from paddlevl_doctor.parsing.engines.native import NativeEngine
from paddlevl_doctor.parsing.engines.native_setup import NativeSetup, Warm
from paddlevl_doctor.parsing.engines.openai import BusyError, ChatEngine, VisionServer, prompt_for
from paddlevl_doctor.parsing.evaluate.cross_check_queue import SecondLook
from paddlevl_doctor.parsing.input.page_source import PageSource
from paddlevl_doctor.parsing.output.run_report_model import Sample
from paddlevl_doctor.parsing.output.writer import INCIDENTS
from paddlevl_doctor.parsing.run.report import ParseRequest
from paddlevl_doctor.parsing.workers.watchdog import LIMITS, Limits
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.errors import DoctorError, UsageError
from paddlevl_doctor.values.facts import Target
from paddlevl_doctor.values.findings import Finding, Stage, Status

VL = "PaddleOCR-VL"
_UNKNOWN_WEIGHTS = 2200
"""MiB that the released models take on disk, where they are still to be downloaded."""


@dataclass(frozen=True)
class Choice:
    """The engine, and why it is not the one that was asked for."""

    name: str
    reason: str = ""


@dataclass
class Staff:
    """The engines of one run, and what they leave behind."""

    engines: list[Engine] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    incidents: list[str] = field(default_factory=list)
    devices: tuple[str, ...] = ()
    reads_with: str = ""
    """Whatever decides the text that they read: pages that something else read are no pages of this run."""

    def seconds(self) -> dict[str, float]:
        """Return the seconds of starting, by stage: the slowest engine's."""
        found: dict[str, float] = {}
        for engine in self.engines:
            for name, seconds in getattr(engine, "seconds", {}).items():
                found[name] = max(found.get(name, 0.0), seconds)
        return found

    def on_stage(self, told: Callable[[str], None]) -> None:
        """Let somebody be told what a worker does; only of a single one can all of it be followed."""
        if len(self.engines) == 1 and isinstance(self.engines[0], NativeEngine):
            self.engines[0].on_stage = told

    def close(self) -> None:
        """End every engine."""
        for engine in self.engines:
            engine.close()


def check_options(request: ParseRequest) -> None:
    """Raise UsageError where the engine cannot run with what was asked for, before anything is read."""
    devices(request.device, 0, ())
    if request.engine == "reader" and not available():
        raise UsageError(text("reader-missing"))
    if request.engine == "server" and not request.server_url:
        raise UsageError(text("server-no-url"))
    if request.engine == "server":
        VisionServer.at(request.server_url)


def choose(
    system: System, stage: Stage, examination: Examination, request: ParseRequest, deep: Sequence[Finding]
) -> Choice:
    """Return which engine reads; raises UsageError or DoctorError where the one that is asked for cannot."""
    if request.engine == "server" or (request.engine == "auto" and request.server_url):
        return Choice("server")
    if request.engine in ("reader", "selftest"):
        return Choice(request.engine)
    obstacle = _native_obstacle(system, stage, examination, request, deep)
    if obstacle is None:
        return Choice("native")
    if "native" in (request.engine, request.require):
        raise DoctorError(text("native-impossible", reason=obstacle))
    if available():
        return Choice("reader", obstacle + " " + text("reader-instead"))
    raise UsageError(obstacle + " " + text("no-reader"))


def _native_obstacle(
    system: System, stage: Stage, examination: Examination, request: ParseRequest, deep: Sequence[Finding]
) -> str | None:
    """Return why a pipeline of PaddleOCR cannot read here, None when it can."""
    facts = examination.facts
    if facts.target is None:
        return text("native-no-target")
    wrong = [f for f in (*examination.findings, *deep) if f.status is Status.ERROR]
    if wrong:
        return text("native-broken", id=wrong[0].id, title=wrong[0].title)
    if request.pipeline == VL and _version(system, examination, request) is None:
        known = known_versions(system, facts.target)
        return text("native-no-version", version=request.pipeline_version, known=", ".join(known) or "-")
    missing = _missing(system, examination, request)
    if not missing:
        return None
    with stage(text("stage-hub")):
        hubs = answering_hubs(system)
    root = facts.cache.root if facts.cache else "?"
    return None if hubs else text("native-no-weights", path=root, models=", ".join(missing))


def hire(
    system: System, examination: Examination, request: ParseRequest, engine: str, folder: Path, pages: int
) -> Staff:
    """Return the engines, not started yet, for so many pages; `folder` is for their logs."""
    staff = Staff()
    if engine == "reader":
        staff.devices = ("cpu",)
        staff.reads_with = f"reader rapidocr={metadata.version('rapidocr')} doctor={__version__}"
        threads = threads_for(system.cpu_count())
        staff.engines.append(ReaderEngine(system.env, folder, threads, staff.samples))
        return staff
    if engine == "server":
        staff.devices = ("server",)
        hired = hire_server(system, examination, request, folder, staff.samples, staff.incidents)
        staff.engines.append(hired.engine)
        staff.reads_with = f"server {hired.reads_with}"
        return staff
    staff.reads_with = _reads_with(system, examination, request)
    staff.devices = _devices(system, examination, request, pages)
    for number, device in enumerate(staff.devices):
        setup = _setup(system, examination, request, staff.devices, number, folder)
        memory = fallbacks.Memory(system, _state(examination), device, request.pipeline)
        staff.engines.append(NativeEngine(setup, staff.samples, staff.incidents, label=device, memory=memory))
    return staff


def hire_witness(
    system: System, request: ParseRequest, engine: str, source: PageSource, staff: Staff
) -> SecondLook:
    """Return who looks at the pages besides: the embedded reader, unless it reads them itself or is not there.

    Beside an engine on the processor it takes half of the cores.
    """
    scope = "none" if engine == "reader" else request.witness
    if scope == "none" or not available():
        return SecondLook(source, scope, None)
    cores = system.cpu_count() // (2 if "cpu" in staff.devices else 1)
    folder = source.folder / "witness"
    folder.mkdir(exist_ok=True)
    return SecondLook(source, scope, ReaderEngine(system.env, folder, threads_for(cores)))


def _state(examination: Examination) -> str:
    """Return the environment and the versions that decide how it reads."""
    target = examination.facts.target
    assert target is not None  # noqa: S101 - _native_obstacle looked
    names = ("paddlepaddle", "paddlepaddle-gpu", "paddlex", "paddleocr")
    return " ".join([target.python, *(f"{name}={target.version_of(name)}" for name in names)])


def _devices(system: System, examination: Examination, request: ParseRequest, pages: int) -> tuple[str, ...]:
    target, context = examination.facts.target, examination.context
    has_wheel = target is not None and target.version_of("paddlepaddle-gpu") is not None
    usable = [gpu.index for gpu in served(context.wheel, context.target.paddle)] if has_wheel else []
    found = devices(request.device, len(context.gpus), usable)
    if request.device != "auto" or found != ("cpu",):
        return found
    cache = examination.facts.cache
    weights = sum(model.size_mb for model in cache.models) if cache else _UNKNOWN_WEIGHTS
    return found * cpu_workers(system.cpu_count(), system.memory_mb()[1], pages, weights or _UNKNOWN_WEIGHTS)


def _setup(
    system: System,
    examination: Examination,
    request: ParseRequest,
    all_devices: tuple[str, ...],
    number: int,
    folder: Path,
) -> NativeSetup:
    target = examination.facts.target
    assert target is not None  # noqa: S101 - _native_obstacle looked
    # A look at the environment has compiled it already, outside of it: that saves five seconds of an import.
    env = as_counted(examination.facts.gpus, probe_environment(system, target))
    guess = is_guess(examination.facts.gpus.devices, env)
    device, alone = alone_on(
        all_devices[number], env, workers=len(all_devices), cores=system.cpu_count(), guess=guess
    )
    host = examination.facts.host
    # Nobody is asked about a card that may be another one.
    card = None if guess else alone.get("CUDA_VISIBLE_DEVICES")
    return NativeSetup(
        python=target.python,
        device=device,
        env={**faster_on(device, host.cpu, host.cpu_flags), **env, **alone},
        folder=folder / f"worker-{number}",
        pipeline=request.pipeline,
        options=_options(system, examination, request),
        kept=request.output / INCIDENTS,
        stall=request.stall,
        warm=warm_for(system, examination, request),
        gpu=GpuUse(system, card) if card else lambda _pids: None,
        fresh_cache=lambda: _fresh_cache(system, examination, request),
    )


def warm_for(system: System, examination: Examination, request: ParseRequest) -> Warm | None:
    """Return where workers are kept for the next run; None where they are not to be kept."""
    if request.keep_warm is None:
        return None
    return Warm(user_cache(system) / "warm", request.keep_warm, _state(examination))


def _fresh_cache(system: System, examination: Examination, request: ParseRequest) -> Path | None:
    """Return where models that are here, and cannot be loaded, are downloaded anew; None where no hub answers.

    Models that were only now downloaded would come as they did.
    """
    are_here = not _missing(system, examination, request)
    return user_cache(system) / "models" if are_here and answering_hubs(system) else None


def _options(system: System, examination: Examination, request: ParseRequest) -> dict[str, Any]:
    """Return the arguments of the pipeline's constructor: which version, and a layout model that lies elsewhere."""
    version = _version(system, examination, request) if request.pipeline == VL else None
    if version is None:
        return {}
    return {"pipeline_version": version, **nested_layout(version, examination.facts.cache)}


def _version(system: System, examination: Examination, request: ParseRequest) -> str | None:
    """Return the version of PaddleOCR-VL that reads, None where the target has none, or not the one asked for."""
    target, cached = examination.facts.target, cached_versions(examination.facts.cache)
    assert target is not None  # noqa: S101 - _native_obstacle looked
    return version_for(request.pipeline_version, known_versions(system, target), cached)


def _missing(system: System, examination: Examination, request: ParseRequest) -> tuple[str, ...]:
    """Return which models are not in the cache, as far as that can be told from outside."""
    target, cache = examination.facts.target, examination.facts.cache
    assert target is not None  # noqa: S101 - _native_obstacle looked
    if request.pipeline != VL:
        return missing_of_pipeline(system, target, request.pipeline, cache)
    version = _version(system, examination, request)
    return (VL,) if version is None else missing_of_version(version, cache)


def _reads_with(system: System, examination: Examination, request: ParseRequest) -> str:
    """Return what decides the text of a native reading: the pipeline and its version, and the code; no device."""
    target = examination.facts.target
    assert target is not None  # noqa: S101 - as above
    version = _version(system, examination, request) if request.pipeline == VL else ""
    return f"native {request.pipeline} {version} {readers_of(target)}"


_PATIENCE = 300.0
"""Seconds for which a server may say nothing: a page of a large model takes tens of them."""
_USUAL_BACKEND = "vllm-server"
_WHOLE = {"use_layout_detection": False}


@dataclass(frozen=True)
class _Served:
    """A server that answers, the model to be asked, and why PaddleOCR's own client does not ask it."""

    server: VisionServer
    model: str
    direct: str = ""


@dataclass(frozen=True)
class Hired:
    """The engine for a server, and what decides the text that comes of it."""

    engine: Engine
    reads_with: str


def hire_server(
    system: System,
    examination: Examination,
    request: ParseRequest,
    folder: Path,
    samples: list[Sample],
    incidents: list[str],
) -> Hired:
    """Return the engine for `--server-url`; raises UsageError and DoctorError where no server answers there."""
    served = _served(system, examination, request)
    if served.direct:
        incidents.append(text("server-direct", model=served.model, reason=served.direct))
        prompt = request.server_prompt or prompt_for(served.model)
        return Hired(ChatEngine(served.server, served.model, prompt, incidents), f"{served.model} {prompt}")
    target = examination.facts.target
    assert target is not None  # noqa: S101 - _why_direct looked
    client = _client(system, target, request, served)
    layout = _layout(system, examination, client["pipeline_version"], incidents)
    options = {**client, "vl_rec_server_url": served.server.url, **layout}
    setup = _serving_setup(system, target, served, folder, request.output / INCIDENTS, options)
    setup = replace(setup, warm=warm_for(system, examination, request))
    decides = (served.model, client["pipeline_version"], layout == _WHOLE, readers_of(target))
    return Hired(NativeEngine(setup, samples, incidents, label="server"), f"{decides}")


def _served(system: System, examination: Examination, request: ParseRequest) -> _Served:
    server = VisionServer.at(request.server_url, api_key(system.env), request.stall or _PATIENCE)
    try:
        models = replace(server, seconds=min(server.seconds, 30.0)).models()
    except BusyError as error:
        raise DoctorError(str(error)) from error
    if not models or (request.server_model and request.server_model not in models):
        raise DoctorError(
            text("server-model", model=request.server_model or "?", models=", ".join(models) or "-")
        )
    if len(models) > 1 and not request.server_model:
        raise UsageError(text("server-which", models=", ".join(models)))
    model = request.server_model or models[0]
    return _Served(server, model, _why_direct(examination, request, model))


def _why_direct(examination: Examination, request: ParseRequest, model: str) -> str:
    """Return why the model is asked for whole pages; empty where PaddleOCR's client asks for parts of them.

    Whoever says what serves PaddleOCR-VL says with it that this is the model, whatever it is called there.
    """
    target = examination.facts.target
    if "paddleocr-vl" not in model.lower() and not request.server_backend:
        return text("server-other-model")
    if target is None or target.version_of("paddleocr") is None or target.version_of("paddlex") is None:
        return text("native-no-target")
    return ""


def _serving_setup(
    system: System, target: Target, served: _Served, folder: Path, kept: Path, options: Mapping[str, Any]
) -> NativeSetup:
    limits = {**LIMITS, "read": Limits(LIMITS["read"].busy, served.server.seconds)}
    return NativeSetup(
        python=target.python,
        device="cpu",
        env={**probe_environment(system, target), **past_proxies(system.env)},
        folder=folder / "worker-server",
        kept=kept,
        options=options,
        limits=limits,
        ladder=server_rungs(layout=options.get("use_layout_detection", True)),
    )


def _client(system: System, target: Target, request: ParseRequest, served: _Served) -> dict[str, Any]:
    """Return how PaddleOCR's client asks; raises DoctorError where the target's knows no such way."""
    backend, known = request.server_backend or _USUAL_BACKEND, backends_known(system, target)
    if known is not None and backend not in known:
        words = {"version": target.version_of("paddleocr"), "backend": backend, "known": ", ".join(known)}
        raise DoctorError(text("server-no-backend", **words))
    named = next((version for version in ("v1.6", "v1.5") if version[1:] in served.model), "v1")
    asked, versions = request.pipeline_version or named, known_versions(system, target)
    version = version_for(asked, versions, ())
    if version is None:
        raise DoctorError(text("native-no-version", version=asked, known=", ".join(versions) or "-"))
    return {
        "pipeline_version": version,
        "vl_rec_backend": backend,
        "vl_rec_api_model_name": served.model,
    }


def _layout(
    system: System, examination: Examination, version: str, incidents: list[str]
) -> Mapping[str, Any]:
    """Leave the layout out where its model cannot run here: then pages are read whole."""
    target, cache = examination.facts.target, examination.facts.cache
    assert target is not None  # noqa: S101 - as above
    paddle = target.version_of("paddlepaddle") or target.version_of("paddlepaddle-gpu")
    if paddle and has_layout(version, cache):
        return nested_layout(version, cache)
    if paddle and answering_hubs(system):
        return {}
    incidents.append(text("server-no-layout" if paddle else "server-no-paddle"))
    return _WHOLE
