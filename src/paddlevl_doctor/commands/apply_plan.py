"""Applies a plan: downloads the CUDA wheel, runs the steps, and checks the target again before the commit."""

from __future__ import annotations

from dataclasses import replace

from paddlevl_doctor.commands.diagnose import TargetOptions, examine
from paddlevl_doctor.commands.repair_gate import RepairGate, state_before_repair
from paddlevl_doctor.commands.target_paths import TargetPaths
from paddlevl_doctor.facts.collect import uv_cache
from paddlevl_doctor.fix.preconditions import refuse_tight
from paddlevl_doctor.fix.report import FixReport
from paddlevl_doctor.fix.transaction import apply_plan
from paddlevl_doctor.messages import Text, message
from paddlevl_doctor.packages.gpu_wheel import Prefetched, needs_gpu_wheel
from paddlevl_doctor.packages.mirrors import rates_note
from paddlevl_doctor.packages.wheel_cache import gpu_wheel_request, prefetch
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.check_report import CheckReport
from paddlevl_doctor.values.errors import DoctorError
from paddlevl_doctor.values.findings import Bar, Stage
from paddlevl_doctor.values.plan import Plan


def apply_report(
    system: System, options: TargetOptions, report: FixReport, paths: TargetPaths, stage: Stage, bar: Bar
) -> FixReport:
    """Apply the plan of a report while the target is locked, and return the report with its outcome.

    Raises DoctorError if every step needs `--yes`, ApplyFailedError and UndoNeededError if a step fails.
    """
    report = replace(report, plan=_allowed(report.plan), held=report.plan.held())
    refuse_tight(system, {"target": paths.state, "uv-cache": uv_cache(system)}, report.plan)
    known = report.before.facts.target
    there = replace(options, python=None, venv=str(paths.state)) if report.is_new() else options
    gate = RepairGate(
        system,
        lambda target: examine(system, there, target),
        state_before_repair(system, report.before, installs=report.installs()),
        report.deep,
        stage,
        [],
    )
    prefetched = _prefetch_gpu_wheel(system, report, bar)
    # An import while packages change would fail for no fault of the target.
    ready = gate.before.imports.result
    applied = apply_plan(system, prefetched.plan, paths.state, paths.python, stage, known, gate, ready)
    if prefetched.lease is not None:
        prefetched.lease.end()
    report = replace(report, note=_download_note(prefetched), mirrors=(*report.mirrors, *prefetched.measured))
    after = gate.after[-1]
    recheck = CheckReport(after.facts, after.findings, after.seconds)
    return replace(report, applied=applied, recheck=recheck)


def _allowed(plan: Plan) -> Plan:
    """Return the plan without the steps that need `--yes`; raises DoctorError if no step is left."""
    allowed = plan.allowed()
    if not allowed.steps:
        changes = [change for step in plan.steps for change in step.needs_consent]
        raise DoctorError(message("collateral", changes=list(dict.fromkeys(changes))))
    return allowed


def _prefetch_gpu_wheel(system: System, report: FixReport, bar: Bar) -> Prefetched:
    """Download the CUDA wheel before the first change, so that a bad connection does not interrupt the plan."""
    if report.choice is None or not needs_gpu_wheel(report.plan):
        return Prefetched(report.plan)

    facts = report.before.facts
    python = facts.target.version if facts.target else report.request.python_version
    return prefetch(system, report.plan, gpu_wheel_request(report.choice, facts.host.system, python), bar)


def _download_note(prefetched: Prefetched) -> Text:
    """Return the note about the download of the CUDA wheel: why uv downloads it, or the rates of the servers."""
    if prefetched.trouble is not None:
        return message("wheel-not-fetched", reason=prefetched.trouble)
    if not prefetched.measured:
        return ""

    return rates_note(prefetched.measured)
