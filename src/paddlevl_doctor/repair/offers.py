"""Patches that somebody has to ask for, and what asking for one by the name of its failure gives. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from paddlevl_doctor.checks.model import Context
from paddlevl_doctor.knowledge.failures import all_ids, load_failure
from paddlevl_doctor.knowledge.patches import Patch, PatchState, find_patch, state_of


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
