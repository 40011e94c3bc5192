"""`undo`: undoes transactions, shows what that would change, or lists them."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from paddlevl_doctor.commands.diagnose import TargetOptions
from paddlevl_doctor.commands.target_paths import target_paths
from paddlevl_doctor.fix import journal
from paddlevl_doctor.fix.journal_check import refuse_foreign_journals
from paddlevl_doctor.fix.lock import locked
from paddlevl_doctor.fix.recorded_changes import damage_of, known_changes
from paddlevl_doctor.fix.report import UndoReport
from paddlevl_doctor.fix.undo import foresee, naming_recovered, recover, refuse, undo, unrecoverable
from paddlevl_doctor.fix.undo_preview import UndoPreview
from paddlevl_doctor.messages import message, sentences
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.errors import UndoNeededError, UsageError
from paddlevl_doctor.values.findings import Stage


def undo_command(
    system: System,
    options: TargetOptions,
    stage: Stage,
    *,
    listing: bool = False,
    to: int | None = None,
    yes: bool = False,
    dry_run: bool = False,
) -> UndoReport:
    """List the transactions of a target, undo the newest, or all that are newer than `to`, or show what that changes.

    A dry run reports a refusal instead of raising it. Raises UsageError if there is nothing to undo, DoctorError if the
    target was changed since, UndoNeededError for a journal that is damaged, is not the user's or names paths
    outside the target.
    """
    paths = target_paths(system, options)
    prefix = paths.state
    if listing:
        return UndoReport((), _summaries(prefix))
    refuse_foreign_journals(system, prefix, paths.python, locked=False, undo=True, to=to)
    if dry_run:
        return _dry_run(prefix, to, yes=yes)
    with locked(prefix), journal.interrupts_told(prefix):
        refuse_foreign_journals(system, prefix, paths.python, locked=True, undo=True, to=to)  # as above
        recovered = recover(system, prefix, yes=yes)
        with naming_recovered(recovered):
            # The user wants to undo the interrupted transaction; an older repair stays, unless --to includes it.
            needed = recovered is None
            chosen = _chosen(prefix, to, needed=needed) if needed or to is not None else []
            done = _undo_all(system, chosen, stage, yes=yes)
    if recovered is not None:
        done.insert(0, recovered)
    return UndoReport(tuple(one.transaction for one in done), _summaries(prefix), tuple(done))


def _undo_all(
    system: System, chosen: Sequence[journal.Transaction], stage: Stage, *, yes: bool
) -> list[UndoPreview]:
    """Undo transactions, newest first. Without `yes`, all can be undone, or none is."""
    done: list[UndoPreview] = []
    if len(chosen) > 1 and not yes:
        for transaction, newer in _with_newer(chosen):
            refuse(transaction, yes=yes, newer=newer)
    for transaction in chosen:
        with stage(message("stage-undo", number=transaction.number)), _naming_undone(done):
            done.append(undo(system, transaction, yes=yes))
    return done


def _dry_run(prefix: Path, to: int | None, *, yes: bool) -> UndoReport:
    """Return what `undo` would do; an interrupted transaction that cannot be rolled back stops it before any other."""
    first = unrecoverable(prefix)
    chosen = [first] if first is not None else _chosen(prefix, to, dry_run=True)
    shown = [foresee(transaction, yes=yes, newer=newer) for transaction, newer in _with_newer(chosen)]
    return UndoReport((), _summaries(prefix), tuple(shown), dry_run=True)


@contextlib.contextmanager
def _naming_undone(done: Sequence[UndoPreview]) -> Iterator[None]:
    """Add the transactions that were undone before to the error of an undo."""
    try:
        yield
    except UndoNeededError as error:
        if not done:
            raise
        before = message("undone-before", numbers=[one.transaction for one in done])
        raise UndoNeededError(sentences((before, error.message))) from error


def _with_newer(
    chosen: Sequence[journal.Transaction],
) -> Iterator[tuple[journal.Transaction, Collection[str]]]:
    """Yield the transactions, newest first, each with the paths that the undo of newer ones changes back before it."""
    newer: set[str] = set()
    for transaction in chosen:
        yield transaction, frozenset(newer)
        newer |= {entry.path for step in known_changes(transaction) for entry in step.entries}


def _chosen(
    prefix: Path, to: int | None, *, needed: bool = True, dry_run: bool = False
) -> list[journal.Transaction]:
    """Return the transactions to undo, newest first. Raises UsageError if there is none and one is `needed`."""
    history = journal.history(prefix)
    opened = [one.number for one in history if one.read().state == "open"]
    if opened and dry_run:
        raise UsageError(message("undo-interrupted-first", number=opened[-1]))
    chosen = [one for one in reversed(history) if one.number > to] if to is not None else history[-1:]
    if not chosen and history and to is not None:
        raise UsageError(message("nothing-newer", to=to, newest=history[-1].number))
    if not chosen and needed:
        raise UsageError(message("nothing-to-undo", path=prefix))
    return chosen


def _summaries(prefix: Path) -> tuple[dict[str, object], ...]:
    return tuple(_summary(transaction) for transaction in journal.history(prefix))


def _summary(transaction: journal.Transaction) -> dict[str, object]:
    first = transaction.read().begin
    plan = first.get("plan")
    steps = [step["summary"] for step in plan.get("steps", [])] if isinstance(plan, dict) else []
    return {
        "transaction": transaction.number,
        "time": first.get("time"),
        "state": "damaged" if damage_of(transaction) is not None else transaction.read().state,
        "steps": steps,
    }
