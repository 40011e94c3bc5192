"""Creates the engines of a run, with their processes, devices, models, variables and limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from paddlevl_doctor import __version__
from paddlevl_doctor.commands.parse_context import VL, ParseContext
from paddlevl_doctor.facts.gpu import GpuUse
from paddlevl_doctor.facts.model_versions import (
    backends_known,
    has_layout,
    nested_layout,
    readers_of,
    version_for,
)
from paddlevl_doctor.facts.network import answering_hubs
from paddlevl_doctor.facts.run_probes import probe_environment, user_cache
from paddlevl_doctor.facts.server import api_key, loopback_exemptions
from paddlevl_doctor.invocation import without_password
from paddlevl_doctor.knowledge.visible_gpus import as_counted, is_guess
from paddlevl_doctor.knowledge.wheel_choice import usable_gpus
from paddlevl_doctor.messages import Text, message
from paddlevl_doctor.parsing.engines.base import Engine
from paddlevl_doctor.parsing.engines.devices import (
    cpu_workers,
    isolate_device,
    resolve_devices,
    tuning_variables,
)
from paddlevl_doctor.parsing.engines.embedded import ReaderEngine, is_reader_installed, threads_for
from paddlevl_doctor.parsing.engines.fallbacks import FallbackCache, server_strategies
from paddlevl_doctor.parsing.engines.native import NativeEngine
from paddlevl_doctor.parsing.engines.native_setup import NativeSetup, WarmWorkers
from paddlevl_doctor.parsing.engines.openai import BusyError, ChatEngine, VisionServer, prompt_for
from paddlevl_doctor.parsing.evaluate.cross_check_queue import CrossCheckQueue
from paddlevl_doctor.parsing.input.page_source import PageSource
from paddlevl_doctor.parsing.output.run_report_model import Sample
from paddlevl_doctor.parsing.output.writer import INCIDENTS
from paddlevl_doctor.parsing.workers.watchdog import LIMITS, Limits
from paddlevl_doctor.values.errors import DoctorError, UsageError

_RELEASED_WEIGHTS_MB = 2200
"""Size of the released models on disk, used for models that are not downloaded yet."""
_SERVER_TIMEOUT = 300.0
"""Timeout of a server; a large model takes tens of seconds per page."""
_DEFAULT_BACKEND = "vllm-server"
_NO_LAYOUT = {"use_layout_detection": False}


@dataclass
class EngineSet:
    """The engines of one run, and their memory samples and incidents."""

    engines: list[Engine] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    incidents: list[Text] = field(default_factory=list)
    devices: tuple[str, ...] = ()
    cache_key: str = ""
    """All settings that influence the text; a page that was stored with another key is read again."""

    def seconds(self) -> dict[str, float]:
        """Return the seconds of the start by stage, of the slowest engine in each stage."""
        slowest: dict[str, float] = {}
        for engine in self.engines:
            for stage, seconds in getattr(engine, "seconds", {}).items():
                slowest[stage] = max(slowest.get(stage, 0.0), seconds)
        return slowest

    def on_stage(self, callback: Callable[[str], None]) -> None:
        """Report each stage of the worker; not for several workers, whose stages would alternate."""
        if len(self.engines) == 1 and isinstance(self.engines[0], NativeEngine):
            self.engines[0].on_stage = callback

    def close(self) -> None:
        """End every engine."""
        for engine in self.engines:
            engine.close()


def create_engines(context: ParseContext, name: str, folder: Path, pages: int) -> EngineSet:
    """Return the engines, not started yet, for a number of pages; `folder` is for their logs.

    Raises UsageError and DoctorError.
    """
    found, system, request = EngineSet(), context.system, context.request
    if name == "reader":
        found.devices = ("cpu",)
        found.cache_key = f"reader rapidocr={metadata.version('rapidocr')} doctor={__version__}"
        threads = threads_for(system.cpu_count(), system.env)
        found.engines.append(ReaderEngine(system.env, folder, threads, found.samples))
        return found
    if name == "server":
        found.devices = ("server",)
        _add_server_engine(context, found, folder)
        return found
    # The device is not part of the key, because the text does not depend on it.
    version = context.version if request.pipeline == VL else ""
    found.cache_key = f"native {request.pipeline} {version} {readers_of(context.target)}"
    found.devices = _devices(context, pages)
    for number, device in enumerate(found.devices):
        setup = _native_setup(context, found.devices, number, folder)
        cache = FallbackCache(system, _environment_key(context), device, request.pipeline)
        found.engines.append(NativeEngine(setup, found.samples, found.incidents, label=device, cache=cache))
    return found


def create_cross_checker(
    context: ParseContext, name: str, source: PageSource, engines: EngineSet
) -> CrossCheckQueue:
    """Return the cross-check with the embedded reader; without one if it reads the pages itself or is not installed.

    It uses half of the cores if an engine runs on the CPU too.
    """
    scope = "none" if name == "reader" else context.request.witness
    if scope == "none" or not is_reader_installed():
        return CrossCheckQueue(source, scope, None)
    cores = context.system.cpu_count() // (2 if "cpu" in engines.devices else 1)
    folder = source.folder / "witness"
    folder.mkdir(exist_ok=True)
    env = context.system.env
    return CrossCheckQueue(source, scope, ReaderEngine(env, folder, threads_for(cores, env)))


# --- the native engine ------------------------------------------------------------------------------------


def _environment_key(context: ParseContext) -> str:
    """Return the target environment and its versions of Paddle's packages as one string."""
    names = ("paddlepaddle", "paddlepaddle-gpu", "paddlex", "paddleocr")
    target = context.target
    return " ".join([target.python, *(f"{name}={target.version_of(name)}" for name in names)])


