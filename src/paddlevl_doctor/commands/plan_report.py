"""The plan of `fix`: chooses the indexes and the Python, resolves the packages, and predicts what a plan uncovers."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from paddlevl_doctor.checks.index_page import page_finding
from paddlevl_doctor.commands.follow_up_findings import with_follow_ups
from paddlevl_doctor.commands.judge_facts import Examination
from paddlevl_doctor.facts.network import read_index_page
from paddlevl_doctor.facts.target import python_of
from paddlevl_doctor.fix.package_changes import Resolver, with_changes
from paddlevl_doctor.fix.plan import build_plan, dev_safetensors
from paddlevl_doctor.fix.plan_file import state_of
from paddlevl_doctor.fix.plan_input import PlanInput, Site
from paddlevl_doctor.fix.preconditions import (
    refuse_owned,
    refuse_unfit,
    refuse_untouchable,
    verify_wheelhouse,
)
from paddlevl_doctor.fix.report import FixReport
from paddlevl_doctor.knowledge.version_sets import own_interpreter, own_python, planned_python
from paddlevl_doctor.messages import Text, message
from paddlevl_doctor.packages.gpu_wheel import needs_gpu_wheel
from paddlevl_doctor.packages.indexes import choose_index
from paddlevl_doctor.packages.request import Request
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.check_report import CheckReport
from paddlevl_doctor.values.errors import UsageError
from paddlevl_doctor.values.findings import Stage, Status
from paddlevl_doctor.values.plan import InstallPackages, Plan, Step

if TYPE_CHECKING:
    from paddlevl_doctor.packages.wheelhouse import Wheelhouse

_VERSION = re.compile(r"\d+\.\d+(\.\d+)?")
_WRONG = (Status.ERROR, Status.WARNING)
_MAX_PLANS = 3
"""How often a plan is made anew for the problems that it would uncover."""


def plan_report(
    system: System,
    examination: Examination,
    request: Request,
    stage: Stage,
    *,
    set_name: str | None = None,
    deep: bool = False,
) -> FixReport:
    """Return the plan for the findings of an examination, and for those of `deep` and `request.only`.

    Raises UsageError for a target that must not be changed, and UvError if a plan cannot be resolved.
    """
    if deep or request.only:
        # Loads the probes of the deep check.
        from paddlevl_doctor.commands.requested_checks import with_requested_checks  # noqa: PLC0415

        examination, deep = with_requested_checks(system, examination, request.only, stage, deep=deep)
    site = _site(system, examination)
    wheelhouse = verify_wheelhouse(request)
    prefix = site.prefix if site.exists else None
    source = choose_index(system, request, examination.context.version_set.paddle_cpu, prefix=prefix)
    request = source.request
    chosen = replace(_with_interpreter(system, request, examination, wheelhouse), set_name=set_name)
    if request.dev_safetensors and dev_safetensors(examination.context) is None:
        raise UsageError(message("no-dev-safetensors", set=examination.context.version_set.name))
    given = PlanInput(examination.context, examination.findings, site, chosen)
    resolver = Resolver(system)
    for _ in range(_MAX_PLANS):
        plan = build_plan(given)
        refuse_unfit(wheelhouse, examination.context, plan, chosen.python_version)
        refuse_untouchable(system, examination.facts.target, plan)
        resolved = with_changes(resolver, given, plan)
        if resolved is not plan:
            plan = resolved
            refuse_owned(system, examination.facts.target, plan)
        following = with_follow_ups(given, plan, set_name)
        if following is given:
            break
        given = following
    examination, plan = _with_index_page(system, examination, plan, chosen)
    state = state_of(examination.facts, site)
    shown = source.shown_in(plan)
    choice = examination.context.wheel
    return FixReport(
        _report(examination), shown, chosen, state, deep=deep, choice=choice, mirrors=source.mirrors
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
