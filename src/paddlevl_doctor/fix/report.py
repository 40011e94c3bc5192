"""The reports of `fix` and `undo`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paddlevl_doctor.fix.plan_file import State
from paddlevl_doctor.fix.transaction import Applied
from paddlevl_doctor.fix.undo_preview import UndoPreview
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import Text
from paddlevl_doctor.packages.request import Request
from paddlevl_doctor.values.check_report import CheckReport
from paddlevl_doctor.values.findings import ExitCode
from paddlevl_doctor.values.plan import CreateEnvironment, PackageStep, Plan, SkippedFix

if TYPE_CHECKING:
    from paddlevl_doctor.knowledge.wheel_choice import WheelChoice
    from paddlevl_doctor.packages.server_rates import ServerRate


@dataclass(frozen=True)
class FixReport:
    """The plan; with --apply also the result of each step, and the check afterwards."""

    before: CheckReport
    plan: Plan
    request: Request
    state: State
    applied: Applied | None = None
    recheck: CheckReport | None = None
    deep: bool = False
    """Whether the deep check runs too: --gate asks for it, or --only names a finding that only it can report."""
    choice: WheelChoice | None = None
    """The paddle wheel for this machine."""
    mirrors: tuple[ServerRate, ...] = ()
    """The rates that --mirror auto measured, the fastest first, then those of the servers of a CUDA wheel."""
    recovered: UndoPreview | None = None
    """The interrupted transaction that was rolled back first, with what of the user's is kept."""
    held: tuple[SkippedFix, ...] = ()
    """With --apply: the findings whose steps were not applied, because they need --yes."""
    note: Text = ""
    """A note about the download of the CUDA wheel."""

    def is_new(self) -> bool:
        """Return whether the plan creates the environment."""
        return any(isinstance(step, CreateEnvironment) for step in self.plan.steps)

    def installs(self) -> bool:
        """Return whether the plan changes packages."""
        return any(isinstance(step, PackageStep) for step in self.plan.steps)

    def exit_code(self) -> ExitCode:
        """Return the exit code of the last check: after the plan was applied, else before."""
        return (self.recheck or self.before).exit_code()


@dataclass(frozen=True)
class UndoReport:
    """The undone transactions, newest first, the remaining ones, and what each undo did or would do."""

    undone: tuple[int, ...]
    left: tuple[dict[str, object], ...]
    changes: tuple[UndoPreview, ...] = ()
    dry_run: bool = False

    def exit_code(self) -> ExitCode:
        """Return the exit code of the refusal that a dry run shows, else OK."""
        refusals = (change.refusal for change in self.changes)
        return next((one.exit_code for one in refusals if one is not None), ExitCode.OK)
