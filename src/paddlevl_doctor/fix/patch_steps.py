"""Plans the steps that apply patches. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Sequence

from paddlevl_doctor.fix.plan_input import PlanInput
from paddlevl_doctor.knowledge.failures import all_ids, load_failure
from paddlevl_doctor.knowledge.patches import (
    Patch,
    PatchFile,
    PatchState,
    find_patch,
    load_patches,
    state_of,
)
from paddlevl_doctor.messages import message
from paddlevl_doctor.values.facts import PatchedFile
from paddlevl_doctor.values.findings import Finding, Status
from paddlevl_doctor.values.plan import ApplyPatch, Step


def is_only_offered(finding: str, only: Collection[str]) -> bool:
    """Return whether this finding's patch is applied only if --only names the finding, and it does not."""
    return finding not in only and _default_of(finding) == "offered"


def _default_of(finding: str) -> str | None:
    patch = load_failure(finding).cure.patch
    return find_patch(patch).default if patch is not None else None


def _is_applied(given: PlanInput, patch: Patch) -> bool:
    states = _states(given, patch)
    return bool(states) and set(states) <= {PatchState.PATCHED, PatchState.EDITED}


def _is_applicable(given: PlanInput, patch: Patch) -> bool:
    """Return whether the target's own file is as published, or as an older release of the patch left it."""
    return (given.target is None or given.target.can_change(patch.distribution)) and bool(
        {PatchState.PRISTINE, PatchState.OLDER} & set(_states(given, patch))
    )


def _states(given: PlanInput, patch: Patch) -> list[PatchState]:
    files, version = {file.path: file for file in patch.files}, given.installed(patch.distribution) or ""
    facts = (f for f in given.context.facts.patched_files if f.patch == patch.id)
    return [_state(files[f.path], f, version) for f in facts]


def _state(file: PatchFile, fact: PatchedFile, version: str) -> PatchState:
    """Return the state of a file; a published content that is not the one of its RECORD counts as altered."""
    state = state_of(file, fact.sha256, version)
    return PatchState.ALTERED if state is PatchState.PRISTINE and fact.recorded is False else state


def patch_steps(given: PlanInput, fixable: Sequence[Finding], new_paddlex: str | None) -> list[Step]:
    """Return the steps for the patches of findings, and for those that a newly installed paddlex needs.

    `new_paddlex` is the version that the plan installs, None if it installs none. A patch that --only names needs no
    finding: some failures show only while pages are read, and a user who knows of one may want the patch first.
    """
    finding_of = {**_requested_patches(given), **_fixing_patches(given, fixable, new_paddlex)}
    needed = _needed_by(given, new_paddlex) if new_paddlex else set()
    chosen = [
        patch
        for patch in load_patches()
        if patch.id in needed or (patch.id in finding_of and (new_paddlex or not _is_applied(given, patch)))
    ]
    version = new_paddlex or given.installed("paddlex") or given.context.version_set.paddlex
    return [_patch_step(patch, finding_of.get(patch.id), version) for patch in chosen]


def _requested_patches(given: PlanInput) -> dict[str, str]:
    """Return the applicable patches that --only requests, or that notes apply by default; the finding by patch."""
    noted = [f.id for f in given.findings if f.status is Status.NOTE and _default_of(f.id) == "automatic"]
    known, request = set(all_ids()), given.request
    ids = (i for i in request.only or noted if i in known and i not in request.skip)
    patches = {patch: i for i in ids if (patch := load_failure(i).cure.patch) is not None}
    return {patch: i for patch, i in patches.items() if _is_applicable(given, find_patch(patch))}


def _fixing_patches(given: PlanInput, fixable: Sequence[Finding], new_paddlex: str | None) -> dict[str, str]:
    """Return the patches of the findings, the finding by patch; without a new paddlex only applicable ones."""
    patches = {patch: f.id for f in fixable if (patch := load_failure(f.id).cure.patch) is not None}
    return {p: i for p, i in patches.items() if new_paddlex or _is_applicable(given, find_patch(p))}


def _needed_by(given: PlanInput, version: str) -> set[str]:
    """Return the patches that a new paddlex needs: those in place, and without --only the automatic ones."""
    context = given.context
    needed = {
        "doc-preprocessor-defaults": "use-doc-preprocessor",
        "queue-threads-end": "queue-deadlock-on-error",
    }
    if context.facts.host.system == "windows" and context.wheel.package == "paddlepaddle-gpu":
        needed["fuse-rms-norm"] = "windows-fused-rms-norm-kernel"
    wanted = {patch for patch, finding in needed.items() if finding not in given.request.skip}
    if given.request.only and given.site.exists:  # only what was in place is put back
        wanted = set()
    if given.target is not None:
        wanted |= {p.id for p in load_patches() if _was_applied(given, p)}
    return {p.id for p in load_patches() if p.id in wanted and p.fits(version)}


def _was_applied(given: PlanInput, patch: Patch) -> bool:
    """Return whether a patch is in place, or was applied and its files are neither published nor older ones."""
    recorded = patch.id in given.context.facts.applied_patches
    return _is_applied(given, patch) or (recorded and not _is_applicable(given, patch))


def _patch_step(patch: Patch, finding: str | None, version: str) -> Step:
    return ApplyPatch(
        id=f"patch-{patch.id}",
        summary=message("step-patch", title=message(f"patch:{patch.id}:title")),
        resolves=(finding,) if finding else (),
        diff="\n".join(diff for _, diff in patch_diffs(patch, version)),
        precondition=message("step-patch-before", files=", ".join(file.path for file in patch.files)),
        undo=message("step-patch-undo"),
        patch=patch.id,
        reasons=(message(f"patch:{patch.id}:why"),),
    )


def patch_diffs(patch: Patch, version: str | None) -> Iterator[tuple[str, str]]:
    """Yield the path and the unified diff of every file for a version; for None, of every variant of every file."""
    for file in patch.files:
        fitting = file.variant_for(version) if version else None
        for variant in (fitting,) if fitting else file.variants:
            yield file.path, "\n".join(_diff(file.path, r.old, r.new) for r in variant.replacements)


def _diff(path: str, old: str, new: str) -> str:
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), path, path, lineterm="", n=2)
    return "\n".join(lines)
