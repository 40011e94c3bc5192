"""Findings about a server of the vision model: what it answered, and what its environment and card have; pure.

One fault gives one finding. What could not be looked at because of it is blocked by it.
"""

from __future__ import annotations

from paddlevl_doctor.checks.base import Diagnosis, ok, problem, skipped
from paddlevl_doctor.checks.runner import describe
from paddlevl_doctor.facts.server import KEY, NO_KEY, ServerFacts
from paddlevl_doctor.knowledge.data_files import numbers
from paddlevl_doctor.knowledge.servers import Backend
from paddlevl_doctor.knowledge.visible_gpus import LIST, find_visible_gpus
from paddlevl_doctor.messages import Text, message
from paddlevl_doctor.values.facts import Facts, Gpu, Target
from paddlevl_doctor.values.findings import Evidence, Finding, Status

_OK, _UNAVAILABLE, _NOT_FOUND = 200, 503, 404

ANSWERS = (
    "vlm-server-connection",
    "vlm-server-proxy",
    "vlm-server-api-key",
    "vlm-server-missing-v1",
    "vlm-server-loading",
    "vlm-server-model-name",
)
"""What an asked server can be found to have, in the order in which one hides the next."""
INSTALLED = ("vlm-server-not-installed", "vlm-server-too-old", "vllm-flash-attn-build")
"""What the environment of a server can be found to have."""
SEEN_BY_SERVE = (*ANSWERS, *INSTALLED, "vllm-gpu-memory", "vl-backend-unknown")


def judge_server(facts: ServerFacts) -> tuple[Finding, ...]:
    """Say what is wrong with the answers of a server: one finding for each of ANSWERS, in their order."""
    faults = _faults(facts)
    first = min((ANSWERS.index(name) for name in faults), default=len(ANSWERS))
    return tuple(
        describe(name, faults.get(name) or _right(name, facts))
        if name in faults or place < first
        else describe(name, Diagnosis(Status.BLOCKED), blocked_by=ANSWERS[first])
        for place, name in enumerate(ANSWERS)
    )


def _right(name: str, facts: ServerFacts) -> Diagnosis:
    if name == "vlm-server-proxy" and not (facts.loopback and facts.proxy):
        return skipped(message("evidence-no-proxy"))
    if name == "vlm-server-model-name" and facts.models:
        return ok(f"{facts.url}/models", ", ".join(facts.models))
    if name == "vlm-server-api-key" and facts.key_sent:
        return ok(KEY, message("evidence-sent"))
    return ok(facts.url, facts.list_status)


def _faults(facts: ServerFacts) -> dict[str, Diagnosis]:
    """Return what is wrong, by the entry: one thing, or a wrong address and the key that the right one wants."""
    address, status = f"{facts.url}/models", facts.list_status
    said = f"{status or ''} {facts.list_words}".strip()
    if facts.direct_status == _OK:
        return {"vlm-server-proxy": problem(Status.ERROR, address, said, proxy=facts.proxy)}
    if facts.interface:
        return _wrong_address(facts, address, said)
    if status in NO_KEY:
        return {"vlm-server-api-key": _no_key(facts, address, said)}
    if _UNAVAILABLE in (status, facts.chat_status):
        return {"vlm-server-loading": problem(Status.ERROR, address, said)}
    if status != _OK or not facts.models:
        return {"vlm-server-connection": problem(Status.ERROR, address, said)}
    return _faults_of_a_request(facts)


def _wrong_address(facts: ServerFacts, address: str, said: str) -> dict[str, Diagnosis]:
    wrong = problem(Status.ERROR, address, said, url=facts.url, interface=facts.interface)
    if facts.interface_status not in NO_KEY:
        return {"vlm-server-missing-v1": wrong}
    no_key = _no_key(facts, f"{facts.interface}/models", str(facts.interface_status))
    return {"vlm-server-missing-v1": wrong, "vlm-server-api-key": no_key}


