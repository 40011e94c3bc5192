"""What a check is: an id, what has to be right first, and a pure function from the context to a diagnosis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from paddlevl_doctor.knowledge.failures import Failure
from paddlevl_doctor.knowledge.version_sets import VersionSet, fits
from paddlevl_doctor.knowledge.wheel_choice import WheelChoice
from paddlevl_doctor.messages import Message, Text, message
from paddlevl_doctor.values.facts import Facts, Gpu, Target
from paddlevl_doctor.values.findings import Evidence, Status


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
    return Diagnosis(Status.OK, (_evidence(source, value),))


def skipped(why: Text) -> Diagnosis:
    """Return: does not apply here, and why."""
    return Diagnosis(Status.SKIPPED, (Evidence("applies", why),))


def problem(status: Status, source: str, value: object, **params: object) -> Diagnosis:
    """Return a diagnosis with one piece of evidence and the placeholders of its text."""
    return Diagnosis(status, (_evidence(source, value),), params)


def _evidence(source: str, value: object) -> Evidence:
    return Evidence(source, value if isinstance(value, Message) else str(value))


@dataclass(frozen=True)
class Applicability:
    """The answer, and the sentence that says why."""

    answer: Literal["yes", "no", "unknown"]
    reason: Text


def applicability(failure: Failure, facts: Facts) -> Applicability:
    """Compare what an entry says about where it occurs with what is here; one `no` decides."""
    answers = tuple(_answers(failure, facts))
    for wanted in ("no", "unknown", "yes"):
        for found in answers:
            if found.answer == wanted:
                return found
    return Applicability("yes", message("applies-anywhere"))


def _answers(failure: Failure, facts: Facts) -> Iterator[Applicability]:
    systems, here = failure.applies.systems, facts.host.system
    if systems and here not in systems:
        yield Applicability("no", message("applies-not-system", systems=", ".join(systems), system=here))
    elif systems:
        yield Applicability("yes", message("applies-system", system=here))
    if "cpu" not in failure.applies.devices and "gpu" in failure.applies.devices and not facts.gpus.devices:
        yield Applicability("no", message("applies-no-gpu"))
    if failure.applies.compute_capability:
        yield _capability(failure.applies.compute_capability, facts)
    if failure.applies.specifiers:
        yield _versions(failure, facts)


def _capability(specifier: str, facts: Facts) -> Applicability:
    found = [gpu.compute_capability for gpu in facts.gpus.devices]
    if not found:
        return Applicability("no", message("applies-no-gpu"))
    inside = [one for one in found if fits(one, specifier)]
    words = message("applies-capability", found=", ".join(inside or found), wanted=specifier)
    return Applicability("yes" if inside else "no", words)


def _versions(failure: Failure, facts: Facts) -> Applicability:
    """Every distribution that is installed must be in its range; none of them installed says nothing."""
    if facts.target is None:
        return Applicability("unknown", message("applies-no-target"))
    wanted = failure.applies.specifiers
    found = {name: version for name in wanted if (version := facts.target.version_of(name))}
    if not found:
        return Applicability("unknown", message("applies-not-installed", names=", ".join(wanted)))
    outside = [n for n, v in found.items() if not fits(v, wanted[n])]
    name = outside[0] if outside else next(iter(found))
    key = "applies-not-version" if outside else "applies-version"
    words = message(key, name=name, version=found[name], wanted=wanted[name])
    return Applicability("no" if outside else "yes", words)
