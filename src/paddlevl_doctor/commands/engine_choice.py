"""Chooses the engine of a run, and explains why it is not the requested one."""

from __future__ import annotations

from collections.abc import Sequence

from paddlevl_doctor.commands.parse_context import VL, ParseContext
from paddlevl_doctor.facts.network import answering_hubs
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import Text, message
from paddlevl_doctor.parsing.engines.devices import resolve_devices
from paddlevl_doctor.parsing.engines.embedded import is_reader_installed
from paddlevl_doctor.parsing.engines.openai import VisionServer
from paddlevl_doctor.parsing.run.report import ParseRequest
from paddlevl_doctor.values.errors import DoctorError, UsageError
from paddlevl_doctor.values.findings import Finding, Status


@dataclass(frozen=True)
class EngineChoice:
    """The chosen engine; `reason` is why it is not the requested one, empty if it is."""

    name: str
    reason: Text = ""


def check_options(request: ParseRequest) -> None:
    """Raise UsageError if the engine cannot run with these options."""
    resolve_devices(request.device, 0, ())
    if request.engine == "reader" and not is_reader_installed():
        raise UsageError(message("reader-missing"))
    if request.engine == "server" and not request.server_url:
        raise UsageError(message("server-no-url"))
    if request.engine == "server":
        VisionServer.from_url(request.server_url)


def choose_engine(context: ParseContext, deep: Sequence[Finding]) -> EngineChoice:
    """Return the engine to use; raises UsageError or DoctorError if the requested one cannot run.

    `deep` are the findings of a self-test, empty if none ran.
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
    """Return why the native engine cannot read, None if it can."""
    facts, request = context.examination.facts, context.request
    if facts.target is None:
        return message("native-no-target")
    findings = (*context.examination.findings, *deep)
    error = next((finding for finding in findings if finding.status is Status.ERROR), None)
    if error is not None:
        return message("native-broken", id=error.id, title=error.title)
    if request.pipeline == VL and context.version is None:
        known = ", ".join(context.known_versions) or "-"
        return message("native-no-version", version=request.pipeline_version, known=known)
    if not context.missing_models:
        return None
    with context.stage(message("stage-hub")):
        hubs = answering_hubs(context.system)
    root = facts.cache.root if facts.cache else "?"
    return None if hubs else message("native-no-weights", path=root, models=", ".join(context.missing_models))
