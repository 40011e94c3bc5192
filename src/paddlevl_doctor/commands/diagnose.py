"""The diagnosis that every command starts with: collect facts, choose version set and wheel, run the checks."""

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
    """The options that choose the target environment and the version set."""

    python: str | None = None
    venv: str | None = None
    set_name: str | None = None


@dataclass(frozen=True)
class Examination:
    """The result of a diagnosis; `seconds` is its duration."""

    context: Context
    findings: tuple[Finding, ...]
    seconds: float = 0.0

    @property
    def facts(self) -> Facts:
        """The facts behind the findings."""
        return self.context.facts


def examine(system: System, options: TargetOptions, known: Target | None = None) -> Examination:
    """Run the quick checks on this machine. Raises UsageError for contradictory options.

    `known` is an inventory of the target that was taken just before; then the target is not asked again.
    """
    started = system.clock()
    if options.python and options.venv:
        raise UsageError(message("python-and-venv"))
    choice = choose_target(system, options.python, options.venv)
    facts = Background(lambda: collect_facts(system, choice, known))
    # The checks are imported while the target's Python starts. That saves a tenth of the time of a check, as long as no
    # module that is imported before imports `checks` at the top.
    from paddlevl_doctor.checks import ALL  # noqa: F401, PLC0415

    examination = examine_facts(facts.result(), options.set_name)
    return replace(examination, seconds=round(system.clock() - started, 3))


def examine_facts(facts: Facts, set_name: str | None) -> Examination:
    """Run the quick checks on facts of any machine. Raises UsageError for an unknown set."""
    from paddlevl_doctor.checks import ALL  # noqa: PLC0415 - see `examine`
    from paddlevl_doctor.checks.runner import run_checks  # noqa: PLC0415 - as above

    context = context_of(facts, set_name)
    return Examination(context, run_checks(context, ALL))


class Background(Generic[Answer]):
    """A function that runs in a thread. `result` waits for its value and raises its exception."""

    def __init__(self, work: Callable[[], Answer]) -> None:
        self._answers: list[Answer] = []
        self._errors: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()

    def _run(self, work: Callable[[], Answer]) -> None:
        try:
            self._answers.append(work())
        except BaseException as error:  # raised again by `result`
            self._errors.append(error)

    def result(self) -> Answer:
        """Wait for the function and return its value; raise its exception if it raised one."""
        self._thread.join()
        if self._errors:
            raise self._errors[0]
        return self._answers[0]


def context_of(facts: Facts, set_name: str | None) -> Context:
    """Choose the version set and the paddle wheel for facts. Raises UsageError for an unknown set."""
    from paddlevl_doctor.checks.base import Context  # noqa: PLC0415 - see `examine`

    followed = set_of(facts.target) if facts.target else None
    version_set = require_set(set_name) if set_name else followed or _nearest_set(facts.target)
    version = facts.target.version if facts.target else planned_python(version_set)
    visible = find_visible_gpus(facts.gpus, facts.settings)
    wheel = choose_wheel(facts.host, visible.gpus, version, version_set)
    wheel = replace(wheel, refusals=(*wheel.refusals, *visible.notes))
    return Context(facts, version_set, wheel, followed, visible.gpus.devices)


def set_for_target(target: Target | None) -> VersionSet:
    """Return the version set to use without --set: that of the installed packages, or the nearest one."""
    return (set_of(target) if target else None) or _nearest_set(target)


def require_set(name: str) -> VersionSet:
    """Return the set of this name. Raises UsageError with the names of all sets if it does not exist."""
    found = find_set(name)
    if found is None:
        raise UsageError(
            message("unknown-set", name=name, names=", ".join(known.name for known in load_sets()))
        )
    return found


def _nearest_set(target: Target | None) -> VersionSet:
    """Return the set whose paddleocr has the same minor version as the installed one, else the default set."""
    installed = (target.version_of("paddleocr") if target else None) or ""
    minor = installed.rpartition(".")[0]
    nearest = next((s for s in load_sets() if minor and s.paddleocr.rpartition(".")[0] == minor), None)
    return nearest or default_set()
