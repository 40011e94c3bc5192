"""The known failures: read one at a time from matrix/failures, and recognised in logs and tracebacks.

`check` needs the texts of a few failures, `explain` the signatures of all of them; a failure that nobody asks
for is never read, because a check has a fifth of a second for everything.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path

from paddlevl_doctor.data_files import read_toml_once
from paddlevl_doctor.knowledge.failure import Applies, Cure, Failure, Match
from paddlevl_doctor.knowledge.failure_file import read_failure

__all__ = ["Applies", "Cure", "Failure", "Match", "all_ids", "load_all", "load_failure", "match"]


@functools.cache
def load_failure(failure_id: str) -> Failure:
    """Read one failure, and only that file. Raises KnowledgeError where it is missing or malformed."""
    return read_failure(_folder() / f"{failure_id}.toml", read_toml_once)


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


def match(text: str, failures: Iterable[Failure], *, system: str | None = None) -> tuple[Match, ...]:
    """Name the failures whose signature occurs in a text; the first of them is the root cause.

    Python prints the first of several chained exceptions first, so the first occurrence wins; but a line
    that is often only a warning yields to one that is not, and the echo of another failure yields to both.
    `system` (linux, windows or macos; None: not known) is where the text was written: it decides between
    failures that share a signature, and only there. Raises KnowledgeError for a signature that is no regular
    expression.
    """
    from paddlevl_doctor.knowledge.recognition import known_in  # noqa: PLC0415 - not needed by a quick check

    found = known_in(text, failures, system=system)
    return tuple(
        Match(seen.failure, seen.place.line, seen.place.excerpt, root_cause=rank == 0)
        for rank, seen in enumerate(found)
    )
