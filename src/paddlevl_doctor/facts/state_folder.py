"""Reads the doctor's own folder in a target: applied patches, an interrupted transaction, the process that holds it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from paddlevl_doctor.facts.journals import COMMIT, JOURNAL, Journal, parse_journal
from paddlevl_doctor.facts.target import STATE_FOLDER
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.system.files import load_json
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.facts import DamagedJournal


@dataclass(frozen=True)
class Holder:
    """The process that holds a target; without user names, because the message may be in a public report."""

    pid: int
    born: float
    """Start time of the process; with `pid` it identifies the process even after a reboot."""
    since: float
    command: str

    def is_alive(self) -> bool:
        """Return whether this process still runs."""
        return abs(start_time(self.pid) - self.born) < 1.0


def start_time(pid: int) -> float:
    """Return the start time of a process in seconds since 1970, 0 if it does not exist."""
    import psutil  # noqa: PLC0415 - a check hardly ever needs it

    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return 0.0


def parse_holder(text: str | None) -> Holder | None:
    """Return the holder that `holder.json` describes, None if it is missing or damaged."""
    try:
        return Holder(**load_json(text or ""))
    except (ValueError, TypeError):
        return None


@dataclass(frozen=True)
class StateFolder:
    """What the journals of a target say."""

    applied_patches: tuple[str, ...] = ()
    interrupted: int | None = None
    damaged: tuple[DamagedJournal, ...] = ()


def read_state_folder(system: System, prefix: Path) -> StateFolder:
    """Read the journals of the target that has its state in `prefix`; those of a running repair are not judged."""
    folder = prefix / STATE_FOLDER
    journals = dict(_journals(system, folder / "transactions"))
    patches = (patch for journal in journals.values() for patch in _committed_patches(journal))
    applied = tuple(dict.fromkeys(patches))
    if not any(journal.state in ("open", "damaged") for journal in journals.values()) or _is_held(
        system, folder
    ):
        return StateFolder(applied)
    interrupted = [number for number, journal in journals.items() if journal.state == "open"]
    damaged = tuple(
        DamagedJournal(number, str(folder / "transactions" / f"{number:04d}"), journal.damage)
        for number, journal in journals.items()
        if journal.damage is not None and not journal.was_committed
    )
    return StateFolder(applied, max(interrupted, default=None), damaged)


def _journals(system: System, folder: Path) -> Iterator[tuple[int, Journal]]:
    """Yield the number and the journal of each transaction whose journal can be read."""
    for name in system.names(folder):
        if re.fullmatch(r"\d{4,}", name):
            path = folder / name
            data, commit = system.read_bytes(path / JOURNAL), system.read_bytes(path / COMMIT)
            if data is not None or not system.exists(path / JOURNAL):  # else it is not this user's
                yield int(name), parse_journal(data, commit, system.names(path))


def _committed_patches(journal: Journal) -> list[str]:
    """Return the patches of a committed transaction, nothing for an unreadable journal."""
    if not journal.was_committed or journal.find("undo"):
        return []
    try:
        steps = [step for event in journal.events for step in event.get("plan", {}).get("steps", ())]
        return [str(step["arguments"]["patch"]) for step in steps if step["kind"] == "apply-patch"]
    except (KeyError, TypeError, AttributeError):
        return []


def _is_held(system: System, folder: Path) -> bool:
    """Return whether a doctor works on the target now."""
    holder = parse_holder(system.read_text(folder / "holder.json"))
    return holder is not None and holder.is_alive()
