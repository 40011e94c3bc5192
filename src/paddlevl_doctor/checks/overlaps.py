"""Finds distributions that contain the same files: the one installed last overwrote the others."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from paddlevl_doctor.checks.base import Check, Context, Diagnosis, ok
from paddlevl_doctor.checks.requirements import ROOTS, requirements
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import message
from paddlevl_doctor.values.facts import Facts, SuspectFile
from paddlevl_doctor.values.findings import Evidence, Status

FINDING = "overlapping-dists"
PADDLES = {"paddlepaddle", "paddlepaddle-gpu"}
"""These two have a finding of their own."""


@dataclass(frozen=True)
class Separation:
    """The distributions to install again, and those to remove."""

    kept: tuple[str, ...]
    removed: tuple[str, ...]


def cure_of(facts: Facts, names: Collection[str]) -> Separation:
    """Keep what the stack requires and remove the others; without any that it requires, keep one."""
    assert facts.target is not None  # noqa: S101 - only a target has distributions
    required = {name for name, _ in ROOTS} | {r.name for _, r in requirements(facts.host, facts.target)}
    kept = [name for name in names if name in required] or list(_whole(facts.suspect_files, names))[:1]
    kept = kept or list(names)[:1]
    return Separation(tuple(kept), tuple(name for name in names if name not in kept))


def _whole(files: Sequence[SuspectFile], names: Collection[str]) -> tuple[str, ...]:
    """Return the distributions whose files are on the disk."""
    return tuple(
        name
        for name in names
        if all(f.size == f.claims[name] and not f.cut for f in files if name in f.claims)
    )


def shared(facts: Facts) -> tuple[SuspectFile, ...]:
    """Return the deciding files that several distributions claim, except the two of PaddlePaddle."""
    return tuple(f for f in facts.suspect_files if len(f.claims) > 1 and not set(f.claims) <= PADDLES)


def shared_names(facts: Facts) -> tuple[str, ...]:
    """Return the names of the distributions that share deciding files."""
    return tuple(dict.fromkeys(name for file in shared(facts) for name in sorted(file.claims)))


def _overlaps(context: Context) -> Diagnosis:
    facts, files = context.facts, shared(context.facts)
    if not files:
        return ok("RECORD", message("evidence-distributions", count=len(context.target.distributions)))
    names = shared_names(facts)
    whole = _whole(files, names)
    # One build of OpenCV does what another does; a foreign distribution does not.
    rivals = all(name.startswith("opencv-") for name in names)
    works = bool(whole) if rivals else set(cure_of(facts, names).kept) <= set(whole)
    status = Status.WARNING if works else Status.ERROR
    evidence = [
        Evidence(f.path, message("evidence-claimed", names=", ".join(sorted(f.claims)))) for f in files
    ]
    return diagnosis(facts, status, names, evidence)


def diagnosis(facts: Facts, status: Status, names: Sequence[str], evidence: Sequence[Evidence]) -> Diagnosis:
    """Return the diagnosis about distributions that share files."""
    cure = cure_of(facts, names)
    params: dict[str, object] = {
        "names": ", ".join(names),
        "kept": ", ".join(cure.kept),
        "removed": ", ".join(cure.removed),
    }
    return Diagnosis(status, tuple(evidence), params, tuple(names))


CHECKS = (Check(FINDING, _overlaps, needs=("target-environment",)),)
