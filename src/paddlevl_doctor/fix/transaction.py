"""Runs a plan so that it is done whole or not at all, and undoes what was done."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path

from paddlevl_doctor.fix import journal, model_cache, steps
from paddlevl_doctor.fix.journal import Transaction
from paddlevl_doctor.fix.steps import DO, UNDO, StepContext, proof_note, prove_patches
from paddlevl_doctor.messages import Text, message, sentences
from paddlevl_doctor.packages.uv import remove_lock_file
from paddlevl_doctor.patching import file_patcher
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.errors import DoctorError, RolledBackError, UndoNeededError
from paddlevl_doctor.values.facts import Target
from paddlevl_doctor.values.findings import Outcome, Plan, Stage, Step, as_dict


@dataclass(frozen=True)
class Applied:
    """A finished transaction."""

    number: int
    outcomes: tuple[Outcome, ...]
    target: Target | None = None
    """What the target has said of itself since packages were changed last."""


class ApplyFailedError(RolledBackError):
    """A step failed; everything was put back. `outcomes` says how far it got."""

    def __init__(self, message: Text, outcomes: tuple[Outcome, ...]) -> None:
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
        raise DoctorError(message("target-read-only", path=prefix, reason=error.strerror)) from error
    known = [target] if target is not None else []
    work = StepContext(system, transaction, python, creates, known)
    run = _Run(work, stage, plan.steps[0])
    try:
        transaction.reserve()
        run.all(plan.steps)
        transaction.release()
        transaction.write("commit", durable=not creates, distributions=_distributions(work))
    except BaseException as error:
        roll_back(work)
        if not isinstance(error, (DoctorError, OSError)):
            raise
        raise _failed(run.current, error, run.outcomes) from error
    return Applied(transaction.number, tuple(run.outcomes), work.target())


@dataclass
class _Run:
    """The steps of a plan while they are being done. `current` is the one that is to blame for what is raised."""

    work: StepContext
    stage: Stage
    current: Step
    outcomes: list[Outcome] = field(default_factory=list)

    def all(self, steps: Sequence[Step]) -> None:
        """Do every step; patches that follow one another are proved together once all of them are written."""
        for step, following in zip_longest(steps, steps[1:]):
            self.current = step
            with self.stage(step.summary):
                self.outcomes.append(_do(self.work, step))
                if following is None or following.kind != "apply-patch":
                    self._prove(steps)

    def _prove(self, steps: Sequence[Step]) -> None:
        started = time.monotonic()
        proofs = prove_patches(self.work)
        seconds = round(time.monotonic() - started, 2)
        for step in steps:
            if step.id in proofs:
                self.current = step
                self._add(step, seconds, proof_note(str(step.arguments["patch"]), proofs[step.id]))

    def _add(self, step: Step, seconds: float, message: Text) -> None:
        """Add to the outcome of a step that was done before."""
        at = next(n for n, outcome in enumerate(self.outcomes) if outcome.step == step.id)
        former = self.outcomes[at]
        self.outcomes[at] = replace(former, seconds=round(former.seconds + seconds, 2), message=message)


def _failed(step: Step, error: Exception, outcomes: list[Outcome]) -> ApplyFailedError:
    """Describe a failure: what had been applied was put back."""
    done = (replace(outcome, status="rolled-back") for outcome in outcomes if outcome.step != step.id)
    said = message("rolled-back", step=step.summary, reason=error)
    return ApplyFailedError(said, (*done, Outcome(step.id, "failed", 0.0, str(error))))


def _do(work: StepContext, step: Step) -> Outcome:
    started = time.monotonic()
    status = DO[step.kind](work, step)
    notes = sentences(work.notes)
    work.notes.clear()
    return Outcome(step.id, status, round(time.monotonic() - started, 2), notes)


def _distributions(work: StepContext) -> dict[str, str]:
    return {d.name: d.version for d in work.target().distributions}


def roll_back(work: StepContext) -> None:
    """Undo every step that was started, newest first, and forget the transaction; raises UndoNeededError."""
    try:
        work.transaction.release()
        for intent in work.transaction.intents():
            UNDO[intent["runner"]](work, intent["undo"])
        if not work.transaction.had_uv_lock():
            remove_lock_file(work.prefix)
        work.transaction.write("rolled-back")
    except (OSError, DoctorError) as error:
        raise UndoNeededError(message("undo-needed", path=work.prefix, reason=error)) from error
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


def _work(system: System, transaction: Transaction) -> StepContext:
    events = transaction.events()
    first = events[0] if events else {}
    return StepContext(system, transaction, Path(first.get("python", "")), creates=bool(first.get("creates")))


def undo(system: System, prefix: Path, transaction: Transaction, *, force: bool) -> None:
    """Undo one committed transaction; `force` goes ahead although packages were changed since.

    Raises DoctorError when they were, or when a patched file was edited meanwhile; nothing is touched then.
    """
    work = _work(system, transaction)
    if not force:
        _refuse_if_moved(work, prefix)
    # Stop before anything is touched where somebody edited a file that we patched.
    for intent in work.transaction.intents():
        _refuse_edited_files(work, intent["runner"], intent["undo"])
    try:
        transaction.write("undo")  # from here on whoever comes next must go on with it
    except OSError as error:
        raise DoctorError(message("target-read-only", path=prefix, reason=error.strerror)) from error
    roll_back(work)


def _refuse_edited_files(work: StepContext, runner: str, kept: journal.Event) -> None:
    if runner == "apply-patch" and not work.creates:
        path = file_patcher.edited(Path(kept["site"]), kept["files"])
        if path is not None:
            raise DoctorError(message("file-moved", path=path))
    if runner in ("edit-config", "set-environment") and steps.is_edited(kept):
        raise DoctorError(message("file-moved", path=kept["path"]))
    if runner == "repair-model-cache" and (back := model_cache.returned(kept.get("moves", ()))):
        raise DoctorError(message("model-came-back", path=back["from"], aside=back["to"]))


def _refuse_if_moved(work: StepContext, prefix: Path) -> None:
    commit = next((e for e in work.transaction.events() if e["event"] == "commit"), None)
    before = dict(commit["distributions"]) if commit else {}
    now = _distributions(work)
    names = sorted(n for n in {*before, *now} if before.get(n) != now.get(n))
    if names:
        shown = ", ".join(f"{n} {before.get(n, '-')} -> {now.get(n, '-')}" for n in names[:5])
        raise DoctorError(message("undo-moved", path=prefix, names=shown))
