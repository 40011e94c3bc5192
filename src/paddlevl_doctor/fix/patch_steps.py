"""The steps that apply patches: which ones, and what they change. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Sequence

from paddlevl_doctor.checks.base import Context
from paddlevl_doctor.knowledge.failures import all_ids, load_failure
from paddlevl_doctor.knowledge.patches import Patch, PatchState, find_patch, load_patches, state_of
from paddlevl_doctor.messages import message
from paddlevl_doctor.values.findings import Finding, Status, Step


def is_only_offered(finding: str, only: Collection[str]) -> bool:
    """Say whether this finding's patch is one that nobody gets who has not named the finding with --only."""
    cure = load_failure(finding).cure
    offered = cure.patch is not None and find_patch(cure.patch).default == "offered"
    return offered and finding not in only


def is_automatic(finding: str) -> bool:
    """Say whether this finding's patch is applied without being named, even where it is only worth a note."""
    patch = load_failure(finding).cure.patch
    return patch is not None and find_patch(patch).default == "automatic"


def asked_for(context: Context, only: Iterable[str]) -> dict[str, str]:
    """Return the patches that cure what --only names and that fit the files here, each with that name.

    No quick check needs to have found it: some failures show only while pages are read, and somebody who knows
    of one may want its patch before that.
    """
    known = set(all_ids())
    patches = {patch: i for i in only if i in known and (patch := load_failure(i).cure.patch) is not None}
    return {patch: i for patch, i in patches.items() if is_open(context, patch)}


def is_applied(context: Context, patch: Patch) -> bool:
    """Say whether every file of a patch is already what the patch makes of it."""
    states = _states(context, patch)
    return bool(states) and set(states) == {PatchState.PATCHED}


def is_open(context: Context, patch_id: str) -> bool:
    """Say whether there is something to change: a published file, or one that an older release patched."""
    return bool({PatchState.PRISTINE, PatchState.OLDER} & set(_states(context, find_patch(patch_id))))


def _states(context: Context, patch: Patch) -> list[PatchState]:
    target, files = context.facts.target, {file.path: file for file in patch.files}
    version = (target.version_of(patch.distribution) if target else None) or ""
    seen = (f for f in context.facts.patched_files if f.patch == patch.id)
    return [state_of(files[f.path], f.sha256, version) for f in seen]


def patch_steps(
    context: Context,
    findings: Sequence[Finding],
    curable: Sequence[Finding],
    coming: str | None,
    *,
    only: Sequence[str],
    skip: Sequence[str],
) -> list[Step]:
    """Return the steps for what the findings name, and for what a paddlex that is only now installed needs.

    `coming` is the version of that paddlex, None where none is installed; `only` and `skip` are what the user named.
    """
    noted = [f.id for f in findings if f.status is Status.NOTE and is_automatic(f.id)]
    asked = asked_for(context, [i for i in only or noted if i not in skip])
    found = {patch: f.id for f in curable if (patch := load_failure(f.id).cure.patch) is not None}
    cured = {**asked, **(found if coming else {p: i for p, i in found.items() if is_open(context, p)})}
    fresh = _fresh_patches(context, coming, skip) if coming else set()
    here = {p.id for p in load_patches() if p.id in cured and (coming or not is_applied(context, p))}
    chosen = [p for p in load_patches() if p.id in here or p.id in fresh]
    target = context.facts.target
    installed = target.version_of("paddlex") if target else None
    version = coming or installed or context.version_set.paddlex
    return [_patch_step(patch, cured.get(patch.id), version) for patch in chosen]


def _fresh_patches(context: Context, version: str, skip: Sequence[str]) -> set[str]:
    """Name the patches that a paddlex which is only now installed will need: the automatic ones, and those that
    the installed files had.
    """
    needed = {
        "doc-preprocessor-defaults": "use-doc-preprocessor",
        "queue-threads-end": "queue-deadlock-on-error",
    }
    if context.facts.host.system == "windows" and context.wheel.package == "paddlepaddle-gpu":
        needed["fuse-rms-norm"] = "windows-fused-rms-norm-kernel"
    had = {p.id for p in load_patches() if context.facts.target is not None and is_applied(context, p)}
    wanted = {patch for patch, finding in needed.items() if finding not in skip}
    return {p.id for p in load_patches() if p.fits(version) and p.id in had | wanted}


def _patch_step(patch: Patch, finding: str | None, version: str) -> Step:
    return Step(
        id=f"patch-{patch.id}",
        kind="apply-patch",
        summary=message("step-patch", title=message(f"patch:{patch.id}:title")),
        resolves=(finding,) if finding else (),
        diff="\n".join(diff for _, diff in diff_of(patch, version)),
        precondition=message("step-patch-before", files=", ".join(file.path for file in patch.files)),
        undo=message("step-patch-undo"),
        arguments={"patch": patch.id, "reasons": [message(f"patch:{patch.id}:why")]},
    )


def diff_of(patch: Patch, version: str | None) -> Iterator[tuple[str, str]]:
    """Yield the path and the unified diff of every file for a version; without one, of every published content."""
    for file in patch.files:
        fitting = file.variant_for(version) if version else None
        for variant in (fitting,) if fitting else file.variants:
            yield file.path, "\n".join(_diff(file.path, r.old, r.new) for r in variant.replacements)


def _diff(path: str, old: str, new: str) -> str:
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), path, path, lineterm="", n=2)
    return "\n".join(lines)
