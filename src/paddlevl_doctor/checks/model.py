"""What a check is: an id, what has to be right first, and a pure function from the context to a diagnosis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from paddlevl_doctor.facts.model import Facts, Gpu, Target
from paddlevl_doctor.knowledge.selection import WheelChoice
from paddlevl_doctor.knowledge.sets import VersionSet
from paddlevl_doctor.values import Evidence, Status


@dataclass(frozen=True)
class Context:
    """What every check may look at: the facts, and what would be right for this machine."""

    facts: Facts
    version_set: VersionSet
    """The set that this target follows, or the one that would be installed."""
    wheel: WheelChoice
    """The paddle wheel that fits this machine in that set."""
    followed: VersionSet | None = None
    """The set whose paddleocr and paddlex are installed, None for another mixture."""

    gpus: tuple[Gpu, ...] = ()
    """The GPUs that a program sees here, as it counts them: facts.gpus without what CUDA_VISIBLE_DEVICES hides."""

    @property
    def target(self) -> Target:
        """The target; only for checks that need `target-environment`."""
        assert self.facts.target is not None  # noqa: S101 - the runner blocks such checks without a target
        return self.facts.target


@dataclass(frozen=True)
class Diagnosis:
    """The bare answer of a check; the words come from the failure's entry in the knowledge."""

    status: Status
    evidence: tuple[Evidence, ...] = ()
    params: dict[str, object] = field(default_factory=dict)
    subjects: tuple[str, ...] = ()
    """The distributions or models that are meant, for the cure."""


@dataclass(frozen=True)
class Check:
    """One check. `needs` lists the ids that must not be wrong before this one can be looked at."""

    id: str
    look: Callable[[Context], Diagnosis]
    needs: tuple[str, ...] = ()


def ok(source: str, value: object) -> Diagnosis:
    """Return: looked, and it is right."""
    return Diagnosis(Status.OK, (Evidence(source, str(value)),))


def skipped(why: str) -> Diagnosis:
    """Return: does not apply here, and why."""
    return Diagnosis(Status.SKIPPED, (Evidence("applies", why),))


def bad(status: Status, source: str, value: object, **params: object) -> Diagnosis:
    """Return a diagnosis with one piece of evidence and the placeholders of its text."""
    return Diagnosis(status, (Evidence(source, str(value)),), params)
