"""The deep look: everything that has to be run rather than read, and what it means."""

from __future__ import annotations

from paddlevl_doctor.commands.examine import Examination
from paddlevl_doctor.facts.deep_facts import DeepFacts
from paddlevl_doctor.messages import language, text
from paddlevl_doctor.system import System
from paddlevl_doctor.values import Finding, Stage


def look_deep(system: System, examination: Examination, stage: Stage) -> tuple[Finding, ...]:
    """Let the target read a chart with a tiny checkpoint, ask its parts one by one, and judge what came of it."""
    return judge_deep(examination, see_deep(system, examination, stage))


def see_deep(system: System, examination: Examination, stage: Stage) -> DeepFacts | None:
    """Run the probes; None where a quick finding makes it pointless."""
    from paddlevl_doctor.checks import deep as deep_checks  # noqa: PLC0415 - start-up time
    from paddlevl_doctor.facts.collect_deep import collect_deep, devices  # noqa: PLC0415 - as above
    from paddlevl_doctor.parsing.native import cached_versions  # noqa: PLC0415 - as above

    facts = examination.facts
    if facts.target is None or deep_checks.blocker(examination.findings) is not None:
        return None
    with stage(text("stage-selftest", device=", ".join(devices(facts)))):
        index = examination.context.wheel.find_links if facts.gpus.devices else None
        return collect_deep(system, facts, ask_hubs=not cached_versions(facts.cache), index=index)


def judge_deep(examination: Examination, deep: DeepFacts | None) -> tuple[Finding, ...]:
    """Return what the deep look means; where nothing could be run, the findings that wait."""
    from paddlevl_doctor.checks import deep as deep_checks  # noqa: PLC0415 - start-up time

    if deep is None:
        by = deep_checks.blocker(examination.findings) or "target-environment"
        return deep_checks.blocked_findings(by, language())
    return deep_checks.judge(deep, examination.context, language())
