"""The common first half of every command: collect the facts, choose the set and the wheel, run the checks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, TypeVar

from paddlevl_doctor.facts.collect import collect_facts
from paddlevl_doctor.facts.target import choose_target
from paddlevl_doctor.knowledge.version_sets import (
    VersionSet,
    default_set,
    find_set,
    load_sets,
    planned_python,
    set_of,
)
from paddlevl_doctor.knowledge.visible_gpus import find_visible_gpus
from paddlevl_doctor.knowledge.wheel_choice import choose_wheel
from paddlevl_doctor.messages import message
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.errors import UsageError
from paddlevl_doctor.values.facts import Facts, Target
from paddlevl_doctor.values.findings import Finding

if TYPE_CHECKING:
    from paddlevl_doctor.checks.base import Context

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class TargetOptions:
    """Which environment is meant, and which set it should follow."""

    python: str | None = None
    venv: str | None = None
    set_name: str | None = None


@dataclass(frozen=True)
class Examination:
    """What one look at the machine gave."""

    context: Context
    findings: tuple[Finding, ...]
    seconds: float = 0.0

    @property
    def facts(self) -> Facts:
        """The facts behind the findings."""
        return self.context.facts


def examine(system: System, options: TargetOptions, known: Target | None = None) -> Examination:
    """Look at everything that is quick to see; raises UsageError for options that cannot be meant.

    `known` is what the target has just said of its packages: it is not asked again.
    """
    started = system.clock()
    if options.python and options.venv:
        raise UsageError(message("python-and-venv"))
    choice = choose_target(system, options.python, options.venv)
    facts = Background(lambda: collect_facts(system, choice, known))
    # The checks are loaded while the target's Python starts. That saves a tenth of the time of a check, as long as no
    # module on the way here imports `checks` at the top.
    from paddlevl_doctor.checks import ALL  # noqa: F401, PLC0415

    examination = examine_facts(facts.result(), options.set_name)
    return replace(examination, seconds=round(system.clock() - started, 3))


def examine_facts(facts: Facts, set_name: str | None) -> Examination:
    """Run the checks on facts, wherever they were seen; raises UsageError for an unknown set."""
    from paddlevl_doctor.checks import ALL  # noqa: PLC0415 - loaded beside the facts
    from paddlevl_doctor.checks.runner import run_checks  # noqa: PLC0415 - as above

    context = context_of(facts, set_name)
    return Examination(context, run_checks(context, ALL))


class Background(Generic[Answer]):
    """A function that runs in a thread; `result` waits for it and raises what it raised."""

    def __init__(self, work: Callable[[], Answer]) -> None:
        self._answers: list[Answer] = []
        self._errors: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()

    def _run(self, work: Callable[[], Answer]) -> None:
        try:
            self._answers.append(work())
        except BaseException as error:  # raised again where the result is asked for
            self._errors.append(error)

    def result(self) -> Answer:
        """Wait, and return what it returned."""
        self._thread.join()
        if self._errors:
            raise self._errors[0]
        return self._answers[0]


def context_of(facts: Facts, set_name: str | None) -> Context:
    """Choose the version set and the paddle wheel for these facts; raises UsageError for an unknown set."""
    from paddlevl_doctor.checks.base import Context  # noqa: PLC0415 - loaded beside the facts

    followed = set_of(facts.target) if facts.target else None
    version_set = named_set(set_name) if set_name else followed or _nearest_set(facts.target)
    version = facts.target.version if facts.target else planned_python(version_set)
    seen = find_visible_gpus(facts.gpus, facts.settings)
    wheel = choose_wheel(facts.host, seen.gpus, version, version_set)
    told = replace(wheel, refusals=(*wheel.refusals, *seen.notes))
    return Context(facts, version_set, told, followed, seen.gpus.devices)


def set_for(target: Target | None) -> VersionSet:
    """Return the set that is followed where nobody names one: the one that is there, or is nearest to it."""
    return (set_of(target) if target else None) or _nearest_set(target)


def named_set(name: str) -> VersionSet:
    """Return the set of this name; raises UsageError that names those there are."""
    found = find_set(name)
    if found is None:
        raise UsageError(message("unknown-set", name=name, names=", ".join(one.name for one in load_sets())))
    return found


def _nearest_set(target: Target | None) -> VersionSet:
    """Return the set whose paddleocr has the same minor version, else the default one."""
    installed = (target.version_of("paddleocr") if target else None) or ""
    minor = installed.rpartition(".")[0]
    near = next((s for s in load_sets() if minor and s.paddleocr.rpartition(".")[0] == minor), None)
    return near or default_set()
