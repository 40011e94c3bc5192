"""Turns the results of the deep probes, which facts/collect_deep.py collects, into findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from paddlevl_doctor.checks.base import Context, Diagnosis, error_text, first_line, ok, problem, skipped
from paddlevl_doctor.checks.file_findings import (
    DAMAGE,
    LIBRARIES,
    damaged_files,
    diagnoses,
    is_named,
    without,
)
from paddlevl_doctor.checks.index_page import INDEX, judge_page
from paddlevl_doctor.checks.overlaps import shared_names
from paddlevl_doctor.checks.runner import describe
from paddlevl_doctor.knowledge.failures import Failure, load_all
from paddlevl_doctor.knowledge.version_sets import fits
from paddlevl_doctor.logs.recognise import match
from paddlevl_doctor.messages import message
from paddlevl_doctor.values.facts import DeepFacts, ProbeResult, did_import, unending_import
from paddlevl_doctor.values.findings import Evidence, Finding, Status

_WORST_LAST = (Status.NOTE, Status.WARNING, Status.ERROR)


@dataclass
class Causes:
    """Collects the known failures that probe errors match, in the order of the first match."""

    context: Context
    damaged: tuple[str, ...] = ()
    """The files, relative to site-packages, that RECORD contradicts: an error that names one has no other cause."""
    matched: dict[str, tuple[Status, list[Evidence]]] = field(default_factory=dict)

    def add(self, error_text: str, source: str, status: Status = Status.ERROR) -> str | None:
        """Return the id of the known failure that an error text shows, and record it; None if it is unknown."""
        if any(is_named(path, error_text) for path in self.damaged):
            return DAMAGE
        matches = match(error_text, load_all(), system=self.context.facts.host.system)
        failures = [one.failure for one in matches if one.failure.weight != "consequence"]
        cause = next((failure for failure in failures if self._applies(failure)), None)
        if cause is None:
            return None
        former, evidence = self.matched.get(cause.id, (status, []))
        evidence.append(Evidence(source, first_line(error_text)))
        self.matched[cause.id] = (max(former, status, key=_WORST_LAST.index), evidence)
        return cause.id

    def crash(self, detail: str, source: str) -> str | None:
        """Return the id of the known failure that ended a process by a signal; None if it is unknown."""
        if any(path.endswith(LIBRARIES) for path in self.damaged):
            return DAMAGE
        return self.add(detail, source)

    def _applies(self, failure: Failure) -> bool:
        """Return whether each distribution that the failure names has a version in its range or is absent."""
        specifiers, target = failure.applies.specifiers, self.context.target
        versions = {name: target.version_of(name) for name in specifiers}
        return all(version is None or fits(version, specifiers[name]) for name, version in versions.items())

    def findings(self) -> tuple[Finding, ...]:
        """Return one finding for each known failure."""
        return tuple(
            describe(name, Diagnosis(status, tuple(evidence), self._params(name, evidence)))
            for name, (status, evidence) in self.matched.items()
        )

    def _params(self, failure_id: str, evidence: list[Evidence]) -> dict[str, object]:
        """Return the placeholders that most failure texts use; other placeholders are rendered as an ellipsis."""
        target = self.context.target
        names = ("paddlex", "numpy", "paddleocr", "safetensors")
        params: dict[str, object] = {name: target.version_of(name) for name in names}
        params["paddle"] = target.paddle.version if target.paddle else None
        subject = "safetensors" if failure_id == "safetensors-framework-paddle" else "paddle"
        detail = evidence[0].value
        all_params = {**params, "version": params[subject], "detail": detail, "message": detail}
        return {name: value for name, value in all_params.items() if value is not None}


DEEP = (
    "import-stack",
    "self-test",
    "paddle-kernels",
    "torch-beside",
    "queue-deadlock-on-error",
    "half-installed-dist",
    "uv-cache-contamination",
    "altered-files",
    "model-hoster-unreachable",
    INDEX,
)
"""The ids of the findings that only a deep check reports."""
MODELS = "partial-model-cache"
"""A finding of the quick checks that the deep check extends: it compares model files with the hub's hashes."""
NEEDS = ("no-paddle-installed", "no-paddleocr-installed", "missing-doc-parser-extra")
"""Quick findings that prevent the import of the stack, and so block the deep findings."""
_MODULES = ("paddle", "paddlex", "paddleocr")
"""The order in which they import each other: the first that fails is the cause."""
_SEVERITY = (
    Status.SKIPPED,
    Status.OK,
    Status.BLOCKED,
    Status.NOTE,
    Status.WARNING,
    Status.UNKNOWN,
    Status.ERROR,
)

