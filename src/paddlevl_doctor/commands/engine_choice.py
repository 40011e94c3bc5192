"""Which engine reads, and why it is not the requested one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from paddlevl_doctor.commands.parse_context import VL, ParseContext
from paddlevl_doctor.facts.network import answering_hubs
from paddlevl_doctor.messages import Text, message
from paddlevl_doctor.parsing.engines.devices import resolve_devices
from paddlevl_doctor.parsing.engines.embedded import is_reader_installed
from paddlevl_doctor.parsing.engines.openai import VisionServer
from paddlevl_doctor.parsing.run.report import ParseRequest
from paddlevl_doctor.values.errors import DoctorError, UsageError
from paddlevl_doctor.values.findings import Finding, Status


@dataclass(frozen=True)
class EngineChoice:
    """An engine; `reason` says why it is not the requested one, and is empty where it is."""

    name: str
    reason: Text = ""


def check_options(request: ParseRequest) -> None:
    """Raise UsageError where the engine cannot run with these options, before anything is read."""
    resolve_devices(request.device, 0, ())
    if request.engine == "reader" and not is_reader_installed():
        raise UsageError(message("reader-missing"))
    if request.engine == "server" and not request.server_url:
        raise UsageError(message("server-no-url"))
    if request.engine == "server":
        VisionServer.from_url(request.server_url)


def choose_engine(context: ParseContext, deep: Sequence[Finding]) -> EngineChoice:
    """Return which engine reads; raises UsageError or DoctorError where the requested one cannot.

    `deep` are the findings of a self-test, where one ran.
    """
    request = context.request
    if request.engine == "server" or (request.engine == "auto" and request.server_url):
        return EngineChoice("server")
    if request.engine in ("reader", "selftest"):
        return EngineChoice(request.engine)
    obstacle = _native_obstacle(context, deep)
    if obstacle is None:
        return EngineChoice("native")
    if "native" in (request.engine, request.require):
        raise DoctorError(message("native-impossible", reason=obstacle))
    if is_reader_installed():
        return EngineChoice("reader", message("reader-instead", reason=obstacle))
    raise UsageError(message("no-reader", reason=obstacle))


def _native_obstacle(context: ParseContext, deep: Sequence[Finding]) -> Text | None:
    """Return why a pipeline of PaddleOCR cannot read here, None when it can."""
    facts, request = context.examination.facts, context.request
    if facts.target is None:
        return message("native-no-target")
    wrong = [f for f in (*context.examination.findings, *deep) if f.status is Status.ERROR]
    if wrong:
        return message("native-broken", id=wrong[0].id, title=wrong[0].title)
    if request.pipeline == VL and context.version is None:
        known = ", ".join(context.known_versions) or "-"
        return message("native-no-version", version=request.pipeline_version, known=known)
    if not context.missing_models:
        return None
    with context.stage(message("stage-hub")):
        hubs = answering_hubs(context.system)
    root = facts.cache.root if facts.cache else "?"
    return None if hubs else message("native-no-weights", path=root, models=", ".join(context.missing_models))
