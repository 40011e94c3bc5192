"""Runs each kind of step. A step writes to the journal what it is going to change before it changes anything."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path, PurePath
from typing import Any

from packaging.utils import canonicalize_name

from paddlevl_doctor.facts.collect import PIPELINES, uv_cache
from paddlevl_doctor.facts.installed_files import compare
from paddlevl_doctor.facts.target import STATE_FOLDER, Choice, collect_target
from paddlevl_doctor.fix import installs, model_cache
from paddlevl_doctor.fix.entries import Entry, State, state_of, write_durably
from paddlevl_doctor.fix.journal import Transaction
from paddlevl_doctor.fix.watch_edits import kept_edits
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.invocation import invocation
from paddlevl_doctor.knowledge.patches import Patch, find_patch
from paddlevl_doctor.messages import Message, Text, message
from paddlevl_doctor.packages.uv import (
    INSTALL_TIMEOUT,
    install,
    listed_requirements,
    parse_changes,
    pinned_versions,
    run_uv,
    uv_locked,
)
from paddlevl_doctor.patching import file_patcher
from paddlevl_doctor.patching.proof import Proof, prove_all
from paddlevl_doctor.shells import POWERSHELL, SH, source_command
from paddlevl_doctor.system.files import link_text, make_link, sync_folder
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.errors import DoctorError
from paddlevl_doctor.values.facts import Target
from paddlevl_doctor.values.findings import no_bar
from paddlevl_doctor.values.plan import (
    ApplyPatch,
    ClearLeftovers,
    CreateEnvironment,
    EditConfig,
    InstallPackages,
    LinkPipelines,
    PackageStep,
    RemovePackages,
    SetEnvironment,
    SetEnvironmentAside,
    SetModelsAside,
    ShareModels,
    Step,
    WriteFile,
)


@dataclass(frozen=True)
class KeptTree:
    """The files of the roots before an installer ran, and what it changed."""

    folder: Path
    roots: Sequence[str]
    changes: installs.Changes


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
    installed: set[str] = field(default_factory=set)
    """The normalized names of the distributions that were installed."""
    trees: list[KeptTree] = field(default_factory=list)
    """The trees that were kept before each installer ran, oldest first."""
    ready: Callable[[], object] = bool
    """Waits until nothing reads the packages of the target any more; called before each change of packages."""

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
            raise DoctorError(answer.reason if answer else message("target-vanished", path=self.prefix))
        self.known.append(answer)
        return answer

    def log_intent(self, step: Step, **change: object) -> None:
        """Write to the journal, before the change, what a step is going to change.

        If this transaction creates the environment, only the first intent is synced: a sync after 20,000 new files
        would wait until all of them are on the disk.
        """
        durable = not self.creates or isinstance(step, CreateEnvironment)
        self.transaction.write("intent", durable=durable, step=step.id, runner=step.kind, **change)

    def log_entries(self, step: Step, entries: Iterable[Entry], **more: object) -> None:
        """Write the intent of a step that knows every path it changes."""
        self.log_intent(step, entries=[entry.to_json() for entry in entries], **more)

    def relative(self, path: Path) -> str:
        """Return a path as the journal records it: relative to the prefix if it lies there, else absolute."""
        inside = path.is_relative_to(self.prefix)
        return path.relative_to(self.prefix).as_posix() if inside else str(path.absolute())

    def installed_files(self) -> set[str]:
        """Return the files below the roots of the last installer, relative to the prefix, without bytecode."""
        found = (path for root in self.trees[-1].roots for path in installs.files_of(self.prefix, root))
        return {path for path in found if not path.endswith(".pyc")}

    def restore_deleted(self, paths: Iterable[str]) -> None:
        """Restore files that were deleted since the last installer ran, as far as it found them there."""
        tree = self.trees[-1]
        for path in paths:
            installs.restore_deleted(self.prefix, tree.roots, tree.folder, path)

    def discard_unchanged(self) -> None:
        """Delete the kept files that a rollback or an undo of the finished plan does not need."""
        for tree in self.trees:
            installs.discard_unchanged(tree.folder, tree.changes, self.transaction.folder)

    def kept(self, name: str) -> Path:
        """Return the path of a kept entry, with its folder created."""
        path = self.transaction.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


# --- environments and packages ------------------------------------------------------------------------------


def set_environment_aside(context: StepContext, step: SetEnvironmentAside) -> str:
    """Move everything in the folder of the environment into the transaction; return "applied"."""
    names = sorted(name for name in os.listdir(context.prefix) if name != STATE_FOLDER)
    _move_into_transaction(context, step, [context.prefix / name for name in names])
    return "applied"


def _move_into_transaction(context: StepContext, step: Step, paths: Sequence[Path]) -> None:
    entries = [
        Entry(context.relative(path), state_of(path, hashed=True), None, f"{step.id}/{number}")
        for number, path in enumerate(paths)
    ]
    context.log_entries(step, entries)
    for entry, path in zip(entries, paths, strict=True):
        path.rename(context.kept(str(entry.kept)))
    for folder in dict.fromkeys(path.parent for path in paths):
        sync_folder(folder)


def create_environment(context: StepContext, step: CreateEnvironment) -> str:
    """Create the virtual environment; return "applied". Files that its folder had before are kept."""
    _run_installer(context, step, (".",), lambda: _run_uv(context, step))
    return "applied"


def remove_packages(context: StepContext, step: RemovePackages) -> str:
    """Remove packages with uv; return "applied"."""
    roots = _roots(context)
    context.known.clear()
    _run_installer(context, step, roots, lambda: _run_uv(context, step))
    return "applied"


def install_packages(context: StepContext, step: InstallPackages) -> str:
    """Install packages with uv; return "applied"."""
    roots = (".",) if context.creates else _roots(context)
    context.known.clear()
    _run_installer(context, step, roots, lambda: _install(context, step))
    return "applied"


def _run_uv(context: StepContext, step: Step) -> set[str]:
    """Run the command of a step; return the normalized names of the distributions that uv changed."""
    output = run_uv(context.system, step.commands[0], timeout=INSTALL_TIMEOUT).stderr
    return {canonicalize_name(change.name) for change in parse_changes(output)}


def _install(context: StepContext, step: InstallPackages) -> set[str]:
    """Install, compare the installed files with their RECORD, and return the names of the changed distributions.

    uv links the files from its cache and does not notice that one was damaged there. Damaged distributions are
    installed once more from a fresh download; raises DoctorError if they still differ.
    """
    installed = install(context.system, step.commands[0], step.exact)
    context.notes.extend(installed.notes)
    names = _names_of(context, step, installed.output.stderr)
    damaged = _damaged(context, names)
    if damaged:
        _keep_edited(context, damaged)
        command = step.commands[0]
        again = tuple(word for name in damaged for word in ("--reinstall-package", name))
        install(context.system, (*command[:3], *again, *command[3:]), step.exact)
        context.known.clear()
        damaged = _damaged(context, names)
    if damaged:
        files = [f"{name}: {', '.join(paths[:_MAX_SHOWN_PATHS])}" for name, paths in damaged.items()]
        raise DoctorError(message("installed-damaged", files=files[:5]))
    return names


def _keep_edited(context: StepContext, damaged: Mapping[str, tuple[str, ...]]) -> None:
    """Copy the files aside that differ from uv's copy of the wheel, too: an editor saved them in the meantime."""
    infos = installs.cached_infos(uv_cache(context.system))
    places = {d.name: Path(d.path).parent for d in context.target().distributions}
    files = ((places[name] / path, path) for name, paths in damaged.items() for path in paths)
    edited = [file for file, path in files if file.is_file() and not installs.is_cached(file, path, infos)]
    _set_aside(context, {file: file for file in edited})


