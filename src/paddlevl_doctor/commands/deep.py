"""The deep look: everything that has to be run rather than read, and what it means."""

from __future__ import annotations

from paddlevl_doctor.commands.examine import Examination
from paddlevl_doctor.messages import language, text
from paddlevl_doctor.system import System
from paddlevl_doctor.values import Finding, Stage


def look_deep(system: System, examination: Examination, stage: Stage) -> tuple[Finding, ...]:
    """Let the target read a chart with a tiny checkpoint, ask its parts one by one, and judge what came of it."""
    from paddlevl_doctor.checks import deep as deep_checks  # noqa: PLC0415 - start-up time
    from paddlevl_doctor.facts.collect_deep import collect_deep, devices  # noqa: PLC0415 - as above
    from paddlevl_doctor.parsing.native import cached_version  # noqa: PLC0415 - as above

    facts, lang = examination.facts, language()
    by = deep_checks.blocker(examination.findings)
    if by is not None or facts.target is None:
        return deep_checks.blocked_findings(by or "target-environment", lang)
    with stage(text("stage-selftest", device=", ".join(devices(facts)))):
        deep = collect_deep(system, facts, ask_hubs=cached_version(facts.cache) is None)
    return deep_checks.judge(deep, examination.context, lang)
