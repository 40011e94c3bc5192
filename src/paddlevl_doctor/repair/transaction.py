"""Runs a plan so that it is done whole or not at all, and undoes what was done."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from paddlevl_doctor.errors import DoctorError, RolledBackError, UndoNeededError
from paddlevl_doctor.facts.model import Target
from paddlevl_doctor.messages import text
from paddlevl_doctor.repair import journal, model_cache, patching, text_files
from paddlevl_doctor.repair.journal import Transaction
from paddlevl_doctor.repair.steps import DO, UNDO, Work
from paddlevl_doctor.repair.uv_lock import remove_lock_file
from paddlevl_doctor.system import System
from paddlevl_doctor.values import Outcome, Plan, Stage, Step, as_dict


@dataclass(frozen=True)
class Applied:
    """A finished transaction."""

    number: int
    outcomes: tuple[Outcome, ...]


class ApplyFailedError(RolledBackError):
    """A step failed; everything was put back. `outcomes` says how far it got."""

    def __init__(self, message: str, outcomes: tuple[Outcome, ...]) -> None:
        super().__init__(message)
        self.outcomes = outcomes


def apply_plan(
    system: System, plan: Plan, prefix: Path, python: Path, stage: Stage, target: Target | None = None
) -> Applied:
    """Run every step of a plan on a target whose state is kept in `prefix`, which the caller holds (`lock.locked`).

    `target` is what it said of itself under the same lock; without it, it is asked again.
    Raises ApplyFailedError (put back) and UndoNeededError (could not be put back); KeyboardInterrupt passes on.
    """
    creates = any(step.kind == "create-environment" for step in plan.steps)
    try:
        transaction = journal.begin(prefix, as_dict(plan), python=python, creates=creates)
    except OSError as error:
        raise DoctorError(text("target-read-only", path=prefix, reason=error.strerror)) from error
    known = [target] if target is not None else []
    work, current = Work(system, transaction, python, creates, known), plan.steps[0]
    outcomes: list[Outcome] = []
    try:
        transaction.reserve()
        for current in plan.steps:
            with stage(current.summary):
                outcomes.append(_do(work, current))
        transaction.release()
        transaction.write("commit", durable=not creates, distributions=_distributions(work))
    except BaseException as error:
        roll_back(work)
        if not isinstance(error, (DoctorError, OSError)):
            raise
        raise _failed(current, error, outcomes) from error
    return Applied(transaction.number, tuple(outcomes))


def _failed(step: Step, error: Exception, outcomes: list[Outcome]) -> ApplyFailedError:
    """Describe a failure: what had been applied was put back."""
    done = (replace(outcome, status="rolled-back") for outcome in outcomes if outcome.step != step.id)
    message = text("rolled-back", step=step.summary, reason=error)
    return ApplyFailedError(message, (*done, Outcome(step.id, "failed", 0.0, str(error))))


def _do(work: Work, step: Step) -> Outcome:
    started = time.monotonic()
    status = DO[step.kind](work, step)
    message = " ".join(work.notes)
    work.notes.clear()
    return Outcome(step.id, status, round(time.monotonic() - started, 2), message)


def _distributions(work: Work) -> dict[str, str]:
    return {d.name: d.version for d in work.target().distributions}


def roll_back(work: Work) -> None:
    """Undo every step that was started, newest first, and forget the transaction; raises UndoNeededError."""
    try:
        work.transaction.release()
        for intent in work.transaction.intents():
            UNDO[intent["runner"]](work, intent["undo"])
        if not work.transaction.had_uv_lock():
            remove_lock_file(work.prefix)
        work.transaction.write("rolled-back")
    except (OSError, DoctorError) as error:
        raise UndoNeededError(text("undo-needed", path=work.prefix, reason=error)) from error
    work.transaction.forget()


def recover(system: System, prefix: Path) -> int | None:
    """Put back what an interrupted run left half done; returns its number, None when there was none."""
    recovered = None
    for transaction in reversed(journal.history(prefix)):
        state = transaction.state()
        if state == "open":
            roll_back(_work(system, transaction))
            recovered = transaction.number
        elif state == "rolled-back":
            transaction.forget()
    return recovered


def _work(system: System, transaction: Transaction) -> Work:
    events = transaction.events()
    first = events[0] if events else {}
    return Work(system, transaction, Path(first.get("python", "")), creates=bool(first.get("creates")))


def undo(system: System, prefix: Path, transaction: Transaction, *, force: bool) -> None:
    """Undo one committed transaction; `force` goes ahead although packages were changed since.

    Raises DoctorError when they were, or when a patched file was edited meanwhile; nothing is touched then.
    """
    work = _work(system, transaction)
    if not force:
        _refuse_if_moved(work, prefix)
    _refuse_if_edited(work)
    try:
        transaction.write("undo")  # from here on whoever comes next must go on with it
    except OSError as error:
        raise DoctorError(text("target-read-only", path=prefix, reason=error.strerror)) from error
    roll_back(work)


def _refuse_if_edited(work: Work) -> None:
    """Stop before anything is touched where somebody edited a file that we patched."""
    for intent in work.transaction.intents():
        _refuse_edited_files(work, intent["runner"], intent["undo"])


def _refuse_edited_files(work: Work, runner: str, kept: journal.Event) -> None:
    if runner == "apply-patch" and not work.creates:
        path = patching.edited(Path(kept["site"]), kept["files"])
        if path is not None:
            raise DoctorError(text("file-moved", path=path))
    if runner in ("edit-config", "set-environment") and text_files.is_edited(kept):
        raise DoctorError(text("file-moved", path=kept["path"]))
    if runner == "repair-model-cache" and (back := model_cache.returned(kept.get("moves", ()))):
        raise DoctorError(text("model-came-back", path=back["from"], aside=back["to"]))


def _refuse_if_moved(work: Work, prefix: Path) -> None:
    commit = next((e for e in work.transaction.events() if e["event"] == "commit"), None)
    before = dict(commit["distributions"]) if commit else {}
    now = _distributions(work)
    names = sorted(n for n in {*before, *now} if before.get(n) != now.get(n))
    if names:
        shown = ", ".join(f"{n} {before.get(n, '-')} -> {now.get(n, '-')}" for n in names[:5])
        raise DoctorError(text("undo-moved", path=prefix, names=shown))
