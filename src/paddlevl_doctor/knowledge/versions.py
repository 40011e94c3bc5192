"""Does a version fulfil a specifier? `packaging` knows; but loading that part of it takes a tenth of a check."""

from __future__ import annotations

import re

_RELEASE = re.compile(r"\d+(?:\.\d+)*")
_CLAUSE = re.compile(r"\s*(>=|<=|<|>|==|!=)\s*(\d+(?:\.\d+)*)\s*")


def fits(version: str, specifier: str) -> bool:
    """Say whether a version fulfils a specifier (PEP 440), pre-releases included; an empty specifier excludes nothing.

    Plain releases against plain clauses, nearly every case, are compared here; everything else by `packaging`.
    What is no version fulfils none. Raises InvalidSpecifier as it does.
    """
    clauses = [_CLAUSE.fullmatch(clause) for clause in specifier.split(",")] if specifier else []
    if _RELEASE.fullmatch(version) is None or None in clauses:
        from packaging.specifiers import SpecifierSet  # noqa: PLC0415 - see above

        return SpecifierSet(specifier).contains(version, prereleases=True)
    mine = _parts(version)
    return all(_holds(mine, clause[1], _parts(clause[2])) for clause in clauses if clause is not None)


def _parts(release: str) -> tuple[int, ...]:
    """Return the numbers of a release without the zeros at its end: 3.3 and 3.3.0 are the same."""
    parts = [int(part) for part in release.split(".")]
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


def _holds(mine: tuple[int, ...], operator: str, other: tuple[int, ...]) -> bool:
    return {
        ">=": mine >= other,
        "<=": mine <= other,
        ">": mine > other,
        "<": mine < other,
        "==": mine == other,
        "!=": mine != other,
    }[operator]
