"""The engine `server`: PaddleOCR-VL whose language model runs elsewhere, or any other vision model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from paddlevl_doctor.commands.engines import warm_for
from paddlevl_doctor.commands.examine import Examination
from paddlevl_doctor.errors import DoctorError, UsageError
from paddlevl_doctor.facts.bytecode import probe_environment
from paddlevl_doctor.facts.model import Target
from paddlevl_doctor.facts.network import answering_hubs
from paddlevl_doctor.facts.server import api_key, past_proxies
from paddlevl_doctor.messages import text
from paddlevl_doctor.parsing.chat_engine import ChatEngine, prompt_for
from paddlevl_doctor.parsing.ladder import server_rungs
from paddlevl_doctor.parsing.native import (
    backends_known,
    has_layout,
    known_versions,
    nested_layout,
    readers_of,
    version_for,
)
from paddlevl_doctor.parsing.native_engine import NativeEngine
from paddlevl_doctor.parsing.native_start import NativeSetup
from paddlevl_doctor.parsing.outcome import ParseRequest
from paddlevl_doctor.parsing.outputs import INCIDENTS
from paddlevl_doctor.parsing.pool import Engine
from paddlevl_doctor.parsing.story import Sample
from paddlevl_doctor.parsing.vision_server import BusyError, VisionServer
from paddlevl_doctor.parsing.watch import LIMITS, Limits
from paddlevl_doctor.system import System

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
    setup = _setup(system, target, served, folder, request.output / INCIDENTS, options)
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


def _setup(
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