_Answer = Diagnosis | str
"""A diagnosis, or the id of the finding that blocks this one."""


def blocker(findings: Sequence[Finding]) -> str | None:
    """Return the id of the quick finding that blocks the deep findings, None if there is none."""
    wrong = (Status.ERROR, Status.UNKNOWN, Status.BLOCKED)
    first = next((f for f in findings if f.id in NEEDS and f.status in wrong), None)
    return (first.blocked_by or first.id) if first else None


def blocked_findings(by: str) -> tuple[Finding, ...]:
    """Return the deep findings, each of them blocked by the finding `by`."""
    return tuple(describe(name, Diagnosis(Status.BLOCKED), blocked_by=by) for name in DEEP)


def judge(deep: DeepFacts, context: Context) -> tuple[Finding, ...]:
    """Return a finding for each known failure that the probes show, then one for each id in `DEEP`."""
    files = without(deep.probes.get("installed_files"), shared_names(context.facts))
    damaged = damaged_files(deep, files, context.facts)
    causes = Causes(context, damaged)
    tests = deep.of_kind("selftest")
    imports = _imports(deep, causes)
    answers: dict[str, _Answer] = {"import-stack": imports}
    blocked_by = imports if isinstance(imports, str) else None
    if isinstance(imports, Diagnosis) and imports.status in (Status.ERROR, Status.UNKNOWN):
        blocked_by = "import-stack"
    answers["self-test"] = blocked_by or _selftests(tests, causes)
    answers["paddle-kernels"] = _kernels(deep.probes.get("kernels"), causes, blocked_by)
    answers["torch-beside"] = _torch(deep.probes, causes)
    answers["queue-deadlock-on-error"] = blocked_by or _queues(tests)
    answers.update(diagnoses(files, context.facts, damaged))
    answers["model-hoster-unreachable"] = _hubs(deep)
    answers[INDEX] = judge_page(deep.index, context)
    times = _times(deep)
    return (
        *causes.findings(),
        *_models(deep),
        *(_finding(name, answers[name], times.get(name, 0.0)) for name in DEEP),
    )


def _finding(name: str, answer: _Answer, milliseconds: float) -> Finding:
    if isinstance(answer, str):
        return describe(name, Diagnosis(Status.BLOCKED), blocked_by=answer, duration_ms=milliseconds)
    return describe(name, answer, duration_ms=milliseconds)


def _times(deep: DeepFacts) -> dict[str, float]:
    """Return by finding the milliseconds of its slowest probe."""
    probes: dict[str, list[ProbeResult | None]] = {
        "self-test": list(deep.of_kind("selftest").values()),
        "paddle-kernels": [deep.probes.get("kernels")],
        "half-installed-dist": [deep.probes.get("installed_files")],
    }
    return {
        name: round(1000 * max((result.seconds for result in results if result), default=0.0), 1)
        for name, results in probes.items()
    }


# --- imports ----------------------------------------------------------------------------------------------


def _imports(deep: DeepFacts, causes: Causes) -> _Answer:
    """Judge whether a self-test imported the stack; otherwise the imports of the single modules give the reason."""
    selftests = deep.of_kind("selftest").values()
    imported = [result for result in selftests if did_import(result)]
    if not imported and (late := next(filter(unending_import, selftests), None)):
        return _import("paddleocr", late, causes) or skipped(message("evidence-not-asked"))
    if imported:
        return ok("self-test", f"{(imported[0].data or {})['seconds']['import']} s")
    imports = deep.of_kind("import")
    for module in _MODULES:
        if module in imports and (answer := _import(module, imports[module], causes)) is not None:
            return answer
    return ok("imports probe", ", ".join(imports)) if imports else skipped(message("evidence-not-asked"))


