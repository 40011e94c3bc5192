"""`fix`: makes the plan; with --apply applies it and checks again."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from paddlevl_doctor.checks.index_page import page_finding
from paddlevl_doctor.commands.diagnose import TargetOptions, examine
from paddlevl_doctor.commands.follow_up_findings import with_follow_ups
from paddlevl_doctor.commands.judge_facts import Examination
from paddlevl_doctor.commands.target_paths import TargetPaths, target_paths
from paddlevl_doctor.facts.network import read_index_page
from paddlevl_doctor.facts.target import choose_target, python_of
from paddlevl_doctor.fix.journal import interrupts_told
from paddlevl_doctor.fix.journal_check import refuse_foreign_journals
from paddlevl_doctor.fix.lock import locked
from paddlevl_doctor.fix.package_changes import Resolver, with_changes
from paddlevl_doctor.fix.plan import build_plan, dev_safetensors
from paddlevl_doctor.fix.plan_file import SavedPlan, State, differences, load_plan, state_of
from paddlevl_doctor.fix.plan_input import PlanInput, Site
from paddlevl_doctor.fix.preconditions import (
    refuse_owned,
    refuse_unfit,
    refuse_untouchable,
    verify_wheelhouse,
)
from paddlevl_doctor.fix.report import FixReport
from paddlevl_doctor.fix.undo import naming_recovered, recover
from paddlevl_doctor.knowledge.version_sets import own_python, planned_python
from paddlevl_doctor.messages import Text, message
from paddlevl_doctor.packages.gpu_wheel import needs_gpu_wheel
from paddlevl_doctor.packages.indexes import choose_index
from paddlevl_doctor.packages.request import Request
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.check_report import CheckReport
from paddlevl_doctor.values.errors import DoctorError, UsageError
from paddlevl_doctor.values.findings import Bar, Stage, Status, no_bar
from paddlevl_doctor.values.plan import InstallPackages, Plan, Step

if TYPE_CHECKING:
    from paddlevl_doctor.packages.wheelhouse import Wheelhouse

_VERSION = re.compile(r"\d+\.\d+(\.\d+)?")
_WRONG = (Status.ERROR, Status.WARNING)
_MAX_PLANS = 3
"""How often a plan is made anew for the problems that it would uncover."""
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
        return _plan_report(system, options, request, stage, deep=deep)
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
    report = _plan_report(system, options, request, stage, deep=deep)
    if saved is not None:
        _refuse_changed_plan(saved, report)
    if not report.plan.steps:
        return report
    # Loads the probes of the deep check, the installer and the downloads, half of what `fix` imports.
    from paddlevl_doctor.commands.apply_plan import apply_report  # noqa: PLC0415

    return apply_report(system, options, report, paths, stage, bar)


def _plan_report(
    system: System, options: TargetOptions, request: Request, stage: Stage, *, deep: bool
) -> FixReport:
    examination = examine(system, options)
    if deep or request.only:
        # Loads the probes of the deep check.
        from paddlevl_doctor.commands.requested_checks import with_requested_checks  # noqa: PLC0415

        examination, deep = with_requested_checks(system, examination, request.only, stage, deep=deep)
    site = _site(system, examination)
    wheelhouse = verify_wheelhouse(request)
    prefix = site.prefix if site.exists else None
    source = choose_index(system, request, examination.context.version_set.paddle_cpu, prefix=prefix)
    request = source.request
    chosen = replace(_with_interpreter(system, request, examination, wheelhouse), set_name=options.set_name)
    if request.dev_safetensors and dev_safetensors(examination.context) is None:
        raise UsageError(message("no-dev-safetensors", set=examination.context.version_set.name))
    given = PlanInput(examination.context, examination.findings, site, chosen)
    resolver = Resolver(system)
    for _ in range(_MAX_PLANS):
        plan = build_plan(given)
        refuse_unfit(wheelhouse, examination.context, plan, chosen.python_version)
        refuse_untouchable(system, examination.facts.target, plan)
        plan = with_changes(resolver, given, plan)
        refuse_owned(system, examination.facts.target, plan)
        following = with_follow_ups(given, plan, options.set_name)
        if following is given:
            break
        given = following
    examination, plan = _with_index_page(system, examination, plan, chosen)
    state = state_of(examination.facts, site)
    resolved = source.shown_in(plan)
    choice = examination.context.wheel
    return FixReport(
        _report(examination), resolved, chosen, state, deep=deep, choice=choice, mirrors=source.mirrors
    )


def _with_index_page(
    system: System, examination: Examination, plan: Plan, request: Request
) -> tuple[Examination, Plan]:
    """Compare the index page of the CUDA wheel with the tables; a difference is a finding and a reason of the step."""
    context = examination.context
    if context.wheel.find_links is None or not needs_gpu_wheel(plan):
        return examination, plan

    page = read_index_page(system, context.wheel.find_links)
    target = examination.facts.target
    found = page_finding(page, context, target.version if target else request.python_version)
    if found.status not in (*_WRONG, Status.NOTE):
        return examination, plan
    steps = tuple(_with_reason(step, found.cause or found.title) for step in plan.steps)
    findings = (*(one for one in examination.findings if one.id != found.id), found)
    return replace(examination, findings=findings), replace(plan, steps=steps)


def _with_reason(step: Step, reason: Text) -> Step:
    if not isinstance(step, InstallPackages):
        return step
    return replace(step, reasons=(*step.reasons, reason))


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


def _report(examination: Examination) -> CheckReport:
    return CheckReport(examination.facts, examination.findings, examination.seconds)


def _site(system: System, examination: Examination) -> Site:
    facts, target = examination.facts, examination.facts.target
    if target is not None:
        return Site(target.prefix, target.python, exists=True)
    prefix = system.cwd() / facts.planned_target
    return Site(str(prefix), str(python_of(prefix, system.platform)), exists=False)


def _with_interpreter(
    system: System, request: Request, examination: Examination, wheelhouse: Wheelhouse | None
) -> Request:
    """Choose the Python for a new environment: the doctor's own when the set supports it, else a version.

    The doctor's own Python needs no download; the wheels of a wheelhouse fit one version only. Raises UsageError if
    --base-python is not a Python.
    """
    if request.interpreter is not None:
        return replace(request, python_version=_version_of(system, request.interpreter))
    version = wheelhouse.machine.python if wheelhouse else planned_python(examination.context.version_set)
    if version != own_python():
        return replace(request, interpreter=version, python_version=version)
    return replace(request, interpreter=own_interpreter(), python_version=version)


def own_interpreter() -> str:
    """Return the path of the Python that the doctor's own environment was made with."""
    return getattr(sys, "_base_executable", None) or sys.executable


def _version_of(system: System, interpreter: str) -> str:
    if _VERSION.fullmatch(interpreter):
        return interpreter
    ask = (interpreter, "-c", "import sys; print('%d.%d' % sys.version_info[:2])")
    done = system.run(ask, timeout=30)
    version = done.stdout.strip()
    if not re.fullmatch(r"\d+\.\d+", version):
        detail = (done.stderr or done.stdout).strip().rpartition("\n")[2]
        raise UsageError(message("not-a-python", path=interpreter, detail=detail))
    return version


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
