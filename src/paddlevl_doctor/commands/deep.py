"""The deep look: everything that has to be run rather than read, and what it means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paddlevl_doctor.commands.examine import Examination
from paddlevl_doctor.facts.deep_facts import DeepFacts
from paddlevl_doctor.messages import language, text
from paddlevl_doctor.system import System
from paddlevl_doctor.values import Finding, Stage

if TYPE_CHECKING:
    from paddlevl_doctor.checks.model import Context


def look_deep(system: System, examination: Examination, stage: Stage) -> tuple[Finding, ...]:
    """Let the target read a chart with a tiny checkpoint, ask its parts one by one, and judge what came of it."""
    return judge_deep(examination, see_deep(system, examination, stage))


def see_deep(system: System, examination: Examination, stage: Stage) -> DeepFacts | None:
    """Run the probes; None where a quick finding makes it pointless."""
    from paddlevl_doctor.checks import deep as deep_checks  # noqa: PLC0415 - start-up time
    from paddlevl_doctor.facts.collect_deep import collect_deep  # noqa: PLC0415 - as above
    from paddlevl_doctor.parsing.native import cached_versions  # noqa: PLC0415 - as above

    facts = examination.facts
    if facts.target is None or deep_checks.blocker(examination.findings) is not None:
        return None
    devices = devices_of(examination.context)
    with stage(text("stage-selftest", device=", ".join(devices))):
        index = examination.context.wheel.find_links if facts.gpus.devices else None
        return collect_deep(system, facts, devices, ask_hubs=not cached_versions(facts.cache), index=index)


def devices_of(context: Context) -> tuple[str, ...]:
    """Return what the target could read on: the GPUs that its CUDA wheel serves, all if it serves none; or the CPU."""
    from paddlevl_doctor.knowledge.selection import served  # noqa: PLC0415 - start-up time

    target = context.facts.target
    if target is None or target.version_of("paddlepaddle-gpu") is None:
        return ("cpu",)
    gpus = served(context.wheel, target.paddle) or context.gpus
    return tuple(f"gpu:{gpu.index}" for gpu in gpus) or ("cpu",)


def judge_deep(examination: Examination, deep: DeepFacts | None) -> tuple[Finding, ...]:
    """Return what the deep look means; where nothing could be run, the findings that wait."""
    from paddlevl_doctor.checks import deep as deep_checks  # noqa: PLC0415 - start-up time

    if deep is None:
        by = deep_checks.blocker(examination.findings) or "target-environment"
        return deep_checks.blocked_findings(by, language())
    return deep_checks.judge(deep, examination.context, language())
