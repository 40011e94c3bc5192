"""How half installed distributions are cured: what is cleared away, and which version is installed again. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from packaging.version import InvalidVersion, Version

from paddlevl_doctor.checks.distributions import unusable
from paddlevl_doctor.checks.model import Context
from paddlevl_doctor.messages import text
from paddlevl_doctor.values import Finding, Step


def damaged(context: Context, findings: Iterable[Finding]) -> dict[str, str]:
    """Return the version to install again of every distribution that the findings name, by its name."""
    target = context.facts.target
    names = dict.fromkeys(name for finding in findings for name in finding.subjects)
    return {name: _version(context, name) for name in names if target and target.versions_of(name)}


def _version(context: Context, name: str) -> str:
    """Choose among the versions that the records name: the set's own one, else the newest.

    A killed upgrade leaves two records, and the newer one is where it was going.
    """
    versions = context.target.versions_of(name)
    wanted = {
        "paddlex": context.version_set.paddlex,
        "paddleocr": context.version_set.paddleocr,
        context.wheel.package: context.wheel.version,
    }.get(name)
    return wanted if wanted in versions else max(versions, key=_order)


def _order(version: str) -> tuple[bool, Version]:
    try:
        return True, Version(version)
    except InvalidVersion:  # the name of a folder, which anything can be
        return False, Version("0")


def with_damaged(requirements: Sequence[str], again: Mapping[str, str]) -> tuple[str, ...]:
    """Add what has to be installed again, where no other cure asks for that distribution anyway."""
    there = {re.split(r"[\[<>=!~ @]", r, maxsplit=1)[0] for r in requirements}
    return (*requirements, *(f"{name}=={version}" for name, version in again.items() if name not in there))


def clearing_steps(context: Context, cured: tuple[str, ...]) -> list[Step]:
    """Move away the records that no installer can make sense of: uv would install beside them."""
    target = context.facts.target
    doomed = unusable(target) if target is not None and cured else ()
    if target is None or not doomed:
        return []
    return [
        Step(
            id="clear-leftovers",
            kind="clear-leftovers",
            summary=text("step-clear", count=len(doomed)),
            resolves=cured,
            diff="\n".join(f"- {name}" for name in doomed),
            precondition=text("step-clear-before", names=", ".join(doomed)),
            undo=text("step-clear-undo"),
            arguments={"names": list(doomed), "site": target.purelib},
        )
    ]
