"""The deep diagnosis: runs the stack of the target in probes and judges the results."""

from __future__ import annotations

from paddlevl_doctor.checks import deep as deep_checks
from paddlevl_doctor.checks.base import Context
from paddlevl_doctor.commands.judge_facts import Examination
from paddlevl_doctor.facts.collect_deep import collect_deep
from paddlevl_doctor.facts.model_versions import cached_versions
from paddlevl_doctor.knowledge.wheel_choice import usable_gpus
from paddlevl_doctor.messages import message
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.facts import DeepFacts
from paddlevl_doctor.values.findings import Finding, Stage


def deep_findings(system: System, examination: Examination, stage: Stage) -> tuple[Finding, ...]:
    """Run the probes and return the findings: read a chart with a tiny checkpoint, and test parts of the stack."""
    return judge_deep(examination, run_deep_probes(system, examination, stage))


def run_deep_probes(system: System, examination: Examination, stage: Stage) -> DeepFacts | None:
    """Run the probes; return None if a quick finding prevents that."""
    facts = examination.facts
    if facts.target is None or deep_checks.blocker(examination.findings) is not None:
        return None
    devices = devices_of(examination.context)
    with stage(message("stage-selftest", device=", ".join(devices))):
        index = examination.context.wheel.find_links if facts.gpus.devices else None
        return collect_deep(system, facts, devices, ask_hubs=not cached_versions(facts.cache), index=index)


def devices_of(context: Context) -> tuple[str, ...]:
    """Return the devices to test: the GPUs that the CUDA wheel supports (all if it supports none), or the CPU."""
    target = context.facts.target
    if target is None or target.version_of("paddlepaddle-gpu") is None:
        return ("cpu",)
    gpus = usable_gpus(context.wheel, target.paddle) or context.gpus
    return tuple(f"gpu:{gpu.index}" for gpu in gpus) or ("cpu",)


def judge_deep(examination: Examination, deep: DeepFacts | None) -> tuple[Finding, ...]:
    """Return the deep findings; they are blocked if the probes could not run."""
    if deep is None:
        by = deep_checks.blocker(examination.findings) or "target-environment"
        return deep_checks.blocked_findings(by)
    return deep_checks.judge(deep, examination.context)


def with_deep(examination: Examination, deep: DeepFacts | None) -> tuple[Finding, ...]:
    """Return the quick findings merged with the deep findings."""
    return deep_checks.merge(examination.findings, judge_deep(examination, deep))
