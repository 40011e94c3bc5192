"""The engine `server`: PaddleOCR-VL whose language model runs elsewhere, or any other vision model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from paddlevl_doctor.commands.examine import Examination
from paddlevl_doctor.errors import DoctorError, UsageError
from paddlevl_doctor.facts.network import answering_hubs
from paddlevl_doctor.facts.server import api_key, past_proxies
from paddlevl_doctor.messages import text
from paddlevl_doctor.parsing.chat_engine import ChatEngine, prompt_for
from paddlevl_doctor.parsing.ladder import server_rungs
from paddlevl_doctor.parsing.native_engine import NativeEngine, NativeSetup
from paddlevl_doctor.parsing.outcome import ParseRequest
from paddlevl_doctor.parsing.outputs import INCIDENTS
from paddlevl_doctor.parsing.pool import Engine
from paddlevl_doctor.parsing.story import Sample
from paddlevl_doctor.parsing.vision_server import BusyError, VisionServer
from paddlevl_doctor.parsing.watch import LIMITS, Limits
from paddlevl_doctor.system import System

_PATIENCE = 300.0
"""Seconds for which a server may say nothing: a page of a large model takes tens of them."""
_LAYOUT = "PP-DocLayout"


@dataclass(frozen=True)
class _Served:
    """A server that answers, the model to be asked, and why PaddleOCR's own client does not ask it."""

    server: VisionServer
    model: str
    direct: str = ""


def hire_server(
    system: System,
    examination: Examination,
    request: ParseRequest,
    folder: Path,
    samples: list[Sample],
    incidents: list[str],
) -> Engine:
    """Return the engine for `--server-url`; raises UsageError and DoctorError where no server answers there."""
    served = _served(system, examination, request)
    if served.direct:
        incidents.append(text("server-direct", model=served.model, reason=served.direct))
        prompt = request.server_prompt or prompt_for(served.model)
        return ChatEngine(served.server, served.model, prompt, incidents)
    return NativeEngine(
        _setup(system, examination, request, served, folder, incidents), samples, incidents, label="server"
    )


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
    return _Served(server, model, _why_direct(examination, model))


def _why_direct(examination: Examination, model: str) -> str:
    """Return why the model is asked for whole pages; empty where PaddleOCR's client asks for parts of them."""
    target = examination.facts.target
    if "paddleocr-vl" not in model.lower():
        return text("server-other-model")
    if target is None or target.version_of("paddleocr") is None or target.version_of("paddlex") is None:
        return text("native-no-target")
    return ""


def _setup(
    system: System,
    examination: Examination,
    request: ParseRequest,
    served: _Served,
    folder: Path,
    incidents: list[str],
) -> NativeSetup:
    target = examination.facts.target
    assert target is not None  # noqa: S101 - _why_direct looked
    layout = _layout(system, examination, incidents)
    limits = {**LIMITS, "read": Limits(LIMITS["read"].busy, served.server.seconds)}
    return NativeSetup(
        python=target.python,
        device="cpu",
        env={k: v for k, v in system.env.items() if k != "PYTHONDONTWRITEBYTECODE"}
        | past_proxies(system.env),
        folder=folder / "worker-server",
        kept=request.output / INCIDENTS,
        options={**_options(request, served), **layout},
        limits=limits,
        ladder=server_rungs(layout=not layout),
    )


def _options(request: ParseRequest, served: _Served) -> dict[str, Any]:
    version = next((v for v in ("1.6", "1.5") if v in served.model), "1")
    return {
        "pipeline_version": f"v{version}",
        "vl_rec_backend": request.server_backend,
        "vl_rec_server_url": served.server.url,
        "vl_rec_api_model_name": served.model,
    }


def _layout(system: System, examination: Examination, incidents: list[str]) -> dict[str, bool]:
    """Leave the layout out where its model cannot run here: then pages are read whole."""
    target, cache = examination.facts.target, examination.facts.cache
    assert target is not None  # noqa: S101 - as above
    paddle = target.version_of("paddlepaddle") or target.version_of("paddlepaddle-gpu")
    known = any(_LAYOUT in model.name and not model.missing for model in cache.models) if cache else False
    if paddle and (known or answering_hubs(system)):
        return {}
    incidents.append(text("server-no-layout" if paddle else "server-no-paddle"))
    return {"use_layout_detection": False}
