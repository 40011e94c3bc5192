"""Takes transactions back: what they changed, what the user changed since, and what cannot be put back."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from paddlevl_doctor.facts.collect import uv_cache
from paddlevl_doctor.facts.journals import Event
from paddlevl_doctor.fix import entries, installs, journal, model_cache
from paddlevl_doctor.fix.entries import Entry, Places
from paddlevl_doctor.fix.journal import Transaction
from paddlevl_doctor.fix.steps import claims_of
from paddlevl_doctor.fix.undo_preview import Refusal, UndoPreview, kept_lines
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import Message, Text, message, sentences
from paddlevl_doctor.packages.uv import remove_lock_file, uv_locked
from paddlevl_doctor.patching.file_patcher import sha256_of
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.system.processes import uninterrupted
from paddlevl_doctor.values.errors import DoctorError, UndoNeededError


@dataclass(frozen=True)
class StepChanges:
    """What one step changed. An installer removed `folders` or changed their modes, and it created `created`."""

    entries: tuple[Entry, ...] = ()
    folders: tuple[tuple[str, int], ...] = ()
    created: tuple[str, ...] = ()
    moves: tuple[dict[str, str], ...] = ()
    links: tuple[dict[str, Any], ...] = ()


def places_of(transaction: Transaction) -> Places:
    """Return where the entries of a transaction lie."""
    return Places(transaction.prefix, transaction.folder, transaction.aside)


# --- what was changed -------------------------------------------------------------------------------------


def changes_of(transaction: Transaction, *, skip_damaged: bool = False) -> list[StepChanges]:
    """Return the changes of every step, newest first.

    A step that was interrupted while its installer ran has none yet: see `complete`. Raises UndoNeededError for a list
    of changes that is missing or damaged; `skip_damaged` leaves such a step out.
    """
    recorded = transaction.read()
    done = {event["step"]: event for event in recorded.find("done")}
    intents = recorded.find("intent")
    kept = [i for i in intents if not (skip_damaged and _list_damage(transaction, done.get(i["step"])))]
    return [_changes(transaction, intent, done.get(intent["step"])) for intent in reversed(kept)]


def damage_of(transaction: Transaction) -> Message | None:
    """Return why the record of a transaction cannot be trusted, None if it can."""
    recorded = transaction.read()
    lists = (_list_damage(transaction, event) for event in recorded.find("done"))
    return recorded.damage or next(filter(None, lists), None)


def _list_damage(transaction: Transaction, done: Event | None) -> Message | None:
    if done is None:
        return None
    path = transaction.folder / str(done.get("step")) / installs.ENTRIES
    data = path.read_bytes() if path.is_file() else b""
    return None if sha256_of(data) == done.get("sha256") else message("journal-list-damaged", path=path)


def _changes(transaction: Transaction, intent: Event, done: Event | None) -> StepChanges:
    step = str(intent["step"])
    if "roots" not in intent:
        listed = tuple(map(entries.entry_from_json, intent.get("entries", ())))
        removed = _removed_since(transaction, listed)
        listed = tuple(entry for entry in listed if entry.path not in removed)
        listed = _moved_with_project(transaction, intent, listed)
        moves, links = tuple(intent.get("moves", ())), tuple(intent.get("links", ()))
        return StepChanges(listed, moves=moves, links=links)
    if done is None:
        return StepChanges()
    reason = _list_damage(transaction, done)
    if reason is not None:
        raise UndoNeededError(damaged(transaction, reason))
    found = installs.changes_from_bytes((transaction.folder / step / installs.ENTRIES).read_bytes())
    return StepChanges(found.entries, found.folders, found.created)


def _removed_since(transaction: Transaction, listed: Sequence[Entry]) -> Collection[str]:
    """Return the single files that a step changed and the user removed since, for example with their package.

    They stay removed. An undo that has begun has them in its event: while it works, a file may be missing for a moment.
    A transaction without a commit is rolled back whole.
    """
    recorded = transaction.read()
    if begun := recorded.find("undo"):
        return [str(path) for path in begun[-1].get("removed", ())]
    if not recorded.was_committed:
        return ()
    changed = (e for e in listed if e.before and e.after and {e.before.kind, e.after.kind} == {"file"})
    return [entry.path for entry in changed if not os.path.lexists(transaction.prefix / entry.path)]


def _moved_with_project(
    transaction: Transaction, intent: Event, listed: tuple[Entry, ...]
) -> tuple[Entry, ...]:
    """Return the entries with the path that a link beside the environment has now, after the project was renamed."""
    beside = intent.get("beside")
    if beside is None or not transaction.is_target():
        return listed
    return tuple(Entry(str(transaction.prefix.parent / Path(e.path).name), e.before, e.after) for e in listed)


def damaged(transaction: Transaction, reason: Message) -> Message:
    """Return the message about a transaction that cannot be verified."""
    return message("journal-damaged", path=transaction.folder, reason=reason)


def complete(system: System, transaction: Transaction) -> None:
    """Find out, and write to the journal, what installers changed that were interrupted."""
    recorded = transaction.read()
    done = {event["step"] for event in recorded.find("done")}
    for intent in recorded.find("intent"):
        if "roots" in intent and intent["step"] not in done:
            with uv_locked(transaction.prefix):
                _complete(system, transaction, intent)


def _complete(system: System, transaction: Transaction, intent: Event) -> None:
    prefix, roots, step = transaction.prefix, intent["roots"], intent["step"]
    kept, names = transaction.folder / step, set[str]()
    sites = [site for root in roots for site in installs.site_folders(prefix / root)]
    cached = [] if intent["creates"] else installs.cached_infos(uv_cache(system))
    if not intent["creates"]:
        infos = [*cached, *(info for site in sites for info in site.glob("*.dist-info"))]
        names = installs.planned_names(infos, intent["requirements"], intent["planned"])
        names -= installs.untouched_names(prefix, roots, kept)
    others = installs.other_versions(prefix, roots, kept, intent.get("versions", {}))
    of_user = {installs.name_of(info.name) for info in others}
    names -= of_user
    claimed = claims_of(prefix, roots, names, creates=bool(intent["creates"]))
    claimed |= installs.cached_claims(cached, sites, names)
    changes = installs.find_changes(prefix, roots, kept, claimed, step)
    changes = installs.without_distributions(changes, prefix, roots, kept, of_user)
    data = installs.checked(prefix, changes, cached, sites, claimed).to_bytes()
    entries.write_durably(kept / installs.ENTRIES, data)
    shown = [info.relative_to(prefix).as_posix() for info in others]
    transaction.write("done", step=step, sha256=sha256_of(data), others=shown)


def pending(transaction: Transaction, found: Sequence[StepChanges]) -> list[StepChanges]:
    """Return the changes with the entries that are still to be taken back, newest first.

    Of a path that several steps changed, an entry is done as well if an older one is: the path holds what was there
    even before. Paths outside the target are left out if this target is a copy.
    """
    places, here = places_of(transaction), transaction.is_target()
    done: set[str] = set()
    rest: list[StepChanges] = []
    for step in reversed(found):
        listed = [e for e in step.entries if (here or not e.is_outside) and e.path not in done]
        taken = {entry.path for entry in listed if entries.is_taken_back(places, entry)}
        done |= taken
        rest.insert(0, replace(step, entries=tuple(e for e in listed if e.path not in taken)))
    return rest


# --- preview ----------------------------------------------------------------------------------------------


def foresee(transaction: Transaction, *, yes: bool, newer: Collection[str] = ()) -> UndoPreview:
    """Return what `undo` would do, with the refusal if it would refuse; nothing is changed.

    A damaged transaction is counted by what `yes` would put back. The paths `newer` are changed back by others first.
    """
    damage = damage_of(transaction)
    lost = [] if damage else _lost(transaction)
    shown = _salvageable(transaction) if damage else preview(transaction, newer, lost)
    try:
        if yes:
            _refuse_blocked_aside(transaction)
        if reason := damage or _lost_reason(lost):
            raise UndoNeededError(_offer(transaction, reason))
        if not yes:
            _refuse_changed(transaction, shown)
    except DoctorError as error:
        return replace(shown, refusal=Refusal(error.message, error.exit_code))
    there = tuple(path for path in shown.changed if os.path.lexists(transaction.prefix / path))
    return replace(shown, changed=there, aside=str(transaction.aside) if there else "")


def _salvageable(transaction: Transaction) -> UndoPreview:
    """Return what can be put back of a damaged transaction."""
    places, todo = places_of(transaction), pending(transaction, readable(transaction))
    listed = (entry for step in todo for entry in step.entries)
    return UndoPreview(transaction.number, *_counts(e for e in listed if not entries.is_lost(places, e)))


def known_changes(transaction: Transaction) -> list[StepChanges]:
    """Return the changes of every step, newest first; those that can be read if the transaction is damaged."""
    return changes_of(transaction) if damage_of(transaction) is None else readable(transaction)


def unrecoverable(prefix: Path) -> Transaction | None:
    """Return the newest interrupted transaction that `recover` refuses to roll back, None if there is none."""
    history = reversed(journal.history(prefix))
    return next((one for one in history if _is_interrupted(one) and _problem(one) is not None), None)


def _is_interrupted(transaction: Transaction) -> bool:
    recorded = transaction.read()
    return recorded.state == "open" or (recorded.state == "damaged" and not recorded.was_committed)


def preview(transaction: Transaction, newer: Collection[str] = (), lost: Collection[str] = ()) -> UndoPreview:
    """Return what an undo of a complete transaction would do; the paths `newer` are changed back by others first.

    `lost` are the paths without a usable kept file. Raises UndoNeededError for a damaged list of changes.
    """
    places, here = places_of(transaction), transaction.is_target()
    found = changes_of(transaction)
    todo = [entry for step in pending(transaction, found) for entry in step.entries]
    newest = {entry.path: entry for entry in reversed(todo) if entry.path not in newer}
    oldest = {entry.path: entry for entry in todo}
    creates = bool(transaction.read().begin.get("creates"))
    found_changed = (path for entry in newest.values() for path in _changed_paths(places, entry, oldest))
    changed = dict.fromkeys((*found_changed, *_other_version_paths(transaction, newer)))
    added = _added(places, found, whole=creates)
    return UndoPreview(
        transaction.number,
        *_counts(entry for path, entry in oldest.items() if path not in lost),
        changed=tuple(changed),
        added=tuple(path for path in added if path not in changed),
        packages=tuple(_new_packages(transaction)) if creates else (),
        left_alone=() if here else tuple(_outside(found)),
        lost=tuple(sorted(lost)),
        returned=model_cache.find_returned(_moves(transaction)),
    )


def _counts(oldest: Iterable[Entry]) -> tuple[int, int]:
    """Return how many paths an undo restores and how many it removes; `oldest` has one entry of each path."""
    befores = [entry.before for entry in oldest]
    return len(befores) - befores.count(None), befores.count(None)


def _changed_paths(places: Places, entry: Entry, own: Mapping[str, Entry]) -> list[str]:
    """Return what the user changed of an entry.

    Of a folder that was moved away, these are the files in its place that are not among the paths `own` of later steps.
    """
    path = places.of(entry)
    if entry.before is None or entry.before.kind != "folder" or not path.is_dir():
        changed = entries.is_changed_since(places, entry)
        return [_standing(places.prefix, entry.path) or entry.path] if changed else []
    inside = (f"{entry.path}/{name}" for name, _ in entries.files_below(path))
    return [name for name in inside if name not in own and entries.source_of(name) not in own]


def _standing(folder: Path, path: str) -> str | None:
    """Return what is at a path below `folder`: the path itself, a file in the place of a folder above it, or None."""
    if os.path.lexists(folder / path):
        return path
    return next((p for p in _above(path) if os.path.lexists(folder / p) and not (folder / p).is_dir()), None)


def _above(path: str) -> list[str]:
    return [parent.as_posix() for parent in PurePath(path).parents]


def _outside(found: list[StepChanges]) -> Iterator[str]:
    """Yield the paths outside the target that a transaction changed."""
    for step in found:
        yield from (entry.path for entry in step.entries if entry.is_outside)
        yield from (move["from"] for move in step.moves)
        yield from (str(link["path"]) for link in step.links)


def _added(places: Places, found: list[StepChanges], *, whole: bool) -> Iterator[str]:
    """Yield the files of the user in folders that the transaction created; with `whole` in the whole prefix.

    In the folders of other packages that it changed, these are the files that no RECORD lists. The bytecode of a file
    is not listed beside it.
    """
    own = {entry.path for step in found for entry in step.entries}
    packages = set() if whole else set(_package_folders(places.prefix, found))
    folders = {""} if whole else {folder for step in found for folder in step.created} | packages
    if packages:
        base = f"{os.path.normpath(places.prefix)}{os.sep}"
        claimed = installs.claims(places.prefix, None)
        own |= {path.removeprefix(base).replace(os.sep, "/") for path in claimed}
    for folder in sorted(folders):
        root = places.prefix / folder
        if not root.is_dir() or not folders.isdisjoint(_above(folder)):
            continue  # it is listed with a folder above it
        for path, _ in entries.files_below(root, installs.SKIPPED if whole else ()):
            relative = f"{folder}/{path}".lstrip("/")
            source = entries.source_of(relative)
            if relative not in own and (source is None or not _has_file(places.prefix, source, own)):
                yield relative


def _has_file(prefix: Path, source: str, own: Collection[str]) -> bool:
    return source in own or os.path.lexists(prefix / source)


def _package_folders(prefix: Path, found: list[StepChanges]) -> Iterator[str]:
    """Yield the folders in site-packages that contain files which an installer changed."""
    sites = [site.relative_to(prefix).as_posix() for site in installs.site_folders(prefix)]
    starts = ["" if site == "." else f"{site}/" for site in sites]
    listed = (step.entries for step in found if any(".dist-info/" in e.path for e in step.entries))
    for path in (entry.path for step in listed for entry in step):
        for start in (start for start in starts if path.startswith(start)):
            name, inside, _ = path.removeprefix(start).partition("/")
            if inside and name not in ("", "..", "__pycache__") and not name.endswith(".dist-info"):
                yield start + name


def _new_packages(transaction: Transaction) -> Iterator[str]:
    """Yield the distributions in an environment that were not there when its transaction was committed."""
    commit = transaction.read().find("commit")
    former = set(commit[0].get("distributions", ())) if commit else set()
    if commit:
        yield from sorted(distributions(transaction.prefix) - former)


def distributions(prefix: Path) -> set[str]:
    """Return `name version` of every distribution that has a dist-info folder in an environment."""
    infos = (info.name for site in installs.site_folders(prefix) for info in site.glob("*.dist-info"))
    return {" ".join(name.removesuffix(".dist-info").split("-", 1)) for name in infos}


# --- taking back ------------------------------------------------------------------------------------------


@uninterrupted()
def roll_back(
    system: System, transaction: Transaction, *, aside: bool = False, named: Collection[str] = ()
) -> UndoPreview:
    """Take back every started step, newest first, delete the transaction, and return what of the user's is kept.

    `named` are paths that the user changed and that may have been set aside before. Raises UndoNeededError, with
    everything kept, if a kept file is lost or a path cannot be changed.
    """
    try:
        transaction.release()
        complete(system, transaction)
        if reason := _lost_reason(_lost(transaction)):
            raise UndoNeededError(damaged(transaction, reason))
        found, creates = changes_of(transaction), bool(transaction.read().begin.get("creates"))
        oldest = {entry.path: entry for step in pending(transaction, found) for entry in step.entries}
        moves = _moves(transaction)
        changed = [*named, *take_back_steps(transaction, found, aside=aside)]
        # The versions that the user installed after an interruption stay.
        changed += [path for event in transaction.read().find("done") for path in event.get("others", ())]
        if transaction.read().begin.get("uv_lock") is False:
            remove_lock_file(transaction.prefix)
        transaction.write("rolled-back")
    except UndoNeededError:
        raise
    except (OSError, DoctorError) as error:
        raise UndoNeededError(message("undo-needed", path=transaction.prefix, reason=error)) from error
    transaction.forget()
    restored, removed = _counts(oldest.values())
    told = _of_user(transaction, found, changed, whole=creates)
    return replace(told, restored=restored, removed=removed, returned=model_cache.find_returned(moves))


def _of_user(
    transaction: Transaction, found: list[StepChanges], changed: Collection[str], *, whole: bool
) -> UndoPreview:
    """Return which of the `changed` paths were set aside and which stay, and the other files of the user that stay."""
    places = places_of(transaction)
    restored = {entry.path for step in found for entry in step.entries if entry.before is not None}
    folders = {folder for path in restored for folder in _above(path)}
    moved, kept = dict[str, None](), dict[str, None]()
    for path in changed:
        is_restored = path in folders or not restored.isdisjoint((path, *_above(path)))
        inside = PurePath(path).relative_to(PurePath(path).anchor).as_posix()
        if not is_restored and os.path.lexists(places.prefix / path):
            kept[path] = None
        elif (place := _standing(places.aside, inside)) is not None:
            moved[path if place == inside else place] = None
    added: list[str] = []
    with contextlib.suppress(OSError):  # a folder of the user that may not be read; all is restored
        added = [path for path in _added(places, found, whole=whole) if path not in kept]
    aside = str(places.aside) if moved else ""
    return UndoPreview(
        transaction.number, changed=(*moved, *kept), added=tuple(added), kept=tuple(kept), aside=aside
    )


def take_back_steps(transaction: Transaction, found: list[StepChanges], *, aside: bool = False) -> list[str]:
    """Take back what can be taken back of every step, and return the paths that the user changed since.

    Paths outside the target are left alone if this target is a copy of the one that the journal was written for.
    """
    places, here = places_of(transaction), transaction.is_target()
    changed: list[str] = []
    for step in pending(transaction, found):
        with uv_locked(transaction.prefix):
            changed += entries.take_back(places, step.entries, step.folders, step.created, aside=aside)
        if here:
            if aside or transaction.read().agreed:
                model_cache.set_returned_aside(step.moves)
            model_cache.move_back(step.moves)
            model_cache.undo_links(step.links)
    return changed


def recover(system: System, prefix: Path, *, yes: bool = False) -> UndoPreview | None:
    """Roll back the interrupted transaction, and return what of the user's is kept; None if there is none.

    Raises UndoNeededError for a damaged one; with `yes`, what can be put back is put back first.
    """
    recovered = None
    journal.sweep(prefix)
    for transaction in reversed(journal.history(prefix)):
        recorded = transaction.read()
        state = recorded.state
        if state == "damaged" and not recorded.was_committed:
            _refuse_damaged(transaction, yes=yes)
        if state == "open":
            _refuse_damaged(transaction, yes=yes)
            recovered = roll_back(system, transaction)
        elif state == "rolled-back":
            transaction.forget()
        elif state == "committed":
            with contextlib.suppress(OSError):  # a read-only target can still be looked at
                transaction.confirm()
    return recovered


def undo(system: System, transaction: Transaction, *, yes: bool) -> UndoPreview:
    """Undo one committed transaction and return what was done; `yes` sets the user's versions of its files aside.

    Raises DoctorError, before any change, if the user changed something that the undo needs to change. Raises
    UndoNeededError if the journal or a kept file is damaged; with `yes`, what can be put back is put back first.
    """
    shown = refuse(transaction, yes=yes)
    others = _set_other_versions_aside(transaction) if yes else []
    intents = transaction.read().find("intent")
    single = [entries.entry_from_json(entry) for intent in intents for entry in intent.get("entries", ())]
    try:  # from here on, the next command continues the undo
        transaction.write("undo", removed=list(_removed_since(transaction, single)), yes=yes)
    except OSError as error:
        reason = message("target-read-only", path=transaction.prefix, reason=error.strerror)
        raise DoctorError(reason) from error
    done = roll_back(system, transaction, aside=yes, named=(*shown.changed, *others))
    kept = replace(shown, changed=done.changed, kept=done.kept, added=done.added)
    return replace(kept, aside=done.aside, returned=done.returned)


@contextlib.contextmanager
def naming_recovered(recovered: UndoPreview | None) -> Iterator[None]:
    """Add to the error of the block what was rolled back before it, and what of the user's is kept."""
    try:
        yield
    except DoctorError as error:
        if recovered is not None:
            lines = [message("recovered", number=recovered.transaction), *kept_lines(recovered)]
            for line in lines:
                error.message = message("two-lines", first=error.message, second=line)
        raise


