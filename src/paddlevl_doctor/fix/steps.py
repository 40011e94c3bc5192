"""How each kind of step is done and undone. A step writes its intent to the journal before it changes anything."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from paddlevl_doctor.facts.collect import PIPELINES
from paddlevl_doctor.facts.target import Choice, collect_target
from paddlevl_doctor.fix import model_cache, snapshot
from paddlevl_doctor.fix.journal import Event, Transaction
from paddlevl_doctor.knowledge.patches import Patch, find_patch
from paddlevl_doctor.messages import Message, Text, message
from paddlevl_doctor.packages.uv import INSTALL_TIMEOUT, UvError, run_uv, uv_locked
from paddlevl_doctor.patching import file_patcher
from paddlevl_doctor.patching.proof import Proof, prove_all
from paddlevl_doctor.shells import POWERSHELL, SH, source_command
from paddlevl_doctor.system.files import (
    is_junction,
    is_same_path,
    make_link,
    remove_link,
    restore_link,
    sync_folder,
)
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.errors import DoctorError
from paddlevl_doctor.values.facts import Target
from paddlevl_doctor.values.findings import Step


def move_away(site: Path, names: Sequence[str], keep: Path) -> None:
    """Move entries of `site` into the new folder `keep`; one that is already gone is left out.

    Raises DoctorError for a name that is no plain entry of `site`, OSError where the system refuses.
    """
    for name in names:
        if PurePath(name).name != name or name in ("", ".", ".."):
            raise DoctorError(message("patch-outside", path=name, site=site))
    keep.mkdir(parents=True)
    for name in names:
        if os.path.lexists(site / name):
            (site / name).rename(keep / name)
    sync_folder(keep)
    sync_folder(site)


def bring_back(site: Path, names: Sequence[str], keep: Path) -> None:
    """Move back whatever was moved away; what has taken its place meanwhile stays."""
    for name in names:
        if os.path.lexists(keep / name) and not os.path.lexists(site / name):
            (keep / name).rename(site / name)
    sync_folder(site)


_MODE = 0o644


def as_event(path: Path, content: str) -> dict[str, Any]:
    """Describe a change for the journal: SHA-256 before (None: no such file) and after.

    Raises DoctorError where something else than a file is in the way, or the folder is missing.
    """
    if not path.parent.is_dir() or (os.path.lexists(path) and not path.is_file()):
        raise DoctorError(message("file-in-the-way", path=path))
    before = file_patcher.sha256_of(path.read_bytes()) if path.exists() else None
    return {"path": str(path), "before": before, "after": file_patcher.sha256_of(content.encode())}


def write(event: Mapping[str, Any], content: str, keep: Path) -> None:
    """Put the content in place in one step; the former entry is kept as `keep`. Raises OSError, FileMovedError."""
    path = Path(event["path"])
    keep.parent.mkdir(parents=True, exist_ok=True)
    if event["before"] is not None:
        file_patcher.replace_file(path.parent, path.name, content.encode(), expect=event["before"], keep=keep)
        return
    staged = file_patcher.stage(
        file_patcher.staging_folder(keep.parent, path.parent), content.encode(), _MODE
    )
    try:
        os.link(staged, path)  # fails where a file has appeared meanwhile; a rename would replace it
    except FileExistsError as error:
        raise file_patcher.FileMovedError(message("file-moved", path=path)) from error
    finally:
        staged.unlink()
    sync_folder(path.parent)


def is_edited(event: Mapping[str, Any]) -> bool:
    """Say whether the file is neither what was written nor what was there before."""
    path = Path(event["path"])
    now = file_patcher.sha256_of(path.read_bytes()) if path.is_file() else None
    return now not in (event["before"], event["after"])


def take_back(event: Mapping[str, Any], keep: Path) -> None:
    """Restore the former entry, or remove the file that was not there; raises FileMovedError for an edited one."""
    path = Path(event["path"])
    if event["before"] is not None:
        file_patcher.restore_file(path.parent, path.name, expect=event["after"], keep=keep)
    elif path.is_file():
        if is_edited(event):
            raise file_patcher.FileMovedError(message("file-moved", path=path))
        path.unlink()


@dataclass(frozen=True)
class StepContext:
    """What a step needs to do its work."""

    system: System
    transaction: Transaction
    python: Path
    """The target's interpreter; it need not exist yet."""
    creates: bool
    """This transaction makes the environment, so that undoing means removing all of it."""
    known: list[Target] = field(default_factory=list)
    """What the target last said of itself; forgotten when packages change."""
    notes: list[Text] = field(default_factory=list)
    """What the user should know of the steps so far."""
    unproven: dict[str, Patch] = field(default_factory=dict)
    """What was written and has not been proved yet, by the ids of the steps."""

    @property
    def prefix(self) -> Path:
        """The folder that holds the doctor's own one: the environment's, or a bare interpreter's site-packages."""
        return self.transaction.prefix

    def target(self) -> Target:
        """Return what is installed now, as its Python says; raises DoctorError when it does not answer."""
        if self.known:
            return self.known[-1]
        answer = collect_target(self.system, Choice(self.python, str(self.prefix), explicit=False))
        if not isinstance(answer, Target):
            raise DoctorError(answer or message("target-vanished", path=self.prefix))
        self.known.append(answer)
        return answer

    def log_intent(self, step: Step, **undo: object) -> None:
        """Write down how to undo a step, before it is done.

        Where this transaction makes the environment, that first intent is all that a power cut must not take:
        undoing removes everything. A sync right after 20,000 new files would wait for all of them.
        """
        durable = not self.creates or step.kind == "create-environment"
        self.transaction.write("intent", durable=durable, step=step.id, runner=step.kind, undo=undo)


