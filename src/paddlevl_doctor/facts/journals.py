"""Reads the journal of a transaction: its events, and whether it can be trusted.

Each line ends with a checksum over itself and the line before. `commit.json` has the number of lines and the checksum
at the commit, so that lines that are cut off are noticed too. `fix.journal` writes both.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from typing import Any, Literal

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import Message, message
from paddlevl_doctor.system.files import load_json

Event = dict[str, Any]
State = Literal["open", "committed", "rolled-back", "damaged"]
VERSION = 2
"""The version of the format; version 1 was the one of paddlevl-doctor 0.1, which had no checksums."""
JOURNAL = "journal.jsonl"
COMMIT = "commit.json"
RESERVE = "reserve"
"""The file that reserves disk space for a rollback."""
CHECKSUM = re.compile(rb'^(\{.*), "sum": "([0-9a-f]{16})"\}$')


@dataclass(frozen=True)
class Journal:
    """The events of a journal, and the reason why it cannot be trusted, None if it can."""

    events: tuple[Event, ...] = ()
    damage: Message | None = None
    is_confirmed: bool = False
    """Whether there is a `commit.json`."""

    @property
    def begin(self) -> Event:
        """The first event; empty without one."""
        return self.events[0] if self.events else {}

    def find(self, kind: str) -> list[Event]:
        """Return the events of a kind, oldest first."""
        return [event for event in self.events if event["event"] == kind]

    @property
    def agreed(self) -> bool:
        """Whether an undo has begun that sets aside what the user changed since."""
        return any(event.get("yes") is True for event in self.find("undo"))

    @property
    def state(self) -> State:
        """The state of the transaction; it is open also during an undo."""
        if self.damage is not None:
            return "damaged"
        if self.find("rolled-back"):
            return "rolled-back"
        return "committed" if self.find("commit") and not self.find("undo") else "open"

    @property
    def was_committed(self) -> bool:
        """Whether the transaction was complete once, also if its journal is damaged now."""
        return self.is_confirmed or bool(self.find("commit") and not self.find("undo"))


def checksum(former: bytes, body: bytes) -> bytes:
    """Return the checksum of a line without its end, after a line with the checksum `former`."""
    return hashlib.sha256(former + body).hexdigest()[:16].encode()


def parse_journal(data: bytes | None, commit: bytes | None, names: Collection[str]) -> Journal:
    """Return a journal by its content, by the content of `commit.json`, and by the names in its folder.

    An incomplete last line, which an interruption leaves, is left out.
    """
    if not data:
        return Journal(damage=message("journal-empty"), is_confirmed=commit is not None)
    lines = data.split(b"\n")[:-1]
    events, sums = _parse_lines(lines)
    damage = (
        (message("journal-line-damaged", line=len(events) + 1) if len(events) < len(lines) else None)
        or (message("journal-of-version-1") if events and events[0].get("journal") != VERSION else None)
        or _missing_lines(sums, commit)
        or _unexplained(events, names)
    )
    return Journal(tuple(events), damage, commit is not None)


def _missing_lines(sums: list[bytes], commit: bytes | None) -> Message | None:
    if commit is None:
        return None
    try:
        confirmed = load_json(commit)
        lines, expected = int(confirmed["lines"]), str(confirmed["sum"]).encode()
    except (ValueError, KeyError, TypeError):
        return message("journal-commit-damaged")
    return None if sums[lines - 1 : lines] == [expected] else message("journal-cut", lines=lines)


def _unexplained(events: list[Event], names: Collection[str]) -> Message | None:
    """Return the reason if the folder has kept files of a step that the journal does not name."""
    known = {JOURNAL, COMMIT, f"{JOURNAL}.new", f"{COMMIT}.new", RESERVE}
    extra = set(names) - known - {str(event.get("step")) for event in events}
    return message("journal-without-step", names=sorted(extra)) if extra else None


def _parse_lines(lines: list[bytes]) -> tuple[list[Event], list[bytes]]:
    """Return the events and the checksums of the lines before the first damaged one.

    Lines of version 1, which have no checksums, are read too: the first event tells the version.
    """
    events: list[Event] = []
    sums: list[bytes] = []
    for line in lines:
        found = CHECKSUM.match(line)
        has_version = bool(events) and events[0].get("journal") == VERSION
        if found and found[2] != checksum(sums[-1] if sums else b"", found[1]):
            break
        event = _parse_event(line)
        if event is None or (found is None and has_version):
            break
        events.append(event)
        sums.append(found[2] if found else b"")
    return events, sums


def _parse_event(line: bytes) -> Event | None:
    try:
        event = load_json(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else None