def _moves(transaction: Transaction) -> list[model_cache.Move]:
    """Return the models that a transaction set aside; none if this target is a copy of the one that it changed."""
    steps = [intent for intent in transaction.read().find("intent") if "roots" not in intent]
    return [move for intent in steps for move in intent.get("moves", ()) if transaction.is_target()]


def _set_other_versions_aside(transaction: Transaction) -> list[str]:
    """Move aside the versions that the user installed since of the distributions that the transaction changed.

    Beside the restored version they would be a second record of the same distribution. Returns the moved paths,
    relative to the prefix; the dist-info folder is last, so that an interrupted call can be repeated.
    """
    moved = _other_version_paths(transaction)
    for path in moved:
        entries.move_aside(places_of(transaction), path)
    return moved


def _other_version_paths(transaction: Transaction, newer: Collection[str] = ()) -> list[str]:
    """Return the files outside, and then the dist-info folder, of each version that the user installed since.

    A version with paths in `newer` is not the user's.
    """
    prefix, found = places_of(transaction).prefix, list[str]()
    for info in _other_versions(transaction):
        if any(path.startswith(f"{info.relative_to(prefix).as_posix()}/") for path in newer):
            continue
        rest = (other for other in info.parent.glob("*.dist-info") if other != info)
        shared = {path for other in rest for path in installs.recorded_paths(other)}
        for path in (*installs.recorded_paths(info), str(info)):
            inside = path.startswith(f"{info}{os.sep}")
            relative = os.path.relpath(path, prefix)
            is_there = Path(path).is_file() or path == str(info)
            if is_there and path not in shared and not inside and not relative.startswith(".."):
                found.append(relative)
    return found


