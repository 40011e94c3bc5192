"""Checks journals before a rollback or undo uses them: they must belong to the user and name paths of the target only.

A rollback writes, moves and deletes the paths in a journal. A journal may come from a copied, renamed or shared
folder, so every path in it is checked before any change, before the lock is taken too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from paddlevl_doctor.facts.model_cache import cache_root
from paddlevl_doctor.facts.target import Choice, collect_target
from paddlevl_doctor.fix import journal
from paddlevl_doctor.fix.journal import Event, Transaction
from paddlevl_doctor.fix.snapshot import STATE_FOLDER, Snapshot
from paddlevl_doctor.messages import Text, message
from paddlevl_doctor.system.files import is_junction, is_same_path
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.errors import UndoNeededError
from paddlevl_doctor.values.facts import Target

_LINK = "pipelines"


def refuse_foreign_journals(
    system: System, prefix: Path, python: Path, *, undo: bool = False, to: int | None = None
) -> None:
    """Raise UndoNeededError if a journal that is used next is not the user's, or names a path outside the target.

    Checks the interrupted transactions; with `undo` also the newest committed one, or all newer than `to`.
    """
    _refuse_owners_and_links(system, prefix)
    history = journal.history(prefix)
    checked = [transaction for transaction in history if transaction.state() == "open"]
    if undo:
        committed = [transaction for transaction in history if transaction.state() == "committed"]
        checked += committed[-1:] if to is None else [one for one in committed if one.number > to]
    for transaction in checked:
        _JournalCheck(system, prefix, python, transaction).run()


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
    known: set[Path] = field(default_factory=set)
    """Folders that passed the check."""

    def run(self) -> None:
        """Check the interpreter and every step."""
        try:
            begin = next(iter(self.transaction.events()), {})
            self._interpreter(Path(begin.get("python") or self.python))
            for intent in self.transaction.intents():
                _CHECKS[intent["runner"]](self, intent["undo"])
        except (KeyError, TypeError, AttributeError, ValueError, OSError) as error:
            _refuse(self.prefix, self.transaction.journal, message("journal-unreadable", detail=repr(error)))

    def _interpreter(self, python: Path) -> None:
        """Check that the recorded interpreter, which will be started, is the target's."""
        is_inside = python == self.python or self._in_target(python.parent)
        if not is_inside and not (python.exists() and self.python.exists() and python.samefile(self.python)):
            self._refuse_outside(python)

    def _relative(self, name: object) -> str:
        """Return a relative path without `..`; refuse any other value."""
        pure = PurePath(_texts(name))
        if pure.is_absolute() or pure.drive or pure.root or ".." in pure.parts:
            self._refuse_outside(name)
        return str(name)

    def _refuse_outside(self, path: object) -> None:
        _refuse(
            self.prefix, self.transaction.journal, message("journal-leaves", named=path, prefix=self.prefix)
        )

    def _in_target(self, folder: Path) -> bool:
        """Return whether a folder, with its links resolved, is in the target; the result is cached."""
        if folder not in self.known:
            if not folder.is_absolute() or not folder.resolve().is_relative_to(self.prefix.resolve()):
                return False
            self.known.add(folder)
        return True

    def root(self, name: str) -> None:
        """Check a folder whose files are restored: in the target, or site-packages of a bare interpreter."""
        folder = Path(name)
        if self._in_target(folder):
            return
        target = collect_target(self.system, Choice(self.python, str(self.prefix), explicit=False))
        sites: tuple[str, ...] = ()
        if isinstance(target, Target) and not target.is_virtual:
            sites = (target.purelib, target.platlib)
        if folder.resolve() not in [Path(site).resolve() for site in sites]:
            self._refuse_outside(folder)
        self.known.add(folder)

    def below(self, root: Path, names: Iterable[Any], *, bytecode: bool = False) -> None:
        """Check that the resolved parents of these paths are in `root`; with `bytecode` their __pycache__ too."""
        real = root.resolve()
        for parent in {str(PurePath(self._relative(name)).parent) for name in names}:
            folders = (root / parent, root / parent / "__pycache__") if bytecode else (root / parent,)
            for folder in folders:
                if not folder.resolve().is_relative_to(real):
                    self._refuse_outside(folder)

    def kept(self, name: str) -> Path:
        """Return the path of a kept former entry in the transaction; only its last part may be a link."""
        self.below(self.transaction.folder, [name])
        return self.transaction.folder / name

    def kept_folder(self, name: str) -> Path:
        """Return the folder of a step in the transaction, which must not be a link."""
        self.kept(f"{name}/x")
        return self.transaction.folder / name

    def text_file(self, undo: Event) -> None:
        """Check a step that wrote a file in the target or in the model cache."""
        _texts(undo["path"], undo["after"], undo["before"] or "")
        self.kept(undo["keep"])
        if not self._in_target(Path(undo["path"]).parent):
            self.model(undo["path"])

    def model(self, name: str) -> None:
        """Check a path in the model cache, as it is written: the user may have links in the cache."""
        if not _lies_in(Path(name), cache_root(self.system)):
            self._refuse_outside(name)

    # --- the kinds of steps

    def environment(self, undo: Event) -> None:
        """Check a new environment: undo removes all of its folder except the entries in `found`."""
        _texts(*undo.get("found", ()))

    def packages(self, undo: Event) -> None:
        """Check changed packages: undo restores the folders from their snapshots."""
        for name, root in dict(undo.get("roots", {})).items():
            self.root(root)
            snapshot = Snapshot(Path(root), self.kept_folder(name))
            self.kept_folder(f"{name}/kept")
            lists = (snapshot.added, snapshot.folders)
            if any(_is_link(path.with_name(path.name + end)) for path in lists for end in ("", ".new")):
                self._refuse_outside(snapshot.folder)
            for path, bytecode in zip(lists, (True, False), strict=True):
                found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
                self.below(snapshot.root, found, bytecode=bytecode)
            folders = (Path(folder).relative_to(snapshot.kept) for folder, _, _ in os.walk(snapshot.kept))
            self.below(snapshot.root, [f"{folder.as_posix()}/x" for folder in folders])

    def leftovers(self, undo: Event) -> None:
        """Check records that were moved out of site-packages."""
        self.root(undo["site"])
        self.kept_folder(undo["keep"])
        if any(PurePath(self._relative(name)).name != name for name in undo["names"]):
            self._refuse_outside(undo["names"])

    def models(self, undo: Event) -> None:
        """Check models that were moved aside or replaced by hard links."""
        for move in undo.get("moves", ()):
            self.model(move["from"])
            self.model(move["to"])
        for link in undo.get("links", ()):
            self.model(link["path"])
            self.model(link["original"])
            int(link["mode"]), int(link["mtime_ns"])

    def patch(self, undo: Event) -> None:
        """Check files that a patch changed."""
        self.root(undo["site"])
        self.kept_folder(undo["keep"])
        _texts(*(file[key] for file in undo["files"] for key in ("before", "after")))
        self.below(Path(undo["site"]), [file["path"] for file in undo["files"]], bytecode=True)

    def link(self, undo: Event) -> None:
        """Check the link `pipelines`, which may be in any working folder but must point into the target.

        A former link is restored only in the working folder or in a folder that contains the target.
        """
        path, destination = Path(undo["path"]), Path(undo["points_to"])
        if path.name != _LINK:
            self._refuse_outside(path)
        if not (_lies_in(destination, self.prefix) or self._in_target(destination)):
            self._refuse_outside(destination)
        now = self.system.link_target(path)
        is_ours = now is not None and is_same_path(path.parent / now, destination)
        if undo["former"] is None or is_ours or os.path.lexists(path):
            return
        _texts(undo["former"])
        near = path.parent.resolve()
        if near != self.system.cwd().resolve() and not self.prefix.resolve().is_relative_to(near):
            self._refuse_outside(path)


def _lies_in(path: Path, folder: Path) -> bool:
    """Compare two paths as they are written, without following links."""
    return Path(os.path.abspath(path)).is_relative_to(os.path.abspath(folder))  # noqa: PTH100 - resolve() follows links


def _texts(*values: object) -> str:
    """Return the first of some strings, "" for none; raises TypeError for a value that is not a string."""
    if not all(isinstance(value, str) for value in values):
        raise TypeError(values)
    return str(values[0]) if values else ""


_CHECKS: dict[str, Callable[[_JournalCheck, Event], None]] = {
    "create-environment": _JournalCheck.environment,
    "remove-packages": _JournalCheck.packages,
    "install-packages": _JournalCheck.packages,
    "clear-leftovers": _JournalCheck.leftovers,
    "repair-model-cache": _JournalCheck.models,
    "edit-config": _JournalCheck.text_file,
    "set-environment": _JournalCheck.text_file,
    "apply-patch": _JournalCheck.patch,
    "link-pipelines": _JournalCheck.link,
}
