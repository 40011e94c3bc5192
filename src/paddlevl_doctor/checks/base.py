"""The types of a check: `Context` is its input, `Diagnosis` its result. A check is a pure function between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from typing import Literal

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.knowledge.failures import Failure
from paddlevl_doctor.knowledge.version_sets import VersionSet, fits
from paddlevl_doctor.knowledge.wheel_choice import WheelChoice
from paddlevl_doctor.messages import Message, Text, message
from paddlevl_doctor.values.facts import Facts, Gpu, Target
from paddlevl_doctor.values.findings import Evidence, Status


@dataclass(frozen=True)
class Context:
    """The input of a check: the facts, and the version set and wheel that suit this machine."""

    facts: Facts
    version_set: VersionSet
    """The version set that is installed in the target, else the one that `fix` would install."""
    wheel: WheelChoice
    """The paddle wheel of `version_set` for this machine."""
    followed: VersionSet | None = None
    """The version set whose paddleocr and paddlex are installed, None if no set has these versions."""

    gpus: tuple[Gpu, ...] = ()
    """The GPUs of `facts.gpus` that CUDA_VISIBLE_DEVICES does not hide, with the numbers that programs use."""

    @property
    def target(self) -> Target:
        """The target environment. Only checks that need `target-environment` may use it."""
        assert self.facts.target is not None  # noqa: S101 - the runner blocks such checks without a target
        return self.facts.target


@dataclass(frozen=True)
class Diagnosis:
    """The result of a check. Its texts are in the failure file with the id of the check."""

    status: Status
    evidence: tuple[Evidence, ...] = ()
    params: dict[str, object] = field(default_factory=dict)
    subjects: tuple[str, ...] = ()
    """The names of the distributions or models that the cure changes."""


@dataclass(frozen=True)
class Check:
    """One check. It is blocked while a finding listed in `needs` is an error, unknown or blocked."""

    id: str
    run: Callable[[Context], Diagnosis]
    needs: tuple[str, ...] = ()


def ok(source: str, value: object) -> Diagnosis:
    """Return a diagnosis without a problem."""
    return Diagnosis(Status.OK, (_evidence(source, value),))


def skipped(why: Text) -> Diagnosis:
    """Return a diagnosis of a check that does not apply here; `why` is the reason."""
    return Diagnosis(Status.SKIPPED, (Evidence("applies", why),))


def problem(status: Status, source: str, value: object, **params: object) -> Diagnosis:
    """Return a diagnosis with one piece of evidence; `params` are the placeholders of its texts."""
    return Diagnosis(status, (_evidence(source, value),), params)


def _evidence(source: str, value: object) -> Evidence:
    return Evidence(source, value if isinstance(value, Message) else str(value))


@dataclass(frozen=True)
class Applicability:
    """Whether a failure can occur here, and the reason."""

    answer: Literal["yes", "no", "unknown"]
    reason: Text


def applicability(failure: Failure, facts: Facts) -> Applicability:
    """Return whether a failure can occur on this machine and target: the first `no`, else `unknown`, else `yes`."""
    answers = tuple(_applicability_by_condition(failure, facts))
    for answer in ("no", "unknown", "yes"):
        for one in answers:
            if one.answer == answer:
                return one
    return Applicability("yes", message("applies-anywhere"))


def _applicability_by_condition(failure: Failure, facts: Facts) -> Iterator[Applicability]:
    systems, system = failure.applies.systems, facts.host.system
    if systems and system not in systems:
        yield Applicability("no", message("applies-not-system", systems=", ".join(systems), system=system))
    elif systems:
        yield Applicability("yes", message("applies-system", system=system))
    if "cpu" not in failure.applies.devices and "gpu" in failure.applies.devices and not facts.gpus.devices:
        yield Applicability("no", message("applies-no-gpu"))
    if failure.applies.compute_capability:
        yield _applies_to_capabilities(failure.applies.compute_capability, facts)
    if failure.applies.specifiers:
        yield _applies_to_versions(failure.applies.specifiers, facts.target)


def _applies_to_capabilities(specifier: str, facts: Facts) -> Applicability:
    capabilities = [gpu.compute_capability for gpu in facts.gpus.devices]
    if not capabilities:
        return Applicability("no", message("applies-no-gpu"))
    inside = [one for one in capabilities if fits(one, specifier)]
    reason = message("applies-capability", found=", ".join(inside or capabilities), wanted=specifier)
    return Applicability("yes" if inside else "no", reason)


def _applies_to_versions(specifiers: Mapping[str, str], target: Target | None) -> Applicability:
    """Return `yes` if every installed distribution is in its range, `unknown` if none of them is installed."""
    if target is None:
        return Applicability("unknown", message("applies-no-target"))
    installed = {name: version for name in specifiers if (version := target.version_of(name))}
    if not installed:
        return Applicability("unknown", message("applies-not-installed", names=", ".join(specifiers)))
    outside = [name for name, version in installed.items() if not fits(version, specifiers[name])]
    name = outside[0] if outside else next(iter(installed))
    key = "applies-not-version" if outside else "applies-version"
    reason = message(key, name=name, version=installed[name], wanted=specifiers[name])
    return Applicability("no" if outside else "yes", reason)


def first_line(text: str) -> str:
    """Return the first line that is not blank, stripped."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def error_text(error: dict[str, object]) -> str:
    """Return the text of a probe's `error`: the root exception first, then the last exception, then the traceback."""
    trace = error.get("traceback")
    lines = [error.get("root") or "", f"{error.get('type')}: {error.get('message')}"]
    return "\n".join(str(line) for line in (*lines, *(trace if isinstance(trace, list) else ())))
