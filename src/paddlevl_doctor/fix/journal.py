"""The journal of one transaction: one JSON line an event, synced to disk before the change it announces.

Lines: `begin` (the plan), `intent` (a step starts, and how to undo it), then `commit`; `undo` when that is to be
taken back, and `rolled-back` when the former state is there again. A transaction whose last word is neither `commit`
nor `rolled-back` was interrupted; the next command that writes puts the former state back first.
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
"""Bytes kept free for putting things back: the list of 20,000 files has two million."""


@dataclass(frozen=True)
class Transaction:
    """One numbered transaction of a target; `prefix` is the folder that holds the doctor's own one."""

    prefix: Path
    number: int

    @property
    def folder(self) -> Path:
        """Where its journal and the kept files lie."""
        return transactions_folder(self.prefix) / f"{self.number:04d}"

    @property
    def journal(self) -> Path:
        """The journal file."""
        return self.folder / _NAME

    def write(self, kind: str, *, durable: bool = True, **fields: Any) -> None:
        """Append an event. `durable` syncs it to disk, so that it outlives a power cut and not only a kill."""
        line = json.dumps({"event": kind, "time": time.time(), **fields}) + "\n"
        with self.journal.open("a", encoding="utf-8") as file:
            file.write(f"\n{line}" if self._ends_within_a_line() else line)
            file.flush()
            if durable:
                os.fsync(file.fileno())

    def _ends_within_a_line(self) -> bool:
        """Say whether the machine stopped while an event was written: the next one must not be lost with it."""
        data = self.journal.read_bytes()
        return bool(data) and not data.endswith(b"\n")

    def events(self) -> list[Event]:
        """Read the journal; a half-written last line (the machine stopped there) is left out."""
        try:
            lines = self.journal.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return []
        return [event for line in lines if (event := _parsed(line)) is not None]

    def state(self) -> str:
        """Return open (also where taking it back has begun), committed or rolled-back."""
        kinds = [event["event"] for event in self.events()]
        if "rolled-back" in kinds:
            return "rolled-back"
        return "committed" if "commit" in kinds and "undo" not in kinds else "open"

    def had_uv_lock(self) -> bool:
        """Say whether uv's lock file was there before this transaction, or whether nobody can say."""
        return all(event.get("uv_lock", True) for event in self.events()[:1])

    def intents(self) -> list[Event]:
        """Return the steps that were started, newest first."""
        return [event for event in reversed(self.events()) if event["event"] == "intent"]

    def reserve(self) -> None:
        """Take the room that putting things back needs, so that a full disk does not prevent it."""
        with (self.folder / "reserve").open("wb") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, _RESERVE)
            else:
                file.write(bytes(_RESERVE))

    def release(self) -> None:
        """Give the reserved room back."""
        (self.folder / "reserve").unlink(missing_ok=True)

    def forget(self) -> None:
        """Remove this transaction. The folder around it stays, because our lock is in there (see `lock`)."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _parsed(line: str) -> Event | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None


def transactions_folder(prefix: Path) -> Path:
    """Return where a target keeps its transactions."""
    return prefix / STATE_FOLDER / "transactions"


def numbers(prefix: Path) -> list[int]:
    """Return the numbers of the transactions that a target remembers, oldest first."""
    folder = transactions_folder(prefix)
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    return sorted(int(name) for name in names if re.fullmatch(r"\d{4,}", name))


def history(prefix: Path) -> list[Transaction]:
    """Return the transactions that a target remembers, oldest first."""
    return [Transaction(prefix, number) for number in numbers(prefix)]


def begin(prefix: Path, plan: Any, *, python: Path, creates: bool) -> Transaction:
    """Open the next transaction; raises OSError where the target cannot be written."""
    transaction = Transaction(prefix, max(numbers(prefix), default=0) + 1)
    transaction.folder.mkdir(parents=True)
    locks = (
        prefix / uv.LOCK_NAME
    ).exists()  # else it is ours or comes with this installation, and goes with it
    transaction.write(
        "begin", doctor=__version__, python=str(python), creates=creates, uv_lock=locks, plan=plan
    )
    return transaction