# --- doing ------------------------------------------------------------------------------------------------


def create_environment(work: StepContext, step: Step) -> str:
    """Make the virtual environment; returns "applied". What is in its folder already is not ours to remove."""
    work.log_intent(step, found=[name for name in os.listdir(work.prefix) if name != snapshot.STATE_FOLDER])
    run_uv(work.system, step.commands[0], timeout=INSTALL_TIMEOUT)
    return "applied"


def change_packages(work: StepContext, step: Step) -> str:
    """Run uv; an environment that was there before is linked away first, so that undo is exact and offline."""
    if work.creates:
        work.known.clear()
        work.log_intent(step)
        _install_as_tested(work, step)
        return "applied"
    folders = [f"{step.id}/{number}" for number in range(2)]
    roots = dict(zip(folders, _changed_by_uv(work.target()), strict=False))
    with uv_locked(work.prefix):
        taken = [snapshot.take(root, work.transaction.folder / name) for name, root in roots.items()]
    work.log_intent(step, roots={name: str(root) for name, root in roots.items()})
    work.known.clear()
    run_uv(work.system, step.commands[0], timeout=INSTALL_TIMEOUT)
    with uv_locked(work.prefix):
        for before in taken:
            snapshot.trim(before)
    return "applied"


def _changed_by_uv(target: Target) -> tuple[Path, ...]:
    """Return the folders that an installation changes: the whole of a virtual environment, but of an interpreter's
    own installation only its site-packages, because everything else in its prefix belongs to others.
    """
    if target.is_virtual:
        return (Path(target.prefix),)
    return tuple(dict.fromkeys((Path(target.purelib).resolve(), Path(target.platlib).resolve())))


def _install_as_tested(work: StepContext, step: Step) -> None:
    """Install the versions that were tested; where an index does not have them (any more), the newest that fit."""
    command = step.commands[0]
    try:
        run_uv(work.system, command, timeout=INSTALL_TIMEOUT)
    except UvError as error:
        if "--requirements" not in command or "--no-index" in command or not error.unsolvable:
            raise
        at = command.index("--requirements")
        run_uv(work.system, (*command[:at], *command[at + 2 :]), timeout=INSTALL_TIMEOUT)
        work.notes.append(message("newest-instead"))


def apply_patch(work: StepContext, step: Step) -> str:
    """Patch every file that is pristine; returns "already" when all of them were patched before."""
    target = work.target()
    patch = find_patch(str(step.arguments["patch"]))
    changes = file_patcher.changes(work.system, patch, target)
    if not changes:
        return "already"
    keep = work.transaction.folder / step.id
    files = [file_patcher.as_event(change) for change in changes]
    with uv_locked(Path(target.prefix)):
        work.log_intent(step, site=target.purelib, keep=step.id, files=files)
        file_patcher.write(work.system, changes, target, keep)
    work.unproven[step.id] = patch
    return "applied"


def prove_patches(work: StepContext) -> dict[str, Proof]:
    """Let the patches that were written show that they work here; returns what was seen by the ids of their steps."""
    if not work.unproven:
        return {}
    proofs = prove_all(work.system, [patch.id for patch in work.unproven.values()], work.target())
    found = {step: proofs[patch.id] for step, patch in work.unproven.items()}
    work.unproven.clear()
    return found


def proof_note(patch_id: str, proof: Proof) -> Text:
    """Return what a proof saw, in a sentence; raises DoctorError, so that all is rolled back, where nothing changed."""
    title = message(f"patch:{patch_id}:title")
    if proof.cured is None:
        return message("patch-unproven", title=title, reason=proof.saw)
    if not proof.cured:
        raise DoctorError(message("patch-without-effect", title=title, saw=proof.saw))
    return message("patch-proven", saw=proof.saw)


def clear_leftovers(work: StepContext, step: Step) -> str:
    """Move broken records of distributions out of site-packages; returns "already" where none is left."""
    site, names = Path(work.target().purelib), [str(name) for name in step.arguments["names"]]
    if not any(os.path.lexists(site / name) for name in names):
        return "already"
    work.known.clear()
    with uv_locked(work.prefix):
        work.log_intent(step, site=str(site), names=names, keep=step.id)
        move_away(site, names, work.transaction.folder / step.id)
    return "applied"


