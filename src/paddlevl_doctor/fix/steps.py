"""Runs and undoes each kind of step. A step writes its intent to the journal before it changes anything."""

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
from paddlevl_doctor.invocation import invocation
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
    """Move entries of `site` into the new folder `keep`; missing entries are skipped.

    Raises DoctorError for a name that is not a direct entry of `site`, OSError if an entry cannot be moved.
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


def move_back(site: Path, names: Sequence[str], keep: Path) -> None:
    """Move entries back from `keep`; an entry that was created again in `site` stays."""
    for name in names:
        if os.path.lexists(keep / name) and not os.path.lexists(site / name):
            (keep / name).rename(site / name)
    sync_folder(site)


_MODE = 0o644


def as_event(path: Path, content: str) -> dict[str, Any]:
    """Return the journal fields of a change: the path, and the SHA-256 before (None: no such file) and after.

    Raises DoctorError if the path is not a regular file, or if its folder is missing.
    """
    if not path.parent.is_dir() or (os.path.lexists(path) and not path.is_file()):
        raise DoctorError(message("file-in-the-way", path=path))
    before = file_patcher.sha256_of(path.read_bytes()) if path.exists() else None
    return {"path": str(path), "before": before, "after": file_patcher.sha256_of(content.encode())}


def write(event: Mapping[str, Any], content: str, keep: Path) -> None:
    """Write the content atomically and keep the former entry as `keep`.

    Raises FileMovedError if the file changed since `as_event`, OSError.
    """
    path = Path(event["path"])
    keep.parent.mkdir(parents=True, exist_ok=True)
    if event["before"] is not None:
        file_patcher.replace_file(path.parent, path.name, content.encode(), expect=event["before"], keep=keep)
        return
    staged = file_patcher.stage(
        file_patcher.staging_folder(keep.parent, path.parent), content.encode(), _MODE
    )
    try:
        os.link(staged, path)  # fails if the file exists by now; a rename would replace it
    except FileExistsError as error:
        raise file_patcher.FileMovedError(message("file-moved", path=path)) from error
    finally:
        staged.unlink()
    sync_folder(path.parent)


def is_edited(event: Mapping[str, Any]) -> bool:
    """Return whether the file has neither the written nor the former content."""
    path = Path(event["path"])
    now = file_patcher.sha256_of(path.read_bytes()) if path.is_file() else None
    return now not in (event["before"], event["after"])


def restore_text(event: Mapping[str, Any], keep: Path) -> None:
    """Restore the former entry, or remove the new file; raises FileMovedError if the file was edited."""
    path = Path(event["path"])
    if event["before"] is not None:
        file_patcher.restore_file(path.parent, path.name, expect=event["after"], keep=keep)
    elif path.is_file():
        if is_edited(event):
            raise file_patcher.FileMovedError(message("file-moved", path=path))
        path.unlink()


@dataclass(frozen=True)
class StepContext:
    """The transaction, the target and the messages that the steps of a plan share."""

    system: System
    transaction: Transaction
    python: Path
    """The target's interpreter; it need not exist yet."""
    creates: bool
    """Whether this transaction creates the environment; its undo then removes the whole environment."""
    known: list[Target] = field(default_factory=list)
    """The last description of the target, empty after a change of packages."""
    notes: list[Text] = field(default_factory=list)
    """Messages about the current step."""
    unproven: dict[str, Patch] = field(default_factory=dict)
    """The patches whose proofs have not run yet, by step id."""

    @property
    def prefix(self) -> Path:
        """The folder that contains the state folder: the environment, or site-packages of a bare interpreter."""
        return self.transaction.prefix

    def target(self) -> Target:
        """Return the target as it is now; raises DoctorError if its Python does not answer."""
        if self.known:
            return self.known[-1]
        answer = collect_target(self.system, Choice(self.python, str(self.prefix), explicit=False))
        if not isinstance(answer, Target):
            raise DoctorError(answer or message("target-vanished", path=self.prefix))
        self.known.append(answer)
        return answer

    def log_intent(self, step: Step, **undo: object) -> None:
        """Write to the journal, before the change, how to undo a step.

        If this transaction creates the environment, only the first intent is synced: its undo removes everything, and
        a sync after 20,000 new files would wait until all of them are on the disk.
        """
        durable = not self.creates or step.kind == "create-environment"
        self.transaction.write("intent", durable=durable, step=step.id, runner=step.kind, undo=undo)


# --- running ------------------------------------------------------------------------------------------------


