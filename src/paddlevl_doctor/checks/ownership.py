"""Checks of code that no package owns, of single files that were altered, and of what pip left behind.

The quick check knows the top of site-packages and the files that decide; `check --integrity` knows every file.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from pathlib import PurePath

from paddlevl_doctor.checks.base import Check, Context, Diagnosis, ok, skipped
from paddlevl_doctor.knowledge.patches import PatchState, find_patch, load_patches, state_of
from paddlevl_doctor.messages import message
from paddlevl_doctor.values.facts import Facts, PatchedFile, ProbeResult, UnownedCode
from paddlevl_doctor.values.findings import Evidence, Status

UNOWNED, ALTERED = "unowned-code", "altered-files"
PATCHED, EDITED = "patched", "edited"
_MAX_IN_TITLE = 3
_MAX_LISTED = 200
"""The number of paths in a finding; a folder without an owner counts once, whatever it contains."""


# --- code without an owner --------------------------------------------------------------------------------


def _unowned(context: Context) -> Diagnosis:
    target = context.target
    if target.ownership_problem is not None:
        return Diagnosis(Status.UNKNOWN, (Evidence("RECORD", target.ownership_problem),))
    if target.unowned_code is None:
        return skipped(message("evidence-not-asked"))
    return _judge(target.unowned_code)


def judge_unowned(result: ProbeResult, facts: Facts) -> Diagnosis:
    """Judge the code without an owner that a comparison of all files found, with that at the top."""
    assert facts.target is not None  # noqa: S101 - only a target has files
    found, problem = facts.target.unowned_code, facts.target.ownership_problem
    data = result.data or {}
    unread = [*data.get("unread", ()), *(one["name"] for one in data["distributions"] if _is_unread(one))]
    if unread or found is None:
        why = problem or message("evidence-cannot-list", names=unread)
        return Diagnosis(Status.UNKNOWN, (Evidence("site-packages", why),))
    return _judge((*found, *(UnownedCode(path) for path in data.get("unowned", ()))))


def _is_unread(distribution: Mapping[str, object]) -> bool:
    """Return whether a RECORD cannot be read; one that is missing is another finding."""
    return distribution.get("trouble") not in (None, "missing")


def _judge(found: Iterable[UnownedCode]) -> Diagnosis:
    """Return a note: most of it was put there on purpose, by the user or by a program that writes no RECORD."""
    listed = sorted(found, key=lambda one: (not one.runs_at_start, one.path))
    if not listed:
        return ok("site-packages", message("evidence-none"))
    evidence = [
        Evidence(one.path, message("evidence-runs-at-start" if one.runs_at_start else "evidence-unowned"))
        for one in listed[:_MAX_LISTED]
    ]
    if len(listed) > _MAX_LISTED:
        evidence.append(Evidence("site-packages", message("evidence-more", count=len(listed) - _MAX_LISTED)))
    return Diagnosis(Status.NOTE, tuple(evidence), {"count": len(listed), "names": _names(listed)})


def _names(listed: list[UnownedCode]) -> str:
    names = [PurePath(one.path).name + ("/" if one.path.endswith(("/", "\\")) else "") for one in listed]
    return ", ".join(names[:_MAX_IN_TITLE]) + (" …" if len(names) > _MAX_IN_TITLE else "")


# --- altered files ----------------------------------------------------------------------------------------


@functools.cache
def known_contents() -> Mapping[tuple[str, str | None], str]:
    """Return by path and SHA-256 whether our patch, or an edit by hand with its effect, makes this content."""
    originals = [
        (file.path, original)
        for patch in load_patches()
        for file in patch.files
        for variant in file.variants
        for original in variant.originals
    ]
    contents: dict[tuple[str, str | None], str] = {
        (path, sha): EDITED for path, original in originals for sha in original.edited_sha256
    }
    contents.update({(path, original.patched_sha256): PATCHED for path, original in originals})
    return contents


def altered_evidence(path: str, sha256: str | None) -> Evidence:
    """Return the evidence of a file that differs from its RECORD."""
    edited = known_contents().get((path, sha256)) == EDITED
    return Evidence("RECORD", message("evidence-edited" if edited else "evidence-altered", path=path))


def _altered(context: Context) -> Diagnosis:
    """Report a note about altered files among those that decide, at the top, and those that patches change."""
    facts = context.facts
    if facts.altered_files is None:
        return skipped(message("evidence-not-asked"))
    version = context.target.version_of("paddlex") or ""
    found = [(file.path, file.sha256) for file in facts.altered_files]
    found += [(file.path, file.sha256) for file in facts.patched_files if _is_altered(file, version)]
    if not found:
        return ok("RECORD", message("evidence-none"))
    evidence = tuple(altered_evidence(path, sha256) for path, sha256 in found)
    return Diagnosis(Status.NOTE, evidence, {"count": len(found), "ours": 0})


def _is_altered(file: PatchedFile, version: str) -> bool:
    """Return whether a file that a patch knows was changed after its installation, and not by us."""
    if file.sha256 is None or file.recorded is not False:
        return False
    known = {one.path: one for one in find_patch(file.patch).files}
    state = state_of(known[file.path], file.sha256, version)
    return state not in (PatchState.PATCHED, PatchState.OLDER)


# --- what pip left ----------------------------------------------------------------------------------------


def _leftovers(context: Context) -> Diagnosis:
    names = context.target.leftovers
    if not names:
        return ok("site-packages", message("evidence-none"))
    evidence = tuple(Evidence(name, message("evidence-left-by-pip")) for name in names)
    return Diagnosis(Status.NOTE, evidence, {"names": list(names), "folder": context.target.purelib})


_TARGET = ("target-environment",)

CHECKS = (
    Check(ALTERED, _altered, needs=_TARGET),
    Check(UNOWNED, _unowned, needs=_TARGET),
    Check("pip-leftovers", _leftovers, needs=_TARGET),
)
