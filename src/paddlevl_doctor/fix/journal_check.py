"""Checks journals before a rollback or undo uses them: they must belong to the user and name paths of the target only.

A rollback writes, moves and deletes the paths in a journal. A journal may come from a copied, renamed or shared
folder, so every path in it is checked before any change, before the lock is taken too.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import field
from pathlib import Path, PurePath

from paddlevl_doctor.facts.journals import Event
from paddlevl_doctor.facts.model_cache import cache_root
from paddlevl_doctor.facts.target import STATE_FOLDER, Choice, collect_target
from paddlevl_doctor.fix import installs, journal
from paddlevl_doctor.fix.entries import Entry, folders_below
from paddlevl_doctor.fix.journal import Transaction
from paddlevl_doctor.fix.recorded_changes import StepChanges, changes_of, complete, readable
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import Text, message
from paddlevl_doctor.system.files import is_junction
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.errors import UndoNeededError
from paddlevl_doctor.values.facts import Target

_LINK = "pipelines"
_LISTS = (installs.ENTRIES, installs.BEFORE)


def refuse_foreign_journals(
    system: System,
    prefix: Path,
    python: Path,
    *,
    locked: bool,
    undo: bool = False,
    to: int | None = None,
) -> None:
    """Raise UndoNeededError if a journal that is used next is not the user's, or names a path outside the target.

    Checks the interrupted transactions; with `undo` also the damaged ones, and the newest committed one or all newer
    than `to`. If the lock is held, the changes of an interrupted installer are found out and checked too.
    """
    _refuse_owners_and_links(system, prefix)
    history = journal.history(prefix)
    checked = [transaction for transaction in history if transaction.read().state == "open"]
    if undo:
        committed = [transaction for transaction in history if transaction.read().state == "committed"]
        checked += committed[-1:] if to is None else [one for one in committed if one.number > to]
        checked += [transaction for transaction in history if transaction.read().state == "damaged"]
    for transaction in checked:
        _JournalCheck(system, prefix, python, transaction, locked).run()


def _refuse_owners_and_links(system: System, prefix: Path) -> None:
    """Check the state folder from the top down to the journals: a link there would redirect a write."""
    folder, transactions = prefix / STATE_FOLDER, journal.transactions_folder(prefix)
    _refuse_foreign(system, prefix, [folder])
    for parent in (folder, transactions):
        _refuse_foreign(system, prefix, [parent / name for name in system.names(parent)])
    _refuse_foreign(system, prefix, [transaction.journal for transaction in journal.history(prefix)])


def _refuse_foreign(system: System, prefix: Path, paths: Iterable[Path]) -> None:
    for path in paths:
        if _is_link(path):
            _refuse(prefix, path, message("journal-is-link", path=path))
        owner = system.foreign_owner(path)
        if owner is not None:
            _refuse(prefix, path, message("journal-of-other", path=path, owner=owner))


def _is_link(path: Path) -> bool:
    return path.is_symlink() or is_junction(path)


def _refuse(prefix: Path, path: Path, reason: Text) -> None:
    raise UndoNeededError(message("journal-refused", path=path, reason=reason, folder=prefix / STATE_FOLDER))


@dataclass(frozen=True)
class _JournalCheck:
    """The check of one transaction; every method raises UndoNeededError for a path that is not allowed."""

    system: System
    prefix: Path
    python: Path
    transaction: Transaction
    locked: bool
    """Whether the lock of the target is held, so that a list that an interruption left out can be written."""
    known: set[Path] = field(default_factory=set)
    """Folders that passed the check."""

    def run(self) -> None:
        """Check every path that an undo would change, and every kept entry that it would put there."""
        try:
            recorded = self.transaction.read()
            for intent in recorded.find("intent"):
                self._folder_of_step(str(intent["step"]))
                self._roots(intent)
            if recorded.damage is not None:
                changes = readable(self.transaction)
            else:
                if self.locked:
                    complete(self.system, self.transaction)
                changes = changes_of(self.transaction, skip_damaged=True)
            for step in changes:
                self._step(step)
        except (KeyError, TypeError, AttributeError, ValueError, OSError) as error:
            _refuse(self.prefix, self.transaction.journal, message("journal-unreadable", detail=repr(error)))

    def _refuse_outside(self, path: object) -> None:
        _refuse(
            self.prefix, self.transaction.journal, message("journal-leaves", named=path, prefix=self.prefix)
        )

    def _refuse_link(self, folder: Path) -> None:
        """Refuse a path behind a link that leads out of the target; the user may have put the link there."""
        link = next((path for path in reversed((folder, *folder.parents)) if self._leads_out(path)), folder)
        reason = message("journal-behind-link", named=folder, link=link, prefix=self.prefix)
        _refuse(self.prefix, self.transaction.journal, reason)

    def _leads_out(self, path: Path) -> bool:
        return path.is_relative_to(self.prefix) and _is_link(path)

    def _folder_of_step(self, name: str) -> None:
        """Check the folder with the kept entries of a step: a link there would lead out of the transaction."""
        folder = self.transaction.folder / name
        if PurePath(name).name != name or name in ("", ".", ".."):
            self._refuse_outside(name)
        lists = (f"{listed}{end}" for listed in _LISTS for end in ("", ".new"))
        found = (folder, *(folder / inside for inside in (*lists, "0", "1", "outside")))
        linked = next((path for path in found if _is_link(path)), None)
        if linked is not None and (linked == folder or linked.is_dir() or linked.name.startswith(_LISTS)):
            self._refuse_outside(linked)

    def _roots(self, intent: Event) -> None:
        """Check the folders that an installer changed: in the target, or site-packages of a bare interpreter."""
        for number, root in enumerate(intent.get("roots", ())):
            self._inside(_texts(root), self.prefix / root)
            for folder in folders_below(self.transaction.folder / str(intent["step"]) / str(number)):
                self._inside(folder, self.prefix / root / folder)

    def _step(self, step: StepChanges) -> None:
        for move in step.moves:
            self._model(move["from"])
            self._model(move["to"])
        for link in step.links:
            self._model(link["path"])
            self._model(link["original"])
            int(link["mode"]), int(link["mtime_ns"])
        for folder in (*(path for path, _ in step.folders), *step.created):
            self._inside(folder, self.prefix / folder)
        for entry in step.entries:
            self._entry(entry)

    def _entry(self, entry: Entry) -> None:
        if entry.kept is not None:
            self._kept(entry.kept)
        if not entry.is_outside:
            self._inside(entry.path, (self.prefix / entry.path).parent)
        elif Path(entry.path).name == _LINK:
            self._link(entry)
        else:
            self._model(entry.path)

    def _kept(self, name: str) -> None:
        """Check a kept entry: below the folder of the transaction, and only its last part may be a link."""
        path = self.transaction.folder / name
        if PurePath(name).is_absolute() or ".." in PurePath(name).parts:
            self._refuse_outside(name)
        if not path.parent.resolve().is_relative_to(self.transaction.folder.resolve()):
            self._refuse_outside(path)

    def _inside(self, name: str, folder: Path) -> None:
        """Check a relative path by its folder: it is in the target, with its links resolved.

        Of an interpreter without a virtual environment, the folders of the whole installation are allowed.
        """
        if folder in self.known:
            return
        pure = PurePath(name)
        if pure.is_absolute() or pure.drive or pure.root:
            self._refuse_outside(name)
        if ".." in pure.parts and not self._is_of_installation(folder):
            self._refuse_outside(name)
        if ".." not in pure.parts and not folder.resolve().is_relative_to(self.prefix.resolve()):
            self._refuse_link(folder)
        cache = folder / "__pycache__"
        if cache.is_symlink():
            self._refuse_outside(cache)
        self.known.add(folder)

    def _is_of_installation(self, folder: Path) -> bool:
        target = collect_target(self.system, Choice(self.python, str(self.prefix), explicit=False))
        if not isinstance(target, Target) or target.is_virtual:
            return False
        allowed: Sequence[str] = (target.prefix, target.purelib, target.platlib)
        return any(folder.resolve().is_relative_to(Path(path).resolve()) for path in allowed)

    def _model(self, name: str) -> None:
        """Check a path in the model cache, as it is written: the user may have links in the cache."""
        if not _lies_in(Path(_texts(name)), cache_root(self.system)):
            self._refuse_outside(name)

    def _link(self, entry: Entry) -> None:
        """Check the link `pipelines`, which may be in any working folder but must point into the target.

        A former link is restored only in the working folder or in a folder that contains the target.
        """
        path = Path(entry.path)
        if entry.after is None or entry.after.kind != "link" or entry.kept is not None:
            self._refuse_outside(path)
            return
        destination = path.parent / entry.after.text
        prefixes = (self._recorded_prefix(), self.prefix)  # the project may have been renamed since
        if self.transaction.is_target() and not any(_lies_in(destination, prefix) for prefix in prefixes):
            self._refuse_outside(destination)
        if entry.before is None or os.path.lexists(path):
            return
        near = path.parent.resolve()
        if near != self.system.cwd().resolve() and not self.prefix.resolve().is_relative_to(near):
            self._refuse_outside(path)

    def _recorded_prefix(self) -> Path:
        return Path(_texts(self.transaction.read().begin["target"]["path"]))


def _lies_in(path: Path, folder: Path) -> bool:
    """Compare two paths as they are written, without following links."""
    return Path(os.path.abspath(path)).is_relative_to(os.path.abspath(folder))  # noqa: PTH100 - resolve() follows links


def _texts(*values: object) -> str:
    """Return the first of some strings, "" for none; raises TypeError for a value that is not a string."""
    if not all(isinstance(value, str) for value in values):
        raise TypeError(values)
    return str(values[0]) if values else ""
