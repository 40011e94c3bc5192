"""Check of the records that installers keep: every package of the stack whole, and there once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import PurePath

from paddlevl_doctor.checks.model import Check, Context, Diagnosis, ok
from paddlevl_doctor.facts.model import Distribution, Target
from paddlevl_doctor.values import Evidence, Status

_OTHERS = ("safetensors", "numpy")
_LEFTOVERS = ("~addle", "~afetensors", "~umpy")
"""pip puts the tilde in the place of the first letter of what it is about to remove."""


def _is_ours(name: str) -> bool:
    return name.startswith("paddle") or name in _OTHERS


def _half_installed(context: Context) -> Diagnosis:
    found = tuple(_damage(context.target))
    if not found:
        return ok("distributions", f"{len(context.target.distributions)} distributions")
    names = tuple(dict.fromkeys(name for name, _ in found))
    evidence = tuple(Evidence(name, what) for name, what in found)
    return Diagnosis(Status.ERROR, evidence, {"names": ", ".join(names)}, names)


def unusable(target: Target) -> tuple[str, ...]:
    """Return the folders in site-packages that no installer can make sense of: records of which a part is missing,
    and what a killed pip left behind of the stack. An installation over them would leave them there.
    """
    ours = (d for d in target.distributions if _is_ours(d.name) and d.path.endswith(".dist-info"))
    broken = (PurePath(d.path).name for d in ours if any(_incomplete(d)))
    return (*broken, *(name for name in target.leftovers if name.startswith(_LEFTOVERS)))


def _damage(target: Target) -> Iterator[tuple[str, str]]:
    """Yield (distribution, what is wrong with its record)."""
    ours = [d for d in target.distributions if _is_ours(d.name) and d.path.endswith(".dist-info")]
    for (name, _), count in Counter((d.name, str(PurePath(d.path).parent)) for d in ours).items():
        if count > 1:
            versions = ", ".join(d.version for d in ours if d.name == name)
            yield name, f"{count} dist-info folders: {versions}"
    for distribution in ours:
        yield from _incomplete(distribution)
    for left in target.leftovers:
        if left.startswith(_LEFTOVERS):
            yield left, "left behind by pip"


def _incomplete(distribution: Distribution) -> Iterator[tuple[str, str]]:
    if not distribution.has_record and not distribution.editable:
        yield distribution.name, "no RECORD"
    if not distribution.has_metadata:
        yield distribution.name, "no METADATA"


CHECKS = (Check("half-installed-dist", _half_installed, needs=("target-environment",)),)
