"""Judges the comparison of installed files with RECORD: what is missing, altered, shared, or written by others.

The comparison is that of `facts.installed_files`, or of the probe of that name, which looks at the stack only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from paddlevl_doctor.checks.base import Diagnosis, error_text, first_line, ok, skipped
from paddlevl_doctor.checks.overlaps import PADDLES, cure_of, diagnosis
from paddlevl_doctor.checks.ownership import EDITED, UNOWNED, altered_evidence, judge_unowned, known_contents
from paddlevl_doctor.checks.runner import describe
from paddlevl_doctor.messages import message
from paddlevl_doctor.values.facts import DeepFacts, Facts, ProbeResult
from paddlevl_doctor.values.findings import Evidence, Finding, Status

DAMAGE = "half-installed-dist"
LIBRARIES = (".so", ".pyd", ".dll", ".dylib")
_EMPTY = hashlib.sha256(b"").hexdigest()


def is_named(path: str, error_text: str) -> bool:
    """Return whether an error names a file: by its path, as a module, or by the name of a shared library."""
    if path.endswith(LIBRARIES):
        return path.rpartition("/")[2] in error_text
    module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    text = error_text.replace("\\", "/")
    return f"/{path}" in text or f"'{module}'" in text


_LOADED_SUFFIXES = (".py", ".so", ".pyd", ".dll", ".dylib", ".json", ".yaml", ".yml")
_UNUSED_FOLDERS = ("tests", "test", "include", "testing")
"""Folders that image builders often delete; no program loads them while it reads documents."""
_EDITED_ON_PURPOSE = frozenset({"certifi/cacert.pem"})
"""Companies add the certificate of their proxy to this file. A reinstallation would remove it, and break HTTPS."""
_MAX_LISTED_FILES = 5


def _missing_files(result: ProbeResult, damaged: Collection[str] = ()) -> Diagnosis:
    """half-installed-dist: an error if files are missing or empty that programs load, or that an error names."""
    missing = [(name, path) for name, path in _files_of(result, "missing") if _is_loaded(path)]
    altered = [
        (name, item["path"])
        for name, item in _unexplained(result)
        if item["path"] in damaged or (item["sha256"] == _EMPTY and _is_loaded(item["path"]))
    ]
    unread = [one for one in (result.data or {}).get("distributions", ()) if one.get("trouble")]
    if not missing and not altered and unread:
        problems = (f"{one['name']}: {one['trouble']}" for one in unread[:_MAX_LISTED_FILES])
        return Diagnosis(Status.UNKNOWN, tuple(Evidence("RECORD", text) for text in problems))
    if not missing and not altered:
        return _all_files_ok(result)
    names = tuple(dict.fromkeys(name for name, _ in (*missing, *altered)))
    messages = [message("evidence-missing", names=path) for _, path in missing[:_MAX_LISTED_FILES]]
    messages += [message("evidence-altered", path=path) for _, path in altered[:_MAX_LISTED_FILES]]
    evidence = tuple(Evidence("RECORD", one) for one in messages)
    return Diagnosis(Status.ERROR, evidence, {"names": ", ".join(names)}, names)


def _shared_files(result: ProbeResult) -> Diagnosis:
    """uv-cache-contamination: a warning about altered files that are hard links to uv's cache."""
    edited = [one for one in _unexplained(result) if one[1]["path"] not in _EDITED_ON_PURPOSE]
    shared = [(name, item) for name, item in edited if item["links"] > 1]
    if not shared:
        return _all_files_ok(result)
    names = tuple(dict.fromkeys(name for name, _ in shared))
    params: dict[str, object] = {"count": len(shared), "names": ", ".join(names)}
    return Diagnosis(Status.WARNING, _altered_evidence(shared), params, names)


def _altered_files(result: ProbeResult, facts: Facts) -> Diagnosis:
    """altered-files: a note about files that differ from RECORD, including those that our patches changed."""
    altered = _files_of(result, "altered")
    if not altered:
        return _all_files_ok(result)
    unexplained = _unexplained(result)
    params: dict[str, object] = {"count": len(altered), "ours": len(altered) - len(unexplained)}
    if facts.target is not None:
        params["python"] = facts.target.python
    return Diagnosis(Status.NOTE, _altered_evidence(unexplained or altered), params)


def _files_of(result: ProbeResult, kind: str) -> list[tuple[str, Any]]:
    """Return the (distribution, file) pairs that are listed as `missing`, `altered` or `overlaps`."""
    distributions = (result.data or {}).get("distributions", ())
    return [(one["name"], item) for one in distributions for item in one.get(kind, ())]


def _all_files_ok(result: ProbeResult) -> Diagnosis:
    count = sum(one["files"] for one in (result.data or {}).get("distributions", ()))
    return ok("RECORD", message("evidence-files", count=count))