def _devices(context: ParseContext, pages: int) -> tuple[str, ...]:
    """Return the device of each worker; `cpu` several times if several workers are faster."""
    checked, system = context.examination.context, context.system
    has_wheel = context.target.version_of("paddlepaddle-gpu") is not None
    usable = [gpu.index for gpu in usable_gpus(checked.wheel, checked.target.paddle)] if has_wheel else []
    found = resolve_devices(context.request.device, len(checked.gpus), usable)
    if context.request.device != "auto" or found != ("cpu",):
        return found
    cache = context.examination.facts.cache
    weights = sum(model.size_mb for model in cache.models) if cache else 0
    free_mb = system.memory_mb()[1]
    return found * cpu_workers(system.cpu_count(), free_mb, pages, weights or _RELEASED_WEIGHTS_MB)


def _native_setup(context: ParseContext, devices: tuple[str, ...], number: int, folder: Path) -> NativeSetup:
    """Return the settings of the worker for one of the devices."""
    system, request, facts = context.system, context.request, context.examination.facts
    # The environment points to the bytecode that was compiled when the facts were collected; this saves five seconds.
    env = as_counted(facts.gpus, probe_environment(system, context.target))
    guess = is_guess(facts.gpus.devices, env)
    cores = system.cpu_count()
    device, alone = isolate_device(devices[number], env, workers=len(devices), cores=cores, guess=guess)
    # If the number of the GPU is a guess, NVML could measure another GPU.
    gpu_id = None if guess else alone.get("CUDA_VISIBLE_DEVICES")
    return NativeSetup(
        python=context.target.python,
        device=device,
        env={**tuning_variables(device, facts.host.cpu, facts.host.cpu_flags), **env, **alone},
        folder=folder / f"worker-{number}",
        incident_folder=request.output / INCIDENTS,
        pipeline=request.pipeline,
        options=_pipeline_options(context),
        gpu=GpuUse(system, gpu_id) if gpu_id else lambda _pids: None,
        warm=_warm_workers(context),
        stall=request.stall,
        fresh_cache=lambda: _fresh_cache(context),
    )


def _pipeline_options(context: ParseContext) -> dict[str, Any]:
    """Return the arguments of the pipeline's constructor: the version and the layout model."""
    version = context.version if context.request.pipeline == VL else None
    if version is None:
        return {}
    return {"pipeline_version": version, **nested_layout(version, context.examination.facts.cache)}


def _warm_workers(context: ParseContext) -> WarmWorkers | None:
    """Return the warm workers; None without --keep-warm."""
    minutes = context.request.keep_warm
    if minutes is None:
        return None
    return WarmWorkers(user_cache(context.system) / "warm", minutes, _environment_key(context))


def _fresh_cache(context: ParseContext) -> Path | None:
    """Return a cache for models that must be downloaded again; None if that cannot help.

    It cannot if no hub can be reached, or if this run has just downloaded models.
    """
    can_help = not context.missing_models and answering_hubs(context.system)
    return user_cache(context.system) / "models" if can_help else None


# --- servers ----------------------------------------------------------------------------------------------


