"""Between the transaction and the file patcher: which files of a patch have to change, and how to take it back."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paddlevl_doctor.errors import DoctorError
from paddlevl_doctor.facts.model import Target
from paddlevl_doctor.knowledge.patches import Patch, PatchState, state_of
from paddlevl_doctor.messages import text
from paddlevl_doctor.repair import patcher
from paddlevl_doctor.repair.record import promised
from paddlevl_doctor.system import System

_CHANGEABLE = (PatchState.PRISTINE, PatchState.OLDER)


@dataclass(frozen=True)
class Change:
    """One file to be written: its bytes before and after."""

    path: str
    before: bytes
    after: bytes


def changes(system: System, patch: Patch, target: Target) -> tuple[Change, ...]:
    """Return the files that are still pristine, or what an older release of the patch made of them.

    Raises DoctorError for one that nobody published.
    """
    version = target.version_of(patch.distribution) or ""
    found = []
    for file in patch.files:
        content = system.read_bytes(Path(target.purelib) / file.path)
        digest = None if content is None else patcher.sha256_of(content)
        state = state_of(file, digest, version)
        if state is PatchState.PATCHED:
            continue
        published = patcher.plan_reversal(file, content or b"") if state is PatchState.OLDER else content
        if state not in _CHANGEABLE or content is None or published is None:
            shown = (digest or "-")[:12]
            raise DoctorError(text("file-altered", path=file.path, version=version, sha256=shown))
        if patcher.sha256_of(published) not in promised(system, target, patch.distribution, file.path):
            raise DoctorError(text("file-not-recorded", path=file.path, name=patch.distribution))
        found.append(Change(file.path, content, patcher.plan_change(file, published)))
    return tuple(found)


def as_event(change: Change) -> dict[str, str]:
    """Describe a change for the journal."""
    before, after = patcher.sha256_of(change.before), patcher.sha256_of(change.after)
    return {"path": change.path, "before": before, "after": after}


def write(system: System, todo: Sequence[Change], target: Target, folder: Path) -> None:
    """Compile every new file with the target's Python, then put all of them in place, keeping the old entries."""
    folder.mkdir(parents=True)
    for change in todo:
        flaw = _flaw(system, target, folder, change)
        if flaw is not None:
            raise DoctorError(text("does-not-compile", path=change.path, reason=flaw))
    for number, change in enumerate(todo):
        before = patcher.sha256_of(change.before)
        kept = folder / str(number)  # not its hash: two files of a patch may have been equal
        patcher.replace_file(Path(target.purelib), change.path, change.after, expect=before, keep=kept)


def _flaw(system: System, target: Target, folder: Path, change: Change) -> str | None:
    """Compile with the target's Python, or here where that is the same one: a process a file costs most of a patch."""
    here = f"{sys.version_info.major}.{sys.version_info.minor}."
    if target.implementation != sys.implementation.name or not f"{target.version}.".startswith(here):
        staged = folder / "compiled.py"
        staged.write_bytes(change.after)
        flaw = patcher.syntax_error(target.python, staged, change.path, system)
        staged.unlink()
        return flaw
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what upstream's own source is warned of is no flaw of the patch
            compile(change.after, change.path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def edited(site: Path, files: Sequence[dict[str, Any]]) -> str | None:
    """Return the first patched file that is no longer what was written, None when all are."""
    for file in files:
        path = site / file["path"]
        content = path.read_bytes() if path.is_file() else b""
        if patcher.sha256_of(content) not in (file["before"], file["after"]):
            return str(file["path"])
    return None


def restore(site: Path, files: Sequence[dict[str, Any]], folder: Path) -> None:
    """Put the former entries back; a file that was not written yet is left alone. Raises FileMovedError."""
    for number, file in reversed(list(enumerate(files))):
        patcher.restore_file(site, file["path"], expect=file["after"], keep=folder / str(number))
