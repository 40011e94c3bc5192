"""What the deep look saw, turned into findings. Pure: the look itself is facts/collect_deep.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from paddlevl_doctor.checks.base import Context, Diagnosis, ok, problem, skipped
from paddlevl_doctor.checks.index_page import INDEX, judge_page
from paddlevl_doctor.checks.runner import describe
from paddlevl_doctor.knowledge.failures import Failure, load_all
from paddlevl_doctor.knowledge.patches import load_patches
from paddlevl_doctor.knowledge.version_sets import fits
from paddlevl_doctor.logs.recognise import match
from paddlevl_doctor.messages import message
from paddlevl_doctor.values.facts import DeepFacts, ProbeResult, did_import
from paddlevl_doctor.values.findings import Evidence, Finding, Status

_WORST = (Status.NOTE, Status.WARNING, Status.ERROR)


@dataclass
class Causes:
    """The known failures met so far, in the order in which they were met."""

    context: Context
    met: dict[str, tuple[Status, list[Evidence]]] = field(default_factory=dict)

    def name(self, words: str, source: str, status: Status = Status.ERROR) -> str | None:
        """Return the id of the failure that these words are of, None where nobody knows them."""
        known = match(words, load_all(), system=self.context.facts.host.system)
        causes = [one.failure for one in known if one.failure.weight != "consequence"]
        cause = next((one for one in causes if self._applies(one)), None)
        if cause is None:
            return None
        former, evidence = self.met.get(cause.id, (status, []))
        evidence.append(Evidence(source, first_line(words)))
        self.met[cause.id] = (max(former, status, key=_WORST.index), evidence)
        return cause.id

    def _applies(self, failure: Failure) -> bool:
        """Say whether every distribution that the entry speaks of has a version in its range, or is absent."""
        versions = {name: self.context.target.version_of(name) for name in failure.applies.specifiers}
        return all(
            version is None or fits(version, failure.applies.specifiers[name])
            for name, version in versions.items()
        )

    def findings(self) -> tuple[Finding, ...]:
        """Return one finding a known failure."""
        return tuple(
            describe(name, Diagnosis(status, tuple(evidence), self._params(name, evidence)))
            for name, (status, evidence) in self.met.items()
        )

    def _params(self, failure_id: str, evidence: list[Evidence]) -> dict[str, object]:
        """Return what the texts of most entries ask for; an ellipsis stands for the rest."""
        target = self.context.target
        names = ("paddlex", "numpy", "paddleocr", "safetensors")
        params: dict[str, object] = {name: target.version_of(name) for name in names}
        params["paddle"] = target.paddle.version if target.paddle else None
        subject = "safetensors" if failure_id == "safetensors-framework-paddle" else "paddle"
        words = evidence[0].value
        known = {**params, "version": params[subject], "detail": words, "message": words}
        return {name: value for name, value in known.items() if value is not None}


def first_line(words: str) -> str:
    """Return the first line of a foreign text that says something."""
    return next((line.strip() for line in words.splitlines() if line.strip()), "")


def words_of(error: dict[str, object]) -> str:
    """Return everything that a probe's `error` says, what came first in the first place."""
    trace = error.get("traceback")
    lines = [error.get("root") or "", f"{error.get('type')}: {error.get('message')}"]
    return "\n".join(str(line) for line in (*lines, *(trace if isinstance(trace, list) else ())))


_LOADED = (".py", ".so", ".pyd", ".dll", ".dylib", ".json", ".yaml", ".yml")
_SPARE = ("tests", "test", "include", "testing")
"""Folders that people remove to make images small; nothing loads them while documents are read."""
_MAX_NAMED = 5


def missing_files(result: ProbeResult) -> Diagnosis:
    """half-installed-dist: an error for files that are loaded, silent about those that people do without."""
    missing = [(name, path) for name, path in _of(result, "missing") if _is_loaded(path)]
    unread = [one for one in (result.data or {}).get("distributions", ()) if one.get("trouble")]
    if not missing and unread:
        evidence = tuple(
            Evidence("RECORD", f"{one['name']}: {one['trouble']}") for one in unread[:_MAX_NAMED]
        )
        return Diagnosis(Status.UNKNOWN, evidence)
    if not missing:
        return ok("RECORD", message("evidence-files", count=_count(result)))
    names = ", ".join(dict.fromkeys(name for name, _ in missing))
    evidence = tuple(
        Evidence("RECORD", message("evidence-missing", names=path)) for _, path in missing[:_MAX_NAMED]
    )
    return Diagnosis(Status.ERROR, evidence, {"names": names}, tuple(names.split(", ")))


