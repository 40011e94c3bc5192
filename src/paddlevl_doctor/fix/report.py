"""The answers of `fix` and `undo`: the plan, what became of each step, and the check that followed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from paddlevl_doctor.checks.report import CheckReport
from paddlevl_doctor.fix.plan_file import State
from paddlevl_doctor.fix.transaction import Applied
from paddlevl_doctor.messages import Text
from paddlevl_doctor.packages.request import Request
from paddlevl_doctor.values.findings import ExitCode, Plan

if TYPE_CHECKING:
    from paddlevl_doctor.knowledge.wheel_choice import WheelChoice
    from paddlevl_doctor.packages.server_rates import ServerRate


@dataclass(frozen=True)
class FixReport:
    """The plan; with --apply also what became of it, and a whole check afterwards."""

    before: CheckReport
    plan: Plan
    request: Request
    state: State
    applied: Applied | None = None
    recheck: CheckReport | None = None
    deep: bool = False
    """Whether what was to be cured is seen by a deep look only."""
    choice: WheelChoice | None = None
    """The paddle wheel for this machine."""
    mirrors: tuple[ServerRate, ...] = ()
    """What --mirror auto measured, the fastest first, then the servers of a CUDA wheel."""
    recovered: int | None = None
    """The number of an interrupted transaction that was put back first."""
    note: Text = ""
    """What the user should know besides, in a sentence."""

    def is_new(self) -> bool:
        """Say whether the plan creates the environment."""
        return any(step.kind == "create-environment" for step in self.plan.steps)

    def exit_code(self) -> ExitCode:
        """0 when nothing is wrong (any more), 1 when there is, or was and nothing was applied."""
        return (self.recheck or self.before).exit_code()


@dataclass(frozen=True)
class UndoReport:
    """The transactions that were undone (newest first), and those that are left."""

    undone: tuple[int, ...]
    left: tuple[dict[str, object], ...]