def create_environment(context: StepContext, step: Step) -> str:
    """Create the virtual environment; return "applied". The undo keeps files that its folder had before."""
    context.log_intent(
        step, found=[name for name in os.listdir(context.prefix) if name != snapshot.STATE_FOLDER]
    )
    run_uv(context.system, step.commands[0], timeout=INSTALL_TIMEOUT)
    return "applied"


def change_packages(context: StepContext, step: Step) -> str:
    """Run uv, in an existing environment after a snapshot, so that undo is exact and offline; return "applied"."""
    if context.creates:
        context.known.clear()
        context.log_intent(step)
        _install_as_tested(context, step)
        return "applied"
    folders = [f"{step.id}/{number}" for number in range(2)]
    roots = dict(zip(folders, _changed_by_uv(context.target()), strict=False))
    with uv_locked(context.prefix):
        taken = [snapshot.take(root, context.transaction.folder / name) for name, root in roots.items()]
    context.log_intent(step, roots={name: str(root) for name, root in roots.items()})
    context.known.clear()
    run_uv(context.system, step.commands[0], timeout=INSTALL_TIMEOUT)
    with uv_locked(context.prefix):
        for before in taken:
            snapshot.trim(before)
    return "applied"


def _changed_by_uv(target: Target) -> tuple[Path, ...]:
    """Return the folders that an installation changes: the whole virtual environment, else site-packages.

    Without a virtual environment, the other files in the prefix belong to other programs.
    """
    if target.is_virtual:
        return (Path(target.prefix),)
    return tuple(dict.fromkeys((Path(target.purelib).resolve(), Path(target.platlib).resolve())))


def _install_as_tested(context: StepContext, step: Step) -> None:
    """Install the tested versions, or the newest that fit if the index lacks one of those."""
    command = step.commands[0]
    try:
        run_uv(context.system, command, timeout=INSTALL_TIMEOUT)
    except UvError as error:
        if "--requirements" not in command or "--no-index" in command or not error.unsolvable:
            raise
        at = command.index("--requirements")
        run_uv(context.system, (*command[:at], *command[at + 2 :]), timeout=INSTALL_TIMEOUT)
        context.notes.append(message("newest-instead"))


def apply_patch(context: StepContext, step: Step) -> str:
    """Patch every unpatched file; return "applied", or "already" if all files are patched."""
    target = context.target()
    patch = find_patch(str(step.arguments["patch"]))
    changes = file_patcher.changes(context.system, patch, target)
    if not changes:
        return "already"
    keep = context.transaction.folder / step.id
    files = [file_patcher.as_event(change) for change in changes]
    with uv_locked(Path(target.prefix)):
        context.log_intent(step, site=target.purelib, keep=step.id, files=files)
        file_patcher.write(context.system, changes, target, keep)
    context.unproven[step.id] = patch
    return "applied"


def prove_patches(context: StepContext) -> dict[str, Proof]:
    """Run the proofs of the patches that were written, in the target; return them by step id."""
    if not context.unproven:
        return {}
    proofs = prove_all(context.system, [patch.id for patch in context.unproven.values()], context.target())
    found = {step: proofs[patch.id] for step, patch in context.unproven.items()}
    context.unproven.clear()
    return found


def proof_note(patch_id: str, proof: Proof) -> Text:
    """Return the result of a proof; raises DoctorError, which rolls all steps back, if the patch has no effect."""
    title = message(f"patch:{patch_id}:title")
    if proof.cured is None:
        return message("patch-unproven", title=title, reason=proof.saw)
    if not proof.cured:
        raise DoctorError(message("patch-without-effect", title=title, saw=proof.saw))
    return message("patch-proven", saw=proof.saw)


def clear_leftovers(context: StepContext, step: Step) -> str:
    """Move broken records of distributions out of site-packages; return "applied", or "already" if none is left."""
    site, names = Path(context.target().purelib), [str(name) for name in step.arguments["names"]]
    if not any(os.path.lexists(site / name) for name in names):
        return "already"
    context.known.clear()
    with uv_locked(context.prefix):
        context.log_intent(step, site=str(site), names=names, keep=step.id)
        move_away(site, names, context.transaction.folder / step.id)
    return "applied"


