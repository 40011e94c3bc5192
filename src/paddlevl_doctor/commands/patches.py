"""`patches`: lists the source patches, shows the state of every patched file, and builds a patched wheel."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from paddlevl_doctor.facts.record_hashes import record_hashes
from paddlevl_doctor.facts.state_folder import read_state_folder
from paddlevl_doctor.facts.target import choose_target, collect_target
from paddlevl_doctor.fix.patch_steps import patch_diffs
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.knowledge.patches import Patch, PatchFile, PatchState, load_patches, state_of
from paddlevl_doctor.messages import message
from paddlevl_doctor.patching import patched_wheel
from paddlevl_doctor.patching.file_patcher import sha256_of
from paddlevl_doctor.patching.proof import prove
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.errors import UsageError
from paddlevl_doctor.values.facts import Target


@dataclass(frozen=True)
class FileStatus:
    """The state of one file of the target, for one patch.

    `state` is a `PatchState`; `version` and `path` belong to the installed distribution, `links` counts the
    directory entries of the file: above one, uv's cache or another environment shares it. For a version that the
    patch does not know, `needed` is whether its proof finds the defect; None if the proof has no result.
    """

    patch: str
    path: str
    version: str | None
    state: str
    links: int
    needed: bool | None = None
    saw: str = ""
    """The observation of the proof, if it ran."""
    problem: str | None = None
    """lost (it was applied here and is no longer in place), unneeded (fixed upstream), or other-release (the patch is
    for another release of the distribution, or an older release of the doctor applied it); else None."""


@dataclass(frozen=True)
class PatchDetail:
    """One patch with its change of the installed version, or of every variant without one."""

    patch: Patch
    version: str | None
    changes: tuple[tuple[str, str], ...]
    """(path, unified diff) of every file."""


def show_patch(system: System, patch_id: str, python: str | None, venv: str | None) -> PatchDetail:
    """Describe one patch; raises UsageError for an unknown id."""
    patch = _find(patch_id)
    version = _installed(_target(system, python, venv), patch)
    return PatchDetail(patch, version, tuple(patch_diffs(patch, version)))


def patches_status(system: System, python: str | None, venv: str | None) -> tuple[FileStatus, ...]:
    """Return the state of every file that a patch changes; raises UsageError without a target."""
    target = _target(system, python, venv)
    if target is None:
        raise UsageError(message("patches-no-target"))
    wheels = (patched_wheel.patches_of(system, distribution) for distribution in target.distributions)
    journals = read_state_folder(system, Path(target.root)).applied_patches
    applied = frozenset(name for names in (journals, *wheels) for name in names)
    return tuple(
        _status(system, target, patch, file, applied) for patch in load_patches() for file in patch.files
    )


def build_wheel(
    system: System, only: Sequence[str], folder: Path, python: str | None, venv: str | None
) -> tuple[Path, tuple[Patch, ...], str]:
    """Write a wheel of the target's paddlex with patches: those named, else all automatic ones that fit.

    Returns the path of the wheel, the patches and the target's Python.
    Raises UsageError for unknown ids, without a target, and if the wheel cannot be written.
    """
    target = _target(system, python, venv)
    if target is None:
        raise UsageError(message("patches-no-target"))
    source = patched_wheel.from_installation(system, target, "paddlex")
    named = [_find(name) for name in only]
    chosen = tuple(
        named or [p for p in patched_wheel.fitting(load_patches(), source) if p.default == "automatic"]
    )
    if not chosen:
        raise UsageError(message("no-patch-fits", name=source.name, version=source.version))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return patched_wheel.build(source, chosen, folder), chosen, target.python
    except OSError as error:
        raise UsageError(
            message("cannot-write", option="--output", path=folder, reason=error.strerror)
        ) from error


def _find(patch_id: str) -> Patch:
    known = {patch.id: patch for patch in load_patches()}
    if patch_id not in known:
        raise UsageError(message("unknown-patch", name=patch_id, names=", ".join(known)))
    return known[patch_id]


def _target(system: System, python: str | None, venv: str | None) -> Target | None:
    found = collect_target(system, choose_target(system, python, venv))
    return found if isinstance(found, Target) else None


def _installed(target: Target | None, patch: Patch) -> str | None:
    return target.version_of(patch.distribution) if target else None


def _status(
    system: System, target: Target, patch: Patch, file: PatchFile, applied: Collection[str]
) -> FileStatus:
    version = _installed(target, patch)
    path = Path(target.folder_of(patch.distribution)) / file.path
    content = system.read_bytes(path) if version else None
    digest = None if content is None else sha256_of(content)
    state = state_of(file, digest, version or "")
    recorded = record_hashes(system, target, patch.distribution, (file.path,))
    if state is PatchState.PRISTINE and digest not in recorded[file.path]:
        state = PatchState.ALTERED
    proof = prove(system, patch.id, target) if state is PatchState.OTHER_VERSION else None
    needed = None if proof is None or proof.cured is None else not proof.cured
    links = system.link_count(path)
    saw = proof.saw if proof else ""
    problem = _problem(state, needed=needed, applied=patch.id in applied)
    return FileStatus(patch.id, file.path, version, state.value, links, needed, saw, problem)


def _problem(state: PatchState, *, needed: bool | None, applied: bool) -> str | None:
    if state is PatchState.OTHER_VERSION:
        return "unneeded" if needed is False else "other-release"
    if state is PatchState.OLDER:
        return "other-release"
    return "lost" if applied and state not in (PatchState.PATCHED, PatchState.EDITED) else None
