"""Checks journals before they are followed: they must belong to the user and name places of the target only.

Recovery and undo write, move and delete what a journal names. A journal may have come with a copied, renamed or shared
folder, so every path in it is checked before anything is touched, the lock included.
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
    """Raise UndoNeededError where a journal that would be followed now is not the user's, or leaves the target.

    Those are the interrupted ones; with `undo` also the newest other one, or all that are newer than `to`.
    """
    _refuse_owners_and_links(system, prefix)
    history = journal.history(prefix)
    followed = [transaction for transaction in history if transaction.state() == "open"]
    if undo:
        committed = [transaction for transaction in history if transaction.state() == "committed"]
        followed += committed[-1:] if to is None else [one for one in committed if one.number > to]
    for transaction in followed:
        _JournalCheck(system, prefix, python, transaction).run()


def _refuse_owners_and_links(system: System, prefix: Path) -> None:
    """Look at the doctor's own folder, from the top down to the journals: a link there leads a write elsewhere."""
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
    """The check of one transaction; every method raises UndoNeededError for what it does not allow."""

    system: System
    prefix: Path
    python: Path
    transaction: Transaction
    known: set[Path] = field(default_factory=set)
    """Folders that were found to lie in the target."""

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
        """Check the program that is asked what is installed: the target's, whatever it is called."""
        there = python == self.python or self._in_target(python.parent)
        if not there and not (python.exists() and self.python.exists() and python.samefile(self.python)):
            self._leaves(python)

    def _relative(self, name: object) -> str:
        """Check that a text is a name below a folder."""
        pure = PurePath(_texts(name))
        if pure.is_absolute() or pure.drive or pure.root or ".." in pure.parts:
            self._leaves(name)
        return str(name)

    def _leaves(self, path: object) -> None:
        _refuse(
            self.prefix, self.transaction.journal, message("journal-leaves", named=path, prefix=self.prefix)
        )

    def _in_target(self, folder: Path) -> bool:
        """Say whether a folder lies in the target, links followed; what was found once is not asked again."""
        if folder not in self.known:
            if not folder.is_absolute() or not folder.resolve().is_relative_to(self.prefix.resolve()):
                return False
            self.known.add(folder)
        return True

    def root(self, name: str) -> None:
        """Check a folder whose content is restored: in the target, or site-packages of a bare interpreter."""
        folder = Path(name)
        if self._in_target(folder):
            return
        target = collect_target(self.system, Choice(self.python, str(self.prefix), explicit=False))
        sites: tuple[str, ...] = ()
        if isinstance(target, Target) and not target.is_virtual:
            sites = (target.purelib, target.platlib)
        if folder.resolve() not in [Path(site).resolve() for site in sites]:
            self._leaves(folder)
        self.known.add(folder)

    def below(self, root: Path, names: Iterable[Any], *, bytecode: bool = False) -> None:
        """Check names below a folder: their parents, links followed, lie in it; bytecode beside them too."""
        real = root.resolve()
        for parent in {str(PurePath(self._relative(name)).parent) for name in names}:
            folders = (root / parent, root / parent / "__pycache__") if bytecode else (root / parent,)
            for folder in folders:
                if not folder.resolve().is_relative_to(real):
                    self._leaves(folder)

    def kept(self, name: str) -> Path:
        """Check where a step keeps what was there before; only the last part may be a link that was kept."""
        self.below(self.transaction.folder, [name])
        return self.transaction.folder / name

    def kept_folder(self, name: str) -> Path:
        """Check a folder in which a step keeps things."""
        self.kept(f"{name}/x")
        return self.transaction.folder / name

    def text_file(self, undo: Event) -> None:
        """Check a step that wrote a file in the target or in the model cache."""
        _texts(undo["path"], undo["after"], undo["before"] or "")
        self.kept(undo["keep"])
        if not self._in_target(Path(undo["path"]).parent):
            self.model(undo["path"])

    def model(self, name: str) -> None:
        """Check a path in the model cache, which is no part of the target; links that the user made in it count."""
        if not _lies_in(Path(name), cache_root(self.system)):
            self._leaves(name)

    # --- the kinds of steps

    def environment(self, undo: Event) -> None:
        """A new environment: all of its folder is removed but what was found there."""
        _texts(*undo.get("found", ()))

    def packages(self, undo: Event) -> None:
        """Packages: the folders are made what their snapshots say."""
        for name, root in dict(undo.get("roots", {})).items():
            self.root(root)
            snapshot = Snapshot(Path(root), self.kept_folder(name))
            self.kept_folder(f"{name}/kept")
            lists = (snapshot.added, snapshot.folders)
            if any(_is_link(path.with_name(path.name + end)) for path in lists for end in ("", ".new")):
                self._leaves(snapshot.folder)
            for path, bytecode in zip(lists, (True, False), strict=True):
                found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
                self.below(snapshot.root, found, bytecode=bytecode)
            folders = (Path(folder).relative_to(snapshot.kept) for folder, _, _ in os.walk(snapshot.kept))
            self.below(snapshot.root, [f"{folder.as_posix()}/x" for folder in folders])

    def leftovers(self, undo: Event) -> None:
        """Records that were moved out of site-packages."""
        self.root(undo["site"])
        self.kept_folder(undo["keep"])
        if any(PurePath(self._relative(name)).name != name for name in undo["names"]):
            self._leaves(undo["names"])

    def models(self, undo: Event) -> None:
        """Models that were moved aside, or made one."""
        for move in undo.get("moves", ()):
            self.model(move["from"])
            self.model(move["to"])
        for link in undo.get("links", ()):
            self.model(link["path"])
            self.model(link["original"])
            int(link["mode"]), int(link["mtime_ns"])

    def patch(self, undo: Event) -> None:
        """Files that a patch changed."""
        self.root(undo["site"])
        self.kept_folder(undo["keep"])
        _texts(*(file[key] for file in undo["files"] for key in ("before", "after")))
        self.below(Path(undo["site"]), [file["path"] for file in undo["files"]], bytecode=True)

    def link(self, undo: Event) -> None:
        """The link `pipelines`, which may lie in any working folder but points into the target.

        A link that was there before it comes back only in its place, or beside the target.
        """
        path, ours = Path(undo["path"]), Path(undo["points_to"])
        if path.name != _LINK:
            self._leaves(path)
        if not (_lies_in(ours, self.prefix) or self._in_target(ours)):
            self._leaves(ours)
        now = self.system.link_target(path)
        is_ours = now is not None and is_same_path(path.parent / now, ours)
        if undo["former"] is None or is_ours or os.path.lexists(path):
            return
        _texts(undo["former"])
        near = path.parent.resolve()
        if near != self.system.cwd().resolve() and not self.prefix.resolve().is_relative_to(near):
            self._leaves(path)


def _lies_in(path: Path, folder: Path) -> bool:
    """Compare two paths as they are written, without following links."""
    return Path(os.path.abspath(path)).is_relative_to(os.path.abspath(folder))  # noqa: PTH100 - resolve() follows links


def _texts(*values: object) -> str:
    """Return the first of some texts; raises TypeError where one is none."""
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