def _other_versions(transaction: Transaction) -> list[Path]:
    """Return the dist-info folders that the user's installations left beside those of the transaction."""
    listed = (entry.path for step in changes_of(transaction) for entry in step.entries)
    folders = {places_of(transaction).prefix / Path(path).parent for path in listed}
    own = {folder for folder in folders if folder.suffix == ".dist-info"}
    # A name counts in its own folder only: setuptools has copies of other distributions in a folder of its own.
    names = {(info.parent, installs.name_of(info.name)) for info in own}
    found = {info for site in {one.parent for one in own} for info in site.glob("*.dist-info")}
    return sorted(info for info in found - own if (info.parent, installs.name_of(info.name)) in names)


def refuse(transaction: Transaction, *, yes: bool, newer: Collection[str] = ()) -> UndoPreview:
    """Return what an undo would do, or raise as `undo` does; the paths `newer` are changed back by others first."""
    if yes:
        _refuse_blocked_aside(transaction)
    _refuse_damaged(transaction, yes=yes)
    shown = preview(transaction, newer)
    if not yes:
        _refuse_changed(transaction, shown)
    return shown


def _refuse_damaged(transaction: Transaction, *, yes: bool) -> None:
    """Raise UndoNeededError if the record or a kept file is damaged; with `yes`, put back the rest first."""
    reason = _problem(transaction)
    if reason is not None:
        raise UndoNeededError(_salvage(transaction, reason) if yes else _offer(transaction, reason))


