"""Says whether a known failure can occur on this machine and in this target at all; pure, like every check."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from paddlevl_doctor.facts.model import Facts
from paddlevl_doctor.knowledge.failure import Failure
from paddlevl_doctor.knowledge.versions import fits
from paddlevl_doctor.messages import text


@dataclass(frozen=True)
class Applicability:
    """The answer, and the sentence that says why."""

    answer: Literal["yes", "no", "unknown"]
    reason: str


def applicability(failure: Failure, facts: Facts) -> Applicability:
    """Compare what an entry says about where it occurs with what is here; one `no` decides."""
    answers = tuple(_answers(failure, facts))
    for wanted in ("no", "unknown", "yes"):
        for found in answers:
            if found.answer == wanted:
                return found
    return Applicability("yes", text("applies-anywhere"))


def _answers(failure: Failure, facts: Facts) -> Iterator[Applicability]:
    systems, here = failure.applies.systems, facts.host.system
    if systems and here not in systems:
        yield Applicability("no", text("applies-not-system", systems=", ".join(systems), system=here))
    elif systems:
        yield Applicability("yes", text("applies-system", system=here))
    if "cpu" not in failure.applies.devices and "gpu" in failure.applies.devices and not facts.gpus.devices:
        yield Applicability("no", text("applies-no-gpu"))
    if failure.applies.compute_capability:
        yield _capability(failure.applies.compute_capability, facts)
    if failure.applies.specifiers:
        yield _versions(failure, facts)


def _capability(specifier: str, facts: Facts) -> Applicability:
    found = [gpu.compute_capability for gpu in facts.gpus.devices]
    if not found:
        return Applicability("no", text("applies-no-gpu"))
    inside = [one for one in found if fits(one, specifier)]
    words = text("applies-capability", found=", ".join(inside or found), wanted=specifier)
    return Applicability("yes" if inside else "no", words)


def _versions(failure: Failure, facts: Facts) -> Applicability:
    """Every distribution that is installed must be in its range; none of them installed says nothing."""
    if facts.target is None:
        return Applicability("unknown", text("applies-no-target"))
    wanted = failure.applies.specifiers
    found = {name: version for name in wanted if (version := facts.target.version_of(name))}
    if not found:
        return Applicability("unknown", text("applies-not-installed", names=", ".join(wanted)))
    outside = [n for n, v in found.items() if not fits(v, wanted[n])]
    name = outside[0] if outside else next(iter(found))
    key = "applies-not-version" if outside else "applies-version"
    words = text(key, name=name, version=found[name], wanted=wanted[name])
    return Applicability("no" if outside else "yes", words)