def shared_files(result: ProbeResult) -> Diagnosis:
    """uv-cache-contamination: a warning for altered files that other environments and uv's cache share."""
    shared = [item for item in _unexplained(result) if item["links"] > 1]
    if not shared:
        return ok("RECORD", message("evidence-files", count=_count(result)))
    names = _names(result, shared)
    params: dict[str, object] = {"count": len(shared), "names": names}
    return Diagnosis(Status.WARNING, _altered_evidence(shared), params, tuple(names.split(", ")))


def altered_files(result: ProbeResult) -> Diagnosis:
    """altered-files: a note about files that somebody changed, whether this program did or not."""
    altered = [item for _, item in _of(result, "altered")]
    if not altered:
        return ok("RECORD", message("evidence-files", count=_count(result)))
    by_hand = list(_unexplained(result))
    params: dict[str, object] = {"count": len(altered), "ours": len(altered) - len(by_hand)}
    return Diagnosis(Status.NOTE, _altered_evidence(by_hand or altered), params)


def _of(result: ProbeResult, kind: str) -> list[tuple[str, Any]]:
    distributions = (result.data or {}).get("distributions", ())
    return [(one["name"], item) for one in distributions for item in one[kind]]


def _count(result: ProbeResult) -> int:
    return sum(one["files"] for one in (result.data or {}).get("distributions", ()))


def _is_loaded(path: str) -> bool:
    *folders, name = path.split("/")
    return name.endswith(_LOADED) and not set(folders) & set(_SPARE)


def _unexplained(result: ProbeResult) -> Iterator[dict[str, Any]]:
    """Yield the altered files that are not what one of our patches makes of them."""
    files = [file for patch in load_patches() for file in patch.files]
    ours = {(f.path, o.patched_sha256) for f in files for v in f.variants for o in v.originals}
    for _, item in _of(result, "altered"):
        if (item["path"], item["sha256"]) not in ours:
            yield item


def _names(result: ProbeResult, shared: list[dict[str, Any]]) -> str:
    paths = {item["path"] for item in shared}
    return ", ".join(dict.fromkeys(name for name, item in _of(result, "altered") if item["path"] in paths))


def _altered_evidence(items: list[dict[str, Any]]) -> tuple[Evidence, ...]:
    return tuple(
        Evidence("RECORD", message("evidence-altered", path=item["path"])) for item in items[:_MAX_NAMED]
    )


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
MODELS = "partial-model-cache"
"""A quick finding that a deep look adds to: the bytes of the files are compared with what the hub promised."""
NEEDS = ("no-paddle-installed", "no-paddleocr-installed", "missing-doc-parser-extra")
"""Without these the stack cannot be imported, and the quick checks say so better."""
MODULES = ("paddle", "paddlex", "paddleocr")
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
"""A diagnosis, or the id of the finding that comes first."""


def blocker(findings: Sequence[Finding]) -> str | None:
    """Return the id of the finding that makes a deep look pointless, None when there is none."""
    wrong = (Status.ERROR, Status.UNKNOWN, Status.BLOCKED)
    first = next((f for f in findings if f.id in NEEDS and f.status in wrong), None)
    return (first.blocked_by or first.id) if first else None


def blocked_findings(by: str) -> tuple[Finding, ...]:
    """Return the deep findings of a target that cannot be looked at yet."""
    return tuple(describe(name, Diagnosis(Status.BLOCKED), blocked_by=by) for name in DEEP)


def judge(deep: DeepFacts, context: Context) -> tuple[Finding, ...]:
    """Return the known failures that the probes met, then one finding for each of `DEEP`."""
    causes = Causes(context)
    tests = deep.of_kind("selftest")
    answers: dict[str, _Answer] = {"import-stack": _imports(deep, causes)}
    obstacle = _obstacle("import-stack", answers["import-stack"])
    answers["self-test"] = obstacle or _selftests(tests, causes)
    answers["paddle-kernels"] = _kernels(deep.probes.get("kernels"), causes, obstacle)
    answers["torch-beside"] = _torch(deep.probes, causes)
    answers["queue-deadlock-on-error"] = obstacle or _queues(tests)
    answers.update(_files(deep.probes.get("installed_files")))
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


def _obstacle(name: str, answer: _Answer) -> str | None:
    """Return what the findings that need this one wait for, None where they can be judged."""
    if isinstance(answer, str):
        return answer
    return name if answer.status in (Status.ERROR, Status.UNKNOWN) else None


