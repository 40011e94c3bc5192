"""Applies a plan as a transaction: all steps, or none after a rollback."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path

from paddlevl_doctor.fix import journal
from paddlevl_doctor.fix.steps import DO, StepContext, proof_note, prove_patches
from paddlevl_doctor.fix.undo import roll_back
from paddlevl_doctor.fix.user_changes import distributions
from paddlevl_doctor.messages import Text, message, sentences
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.errors import DoctorError, RolledBackError
from paddlevl_doctor.values.facts import Target
from paddlevl_doctor.values.findings import Stage, as_dict
from paddlevl_doctor.values.plan import ApplyPatch, CreateEnvironment, LinkPipelines, Outcome, Plan, Step


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


Gate = Callable[[StepContext], None]
"""Looks at the changed target before the commit; a DoctorError rolls everything back."""


def no_gate(_context: StepContext) -> None:
    """Accept every result."""


def apply_plan(
    system: System,
    plan: Plan,
    prefix: Path,
    python: Path,
    stage: Stage,
    target: Target | None = None,
    gate: Gate = no_gate,
    ready: Callable[[], object] = bool,
) -> Applied:
    """Run every step of a plan on the target that has its state in `prefix`; the caller holds `lock.locked`.

    `target` is the description that was collected under the same lock; for None it is collected again. `ready` waits
    for readers of the packages, and is called before each change of packages. Raises
    ApplyFailedError after a rollback, UndoNeededError if the rollback fails, DoctorError for a read-only target.
    KeyboardInterrupt is raised again after the rollback.
    """
    creates = any(isinstance(step, CreateEnvironment) for step in plan.steps)
    try:
        transaction = journal.begin(prefix, as_dict(plan), creates=creates)
    except OSError as error:
        raise DoctorError(message("target-read-only", path=prefix, reason=error.strerror)) from error
    known = [target] if target is not None else []
    context = StepContext(system, transaction, python, creates, known, ready=ready)
    run = _PlanRun(context, stage, plan.steps[0])
    try:
        transaction.reserve()
        run.run_steps(plan.steps)
        gate(context)
        context.discard_unchanged()
        transaction.release()
        transaction.commit(durable=not creates, distributions=sorted(distributions(prefix)))
    except BaseException as error:
        roll_back(system, transaction)
        if not isinstance(error, (DoctorError, OSError)):
            raise
        raise run.failed(error) from error
    return Applied(transaction.number, tuple(run.outcomes), context.target())


@dataclass
class _PlanRun:
    """The state of a running plan. `current` is the step that an exception belongs to."""

    context: StepContext
    stage: Stage
    current: Step
    outcomes: list[Outcome] = field(default_factory=list)
    started: float = 0.0
    """The time when the current step began."""

    def run_steps(self, steps: Sequence[Step]) -> None:
        """Run every step; the proofs of consecutive patches run together, after the last of these patches."""
        for step, following in zip_longest(steps, steps[1:]):
            self.current, self.started = step, time.monotonic()
            with self.stage(step.summary):
                self.outcomes.append(self._run(step))
                if not isinstance(following, ApplyPatch):
                    self._prove(steps)

    def _run(self, step: Step) -> Outcome:
        """Run one step; the failure of an optional one is an outcome, and the other steps stay."""
        reason: Text = ""
        try:
            status = DO[type(step)](self.context, step)
        except (DoctorError, OSError) as error:
            if not isinstance(step, LinkPipelines):
                raise
            status, reason = "failed", error.message if isinstance(error, DoctorError) else str(error)
        notes = sentences((*self.context.notes, reason))
        self.context.notes.clear()
        return Outcome(step.id, status, round(time.monotonic() - self.started, 2), notes)

    def _prove(self, steps: Sequence[Step]) -> None:
        started = time.monotonic()
        proofs = prove_patches(self.context)
        seconds = round(time.monotonic() - started, 2)
        for step in steps:
            if isinstance(step, ApplyPatch) and step.id in proofs:
                self.current = step
                note = proof_note(step.patch, proofs[step.id])
                index = next(n for n, outcome in enumerate(self.outcomes) if outcome.step == step.id)
                former = self.outcomes[index]
                self.outcomes[index] = replace(
                    former, seconds=round(former.seconds + seconds, 2), message=note
                )

    def failed(self, error: Exception) -> ApplyFailedError:
        """Return the error for the current step or for the gate, after the rollback."""
        if isinstance(error, RolledBackError):
            every = (replace(outcome, status="rolled-back") for outcome in self.outcomes)
            return ApplyFailedError(error.message, tuple(every))
        undone = (
            replace(done, status="rolled-back") for done in self.outcomes if done.step != self.current.id
        )
        seconds = round(time.monotonic() - self.started, 2)
        text = sentences(
            (message("rolled-back", step=self.current.summary, reason=error), *self.context.notes)
        )
        return ApplyFailedError(text, (*undone, Outcome(self.current.id, "failed", seconds, str(error))))
