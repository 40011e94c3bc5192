"""What the comparison of the installed files with their wheels' promises means. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from paddlevl_doctor.checks.model import Diagnosis, ok
from paddlevl_doctor.facts.deep import ProbeResult
from paddlevl_doctor.values import Evidence, Status

_LOADED = (".py", ".so", ".pyd", ".dll", ".dylib", ".json", ".yaml", ".yml")
_SPARE = ("tests", "test", "include", "testing")
"""Folders that people remove to make images small; nothing loads them while documents are read."""
_SHOWN = 5


def missing_files(result: ProbeResult) -> Diagnosis:
    """half-installed-dist: an error for files that are loaded, silent about those that people do without."""
    missing = [(name, path) for name, path in _of(result, "missing") if _is_loaded(path)]
    unread = [one for one in (result.data or {}).get("distributions", ()) if one.get("trouble")]
    if not missing and unread:
        evidence = tuple(Evidence("RECORD", f"{one['name']}: {one['trouble']}") for one in unread[:_SHOWN])
        return Diagnosis(Status.UNKNOWN, evidence)
    if not missing:
        return ok("RECORD", f"{_count(result)} files")
    names = ", ".join(dict.fromkeys(name for name, _ in missing))
    evidence = tuple(Evidence("RECORD", f"missing: {path}") for _, path in missing[:_SHOWN])
    return Diagnosis(Status.ERROR, evidence, {"names": names}, tuple(names.split(", ")))


def shared_files(result: ProbeResult) -> Diagnosis:
    """uv-cache-contamination: a warning for altered files that other environments and uv's cache share."""
    shared = [item for item in _unexplained(result) if item["links"] > 1]
    if not shared:
        return ok("RECORD", f"{_count(result)} files")
    names = _names(result, shared)
    params: dict[str, object] = {"count": len(shared), "names": names}
    return Diagnosis(Status.WARNING, _altered_evidence(shared), params, tuple(names.split(", ")))


def altered_files(result: ProbeResult) -> Diagnosis:
    """altered-files: a note about files that somebody changed, whether this program did or not."""
    altered = [item for _, item in _of(result, "altered")]
    if not altered:
        return ok("RECORD", f"{_count(result)} files")
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
    from paddlevl_doctor.knowledge.patches import load_patches  # noqa: PLC0415 - only with a deep look

    files = [file for patch in load_patches() for file in patch.files]
    ours = {(f.path, o.patched_sha256) for f in files for v in f.variants for o in v.originals}
    for _, item in _of(result, "altered"):
        if (item["path"], item["sha256"]) not in ours:
            yield item


def _names(result: ProbeResult, shared: list[dict[str, Any]]) -> str:
    paths = {item["path"] for item in shared}
    return ", ".join(dict.fromkeys(name for name, item in _of(result, "altered") if item["path"] in paths))


def _altered_evidence(items: list[dict[str, Any]]) -> tuple[Evidence, ...]:
    return tuple(Evidence("RECORD", f"altered: {item['path']}") for item in items[:_SHOWN])
