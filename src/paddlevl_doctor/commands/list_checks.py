"""`check --list`: all known failures, and where each is detected."""

from __future__ import annotations

from paddlevl_doctor.checks import ALL
from paddlevl_doctor.checks.deep import DEEP
from paddlevl_doctor.checks.server import SERVER_FINDINGS
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.knowledge.failures import all_ids, load_failure
from paddlevl_doctor.messages import Text


@dataclass(frozen=True)
class ListedCheck:
    """A failure of `check --list`: its id, where it is detected (quick, deep, server or log), and what is examined."""

    id: str
    seen: str
    looks_at: Text


def listing() -> tuple[ListedCheck, ...]:
    """Return all known failures: the checks in their order, then those that only a log can show."""
    seen = dict.fromkeys(SERVER_FINDINGS, "server") | dict.fromkeys(DEEP, "deep")
    seen |= dict.fromkeys((check.id for check in ALL), "quick")
    quick = tuple(check.id for check in ALL)
    ids = (*quick, *(name for name in DEEP if seen[name] == "deep"), *SERVER_FINDINGS)
    rest = (name for name in all_ids() if name not in seen)
    return tuple(
        ListedCheck(name, seen.get(name, "log"), load_failure(name).message("looks_at"))
        for name in (*ids, *rest)
    )
