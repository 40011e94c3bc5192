"""Takes transactions back: shows what an undo would do, refuses, undoes, and continues after an interruption."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePath

from paddlevl_doctor.fix import entries, journal, model_cache
from paddlevl_doctor.fix.entries import Entry
from paddlevl_doctor.fix.journal import Transaction
from paddlevl_doctor.fix.recorded_changes import (
    StepChanges,
    changes_of,
    complete,
    damage_of,
    damaged,
    lost_paths,
    moves_of,
    pending,
    places_of,
    readable,
    removed_since,
)
from paddlevl_doctor.fix.undo_preview import Refusal, UndoPreview, kept_lines
from paddlevl_doctor.fix.user_changes import (
    added_files,
    changed_paths,
    folders_above,
    new_packages,
    other_version_paths,
    standing_at,
)
from paddlevl_doctor.messages import Message, Text, message, sentences
from paddlevl_doctor.packages.uv import remove_lock_file, uv_locked
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.system.processes import uninterrupted
from paddlevl_doctor.values.errors import DoctorError, UndoNeededError


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
        transaction.write("undo", removed=list(removed_since(transaction, single)), yes=yes)
    except OSError as error:
        reason = message("target-read-only", path=transaction.prefix, reason=error.strerror)
        raise DoctorError(reason) from error
    done = roll_back(system, transaction, aside=yes, named=(*shown.changed, *others))
    kept = replace(shown, changed=done.changed, kept=done.kept, added=done.added)
    return replace(kept, aside=done.aside, returned=done.returned)


def refuse(transaction: Transaction, *, yes: bool, newer: Collection[str] = ()) -> UndoPreview:
    """Return what an undo would do, or raise as `undo` does; the paths `newer` are changed back by others first."""
    if yes:
        _refuse_blocked_aside(transaction)
    _refuse_damaged(transaction, yes=yes)
    shown = preview(transaction, newer)
    if not yes:
        _refuse_changed(transaction, shown)
    return shown


# --- preview ----------------------------------------------------------------------------------------------


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
    found_changed = (path for entry in newest.values() for path in changed_paths(places, entry, oldest))
    changed = dict.fromkeys((*found_changed, *other_version_paths(transaction, newer)))
    added = added_files(places, found, whole=creates)
    return UndoPreview(
        transaction.number,
        *_counts(entry for path, entry in oldest.items() if path not in lost),
        changed=tuple(changed),
        added=tuple(path for path in added if path not in changed),
        packages=tuple(new_packages(transaction)) if creates else (),
        left_alone=() if here else tuple(_outside(found)),
        lost=tuple(sorted(lost)),
        returned=model_cache.find_returned(moves_of(transaction)),
    )


def _counts(oldest: Iterable[Entry]) -> tuple[int, int]:
    """Return how many paths an undo restores and how many it removes; `oldest` has one entry of each path."""
    befores = [entry.before for entry in oldest]
    return len(befores) - befores.count(None), befores.count(None)


def _outside(found: list[StepChanges]) -> Iterator[str]:
    """Yield the paths outside the target that a transaction changed."""
    for step in found:
        yield from (entry.path for entry in step.entries if entry.is_outside)
        yield from (move["from"] for move in step.moves)
        yield from (str(link["path"]) for link in step.links)


def foresee(transaction: Transaction, *, yes: bool, newer: Collection[str] = ()) -> UndoPreview:
    """Return what `undo` would do, with the refusal if it would refuse; nothing is changed.

    A damaged transaction is counted by what `yes` would put back. The paths `newer` are changed back by others first.
    """
    damage = damage_of(transaction)
    lost = [] if damage else lost_paths(transaction)
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


def unrecoverable(prefix: Path) -> Transaction | None:
    """Return the newest interrupted transaction that `recover` refuses to roll back, None if there is none."""
    history = reversed(journal.history(prefix))
    return next((one for one in history if _is_interrupted(one) and _problem(one) is not None), None)


def _is_interrupted(transaction: Transaction) -> bool:
    recorded = transaction.read()
    return recorded.state == "open" or (recorded.state == "damaged" and not recorded.was_committed)


# --- rolling back -----------------------------------------------------------------------------------------


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
        if reason := _lost_reason(lost_paths(transaction)):
            raise UndoNeededError(damaged(transaction, reason))
        found, creates = changes_of(transaction), bool(transaction.read().begin.get("creates"))
        oldest = {entry.path: entry for step in pending(transaction, found) for entry in step.entries}
        moves = moves_of(transaction)
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
    folders = {folder for path in restored for folder in folders_above(path)}
    moved, kept = dict[str, None](), dict[str, None]()
    for path in changed:
        is_restored = path in folders or not restored.isdisjoint((path, *folders_above(path)))
        inside = PurePath(path).relative_to(PurePath(path).anchor).as_posix()
        if not is_restored and os.path.lexists(places.prefix / path):
            kept[path] = None
        elif (place := standing_at(places.aside, inside)) is not None:
            moved[path if place == inside else place] = None
    added: list[str] = []
    with contextlib.suppress(OSError):  # a folder of the user that may not be read; all is restored
        added = [path for path in added_files(places, found, whole=whole) if path not in kept]
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


def _set_other_versions_aside(transaction: Transaction) -> list[str]:
    """Move aside the versions that the user installed since of the distributions that the transaction changed.

    Beside the restored version they would be a second record of the same distribution. Returns the moved paths,
    relative to the prefix; the dist-info folder is last, so that an interrupted call can be repeated.
    """
    moved = other_version_paths(transaction)
    for path in moved:
        entries.move_aside(places_of(transaction), path)
    return moved


# --- refusals ---------------------------------------------------------------------------------------------


def _refuse_damaged(transaction: Transaction, *, yes: bool) -> None:
    """Raise UndoNeededError if the record or a kept file is damaged; with `yes`, put back the rest first."""
    reason = _problem(transaction)
    if reason is not None:
        raise UndoNeededError(_salvage(transaction, reason) if yes else _offer(transaction, reason))


def _problem(transaction: Transaction) -> Message | None:
    """Return why a transaction cannot be taken back whole: its record or a kept file is damaged; None if it can be."""
    return damage_of(transaction) or _lost_reason(lost_paths(transaction))


def _lost_reason(lost: Sequence[str]) -> Message | None:
    return message("kept-lost", count=len(lost), paths=lost[:5]) if lost else None


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
