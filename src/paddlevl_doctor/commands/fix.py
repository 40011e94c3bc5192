"""`fix`: makes the plan; with --apply applies it and checks again."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from paddlevl_doctor.commands.diagnose import Background, TargetOptions, examine
from paddlevl_doctor.commands.target_paths import TargetPaths, target_paths
from paddlevl_doctor.facts.target import choose_target
from paddlevl_doctor.fix.journal import interrupts_told
from paddlevl_doctor.fix.journal_check import refuse_foreign_journals
from paddlevl_doctor.fix.lock import locked
from paddlevl_doctor.fix.plan_file import SavedPlan, State, differences, load_plan
from paddlevl_doctor.fix.report import FixReport
from paddlevl_doctor.fix.undo import naming_recovered, recover
from paddlevl_doctor.knowledge.version_sets import own_interpreter
from paddlevl_doctor.messages import message
from paddlevl_doctor.packages.request import Request
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.errors import DoctorError, UsageError
from paddlevl_doctor.values.findings import Bar, Stage, no_bar

_VERSION = re.compile(r"\d+\.\d+(\.\d+)?")
_MAX_LISTED = 12
"""The differences that the message about a changed plan lists."""


def fix(
    system: System,
    options: TargetOptions,
    request: Request,
    stage: Stage,
    *,
    apply: bool = False,
    saved: SavedPlan | None = None,
    bar: Bar = no_bar,
    deep: bool = False,
) -> FixReport:
    """Make a plan for the findings, and apply it with `apply`; with `saved` only if it equals that plan.

    Raises UsageError for a target that must not be changed, DoctorError if the environment has changed since the
    plan was saved, UvError if a plan cannot be resolved, ApplyFailedError and UndoNeededError if a step fails.
    """
    if not apply:
        return _plan(system, options, request, stage, deep=deep)
    paths = target_paths(system, options)
    refuse_foreign_journals(system, paths.state, paths.python, locked=False)
    with locked(paths.state), interrupts_told(paths.state):
        # A journal may be new since the wait began.
        refuse_foreign_journals(system, paths.state, paths.python, locked=True)
        recovered = recover(system, paths.state)
        with naming_recovered(recovered):
            report = _repair(system, options, request, stage, paths, saved=saved, bar=bar, deep=deep)
    return replace(report, recovered=recovered)


def _repair(
    system: System,
    options: TargetOptions,
    request: Request,
    stage: Stage,
    paths: TargetPaths,
    *,
    saved: SavedPlan | None,
    bar: Bar,
    deep: bool,
) -> FixReport:
    """Plan and apply while the target is locked, and nothing interrupted is left in it; raises as `fix` does."""
    report = _plan(system, options, request, stage, deep=deep)
    if saved is not None:
        _refuse_changed_plan(saved, report)
    if not report.plan.steps:
        return report
    # Loads the probes of the deep check, the installer and the downloads, half of what `fix` imports.
    from paddlevl_doctor.commands.apply_plan import apply_report  # noqa: PLC0415

    return apply_report(system, options, report, paths, stage, bar)


def _plan(system: System, options: TargetOptions, request: Request, stage: Stage, *, deep: bool) -> FixReport:
    """Examine the target and plan. What planning needs is imported while the target's Python answers."""
    examination = Background(lambda: examine(system, options))
    from paddlevl_doctor.commands.plan_report import plan_report  # noqa: PLC0415 - see above

    return plan_report(system, examination.result(), request, stage, set_name=options.set_name, deep=deep)


def fix_by_file(
    system: System,
    options: TargetOptions,
    path: Path,
    stage: Stage,
    bar: Bar = no_bar,
    *,
    deep: bool = False,
    interpreter: str | None = None,
) -> FixReport:
    """Apply the plan in a file to the target that it was made for; raises like `fix`.

    The file chooses no program that runs: its target must be the one that `options` name, or the default target
    without options, and its Python for a new environment must be `interpreter` or the doctor's own.
    """
    saved = load_plan(path)
    state, request = saved.state, saved.request
    refuse_other_target(system, options, state, path)
    if request.interpreter not in (None, interpreter, own_interpreter()) and not _VERSION.fullmatch(
        request.interpreter or ""
    ):
        raise DoctorError(message("plan-interpreter", path=request.interpreter))
    python, venv = (None, state.prefix) if state.virtual or not state.exists else (state.python, None)
    target = TargetOptions(python, venv, request.set_name)
    return fix(system, target, request, stage, apply=True, saved=saved, bar=bar, deep=deep)


def refuse_other_target(system: System, options: TargetOptions, state: State, path: Path) -> None:
    """Raise DoctorError if a plan is for another environment than the current target; no program runs.

    Raises UsageError if `options` name another one.
    """
    virtual = state.virtual or not state.exists
    named = Path(state.prefix if virtual else state.python)
    if options.set_name is None:
        choice = choose_target(system, options.python, options.venv)
        planned = system.cwd() / choice.planned
        prefix = choice.python.parent.parent if choice.python else planned
        chosen = prefix if virtual else choice.python
        # A link to the same Python in another folder may belong to another environment.
        if (
            chosen is not None
            and chosen.name == named.name
            and chosen.parent.resolve() == named.parent.resolve()
        ):
            return
    if options != TargetOptions():
        raise UsageError(message("plan-names-target"))
    option = "--venv" if virtual else "--python"
    raise DoctorError(message("plan-elsewhere", path=named, plan=path, option=option))


def _refuse_changed_plan(saved: SavedPlan, report: FixReport) -> None:
    moved = differences(saved, report.state, report.plan)
    if moved:
        shown = "\n".join(f"  {line}" for line in moved[:_MAX_LISTED])
        raise DoctorError(message("plan-not-applied", count=len(moved), differences=shown))


def link_pipelines(system: System, options: TargetOptions, stage: Stage) -> FixReport:
    """Create only the link `pipelines`; raises DoctorError if it cannot be created."""
    request = Request(only=("pipelines-link",))
    before = examine(system, options)
    link = before.facts.pipelines
    if link is None or link.wanted is None:
        raise DoctorError(message("link-without-paddlex"))
    if link.state in ("not-a-link", "other-link"):
        raise DoctorError(message("link-occupied", path=link.path))
    return fix(system, options, request, stage, apply=True)
