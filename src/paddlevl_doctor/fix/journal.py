"""The journal of a transaction: one JSON line per event, synced to disk before the change that it announces.

Events: `begin` (with the plan), `intent` (a step starts; with the data that undoes it), `commit`, `undo` (an undo
starts), and `rolled-back` (the former state is restored). A transaction without `commit`, or with `undo` but without
`rolled-back`, was interrupted; the next command that writes rolls it back first.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paddlevl_doctor import __version__
from paddlevl_doctor.fix.snapshot import STATE_FOLDER
from paddlevl_doctor.packages import uv

Event = dict[str, Any]
_NAME = "journal.jsonl"
_RESERVE = 4 << 20
"""Bytes reserved for a rollback: a list of 20,000 files has two million bytes."""


@dataclass(frozen=True)
class Transaction:
    """One numbered transaction of a target; `prefix` is the folder that contains the state folder."""

    prefix: Path
    number: int

    @property
    def folder(self) -> Path:
        """The folder with the journal and the former files."""
        return transactions_folder(self.prefix) / f"{self.number:04d}"

    @property
    def journal(self) -> Path:
        """The journal file."""
        return self.folder / _NAME

    def write(self, kind: str, *, durable: bool = True, **fields: Any) -> None:
        """Append an event; `durable` syncs it to disk, so that it survives a power cut too."""
        line = json.dumps({"event": kind, "time": time.time(), **fields}) + "\n"
        with self.journal.open("a", encoding="utf-8") as file:
            file.write(f"\n{line}" if self._ends_in_partial_line() else line)
            file.flush()
            if durable:
                os.fsync(file.fileno())

    def _ends_in_partial_line(self) -> bool:
        """Return whether the last event is incomplete, so that the next event needs a line of its own."""
        data = self.journal.read_bytes()
        return bool(data) and not data.endswith(b"\n")

    def events(self) -> list[Event]:
        """Return the events of the journal, without lines that were written incompletely."""
        try:
            lines = self.journal.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return []
        return [event for line in lines if (event := _parse_event(line)) is not None]

    def state(self) -> str:
        """Return open (also during an undo), committed or rolled-back."""
        kinds = [event["event"] for event in self.events()]
        if "rolled-back" in kinds:
            return "rolled-back"
        return "committed" if "commit" in kinds and "undo" not in kinds else "open"

    def had_uv_lock(self) -> bool:
        """Return whether uv's lock file existed before this transaction; True if the journal does not record it."""
        return all(event.get("uv_lock", True) for event in self.events()[:1])

    def intents(self) -> list[Event]:
        """Return the `intent` events, newest first."""
        return [event for event in reversed(self.events()) if event["event"] == "intent"]

    def reserve(self) -> None:
        """Reserve the disk space that a rollback needs, so that a full disk does not prevent it."""
        with (self.folder / "reserve").open("wb") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, _RESERVE)
            else:
                file.write(bytes(_RESERVE))

    def release(self) -> None:
        """Release the reserved disk space."""
        (self.folder / "reserve").unlink(missing_ok=True)

    def forget(self) -> None:
        """Delete this transaction. The folder around it stays, because it contains the lock file (see `lock`)."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _parse_event(line: str) -> Event | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None


def transactions_folder(prefix: Path) -> Path:
    """Return the folder with the transactions of a target."""
    return prefix / STATE_FOLDER / "transactions"


def numbers(prefix: Path) -> list[int]:
    """Return the numbers of the transactions of a target, oldest first."""
    folder = transactions_folder(prefix)
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    return sorted(int(name) for name in names if re.fullmatch(r"\d{4,}", name))


def history(prefix: Path) -> list[Transaction]:
    """Return the transactions of a target, oldest first."""
    return [Transaction(prefix, number) for number in numbers(prefix)]


def begin(prefix: Path, plan: Any, *, python: Path, creates: bool) -> Transaction:
    """Start the next transaction; raises OSError if the target cannot be written."""
    transaction = Transaction(prefix, max(numbers(prefix), default=0) + 1)
    transaction.folder.mkdir(parents=True)
    # Without a lock file before, a rollback removes it: uv creates it during the installation.
    had_lock = (prefix / uv.LOCK_NAME).exists()
    transaction.write(
        "begin", doctor=__version__, python=str(python), creates=creates, uv_lock=had_lock, plan=plan
    )
    return transaction
