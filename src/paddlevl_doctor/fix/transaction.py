"""Applies a plan as a transaction: all steps, or none after a rollback; and undoes committed transactions."""

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
from paddlevl_doctor.system.processes import uninterrupted
from paddlevl_doctor.values.errors import DoctorError, RolledBackError, UndoNeededError
from paddlevl_doctor.values.facts import Target
from paddlevl_doctor.values.findings import Outcome, Plan, Stage, Step, as_dict


@dataclass(frozen=True)
class Applied:
    """A finished transaction."""

    number: int
    outcomes: tuple[Outcome, ...]
    target: Target | None = None
    """The target as its Python described it after the last change of packages."""


class ApplyFailedError(RolledBackError):
    """A step failed, and all changes were rolled back. `outcomes` has the result of every step until then."""

    def __init__(self, message: Text, outcomes: tuple[Outcome, ...]) -> None:
        super().__init__(message)
        self.outcomes = outcomes


def apply_plan(
    system: System, plan: Plan, prefix: Path, python: Path, stage: Stage, target: Target | None = None
) -> Applied:
    """Run every step of a plan on the target that has its state in `prefix`; the caller holds `lock.locked`.

    `target` is the description that was collected under the same lock; for None it is collected again. Raises
    ApplyFailedError after a rollback, UndoNeededError if the rollback fails, DoctorError for a read-only target.
    KeyboardInterrupt is raised again after the rollback.
    """
    creates = any(step.kind == "create-environment" for step in plan.steps)
    try:
        transaction = journal.begin(prefix, as_dict(plan), python=python, creates=creates)
    except OSError as error:
        raise DoctorError(message("target-read-only", path=prefix, reason=error.strerror)) from error
    known = [target] if target is not None else []
    context = StepContext(system, transaction, python, creates, known)
    run = _PlanRun(context, stage, plan.steps[0])
    try:
        transaction.reserve()
        run.run_steps(plan.steps)
        transaction.release()
        transaction.write("commit", durable=not creates, distributions=_distributions(context))
    except BaseException as error:
        roll_back(context)
        if not isinstance(error, (DoctorError, OSError)):
            raise
        raise _failed(run.current, error, run.outcomes) from error
    return Applied(transaction.number, tuple(run.outcomes), context.target())


@dataclass
class _PlanRun:
    """The state of a running plan. `current` is the step that an exception belongs to."""

    context: StepContext
    stage: Stage
    current: Step
    outcomes: list[Outcome] = field(default_factory=list)

    def run_steps(self, steps: Sequence[Step]) -> None:
        """Run every step; the proofs of consecutive patches run together, after the last of these patches."""
        for step, following in zip_longest(steps, steps[1:]):
            self.current = step
            with self.stage(step.summary):
                self.outcomes.append(_run_step(self.context, step))
                if following is None or following.kind != "apply-patch":
                    self._prove(steps)

    def _prove(self, steps: Sequence[Step]) -> None:
        started = time.monotonic()
        proofs = prove_patches(self.context)
        seconds = round(time.monotonic() - started, 2)
        for step in steps:
            if step.id in proofs:
                self.current = step
                self._add(step, seconds, proof_note(str(step.arguments["patch"]), proofs[step.id]))

    def _add(self, step: Step, seconds: float, message: Text) -> None:
        """Add seconds and a message to the outcome of an earlier step."""
        index = next(n for n, outcome in enumerate(self.outcomes) if outcome.step == step.id)
        former = self.outcomes[index]
        self.outcomes[index] = replace(former, seconds=round(former.seconds + seconds, 2), message=message)


def _failed(step: Step, error: Exception, outcomes: list[Outcome]) -> ApplyFailedError:
    """Return the error for a failed step, after the rollback."""
    undone = (replace(outcome, status="rolled-back") for outcome in outcomes if outcome.step != step.id)
    text = message("rolled-back", step=step.summary, reason=error)
    return ApplyFailedError(text, (*undone, Outcome(step.id, "failed", 0.0, str(error))))


def _run_step(context: StepContext, step: Step) -> Outcome:
    started = time.monotonic()
    status = DO[step.kind](context, step)
    notes = sentences(context.notes)
    context.notes.clear()
    return Outcome(step.id, status, round(time.monotonic() - started, 2), notes)


def _distributions(context: StepContext) -> dict[str, str]:
    return {d.name: d.version for d in context.target().distributions}


@uninterrupted()
def roll_back(context: StepContext) -> None:
    """Undo every started step, newest first, and delete the transaction; raises UndoNeededError if a step fails."""
    try:
        context.transaction.release()
        for intent in context.transaction.intents():
            UNDO[intent["runner"]](context, intent["undo"])
        if not context.transaction.had_uv_lock():
            remove_lock_file(context.prefix)
        context.transaction.write("rolled-back")
    except (OSError, DoctorError) as error:
        raise UndoNeededError(message("undo-needed", path=context.prefix, reason=error)) from error
    context.transaction.forget()


def recover(system: System, prefix: Path) -> int | None:
    """Roll back the interrupted transaction; return its number, None if there is none."""
    recovered = None
    for transaction in reversed(journal.history(prefix)):
        state = transaction.state()
        if state == "open":
            roll_back(_step_context(system, transaction))
            recovered = transaction.number
        elif state == "rolled-back":
            transaction.forget()
    return recovered


def _step_context(system: System, transaction: Transaction) -> StepContext:
    events = transaction.events()
    first = events[0] if events else {}
    return StepContext(system, transaction, Path(first.get("python", "")), creates=bool(first.get("creates")))


def undo(system: System, prefix: Path, transaction: Transaction, *, force: bool) -> None:
    """Undo one committed transaction; `force` does it even if packages were changed since.

    Raises DoctorError, before any change, if packages or files that the transaction wrote were changed since.
    """
    context = _step_context(system, transaction)
    if not force:
        _refuse_changed_packages(context, prefix)
    for intent in context.transaction.intents():
        _refuse_edited_files(context, intent["runner"], intent["undo"])
    try:
        transaction.write("undo")  # from here on, the next command continues the undo
    except OSError as error:
        raise DoctorError(message("target-read-only", path=prefix, reason=error.strerror)) from error
    roll_back(context)


def _refuse_edited_files(context: StepContext, runner: str, undo_data: journal.Event) -> None:
    if runner == "apply-patch" and not context.creates:
        path = file_patcher.edited(Path(undo_data["site"]), undo_data["files"])
        if path is not None:
            raise DoctorError(message("file-moved", path=path))
    if runner in ("edit-config", "set-environment") and steps.is_edited(undo_data):
        raise DoctorError(message("file-moved", path=undo_data["path"]))
    if runner == "repair-model-cache" and (returned := model_cache.find_returned(undo_data.get("moves", ()))):
        raise DoctorError(message("model-came-back", path=returned["from"], aside=returned["to"]))


def _refuse_changed_packages(context: StepContext, prefix: Path) -> None:
    commit = next((e for e in context.transaction.events() if e["event"] == "commit"), None)
    before = dict(commit["distributions"]) if commit else {}
    now = _distributions(context)
    names = sorted(n for n in {*before, *now} if before.get(n) != now.get(n))
    if names:
        shown = ", ".join(f"{n} {before.get(n, '-')} -> {now.get(n, '-')}" for n in names[:5])
        raise DoctorError(message("undo-moved", path=prefix, names=shown))