def _is_loaded(path: str) -> bool:
    *folders, name = path.split("/")
    return name.endswith(_LOADED_SUFFIXES) and not set(folders) & set(_UNUSED_FOLDERS)


def _unexplained(result: ProbeResult) -> list[tuple[str, Any]]:
    """Return the altered files whose content none of our patches produces."""
    patches = known_contents()
    return [
        (name, item)
        for name, item in _files_of(result, "altered")
        if patches.get((item["path"], item["sha256"]), EDITED) == EDITED
    ]


def _altered_evidence(files: list[tuple[str, Any]]) -> tuple[Evidence, ...]:
    listed = files[:_MAX_LISTED_FILES]
    return tuple(altered_evidence(item["path"], item["sha256"]) for _, item in listed)


def judge_files(result: ProbeResult, facts: Facts) -> tuple[Finding, ...]:
    """Return the findings about installed files, from the comparison of all of them with RECORD."""
    answers = {**diagnoses(result, facts), UNOWNED: judge_unowned(result, facts)}
    return tuple(describe(name, answer) for name, answer in answers.items())


def without(result: ProbeResult | None, names: Collection[str]) -> ProbeResult | None:
    """Leave out the distributions that share files with others: a quick finding names them."""
    if result is None or result.data is None or not names:
        return result
    rows = [row for row in result.data["distributions"] if row["name"] not in names]
    return replace(result, data={**result.data, "distributions": rows})


def damaged_files(deep: DeepFacts, files: ProbeResult | None, facts: Facts) -> tuple[str, ...]:
    """Return the files that RECORD contradicts and that an error of a probe names, a signal points at, or are empty."""
    certain = {f.path for f in facts.suspect_files if f.cut or f.size is None}
    if files is None or files.data is None or files.data.get("error"):
        return tuple(certain)
    altered = [item for _, item in _unexplained(files)]
    certain |= {item["path"] for item in altered if item["sha256"] == _EMPTY}
    certain |= {path for _, path in _files_of(files, "missing") if _is_loaded(path)}
    errors = (r.data["error"] for r in deep.probes.values() if r.data and r.data.get("error"))
    texts = [_pointed_at(error) for error in errors]
    crashed = any(result.status == "crashed" for result in deep.probes.values())
    for item in altered:
        library = item["path"].endswith(LIBRARIES)
        if (library and crashed) or any(is_named(item["path"], text) for text in texts):
            certain.add(item["path"])
    return tuple(sorted(certain))


def _pointed_at(error: dict[str, Any]) -> str:
    """Return what an error points at: its messages and the last line of code in its traceback."""
    frames = [line for line in error.get("traceback") or () if line.lstrip().startswith("File ")]
    return "\n".join((str(error.get("root") or ""), str(error.get("message")), *frames[-1:]))


def _overlaps(result: ProbeResult, facts: Facts) -> Diagnosis:
    """overlapping-dists: an error if a foreign distribution has overwritten files of one that the stack requires."""
    found = [
        (name, item)
        for name, item in _files_of(result, "overlaps")
        if _is_loaded(item["path"]) and not {name, *item["by"]} <= PADDLES
    ]
    if not found:
        return _all_files_ok(result)
    names = tuple(dict.fromkeys(n for name, item in found for n in (name, *item["by"])))
    required = set(cure_of(facts, names).kept)
    rivals = all(name.startswith("opencv-") for name in names)
    lost = any(name in required for name, _ in found) and not rivals
    evidence = [
        Evidence(item["path"], message("evidence-claimed", names=", ".join(sorted((name, *item["by"])))))
        for name, item in found[:_MAX_LISTED_FILES]
    ]
    return diagnosis(facts, Status.ERROR if lost else Status.WARNING, names, evidence)


def diagnoses(
    result: ProbeResult | None, facts: Facts, damaged: Collection[str] = ()
) -> dict[str, Diagnosis]:
    """Return the diagnosis of each finding about installed files; an error points at the `damaged` ones."""
    names = ("half-installed-dist", "uv-cache-contamination", "altered-files", "overlapping-dists")
    if result is None:
        return dict.fromkeys(names, skipped(message("evidence-not-asked")))
    if result.data is None or result.data.get("error"):
        error = result.data["error"] if result.data else None
        detail = first_line(error_text(error)) if error else f"{result.status}: {result.detail}"
        return dict.fromkeys(names, Diagnosis(Status.UNKNOWN, (Evidence("installed_files", detail),)))
    answers = (
        _missing_files(result, damaged),
        _shared_files(result),
        _altered_files(result, facts),
        _overlaps(result, facts),
    )
    return dict(zip(names, answers, strict=True))
