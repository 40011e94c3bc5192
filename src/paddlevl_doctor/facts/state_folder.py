"""Reads the doctor's own folder in a target: applied patches, an interrupted transaction, the process that holds it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paddlevl_doctor.system.machine import System

STATE_FOLDER = ".paddlevl-doctor"
"""The doctor's own folder inside a target."""

_Event = dict[str, Any]


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
        return Holder(**json.loads(text or ""))
    except (ValueError, TypeError):
        return None


@dataclass(frozen=True)
class StateFolder:
    """What the journals of a target say."""

    applied_patches: tuple[str, ...] = ()
    interrupted: int | None = None


def read_state_folder(system: System, prefix: Path) -> StateFolder:
    """Read the journals of the target that has its state in `prefix`; unreadable journals are ignored."""
    folder = prefix / STATE_FOLDER
    journals = dict(_journals(system, folder / "transactions"))
    open_ones = [number for number, events in journals.items() if _state(events) == "open"]
    patches = (patch for events in journals.values() for patch in _committed_patches(events))
    return StateFolder(
        tuple(dict.fromkeys(patches)),
        max(open_ones) if open_ones and not _is_held(system, folder) else None,
    )


def _journals(system: System, folder: Path) -> Iterator[tuple[int, list[_Event]]]:
    """Yield the number and the events of each transaction."""
    for name in system.names(folder):
        path = folder / name / "journal.jsonl"
        text = system.read_text(path)
        if re.fullmatch(r"\d{4,}", name) and (text is not None or not system.exists(path)):
            events = list(_events(text or ""))
            is_committed = system.exists(folder / name / "commit.json")
            yield int(name), [{"event": "commit"}, *events] if is_committed and not _has(events) else events


def _has(events: list[_Event]) -> bool:
    """Return whether a journal has its end; of a committed one that was damaged since, the end may be missing."""
    return any(event["event"] in ("commit", "rolled-back") for event in events)


def _events(text: str) -> Iterator[_Event]:
    for line in text.splitlines():
        try:
            event = json.loads(line)
        except ValueError:  # a line that was written incompletely
            continue
        if isinstance(event, dict) and isinstance(event.get("event"), str):
            yield event


def _state(events: list[_Event]) -> str:
    """Return committed, rolled-back, or open: the transaction, or its undo, has begun and not ended."""
    kinds = [event["event"] for event in events]
    if "rolled-back" in kinds:
        return "rolled-back"
    return "committed" if "commit" in kinds and "undo" not in kinds else "open"


def _committed_patches(events: list[_Event]) -> list[str]:
    """Return the patches of a committed transaction, nothing for an unreadable journal."""
    if _state(events) != "committed":
        return []
    try:
        steps = [step for event in events for step in event.get("plan", {}).get("steps", ())]
        return [str(step["arguments"]["patch"]) for step in steps if step["kind"] == "apply-patch"]
    except (KeyError, TypeError, AttributeError):
        return []


def _is_held(system: System, folder: Path) -> bool:
    """Return whether a doctor works on the target now."""
    holder = parse_holder(system.read_text(folder / "holder.json"))
    return holder is not None and holder.is_alive()