def _times(deep: DeepFacts) -> dict[str, float]:
    """Return the milliseconds of the slowest probe behind a finding, where the finding is that probe's."""
    slow = max((result.seconds for result in deep.of_kind("selftest").values()), default=0.0)
    kernels, files = deep.probes.get("kernels"), deep.probes.get("installed_files")
    seconds = {
        "self-test": slow,
        "paddle-kernels": kernels.seconds if kernels else 0.0,
        "half-installed-dist": files.seconds if files else 0.0,
    }
    return {name: round(1000 * spent, 1) for name, spent in seconds.items()}


# --- imports ----------------------------------------------------------------------------------------------


def _imports(deep: DeepFacts, causes: Causes) -> _Answer:
    """Say whether the stack imports; where no self-test did, each module's own fresh process tells why."""
    imported = [result for result in deep.of_kind("selftest").values() if did_import(result)]
    if imported:
        return ok("self-test", f"{(imported[0].data or {})['seconds']['import']} s")
    alone = deep.of_kind("import")
    for module in MODULES:
        if module in alone and (answer := _import(module, alone[module], causes)) is not None:
            return answer
    return ok("imports probe", ", ".join(alone)) if alone else skipped(message("evidence-not-asked"))


def _import(module: str, result: ProbeResult, causes: Causes) -> _Answer | None:
    if result.data is None:
        return _silence(result, f"import {module}", causes, module=module)
    error = result.data.get("error")
    if error is None:
        return None
    named = causes.name(words_of(error), f"import {module}")
    if named is not None:
        return named
    message = f"{error['type']}: {error['message']}"
    return problem(
        Status.ERROR, "imports probe", message, module=error.get("module", module), message=message
    )


def _silence(result: ProbeResult, source: str, causes: Causes, **params: object) -> _Answer:
    """A probe that crashed is an error (the stack kills its process); one that gave no answer is unknown."""
    shown = f"{result.status}: {result.detail}"
    if result.status != "crashed":
        return Diagnosis(Status.UNKNOWN, (Evidence(source, shown),))
    named = causes.name(result.detail, source)
    return named or problem(Status.ERROR, source, shown, message=shown, detail=shown, **params)


# --- reading ----------------------------------------------------------------------------------------------


def _selftests(tests: Mapping[str, ProbeResult], causes: Causes) -> _Answer:
    """Say whether the real pipeline read the charts on every device; the first that did not decides."""
    read: list[Evidence] = []
    wrong: list[_Answer] = []
    for device, result in tests.items():
        if result.data is not None and result.data.get("ok"):
            read.append(Evidence("self-test", f"{device}: {_readings(result.data)}"))
        else:
            wrong.append(_unread(device, result, causes))
    unknown = [answer for answer in wrong if isinstance(answer, Diagnosis)]
    if wrong:
        return unknown[0] if unknown else wrong[0]
    return Diagnosis(Status.OK, tuple(read)) if read else skipped(message("evidence-not-asked"))


def _unread(device: str, result: ProbeResult, causes: Causes) -> _Answer:
    if result.data is None:
        return _silence(result, f"self-test {device}", causes)
    error = result.data.get("error")
    words = words_of(error) if error else _wrong_parts(result.data)
    named = causes.name(words, "self-test")
    detail = first_line(words)
    return named or problem(Status.ERROR, f"self-test {device}", detail, detail=detail)


def _readings(data: dict[str, Any]) -> str:
    return "; ".join(f"{part['name']}: {part['got']}" for part in data.get("parts", ()))


def _wrong_parts(data: dict[str, Any]) -> str:
    wrong = [part for part in data.get("parts", ()) if not part["ok"]]
    return "; ".join(f"{p['name']}: expected {p['expected']}, got {p['got']}" for p in wrong)


def _queues(tests: Mapping[str, ProbeResult]) -> Diagnosis:
    """Say whether threads stay behind after an error; a note, because it takes 500 pages and an error."""
    drills = [(result.data or {}).get("queue_drill") for result in tests.values()]
    drill = next((drill for drill in drills if drill), None)
    if drill is None:
        return skipped(message("evidence-self-test-not-so-far"))
    if drill["blocked"] is None:
        return skipped(drill["error"])
    return (
        problem(Status.NOTE, "queue drill", ", ".join(drill["blocked"]))
        if drill["blocked"]
        else ok("queue drill", 0)
    )


# --- paddle alone, and with torch -------------------------------------------------------------------------

# fused-kernel: only some GPU builds have it, and PaddleX may be patched not to ask; the self-test tells.
# scalar: PaddleX from 3.4.3 on does not need it, and older ones are what the known failure is about.
_HARMLESS = ("fused-kernel", "scalar")


