"""Findings about a server of the vision model: its answers, its environment and its GPU, without I/O.

Each fault gives one finding, which blocks the findings that could not be checked because of it.
"""

from __future__ import annotations

from paddlevl_doctor.checks.base import Diagnosis, ok, problem, skipped
from paddlevl_doctor.checks.runner import describe
from paddlevl_doctor.facts.server import KEY_REFUSED, KEY_VARIABLE, ServerFacts
from paddlevl_doctor.knowledge.servers import Backend
from paddlevl_doctor.knowledge.tables import numbers
from paddlevl_doctor.knowledge.visible_gpus import VISIBLE_DEVICES, find_visible_gpus
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
"""The findings about the answers of a server; each one hides the following ones."""
INSTALLED = ("vlm-server-not-installed", "vlm-server-too-old", "vllm-flash-attn-build")
"""The findings about the environment of a server."""
SERVER_FINDINGS = (*ANSWERS, *INSTALLED, "vllm-gpu-memory", "vl-backend-unknown")


def judge_server(facts: ServerFacts) -> tuple[Finding, ...]:
    """Return one finding for each of ANSWERS, in their order."""
    faults = _faults(facts)
    first = min((ANSWERS.index(name) for name in faults), default=len(ANSWERS))
    return tuple(
        describe(name, faults.get(name) or _no_fault(name, facts))
        if name in faults or number < first
        else describe(name, Diagnosis(Status.BLOCKED), blocked_by=ANSWERS[first])
        for number, name in enumerate(ANSWERS)
    )


def _no_fault(name: str, facts: ServerFacts) -> Diagnosis:
    if name == "vlm-server-proxy" and not (facts.loopback and facts.proxy):
        return skipped(message("evidence-no-proxy"))
    if name == "vlm-server-model-name" and facts.models:
        return ok(f"{facts.url}/models", ", ".join(facts.models))
    if name == "vlm-server-api-key" and facts.key_sent:
        return ok(KEY_VARIABLE, message("evidence-sent"))
    return ok(facts.url, facts.list_status)


def _faults(facts: ServerFacts) -> dict[str, Diagnosis]:
    """Return the fault by finding id. Only a wrong address can have a second fault: the key of the right address."""
    address, status = f"{facts.url}/models", facts.list_status
    answer = f"{status or ''} {facts.list_words}".strip()
    if facts.direct_status == _OK:
        return {"vlm-server-proxy": problem(Status.ERROR, address, answer, proxy=facts.proxy)}
    if facts.interface:
        return _wrong_address(facts, address, answer)
    if status in KEY_REFUSED:
        return {"vlm-server-api-key": _key_problem(facts, address, answer)}
    if _UNAVAILABLE in (status, facts.chat_status):
        return {"vlm-server-loading": problem(Status.ERROR, address, answer)}
    if status != _OK or not facts.models:
        return {"vlm-server-connection": problem(Status.ERROR, address, answer)}
    return _chat_faults(facts)


def _wrong_address(facts: ServerFacts, address: str, answer: str) -> dict[str, Diagnosis]:
    wrong = problem(Status.ERROR, address, answer, url=facts.url, interface=facts.interface)
    if facts.interface_status not in KEY_REFUSED:
        return {"vlm-server-missing-v1": wrong}
    key_problem = _key_problem(facts, f"{facts.interface}/models", str(facts.interface_status))
    return {"vlm-server-missing-v1": wrong, "vlm-server-api-key": key_problem}


def _key_problem(facts: ServerFacts, address: str, answer: str) -> Diagnosis:
    """Report a wrong or a missing API key, without the key itself."""
    why = message("server-key-wrong" if facts.key_sent else "server-key-missing", name=KEY_VARIABLE)
    state = message("evidence-sent-refused" if facts.key_sent else "evidence-unset")
    return Diagnosis(Status.ERROR, (Evidence(address, answer), Evidence(KEY_VARIABLE, state)), {"why": why})