def _import(module: str, result: ProbeResult, causes: Causes) -> _Answer | None:
    if result.data is None:
        return _no_data(result, f"import {module}", causes, module=module)
    error = result.data.get("error")
    if error is None:
        return None
    summary = f"{error['type']}: {error['message']}"
    return causes.add(error_text(error), f"import {module}") or problem(
        Status.ERROR, "imports probe", summary, module=error.get("module", module), message=summary
    )


def _no_data(result: ProbeResult, source: str, causes: Causes, **params: object) -> _Answer:
    """Judge a probe without data: a crash is an error, because the stack kills the process; else it is unknown."""
    detail = f"{result.status}: {result.detail}"
    if result.status != "crashed":
        return Diagnosis(Status.UNKNOWN, (Evidence(source, detail),))
    known = causes.crash(result.detail, source)
    return known or problem(Status.ERROR, source, detail, message=detail, detail=detail, **params)


# --- reading ----------------------------------------------------------------------------------------------


def _selftests(tests: Mapping[str, ProbeResult], causes: Causes) -> _Answer:
    """Judge whether the pipeline read the test page on every device; an unknown failure outranks a known one."""
    passed: list[Evidence] = []
    failed: list[_Answer] = []
    for device, result in tests.items():
        if result.data is not None and result.data.get("ok"):
            texts = "; ".join(f"{part['name']}: {part['got']}" for part in result.data.get("parts", ()))
            passed.append(Evidence("self-test", f"{device}: {texts}"))
        else:
            failed.append(_failed_selftest(device, result, causes))
    if failed:
        return _first_unknown(failed)
    return Diagnosis(Status.OK, tuple(passed)) if passed else skipped(message("evidence-not-asked"))


def _first_unknown(answers: Sequence[_Answer]) -> _Answer:
    """Return the first diagnosis, which is of a failure without a known cause, else the first answer."""
    return next((answer for answer in answers if isinstance(answer, Diagnosis)), answers[0])


def _failed_selftest(device: str, result: ProbeResult, causes: Causes) -> _Answer:
    source = f"self-test {device}"
    if result.data is None:
        return _no_data(result, source, causes)
    wrong = [part for part in result.data.get("parts", ()) if not part["ok"]]
    text = "; ".join(f"{p['name']}: expected {p['expected']}, got {p['got']}" for p in wrong)
    if error := result.data.get("error"):
        text = error_text(error)
    detail = first_line(text)
    return causes.add(text, "self-test") or problem(Status.ERROR, source, detail, detail=detail)


def _queues(tests: Mapping[str, ProbeResult]) -> Diagnosis:
    """Judge whether threads stay blocked after an error: a note, because it takes 500 pages and an error."""
    drills = [(result.data or {}).get("queue_drill") for result in tests.values()]
    drill = next((drill for drill in drills if drill), None)
    if drill is None:
        return skipped(message("evidence-self-test-not-so-far"))
    if drill["blocked"] is None:
        return skipped(drill["error"])
    if drill["blocked"]:
        return problem(Status.NOTE, "queue drill", ", ".join(drill["blocked"]))
    return ok("queue drill", 0)


# --- paddle without paddlex, and with torch ---------------------------------------------------------------

# scalar: PaddleX 3.4.3 and later does not need it; for older versions a failure is known.
_HARMLESS_KERNELS = ("scalar",)


def _kernels(result: ProbeResult | None, causes: Causes, blocked_by: str | None) -> _Answer:
    """Judge the kernels that PaddlePaddle runs without PaddleX; an unknown failure outranks a known one."""
    if result is None:
        return skipped(message("evidence-not-asked"))
    if result.data is None:
        return _no_data(result, "kernels", causes)
    if result.data.get("error"):
        text = error_text(result.data["error"])
        detail = first_line(text)
        unknown = problem(Status.ERROR, "kernels", detail, detail=detail)
        return causes.add(text, "kernels") or blocked_by or unknown
    results = result.data["results"]
    answers = [answer for one in results if not one["ok"] and (answer := _failed_kernel(one, causes))]
    if answers:
        return _first_unknown(answers)
    return ok("kernels", ", ".join(_kernel_label(one) for one in results if one["ok"]))


