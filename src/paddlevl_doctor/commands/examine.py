"""The common first half of every command: collect the facts, choose the set and the wheel, run the checks."""

from __future__ import annotations

from dataclasses import dataclass

from paddlevl_doctor.checks import ALL
from paddlevl_doctor.checks.model import Context
from paddlevl_doctor.checks.run import run_checks
from paddlevl_doctor.errors import UsageError
from paddlevl_doctor.facts.collect import collect_facts
from paddlevl_doctor.facts.model import Facts, Target
from paddlevl_doctor.facts.target import Choice, choose_target
from paddlevl_doctor.knowledge.selection import choose_wheel
from paddlevl_doctor.knowledge.sets import VersionSet, load_sets, set_of
from paddlevl_doctor.messages import language, text
from paddlevl_doctor.system import System
from paddlevl_doctor.values import Finding

_PLANNED_PYTHON = "3.12"
"""Stands for the Python of an environment that does not exist yet, where a rule depends on it."""


@dataclass(frozen=True)
class TargetOptions:
    """Which environment is meant, and which set it should follow."""

    python: str | None = None
    venv: str | None = None
    set_name: str | None = None


@dataclass(frozen=True)
class Examination:
    """What one look at the machine gave."""

    choice: Choice
    context: Context
    findings: tuple[Finding, ...]
    seconds: float

    @property
    def facts(self) -> Facts:
        """The facts behind the findings."""
        return self.context.facts


def examine(system: System, options: TargetOptions) -> Examination:
    """Look at everything that is quick to see; raises UsageError for options that cannot be meant."""
    started = system.clock()
    if options.python and options.venv:
        raise UsageError(text("python-and-venv"))
    choice = choose_target(system, options.python, options.venv)
    facts = collect_facts(system, choice)
    context = context_of(facts, options.set_name)
    findings = run_checks(context, ALL, language())
    return Examination(choice, context, findings, round(system.clock() - started, 3))


def context_of(facts: Facts, set_name: str | None) -> Context:
    """Choose the version set and the paddle wheel for these facts; raises UsageError for an unknown set."""
    followed = set_of(facts.target) if facts.target else None
    version_set = _named_set(set_name) if set_name else followed or _nearest_set(facts.target)
    version = facts.target.version if facts.target else _PLANNED_PYTHON
    wheel = choose_wheel(facts.host, facts.gpus, version, version_set)
    return Context(facts, version_set, wheel, followed)


def _named_set(name: str) -> VersionSet:
    sets = {version_set.name: version_set for version_set in load_sets()}
    if name not in sets:
        raise UsageError(text("unknown-set", name=name, names=", ".join(sets)))
    return sets[name]


def _nearest_set(target: Target | None) -> VersionSet:
    """Return the set whose paddleocr has the same minor version, else the default one."""
    installed = (target.version_of("paddleocr") if target else None) or ""
    minor = installed.rpartition(".")[0]
    sets = load_sets()
    near = next((s for s in sets if minor and s.paddleocr.rpartition(".")[0] == minor), None)
    return near or next(s for s in sets if s.default)