def _no_key(facts: ServerFacts, address: str, said: str) -> Diagnosis:
    """Tell a key that is wrong from one that is missing; the key itself is shown to nobody."""
    why = message("server-key-wrong" if facts.key_sent else "server-key-missing", name=KEY)
    evidence = (
        Evidence(address, said),
        Evidence(KEY, message("evidence-sent-refused" if facts.key_sent else "evidence-unset")),
    )
    return Diagnosis(Status.ERROR, evidence, {"why": why})


def _faults_of_a_request(facts: ServerFacts) -> dict[str, Diagnosis]:
    asked, there = facts.asked_model, ", ".join(facts.models)
    said = f"{facts.chat_status or ''} {facts.chat_words}".strip()
    source = f"{facts.url}/chat/completions"
    unknown = asked is not None and asked not in facts.models
    if unknown or (facts.chat_status == _NOT_FOUND and "does not exist" in facts.chat_words):
        evidence = (Evidence("client", asked or "?"), Evidence(f"{facts.url}/models", there))
        return {"vlm-server-model-name": Diagnosis(Status.ERROR, evidence)}
    if facts.chat_status in NO_KEY:
        return {"vlm-server-api-key": _no_key(facts, source, said)}
    if facts.chat_asked and facts.chat_status != _OK:
        return {"vlm-server-connection": problem(Status.ERROR, source, said)}
    return {}


def judge_environment(target: Target, backend: Backend, has_gpu: bool) -> tuple[Finding, ...]:
    """Say whether an environment has this server, whether that knows PaddleOCR-VL, and what is left to be compiled."""
    missing, *others = INSTALLED
    version = target.version_of(backend.distribution)
    if version is None:
        absent = problem(
            Status.ERROR,
            backend.distribution,
            message("evidence-not-installed-in", prefix=target.prefix),
            name=backend.name,
        )
        blocked = (describe(name, Diagnosis(Status.BLOCKED), blocked_by=missing) for name in others)
        return (describe(missing, absent), *blocked)
    found = (ok(backend.distribution, version), _age(target, backend), _flash_attn(target, backend, has_gpu))
    return tuple(describe(name, one) for name, one in zip(INSTALLED, found, strict=True))


def _age(target: Target, backend: Backend) -> Diagnosis:
    if not backend.native:
        return skipped(message("evidence-versions-unknown"))
    version = target.version_of(backend.distribution) or ""
    if not _older(version, backend):
        return ok(backend.distribution, version)
    status = Status.WARNING if target.version_of("paddlex") else Status.ERROR  # paddlex teaches it the model
    return problem(
        status, backend.distribution, message("evidence-native-since", version=version, since=backend.native)
    )


def _flash_attn(target: Target, backend: Backend, has_gpu: bool) -> Diagnosis:
    """An old server starts through paddlex, which wants flash-attn beside a GPU (paddlex 3.3.0-3.7.2, deps.py)."""
    if not backend.native or not has_gpu:
        return skipped(message("evidence-no-server-beside-gpu"))
    version = target.version_of(backend.distribution) or ""
    if not _older(version, backend):
        return ok(backend.distribution, message("evidence-does-without", version=version))
    if target.version_of("flash-attn"):
        return ok("flash-attn", target.version_of("flash-attn"))
    return problem(
        Status.WARNING,
        "flash-attn",
        message("evidence-asked-for-flash-attn", server=backend.distribution, version=version),
    )


def _older(version: str, backend: Backend) -> bool:
    return numbers(version) < numbers(backend.native)


def judge_platform(backend: Backend, facts: Facts, gpu: Gpu | None, why: Text | None) -> Finding:
    """Say whether a server can run here, and on which card; `why` is the reason why not."""
    if why is not None:
        wrong = problem(Status.ERROR, "machine", why, names=backend.name, why=why)
        return describe("vllm-platform-and-cc", wrong)
    if not (gpu and backend.minimum):
        return describe("vllm-platform-and-cc", ok("machine", f"{facts.host.system} {facts.host.machine}"))
    said = (Evidence(LIST, one.message) for one in find_visible_gpus(facts.gpus, facts.settings).said)
    shown = (Evidence("machine", f"gpu:{gpu.index} ({gpu.name})"), *said)
    return describe("vllm-platform-and-cc", Diagnosis(Status.OK, shown))
