"""What the deep probes saw, turned into findings. Pure: the probes themselves run in facts/deep.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from paddlevl_doctor.checks.model import Context, Diagnosis, bad, ok
from paddlevl_doctor.checks.run import describe
from paddlevl_doctor.facts.deep import ProbeResult
from paddlevl_doctor.knowledge.failures import load_all, match
from paddlevl_doctor.values import Evidence, Finding, Status

DEEP = ("import-stack", "self-test")
NEEDS = ("no-paddle-installed", "no-paddleocr-installed", "missing-doc-parser-extra")
"""Without these the stack cannot be imported, and the quick checks say so better."""


def blocker(findings: Sequence[Finding]) -> str | None:
    """Return the id of the finding that makes a deep look pointless, None when there is none."""
    wrong = (Status.ERROR, Status.UNKNOWN, Status.BLOCKED)
    first = next((f for f in findings if f.id in NEEDS and f.status in wrong), None)
    return (first.blocked_by or first.id) if first else None


def blocked_findings(by: str, lang: str) -> tuple[Finding, ...]:
    """Return the deep findings of a target that cannot be looked at yet."""
    return tuple(describe(name, Diagnosis(Status.BLOCKED), lang, blocked_by=by) for name in DEEP)


def judge_imports(result: ProbeResult, lang: str) -> Finding:
    """Say whether paddle, paddlex and paddleocr import; the first exception is the one that is shown."""
    milliseconds = round(1000 * result.seconds, 1)
    if result.data is None:
        return _unanswered("import-stack", result, lang)
    error = result.data.get("error")
    if error is None:
        seconds = result.data.get("seconds")
        return describe("import-stack", ok("imports probe", seconds), lang, duration_ms=milliseconds)
    message = f"{error['type']}: {error['message']}"
    diagnosis = bad(Status.ERROR, "imports probe", message, module=error.get("module", "?"), message=message)
    return describe("import-stack", diagnosis, lang, duration_ms=milliseconds)


def imported(result: ProbeResult, lang: str) -> Finding:
    """Say that the stack imports, as the self-test's own process saw it."""
    seconds = result.data["seconds"]["import"] if result.data else 0.0
    return describe(
        "import-stack", ok("self-test", f"{seconds} s"), lang, duration_ms=round(1000 * seconds, 1)
    )


def judge_selftest(result: ProbeResult, context: Context, lang: str) -> tuple[Finding, ...]:
    """Say whether the real pipeline read the chart; a failure that is known is named as itself."""
    if result.data is None:
        return (_unanswered("self-test", result, lang),)
    milliseconds = round(1000 * result.seconds, 1)
    if result.data.get("ok"):
        return (
            describe("self-test", ok("self-test", _readings(result.data)), lang, duration_ms=milliseconds),
        )
    detail = _failure_text(result.data)
    known = match(detail, load_all(), system=context.facts.host.system)
    if known:
        return _named(known[0].id, detail, context, lang, milliseconds)
    diagnosis = bad(Status.ERROR, "self-test", detail, detail=detail.splitlines()[0])
    return (describe("self-test", diagnosis, lang, duration_ms=milliseconds),)


def _named(
    failure_id: str, detail: str, context: Context, lang: str, milliseconds: float
) -> tuple[Finding, ...]:
    """Return the known failure as the error, and the self-test as what follows from it."""
    target = context.target
    params = {name: target.version_of(name) for name in ("paddlex", "numpy", "paddleocr", "safetensors")}
    params["paddle"] = target.paddle.version if target.paddle else None
    version = {"safetensors-framework-paddle": params["safetensors"]}.get(failure_id, params["paddle"])
    known: dict[str, object] = {**params, "version": version, "detail": detail, "message": detail}
    diagnosis = Diagnosis(Status.ERROR, (Evidence("self-test", detail.splitlines()[0]),), known)
    return (
        describe(failure_id, diagnosis, lang, duration_ms=milliseconds),
        describe("self-test", Diagnosis(Status.BLOCKED), lang, blocked_by=failure_id),
    )


def _unanswered(name: str, result: ProbeResult, lang: str) -> Finding:
    """A probe that crashed is an error (the stack kills its process); one that gave no answer is unknown."""
    shown = f"{result.status}: {result.detail}"
    if result.status == "crashed":
        diagnosis = bad(Status.ERROR, name, shown, module="paddle", message=shown, detail=shown)
    else:
        diagnosis = Diagnosis(Status.UNKNOWN, (Evidence(name, shown),))
    return describe(name, diagnosis, lang, duration_ms=round(1000 * result.seconds, 1))


def _readings(data: dict[str, Any]) -> str:
    parts = [f"{part['name']}: {part['got']}" for part in data.get("parts", ())]
    return "; ".join(parts)


def _failure_text(data: dict[str, Any]) -> str:
    error = data.get("error")
    if error is not None:
        return "\n".join(str(x) for x in (f"{error['type']}: {error['message']}", error.get("root") or ""))
    wrong = [part for part in data.get("parts", ()) if not part["ok"]]
    return "; ".join(f"{p['name']}: expected {p['expected']}, got {p['got']}" for p in wrong)


def merge(quick: Sequence[Finding], deep: Sequence[Finding]) -> tuple[Finding, ...]:
    """Put the deep findings behind the quick ones; where both speak of one id the worse answer counts."""
    deep_by_id = {finding.id: finding for finding in deep}
    merged = [
        deep_by_id.pop(f.id) if f.id in deep_by_id and f.status is not Status.ERROR else f for f in quick
    ]
    ids = {finding.id for finding in merged}
    return (*merged, *(f for f in deep_by_id.values() if f.id not in ids))