def _kernels(result: ProbeResult | None, causes: Causes, obstacle: str | None) -> _Answer:
    """Say what PaddlePaddle alone cannot do; each failure that is known is named as itself."""
    if result is None:
        return skipped(message("evidence-not-asked"))
    if result.data is None:
        return _silence(result, "kernels", causes)
    if result.data.get("error"):
        words = words_of(result.data["error"])
        return causes.name(words, "kernels") or obstacle or _kernel_error(first_line(words), Status.ERROR)
    answers = [
        a for one in result.data["results"] if not one["ok"] and (a := _kernel(one, causes)) is not None
    ]
    unknown = [answer for answer in answers if isinstance(answer, Diagnosis)]
    if answers:
        return unknown[0] if unknown else answers[0]
    return ok("kernels", ", ".join(_label(one) for one in result.data["results"] if one["ok"]))


def _kernel(one: dict[str, Any], causes: Causes) -> _Answer | None:
    """Judge one question that failed; None where that does no harm here."""
    if one["name"] == "fused-kernel":
        return None
    status = Status.WARNING if one["name"] == "onednn-interpolate" else Status.ERROR
    named = causes.name(one["error"], f"kernels: {_label(one)}", status)
    if named is not None or one["name"] in _HARMLESS:
        return named
    return _kernel_error(f"{_label(one)}: {first_line(one['error'])}", status)


def _kernel_error(detail: str, status: Status) -> Diagnosis:
    return problem(status, "kernels", detail, detail=detail)


def _label(one: dict[str, Any]) -> str:
    return f"{one['name']} ({one['device']})" if one["device"] else str(one["name"])


def _torch(probes: Mapping[str, ProbeResult], causes: Causes) -> _Answer:
    """Say whether torch and paddle load in one process, whichever comes first; a warning, for others' programs."""
    results = {key: probes[key] for key in ("torch-first", "paddle-first") if key in probes}
    if not results:
        return skipped(message("evidence-no-torch"))
    for order, result in results.items():
        if result.status not in ("answered", "crashed"):
            return Diagnosis(Status.UNKNOWN, (Evidence(order, f"{result.status}: {result.detail}"),))
        error = result.data.get("error") if result.data else None
        if result.data is None or error:
            words = words_of(error) if error else f"{result.status}: {result.detail}"
            named = causes.name(words, order, Status.WARNING)
            return named or problem(Status.WARNING, order, first_line(words), detail=first_line(words))
    return ok("imports probe", ", ".join(results))


# --- files and hubs ---------------------------------------------------------------------------------------


def judge_files(result: ProbeResult) -> tuple[Finding, ...]:
    """Return what the comparison of installed files with RECORD means, whatever distributions it covers."""
    return tuple(_finding(name, answer, 0.0) for name, answer in _files(result).items())


def _files(result: ProbeResult | None) -> dict[str, _Answer]:
    names = ("half-installed-dist", "uv-cache-contamination", "altered-files")
    if result is None:
        return dict.fromkeys(names, skipped(message("evidence-not-asked")))
    if result.data is None or result.data.get("error"):
        error = result.data["error"] if result.data else None
        shown = first_line(words_of(error)) if error else f"{result.status}: {result.detail}"
        return dict.fromkeys(names, Diagnosis(Status.UNKNOWN, (Evidence("installed_files", shown),)))
    answers = (
        missing_files(result),
        shared_files(result),
        altered_files(result),
    )
    return dict(zip(names, answers, strict=True))


def _models(deep: DeepFacts) -> tuple[Finding, ...]:
    """Return the finding about models whose files came wrong, nothing where they did not: a quick look says so."""
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
    """A note where models are missing and no hub answers; a machine without a network is no broken machine."""
    if not deep.hubs:
        return skipped(message("evidence-no-model-missing"))
    answering = [hub.name for hub in deep.hubs if hub.answered]
    if answering:
        return ok("hubs", ", ".join(answering))
    proxied = any(hub.proxied for hub in deep.hubs)
    key = "evidence-hubs-silent-proxy" if proxied else "evidence-hubs-silent"
    return problem(Status.NOTE, "hubs", message(key, count=len(deep.hubs)))


def merge(quick: Sequence[Finding], deep: Sequence[Finding]) -> tuple[Finding, ...]:
    """Put the deep findings behind the quick ones; where both speak of one id the worse answer counts."""
    seen = {finding.id: finding for finding in deep}
    worse = [max(f, seen.get(f.id, f), key=lambda one: _SEVERITY.index(one.status)) for f in quick]
    ids = {finding.id for finding in quick}
    return (*worse, *(finding for finding in deep if finding.id not in ids))