def _problem(transaction: Transaction) -> Message | None:
    """Return why a transaction cannot be taken back whole: its record or a kept file is damaged; None if it can be."""
    return damage_of(transaction) or _lost_reason(_lost(transaction))


def _lost_reason(lost: Sequence[str]) -> Message | None:
    return message("kept-lost", count=len(lost), paths=lost[:5]) if lost else None


def _lost(transaction: Transaction) -> list[str]:
    """Return the paths whose kept file is missing or was changed. Raises UndoNeededError for a damaged list."""
    places = places_of(transaction)
    todo = (entry for step in pending(transaction, changes_of(transaction)) for entry in step.entries)
    return [entry.path for entry in todo if entries.is_lost(places, entry)]


def _refuse_blocked_aside(transaction: Transaction) -> None:
    """Raise DoctorError if a file or a link is where the user's versions of changed files would be moved to."""
    folder = transaction.aside.parent
    found = [folder, *(Path(at, name) for at, names, _ in os.walk(folder) for name in names)]
    wrong = (path for path in found if os.path.lexists(path) and (path.is_symlink() or not path.is_dir()))
    blocked = next(wrong, None)
    if blocked is not None:
        raise DoctorError(message("aside-in-the-way", path=blocked))


def _refuse_changed(transaction: Transaction, shown: UndoPreview) -> None:
    if shown.returned:
        model = shown.returned[0]
        raise DoctorError(message("model-came-back", path=model.path, aside=model.former))
    if shown.packages:
        raise DoctorError(message("undo-packages", path=transaction.prefix, names=list(shown.packages[:5])))
    if shown.changed:
        values = {"count": len(shown.changed), "paths": list(shown.changed[:5])}
        raise DoctorError(message("undo-changed", **values, aside=transaction.aside))


