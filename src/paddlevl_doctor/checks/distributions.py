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
    names = ", ".join(dict.fromkeys(name for name, _ in found))
    return Diagnosis(Status.ERROR, tuple(Evidence(name, what) for name, what in found), {"names": names})


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