def _chat_faults(facts: ServerFacts) -> dict[str, Diagnosis]:
    """Return the fault of the answer to a chat completion, nothing if there is none."""
    model, models = facts.asked_model, ", ".join(facts.models)
    answer = f"{facts.chat_status or ''} {facts.chat_words}".strip()
    address = f"{facts.url}/chat/completions"
    unknown = model is not None and model not in facts.models
    if unknown or (facts.chat_status == _NOT_FOUND and "does not exist" in facts.chat_words):
        evidence = (Evidence("client", model or "?"), Evidence(f"{facts.url}/models", models))
        return {"vlm-server-model-name": Diagnosis(Status.ERROR, evidence)}
    if facts.chat_status in KEY_REFUSED:
        return {"vlm-server-api-key": _key_problem(facts, address, answer)}
    if facts.chat_asked and facts.chat_status != _OK:
        return {"vlm-server-connection": problem(Status.ERROR, address, answer)}
    return {}


def judge_environment(target: Target, backend: Backend, has_gpu: bool) -> tuple[Finding, ...]:
    """Return the findings of INSTALLED: whether the server is installed, supports the model, and lacks flash-attn."""
    missing, *others = INSTALLED
    version = target.version_of(backend.distribution)
    if version is None:
        evidence = message("evidence-not-installed-in", prefix=target.prefix)
        absent = problem(Status.ERROR, backend.distribution, evidence, name=backend.name)
        blocked = (describe(name, Diagnosis(Status.BLOCKED), blocked_by=missing) for name in others)
        return (describe(missing, absent), *blocked)
    diagnoses = (
        ok(backend.distribution, version),
        _server_version(target, backend, version),
        _flash_attn(target, backend, version, has_gpu),
    )
    return tuple(describe(name, one) for name, one in zip(INSTALLED, diagnoses, strict=True))


def _server_version(target: Target, backend: Backend, version: str) -> Diagnosis:
    if not backend.native:
        return skipped(message("evidence-versions-unknown"))
    if not _lacks_model(backend, version):
        return ok(backend.distribution, version)
    status = (
        Status.WARNING if target.version_of("paddlex") else Status.ERROR
    )  # paddlex registers the model in it
    evidence = message("evidence-native-since", version=version, since=backend.native)
    return problem(status, backend.distribution, evidence)


def _flash_attn(target: Target, backend: Backend, version: str, has_gpu: bool) -> Diagnosis:
    """Judge whether flash-attn is missing: paddlex requires it to start an old server with a GPU.

    Source: paddlex 3.3.0-3.7.2, deps.py.
    """
    if not backend.native or not has_gpu:
        return skipped(message("evidence-no-server-beside-gpu"))
    if not _lacks_model(backend, version):
        return ok(backend.distribution, message("evidence-does-without", version=version))
    if target.version_of("flash-attn"):
        return ok("flash-attn", target.version_of("flash-attn"))
    evidence = message("evidence-asked-for-flash-attn", server=backend.distribution, version=version)
    return problem(Status.WARNING, "flash-attn", evidence)


def _lacks_model(backend: Backend, version: str) -> bool:
    return numbers(version) < numbers(backend.native)


def judge_platform(backend: Backend, facts: Facts, gpu: Gpu | None, why: Text | None) -> Finding:
    """Return whether a server can run here, and on which GPU; `why` is the reason if it cannot."""
    if why is not None:
        wrong = problem(Status.ERROR, "machine", why, names=backend.name, why=why)
        return describe("vllm-platform-and-cc", wrong)
    if not (gpu and backend.minimum):
        return describe("vllm-platform-and-cc", ok("machine", f"{facts.host.system} {facts.host.machine}"))
    notes = find_visible_gpus(facts.gpus, facts.settings).notes
    evidence = (
        Evidence("machine", f"gpu:{gpu.index} ({gpu.name})"),
        *(Evidence(VISIBLE_DEVICES, n.message) for n in notes),
    )
    return describe("vllm-platform-and-cc", Diagnosis(Status.OK, evidence))