def _offer(transaction: Transaction, reason: Message) -> Message:
    """Return the message about a damaged transaction, with the number of paths that can still be put back."""
    count = _recoverable(transaction)
    return damaged(transaction, message("undo-offer", reason=reason, count=count))


def _recoverable(transaction: Transaction) -> int:
    shown = _salvageable(transaction)
    return shown.restored + shown.removed


def readable(transaction: Transaction) -> list[StepChanges]:
    """Return the changes of a damaged transaction that can be read, also from lists that its journal does not name."""
    try:
        found = changes_of(transaction, skip_damaged=True)
    except (KeyError, TypeError, ValueError):
        found = []
    named = {str(event["step"]) for event in transaction.read().find("done")}
    unnamed = (
        path for path in transaction.folder.glob(f"*/{installs.ENTRIES}") if path.parent.name not in named
    )
    return [*filter(None, map(_listed_changes, unnamed)), *found]


def _listed_changes(path: Path) -> StepChanges | None:
    """Return the changes that a list without its line in the journal names; None for an unreadable list."""
    try:
        found = installs.changes_from_bytes(path.read_bytes())
    except (OSError, KeyError, TypeError, ValueError):
        return None
    return StepChanges(found.entries, found.folders, found.created)


def _salvage(transaction: Transaction, reason: Message) -> Text:
    """Put back what can be put back, move the damaged transaction out of the way, and return what happened."""
    count, found = _recoverable(transaction), readable(transaction)
    moves = [move for step in found for move in step.moves if transaction.is_target()]
    changed = take_back_steps(transaction, found, aside=True)
    told = _of_user(transaction, found, changed, whole=False)
    moved = [path for path in told.changed if path not in told.kept]
    done = message("undo-salvaged", count=count, reason=reason, kept=transaction.set_damaged_aside())
    named = message("undo-set-aside", aside=transaction.aside, count=len(moved), paths=moved)
    models = [
        message("undo-model-aside", path=model.path, place=model.aside)
        for model in model_cache.find_returned(moves)
        if model.aside
    ]
    return sentences((done, *([named] if moved else []), *models))