def repair_model_cache(context: StepContext, step: Step) -> str:
    """Move incomplete models aside, or link equal copies; return "applied", or "already" if nothing is left to do."""
    if step.arguments["action"] == "share":
        links = model_cache.plan_links(step.arguments["pairs"])
        if not links:
            return "already"
        context.log_intent(step, links=links)
        model_cache.make_links(links)
        return "applied"
    folders = [path for path in step.arguments["folders"] if Path(path).is_dir()]
    moves = model_cache.plan_moves(folders, f"{context.transaction.number:04d}-{os.getpid()}")
    if not moves:
        return "already"
    context.log_intent(step, moves=moves)
    model_cache.move_models(moves)
    context.notes.extend(message("aside", path=move["to"]) for move in moves)
    return "applied"


def write_text(context: StepContext, step: Step) -> str:
    """Write a whole file; return "applied", or "already" if it has that content."""
    path, content = Path(str(step.arguments["path"])), str(step.arguments["content"])
    event = as_event(path, content)
    if event["before"] == event["after"]:
        return "already"
    context.log_intent(step, keep=step.id, **event)
    write(event, content, context.transaction.folder / step.id)
    if step.kind == "set-environment":
        context.notes.append(_usage_hint(path))
    return "applied"


def _usage_hint(path: Path) -> Message:
    if path.suffix == ".sh":
        return message("environment-how", command=source_command(str(path), SH, invocation().home))
    return message(
        "environment-how-powershell", command=source_command(str(path), POWERSHELL, invocation().home)
    )


def link_pipelines(context: StepContext, step: Step) -> str:
    """Link `pipelines` to the target's pipeline files, by a junction on Windows; return "applied" or "already".

    Raises DoctorError if the target has no pipeline files.
    """
    wanted = Path(context.target().purelib) / PIPELINES
    path = Path(str(step.arguments["path"]))
    if not wanted.is_dir():
        raise DoctorError(message("no-pipelines", path=wanted))
    former = context.system.link_target(path)
    if former is not None and path.exists() and path.samefile(wanted):
        return "already"
    context.log_intent(step, path=str(path), former=former, points_to=str(wanted))
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


def _remove_environment(context: StepContext, undo: Event) -> None:
    """Remove all new entries except the journal, which is removed last, so that an interrupted undo can continue."""
    for entry in os.scandir(context.prefix):
        if entry.name in (snapshot.STATE_FOLDER, *undo.get("found", ())):
            continue
        if is_junction(
            Path(entry.path)
        ):  # rmtree refuses a junction, and its destination is not part of the environment
            remove_link(Path(entry.path))
        elif entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            Path(entry.path).unlink()


def _restore_packages(context: StepContext, undo: Event) -> None:
    for name, root in dict(undo.get("roots", {})).items():
        folder = context.transaction.folder / name
        if folder.exists():  # an interrupted undo may have removed it
            with uv_locked(context.prefix):
                snapshot.restore(snapshot.Snapshot(Path(root), folder))


def _restore_files(context: StepContext, undo: Event) -> None:
    if not context.creates:
        keep = context.transaction.folder / str(undo["keep"])
        with uv_locked(context.prefix):
            file_patcher.restore(Path(str(undo["site"])), undo["files"], keep)


def _restore_leftovers(context: StepContext, undo: Event) -> None:
    with uv_locked(context.prefix):
        keep = context.transaction.folder / str(undo["keep"])
        move_back(Path(str(undo["site"])), undo["names"], keep)


def _restore_models(_context: StepContext, undo: Event) -> None:
    model_cache.move_back(undo.get("moves", ()))
    model_cache.undo_links(undo.get("links", ()))


def _restore_text(context: StepContext, undo: Event) -> None:
    is_inside = Path(str(undo["path"])).is_relative_to(context.prefix)
    if not (context.creates and is_inside):  # else it is removed with the environment
        restore_text(undo, context.transaction.folder / str(undo["keep"]))


def _remove_link(context: StepContext, undo: Event) -> None:
    """Remove the link, unless it points elsewhere by now, and restore the former link."""
    path, former = Path(str(undo["path"])), undo["former"]
    current = context.system.link_target(path)
    if current is not None and is_same_path(path.parent / current, Path(str(undo["points_to"]))):
        remove_link(path)
    if former is not None and not os.path.lexists(path):  # an interrupted undo may have removed ours only
        restore_link(path, str(former))


UNDO: dict[str, Callable[[StepContext, Event], None]] = {
    "create-environment": _remove_environment,
    "remove-packages": _restore_packages,
    "install-packages": _restore_packages,
    "clear-leftovers": _restore_leftovers,
    "repair-model-cache": _restore_models,
    "edit-config": _restore_text,
    "set-environment": _restore_text,
    "apply-patch": _restore_files,
    "link-pipelines": _remove_link,
}
