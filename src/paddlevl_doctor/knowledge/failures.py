"""The known failures: read one at a time from matrix/failures, and recognised in logs and tracebacks.

`check` needs the texts of a few failures, `explain` the signatures of all of them; a failure that nobody asks
for is never read, because a check has a fifth of a second for everything.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from paddlevl_doctor.knowledge.errors import KnowledgeError
from paddlevl_doctor.knowledge.failure import Applies, Cure, Failure, Match
from paddlevl_doctor.knowledge.failure_file import read_failure

__all__ = ["Applies", "Cure", "Failure", "Match", "all_ids", "load_all", "load_failure", "match"]

_WEIGHTS = ("cause", "warning", "consequence")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_EXCERPT = 240
"""Characters of the line that are shown."""


@functools.cache
def load_failure(failure_id: str) -> Failure:
    """Read one failure, and only that file. Raises KnowledgeError where it is missing or malformed."""
    return read_failure(_folder() / f"{failure_id}.toml")


@functools.cache
def all_ids() -> tuple[str, ...]:
    """Return the ids of all known failures, sorted, without opening a file."""
    return tuple(sorted(path.stem for path in _folder().glob("*.toml")))


def load_all() -> tuple[Failure, ...]:
    """Read every known failure, in the order of `all_ids`. Raises KnowledgeError as `load_failure` does."""
    return tuple(load_failure(failure_id) for failure_id in all_ids())


def _folder() -> Path:
    from paddlevl_doctor.knowledge.location import data_folder  # noqa: PLC0415 - keeps the parser usable alone

    return data_folder("matrix") / "failures"


@dataclass(frozen=True)
class _Occurrence:
    failure: Failure
    start: int


def match(text: str, failures: Iterable[Failure], *, system: str | None = None) -> tuple[Match, ...]:
    """Name the failures whose signature occurs in a text; the first of them is the root cause.

    Python prints the first of several chained exceptions first, so the first occurrence wins; but a line
    that is often only a warning yields to one that is not, and the echo of another failure yields to both.
    `system` (linux, windows or macos; None: not known) is where the text was written: it decides between
    failures that share a signature, and only there. Raises KnowledgeError for a signature that is no regular
    expression.
    """
    found = [occurrence for failure in failures if (occurrence := _first(failure, text)) is not None]
    kept = [one for one in found if not any(_beats(other, one, system) for other in found)]
    kept.sort(key=lambda one: (_WEIGHTS.index(one.failure.weight), one.start))
    return tuple(
        Match(
            one.failure, text.count("\n", 0, one.start) + 1, _excerpt(text, one.start), root_cause=rank == 0
        )
        for rank, one in enumerate(kept)
    )


def _first(failure: Failure, text: str) -> _Occurrence | None:
    if not failure.signatures:
        return None
    occurrence = _pattern(failure.id, failure.signatures).search(text)
    return None if occurrence is None else _Occurrence(failure, occurrence.start())


@functools.cache
def _pattern(failure_id: str, signatures: tuple[str, ...]) -> re.Pattern[str]:
    try:
        return re.compile("|".join(f"(?:{signature})" for signature in signatures))
    except re.error as error:
        raise KnowledgeError(f"{failure_id}.toml", "signatures", str(error)) from error


def _beats(other: _Occurrence, one: _Occurrence, system: str | None) -> bool:
    """Say whether `other` explains the same words better: it is about this system, or about none."""
    if other.start != one.start or other.failure.id == one.failure.id:
        return False
    ours, theirs = (_fit(occurrence.failure, system) for occurrence in (one, other))
    return (theirs, other.failure.id) < (ours, one.failure.id)


def _fit(failure: Failure, system: str | None) -> int:
    if not failure.applies.systems:
        return 1
    return 0 if system in failure.applies.systems else 2


def _excerpt(text: str, start: int) -> str:
    """Return the line around a position; of a very long line the part from the position on."""
    begin = text.rfind("\n", 0, start) + 1
    end = text.find("\n", start)
    line = text[begin : end if end >= 0 else len(text)]
    if len(line) > _EXCERPT:
        line = text[start : start + min(_EXCERPT, begin + len(line) - start)]
    return _COLOUR.sub("", line).strip()
