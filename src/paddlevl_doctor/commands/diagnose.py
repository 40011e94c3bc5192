"""The diagnosis with which commands start: chooses the target, collects its facts and judges them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Generic, TypeVar

from paddlevl_doctor.facts.target import choose_target, collect_target
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import message
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.errors import UsageError
from paddlevl_doctor.values.facts import Target

if TYPE_CHECKING:
    from paddlevl_doctor.commands.judge_facts import Examination

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class TargetOptions:
    """The options that choose the target environment and the version set."""

    python: str | None = None
    venv: str | None = None
    set_name: str | None = None


def examine(system: System, options: TargetOptions, known: Target | None = None) -> Examination:
    """Run the quick checks on this machine. Raises UsageError for contradictory options.

    `known` is an inventory of the target that was taken just before; the target is then not queried again.
    """
    started = system.clock()
    if options.python and options.venv:
        raise UsageError(message("python-and-venv"))
    choice = choose_target(system, options.python, options.venv)
    answer = Background(lambda: known or collect_target(system, choice))
    # The other facts and the checks are imported, and their files read, while the target's Python runs. That saves a
    # fifth of the time of a check, as long as no module that is imported before imports one of them at the top.
    from paddlevl_doctor.commands.judge_facts import examine_facts, read_knowledge  # noqa: PLC0415
    from paddlevl_doctor.facts.collect import collect_facts  # noqa: PLC0415

    read_knowledge()
    examination = examine_facts(collect_facts(system, choice, answer.result), options.set_name)
    return replace(examination, seconds=round(system.clock() - started, 3))


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