def _add_server_engine(context: ParseContext, found: EngineSet, folder: Path) -> None:
    """Add the engine for `--server-url`: PaddleOCR's own client, or one that sends whole pages to any model.

    Raises UsageError and DoctorError where no server answers, or has no such model.
    """
    request = context.request
    server = VisionServer.from_url(
        request.server_url, api_key(context.system.env), request.stall or _SERVER_TIMEOUT
    )
    model = _served_model(context, server)
    reason = _whole_page_reason(context, model)
    if reason:
        found.incidents.append(message("server-direct", model=model, reason=reason))
        prompt = request.server_prompt or prompt_for(model)
        found.engines.append(ChatEngine(server, model, prompt, found.incidents))
        found.cache_key = f"server {model} {prompt}"
        return
    client = _client_options(context, model)
    version = client["pipeline_version"]
    layout = _layout_options(context, version, found.incidents)
    setup = NativeSetup(
        python=context.target.python,
        device="cpu",
        env={
            **probe_environment(context.system, context.target),
            **loopback_exemptions(context.system.env),
            **login_variables(server.url),
        },
        folder=folder / "worker-server",
        incident_folder=request.output / INCIDENTS,
        options={**client, "vl_rec_server_url": without_password(server.url), **layout},
        strategies=server_strategies(layout=layout != _NO_LAYOUT),
        warm=_warm_workers(context),
        limits={**LIMITS, "read": Limits(LIMITS["read"].busy, server.seconds)},
    )
    found.engines.append(NativeEngine(setup, found.samples, found.incidents, label="server"))
    found.cache_key = f"server {(model, version, layout == _NO_LAYOUT, readers_of(context.target))}"


def login_variables(url: str) -> dict[str, str]:
    """Return the variable with the URL of a server for the worker, whose arguments every user of the machine can see.

    It is empty for a URL without a user and a password.
    """
    return {"PADDLEVL_DOCTOR_SERVER_URL": url} if without_password(url) != url else {}


def _served_model(context: ParseContext, server: VisionServer) -> str:
    """Return the requested model of the server, or its only one; raises UsageError and DoctorError."""
    requested = context.request.server_model
    try:
        models = replace(server, seconds=min(server.seconds, 30.0)).models()
    except BusyError as error:
        raise DoctorError(error.message) from error
    if not models or (requested and requested not in models):
        raise DoctorError(message("server-model", model=requested or "?", models=", ".join(models) or "-"))
    if len(models) > 1 and not requested:
        raise UsageError(message("server-which", models=", ".join(models)))
    return requested or models[0]


def _whole_page_reason(context: ParseContext, model: str) -> Text:
    """Return why the model gets whole pages; empty if PaddleOCR's client can send it parts of pages.

    With --server-backend the model is assumed to be PaddleOCR-VL, regardless of its name.
    """
    target = context.examination.facts.target
    if "paddleocr-vl" not in model.lower() and not context.request.server_backend:
        return message("server-other-model")
    if target is None or target.version_of("paddleocr") is None or target.version_of("paddlex") is None:
        return message("native-no-target")
    return ""


def _client_options(context: ParseContext, model: str) -> dict[str, Any]:
    """Return the options of PaddleOCR's client; raises DoctorError if the target does not support them."""
    request, target = context.request, context.target
    backend, known = request.server_backend or _DEFAULT_BACKEND, backends_known(context.system, target)
    if known is not None and backend not in known:
        version, names = target.version_of("paddleocr"), ", ".join(known)
        raise DoctorError(message("server-no-backend", version=version, backend=backend, known=names))
    named = next((version for version in ("v1.6", "v1.5") if version[1:] in model), "v1")
    wanted = request.pipeline_version or named
    version = version_for(wanted, context.known_versions, ())
    if version is None:
        names = ", ".join(context.known_versions) or "-"
        raise DoctorError(message("native-no-version", version=wanted, known=names))
    return {"pipeline_version": version, "vl_rec_backend": backend, "vl_rec_api_model_name": model}


def _layout_options(context: ParseContext, version: str, incidents: list[Text]) -> Mapping[str, Any]:
    """Return the options of the layout model, or those that turn it off if it cannot run here."""
    target, cache = context.target, context.examination.facts.cache
    paddle = target.version_of("paddlepaddle") or target.version_of("paddlepaddle-gpu")
    if paddle and has_layout(version, cache):
        return nested_layout(version, cache)
    if paddle and answering_hubs(context.system):
        return {}
    incidents.append(message("server-no-layout" if paddle else "server-no-paddle"))
    return _NO_LAYOUT
