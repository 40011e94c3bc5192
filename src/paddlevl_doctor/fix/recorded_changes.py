"""Reads from the record of a transaction what each step changed, and what of it is still to be taken back."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from paddlevl_doctor.facts.collect import uv_cache
from paddlevl_doctor.facts.journals import Event
from paddlevl_doctor.fix import entries, installs, model_cache
from paddlevl_doctor.fix.entries import Entry, Places
from paddlevl_doctor.fix.journal import Transaction
from paddlevl_doctor.fix.steps import claims_of
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import Message, message
from paddlevl_doctor.packages.uv import uv_locked
from paddlevl_doctor.patching.file_patcher import sha256_of
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.errors import UndoNeededError


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
        removed = removed_since(transaction, listed)
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


def removed_since(transaction: Transaction, listed: Sequence[Entry]) -> Collection[str]:
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


def lost_paths(transaction: Transaction) -> list[str]:
    """Return the paths whose kept file is missing or was changed. Raises UndoNeededError for a damaged list."""
    places = places_of(transaction)
    todo = (entry for step in pending(transaction, changes_of(transaction)) for entry in step.entries)
    return [entry.path for entry in todo if entries.is_lost(places, entry)]


def known_changes(transaction: Transaction) -> list[StepChanges]:
    """Return the changes of every step, newest first; those that can be read if the transaction is damaged."""
    return changes_of(transaction) if damage_of(transaction) is None else readable(transaction)


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


def moves_of(transaction: Transaction) -> list[model_cache.Move]:
    """Return the models that a transaction set aside; none if this target is a copy of the one that it changed."""
    steps = [intent for intent in transaction.read().find("intent") if "roots" not in intent]
    return [move for intent in steps for move in intent.get("moves", ()) if transaction.is_target()]