def _failed_kernel(kernel: dict[str, Any], causes: Causes) -> _Answer | None:
    """Judge one kernel that failed; None if the failure does no harm."""
    if (
        kernel["name"] == "fused-kernel"
    ):  # only some GPU builds have it; the self-test shows whether PaddleX needs it
        return None
    status = Status.WARNING if kernel["name"] == "onednn-interpolate" else Status.ERROR
    label = _kernel_label(kernel)
    known = causes.add(kernel["error"], f"kernels: {label}", status)
    if known is not None or kernel["name"] in _HARMLESS_KERNELS:
        return known
    detail = f"{label}: {first_line(kernel['error'])}"
    return problem(status, "kernels", detail, detail=detail)


def _kernel_label(kernel: dict[str, Any]) -> str:
    return f"{kernel['name']} ({kernel['device']})" if kernel["device"] else str(kernel["name"])


def _torch(probes: Mapping[str, ProbeResult], causes: Causes) -> _Answer:
    """Judge whether torch and paddle load in one process, in both orders: a warning, as PaddleOCR needs only paddle."""
    results = {key: probes[key] for key in ("torch-first", "paddle-first") if key in probes}
    if not results:
        return skipped(message("evidence-no-torch"))
    for order, result in results.items():
        status_text = f"{result.status}: {result.detail}"
        if result.status not in ("answered", "crashed"):
            return Diagnosis(Status.UNKNOWN, (Evidence(order, status_text),))
        error = result.data.get("error") if result.data else None
        if result.data is None or error:
            text = error_text(error) if error else status_text
            known = causes.add(text, order, Status.WARNING)
            return known or problem(Status.WARNING, order, first_line(text), detail=first_line(text))
    return ok("imports probe", ", ".join(results))


# --- models and hubs --------------------------------------------------------------------------------------


def _models(deep: DeepFacts) -> tuple[Finding, ...]:
    """Return a finding about models with wrong file contents, nothing if there are none."""
    if not deep.models:
        return ()
    evidence = tuple(Evidence(one.path, message("evidence-altered", path=one.files)) for one in deep.models)
    names = tuple(one.name for one in deep.models)
    params: dict[str, object] = {
        "model": ", ".join(names),
        "missing": "; ".join(", ".join(one.files) for one in deep.models),
    }
    return (describe(MODELS, Diagnosis(Status.ERROR, evidence, params, names)),)


def _hubs(deep: DeepFacts) -> Diagnosis:
    """Judge whether a model hub answers: only a note, because a machine without a network is not broken."""
    if not deep.hubs:
        return skipped(message("evidence-no-model-missing"))
    answering = [hub.name for hub in deep.hubs if hub.answered]
    if answering:
        return ok("hubs", ", ".join(answering))
    proxied = any(hub.proxied for hub in deep.hubs)
    key = "evidence-hubs-silent-proxy" if proxied else "evidence-hubs-silent"
    return problem(Status.NOTE, "hubs", message(key, count=len(deep.hubs)))


def merge(quick: Sequence[Finding], deep: Sequence[Finding]) -> tuple[Finding, ...]:
    """Append the deep findings to the quick ones; of two findings with one id the worse one counts.

    Of two notes the deep one counts, which has seen more files.
    """
    deep_by_id = {finding.id: finding for finding in deep}
    worse = [_worse(finding, deep_by_id.get(finding.id, finding)) for finding in quick]
    ids = {finding.id for finding in quick}
    return (*worse, *(finding for finding in deep if finding.id not in ids))


def _worse(quick: Finding, deep: Finding) -> Finding:
    if quick.status is deep.status is Status.NOTE:
        return deep
    return max(quick, deep, key=lambda one: _SEVERITY.index(one.status))