def _names_of(context: StepContext, step: InstallPackages, output: str) -> set[str]:
    """Return the distributions that an installation changed: those of uv's output, and the planned ones.

    If uv needed a second try, its output lists only a part of them. In a new environment they are all that there are.
    """
    context.known.clear()
    found = [change.name for change in parse_changes(output)] + [pin.partition("==")[0] for pin in step.exact]
    found += [d.name for d in context.target().distributions] if context.creates else []
    return {canonicalize_name(name) for name in found}


def _damaged(context: StepContext, names: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return the files that differ from RECORD, by distribution."""
    target = context.target()
    found = tuple(d for d in target.distributions if d.name in names)
    seen = compare(replace(target, distributions=found), context.system.cpu_count(), no_bar, "")
    rows = (seen.data or {}).get("distributions", ())
    paths = {row["name"]: (*row["missing"], *(file["path"] for file in row["altered"])) for row in rows}
    return {name: found for name, found in paths.items() if found}


def _roots(context: StepContext) -> tuple[str, ...]:
    """Return the folders that an installation changes, relative to the prefix.

    It is the whole virtual environment, else site-packages: the other files in the prefix belong to other programs.
    """
    target = context.target()
    if target.is_virtual:
        return (".",)
    folders = dict.fromkeys((Path(target.purelib).resolve(), Path(target.platlib).resolve()))
    return tuple(os.path.relpath(folder, context.prefix.resolve()) for folder in folders)


def _run_installer(
    context: StepContext, step: Step, roots: Sequence[str], run: Callable[[], set[str]]
) -> None:
    """Keep the tree, run the installer, and record what it changed; nothing else is taken back later."""
    transaction, kept = context.transaction, context.transaction.folder / step.id
    creates = isinstance(step, CreateEnvironment)
    context.ready()  # before the tree is kept: what is saved between that and the installer is not kept
    transaction.write("keep", durable=not context.creates, step=step.id)
    with uv_locked(context.prefix):
        installs.keep_tree(context.prefix, roots, kept, creates=creates)
    requirements = step.requirements if isinstance(step, InstallPackages) else ()
    planned = {"requirements": requirements, "planned": _planned_names(step), "creates": creates}
    context.log_intent(step, roots=roots, versions=_planned_versions(context, step), **planned)
    owners = installs.owners(context.prefix, roots, kept, _planned_names(step))
    edited: dict[str, Path] = {}
    try:
        with kept_edits(owners, kept / "edited") as edited:
            changed = run()
    finally:
        _set_aside(context, {Path(path): copy for path, copy in edited.items()})
        shutil.rmtree(kept / "edited", ignore_errors=True)
    context.installed.update(changed)
    claimed = claims_of(context.prefix, roots, changed, creates=creates)
    with uv_locked(context.prefix):
        changes = installs.find_changes(context.prefix, roots, kept, claimed, step.id)
        data = changes.to_bytes()
        write_durably(kept / installs.ENTRIES, data, sync=not context.creates)
        transaction.write(
            "done", durable=not context.creates, step=step.id, sha256=file_patcher.sha256_of(data)
        )
        over = {} if creates else installs.overwritten(context.prefix, roots, kept, changes, changed)
        context.trees.append(KeptTree(kept, roots, changes))
    if over:
        shown = [f"{name}: {', '.join(paths[:_MAX_SHOWN_PATHS])}" for name, paths in over.items()]
        raise DoctorError(message("installed-over", files=shown))


_MAX_SHOWN_PATHS = 3
"""The files that a message names for each distribution."""


def _set_aside(context: StepContext, edited: Mapping[Path, Path]) -> None:
    """Copy what the user saved in files, by their paths, to the folder for such files, and name it."""
    for path, content in edited.items():
        place = context.transaction.aside / context.relative(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(content, place)
    if edited:
        shown = [context.relative(path) for path in [*edited][:_MAX_SHOWN_PATHS]]
        values = {"count": len(edited), "paths": shown, "aside": context.transaction.aside}
        context.notes.append(message("edited-while-installing", **values))


def _planned_names(step: Step) -> list[str]:
    """Return the names that the plan changes; an installation in a new environment has no such list."""
    return [line.split()[1] for line in step.diff.splitlines()] if isinstance(step, PackageStep) else []


def _planned_versions(context: StepContext, step: Step) -> dict[str, str | None]:
    """Return the version of each distribution that a step is to install, None for one that it is to remove.

    In a new environment, only the tested versions and those of the requirements are known.
    """
    if isinstance(step, RemovePackages):
        return dict.fromkeys(map(canonicalize_name, step.names))
    if not isinstance(step, InstallPackages):
        return {}
    listed = listed_requirements(context.system, step.commands[0])
    return {**pinned_versions((*listed, *step.requirements, *step.exact))}


def claims_of(
    prefix: Path, roots: Sequence[str], names: Iterable[str], *, creates: bool
) -> dict[str, str | None]:
    """Return the paths that an installer owns: a new environment, or the changed distributions `names`."""
    if creates:
        return installs.skeleton(prefix)
    wanted = set(names)
    return {path: sha for root in roots for path, sha in installs.claims(prefix / root, wanted).items()}


def clear_leftovers(context: StepContext, step: ClearLeftovers) -> str:
    """Move broken records of distributions out of site-packages; return "applied", or "already" if none is left."""
    site, names = Path(context.target().purelib), step.names
    for name in names:
        if PurePath(name).name != name or name in ("", ".", ".."):
            raise DoctorError(message("patch-outside", path=name, site=site))
    paths = [site / name for name in names if os.path.lexists(site / name)]
    if not paths:
        return "already"
    context.known.clear()
    context.ready()
    with uv_locked(context.prefix):
        _move_into_transaction(context, step, paths)
    return "applied"


# --- single files -------------------------------------------------------------------------------------------


def apply_patch(context: StepContext, step: ApplyPatch) -> str:
    """Patch every unpatched file; return "applied", or "already" if all files are patched."""
    target = context.target()
    patch = find_patch(step.patch)
    changes = file_patcher.changes(context.system, patch, target)
    if not changes:
        return "already"
    keep = context.transaction.folder / step.id
    site = Path(target.folder_of(patch.distribution))
    entries = [
        _entry(context, site / change.path, change.after, f"{step.id}/{number}")
        for number, change in enumerate(changes)
    ]
    with uv_locked(Path(target.prefix)):
        context.log_entries(step, entries)
        file_patcher.write(context.system, changes, target, site, keep)
    context.unproven[step.id] = patch
    return "applied"


def _entry(context: StepContext, path: Path, content: bytes, kept: str) -> Entry:
    """Return the entry of a file that is about to be written."""
    after = State("file", len(content), None, file_patcher.sha256_of(content))
    before = state_of(path, hashed=True)
    return Entry(context.relative(path), before, after, None if before is None else kept)


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


def write_text(context: StepContext, step: WriteFile) -> str:
    """Write a whole file; return "applied", or "already" if it has that content.

    Raises DoctorError if the path is not a regular file, or if its folder is missing.
    """
    path, content = Path(step.path), step.content.encode()
    if not path.parent.is_dir() or (os.path.lexists(path) and not path.is_file()):
        raise DoctorError(message("file-in-the-way", path=path))
    if path.exists() and path.read_bytes() == content:
        return "already"
    entry = _entry(context, path, content, f"{step.id}/0")
    context.log_entries(step, (entry,))
    _write(path, content, context.kept(f"{step.id}/0"))
    if isinstance(step, SetEnvironment):
        context.notes.append(_usage_hint(path))
    return "applied"


def _write(path: Path, content: bytes, keep: Path) -> None:
    """Write the content atomically and keep the former entry as `keep`; raises FileMovedError if the file changed."""
    if path.exists():
        expected = file_patcher.sha256_of(path.read_bytes())
        file_patcher.replace_file(path.parent, path.name, content, expect=expected, keep=keep)
        return
    staged = file_patcher.stage(file_patcher.staging_folder(keep.parent, path.parent), content, _MODE)
    try:
        os.link(staged, path)  # fails if the file exists by now; a rename would replace it
    except FileExistsError as error:
        raise file_patcher.FileMovedError(message("file-moved", path=path)) from error
    finally:
        staged.unlink()
    sync_folder(path.parent)


_MODE = 0o644


def _usage_hint(path: Path) -> Message:
    if path.suffix == ".sh":
        return message("environment-how", command=source_command(str(path), SH, invocation().home))
    return message(
        "environment-how-powershell", command=source_command(str(path), POWERSHELL, invocation().home)
    )


# --- outside the target -------------------------------------------------------------------------------------


def share_models(context: StepContext, step: ShareModels) -> str:
    """Link equal copies of models; return "applied", or "already" if nothing is left to do."""
    links = model_cache.plan_links(step.pairs)
    if not links:
        return "already"
    context.log_intent(step, links=links)
    model_cache.make_links(links)
    return "applied"


def set_models_aside(context: StepContext, step: SetModelsAside) -> str:
    """Move incomplete models aside; return "applied", or "already" if none is left."""
    folders = [path for path in step.folders if Path(path).is_dir()]
    moves = model_cache.plan_moves(folders, f"{context.transaction.number:04d}-{os.getpid()}")
    if not moves:
        return "already"
    context.log_intent(step, moves=moves)
    model_cache.move_models(moves)
    context.notes.extend(message("aside", path=move["to"]) for move in moves)
    return "applied"


def link_pipelines(context: StepContext, step: LinkPipelines) -> str:
    """Link `pipelines` to the target's pipeline files, by a junction on Windows; return "applied" or "already".

    Raises DoctorError if the target has no pipeline files.
    """
    wanted = Path(context.target().folder_of("paddlex")) / PIPELINES
    path = Path(step.path)
    if not wanted.is_dir():
        raise DoctorError(message("no-pipelines", path=wanted))
    former = state_of(path)
    if former is not None and path.exists() and path.samefile(wanted):
        return "already"
    text = link_text(path, wanted)
    beside = os.path.relpath(path, context.prefix) if path.parent == context.prefix.parent else None
    context.log_entries(step, (Entry(str(path), former, State("link", text=text)),), beside=beside)
    make_link(path, wanted)
    return "applied"


DO: dict[type[Step], Callable[[StepContext, Any], str]] = {
    SetEnvironmentAside: set_environment_aside,
    CreateEnvironment: create_environment,
    RemovePackages: remove_packages,
    InstallPackages: install_packages,
    ClearLeftovers: clear_leftovers,
    SetModelsAside: set_models_aside,
    ShareModels: share_models,
    EditConfig: write_text,
    SetEnvironment: write_text,
    ApplyPatch: apply_patch,
    LinkPipelines: link_pipelines,
}
"""The runner of each kind of step; it gets a step of that class."""