def repair_model_cache(work: StepContext, step: Step) -> str:
    """Move incomplete models aside, or make equal copies one; returns "already" where nothing is left to do."""
    if step.arguments["action"] == "share":
        equal = model_cache.links(step.arguments["pairs"])
        if not equal:
            return "already"
        work.log_intent(step, links=equal)
        model_cache.link(equal)
        return "applied"
    there = [path for path in step.arguments["folders"] if Path(path).is_dir()]
    moves = model_cache.moves(there, f"{work.transaction.number:04d}-{os.getpid()}")
    if not moves:
        return "already"
    work.log_intent(step, moves=moves)
    model_cache.move(moves)
    work.notes.extend(message("aside", path=move["to"]) for move in moves)
    return "applied"


def write_text(work: StepContext, step: Step) -> str:
    """Write a whole file; returns "already" where it has that content."""
    path, content = Path(str(step.arguments["path"])), str(step.arguments["content"])
    event = as_event(path, content)
    if event["before"] == event["after"]:
        return "already"
    work.log_intent(step, keep=step.id, **event)
    write(event, content, work.transaction.folder / step.id)
    if step.kind == "set-environment":
        work.notes.append(_how_to_read(path))
    return "applied"


def _how_to_read(path: Path) -> Message:
    if path.suffix == ".sh":
        return message("environment-how", command=source_command(str(path), SH))
    return message("environment-how-powershell", command=source_command(str(path), POWERSHELL))


def link_pipelines(work: StepContext, step: Step) -> str:
    """Link `pipelines` to the target's pipeline files: a junction on Windows, a symbolic link elsewhere."""
    wanted = Path(work.target().purelib) / PIPELINES
    path = Path(str(step.arguments["path"]))
    if not wanted.is_dir():
        raise DoctorError(message("no-pipelines", path=wanted))
    former = work.system.link_target(path)
    if former is not None and path.exists() and path.samefile(wanted):
        return "already"
    work.log_intent(step, path=str(path), former=former, points_to=str(wanted))
    make_link(path, wanted)
    return "applied"


DO: dict[str, Callable[[StepContext, Step], str]] = {
    "create-environment": create_environment,
    "remove-packages": change_packages,
    "install-packages": change_packages,
    "clear-leftovers": clear_leftovers,
    "repair-model-cache": repair_model_cache,
    "edit-config": write_text,
    "set-environment": write_text,
    "apply-patch": apply_patch,
    "link-pipelines": link_pipelines,
}


# --- undoing ----------------------------------------------------------------------------------------------


def _remove_environment(work: StepContext, undo: Event) -> None:
    """Remove everything that came but the journal, which goes last: an interrupted removal can be continued."""
    for entry in os.scandir(work.prefix):
        if entry.name in (snapshot.STATE_FOLDER, *undo.get("found", ())):
            continue
        if is_junction(Path(entry.path)):  # rmtree refuses it, and what it points to is not ours
            remove_link(Path(entry.path))
        elif entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            Path(entry.path).unlink()


def _restore_packages(work: StepContext, undo: Event) -> None:
    for name, root in dict(undo.get("roots", {})).items():
        folder = work.transaction.folder / name
        if folder.exists():  # it is gone when an interrupted undo got this far
            with uv_locked(work.prefix):
                snapshot.restore(snapshot.Snapshot(Path(root), folder))


def _restore_files(work: StepContext, undo: Event) -> None:
    if not work.creates:
        keep = work.transaction.folder / str(undo["keep"])
        with uv_locked(work.prefix):
            file_patcher.restore(Path(str(undo["site"])), undo["files"], keep)


def _bring_back(work: StepContext, undo: Event) -> None:
    with uv_locked(work.prefix):
        keep = work.transaction.folder / str(undo["keep"])
        bring_back(Path(str(undo["site"])), undo["names"], keep)


def _restore_models(_work: StepContext, undo: Event) -> None:
    model_cache.move_back(undo.get("moves", ()))
    model_cache.unlink(undo.get("links", ()))


def _take_back(work: StepContext, undo: Event) -> None:
    inside = Path(str(undo["path"])).is_relative_to(work.prefix)
    if not (work.creates and inside):  # else it goes with the environment
        take_back(undo, work.transaction.folder / str(undo["keep"]))


def _remove_link(work: StepContext, undo: Event) -> None:
    """Remove our link, unless somebody made it point elsewhere meanwhile; bring a former one back."""
    path, former = Path(str(undo["path"])), undo["former"]
    current = work.system.link_target(path)
    if current is not None and is_same_path(path.parent / current, Path(str(undo["points_to"]))):
        remove_link(path)
    if former is not None and not os.path.lexists(path):  # also where we were stopped between the two
        restore_link(path, str(former))


UNDO: dict[str, Callable[[StepContext, Event], None]] = {
    "create-environment": _remove_environment,
    "remove-packages": _restore_packages,
    "install-packages": _restore_packages,
    "clear-leftovers": _bring_back,
    "repair-model-cache": _restore_models,
    "edit-config": _take_back,
    "set-environment": _take_back,
    "apply-patch": _restore_files,
    "link-pipelines": _remove_link,
}
