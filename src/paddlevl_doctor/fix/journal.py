"""The journal of a transaction: one JSON line per event, synced to disk before the change that it announces.

Events: `begin` (with the plan), `intent` (a step starts; with what it is going to change), `done` (an installer has
ended; with the list of what it changed), `commit`, `undo` (an undo starts), and `rolled-back` (the former state is
restored). A transaction without `commit`, or with `undo` but without `rolled-back`, was interrupted; the next command
that writes rolls it back first.

Each line ends with a checksum over itself and the line before. `commit.json` has the number of lines and the checksum
at the commit, so that lines that are cut off are noticed too. Paths are relative to the prefix; a path outside it is
absolute, and is used only if `is_target` confirms that the journal was written for this very folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paddlevl_doctor import __version__
from paddlevl_doctor.facts.state_folder import STATE_FOLDER
from paddlevl_doctor.fix.entries import write_durably
from paddlevl_doctor.messages import Message, message
from paddlevl_doctor.packages import uv
from paddlevl_doctor.system.files import is_same_path

Event = dict[str, Any]
VERSION = 2
"""The version of the format; version 1 was the one of paddlevl-doctor 0.1, which had no checksums."""
_NAME = "journal.jsonl"
_COMMIT = "commit.json"
_SUM = re.compile(rb'^(\{.*), "sum": "([0-9a-f]{16})"\}$')
_RESERVE = 4 << 20
"""Bytes reserved for a rollback: a list of 20,000 files has three million bytes."""


@dataclass(frozen=True)
class Journal:
    """The events of a journal, and the reason why it cannot be trusted, None if it can."""

    events: tuple[Event, ...] = ()
    damage: Message | None = None

    @property
    def begin(self) -> Event:
        """The first event; empty without one."""
        return self.events[0] if self.events else {}

    def find(self, kind: str) -> list[Event]:
        """Return the events of a kind, oldest first."""
        return [event for event in self.events if event["event"] == kind]


@dataclass(frozen=True)
class Transaction:
    """One numbered transaction of a target; `prefix` is the folder that contains the state folder."""

    prefix: Path
    number: int
    place: Path | None = None
    """Another folder, while the transaction is made."""

    @property
    def folder(self) -> Path:
        """The folder with the journal and the former files."""
        return self.place or transactions_folder(self.prefix) / f"{self.number:04d}"

    @property
    def journal(self) -> Path:
        """The journal file."""
        return self.folder / _NAME

    @property
    def aside(self) -> Path:
        """The folder for the user's versions of files that an undo replaces; it outlives the transaction."""
        return self.prefix / STATE_FOLDER / "set-aside" / f"{self.number:04d}"

    def write(self, kind: str, *, durable: bool = True, **fields: Any) -> None:
        """Append an event; `durable` syncs it to disk, so that it survives a power cut too."""
        self._unshare()
        with os.fdopen(os.open(self.journal, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
            lines = file.read().splitlines(keepends=True)
            if lines and not lines[-1].endswith(b"\n"):  # an event that was written incompletely
                file.seek(-len(lines.pop()), os.SEEK_END)
                file.truncate()
            former = _SUM.match(lines[-1].rstrip()) if lines else None
            body = json.dumps({"event": kind, "time": time.time(), **fields}).encode()[:-1]
            file.write(b'%s, "sum": "%s"}\n' % (body, _checksum(former[2] if former else b"", body)))
            file.flush()
            if durable:
                os.fsync(file.fileno())

    def _unshare(self) -> None:
        """Give the journal a file of its own if it is a hard link, as in a copy of the project by `cp -al`."""
        if self.journal.exists() and self.journal.stat().st_nlink > 1:
            write_durably(self.journal, self.journal.read_bytes())

    def commit(self, *, durable: bool = True, **fields: Any) -> None:
        """Write the event `commit`, and confirm it in a file of its own."""
        self.write("commit", durable=durable, **fields)
        self.confirm(durable=durable)

    def confirm(self, *, durable: bool = True) -> None:
        """Write `commit.json`; does nothing if it is there. A kill right after the event `commit` prevents it."""
        if (self.folder / _COMMIT).exists():
            return
        lines = self.journal.read_bytes().splitlines()
        found = _SUM.match(lines[-1])
        confirmed = {"lines": len(lines), "sum": found[2].decode() if found else ""}
        write_durably(self.folder / _COMMIT, json.dumps(confirmed).encode(), sync=durable)

    def read(self) -> Journal:
        """Return the journal; an incomplete last line, which an interruption leaves, is left out."""
        try:
            data = self.journal.read_bytes()
        except FileNotFoundError:
            data = None
        except OSError as error:
            return Journal(damage=message("journal-unreadable", detail=error.strerror))
        if not data:
            return Journal(damage=message("journal-empty"))
        lines = data.split(b"\n")[:-1]
        events, sums = _read_lines(lines)
        if len(events) < len(lines):
            return Journal(tuple(events), message("journal-line-damaged", line=len(events) + 1))
        damage = (
            None if not events or events[0].get("journal") == VERSION else message("journal-of-version-1")
        )
        return Journal(tuple(events), damage or self._missing_lines(sums) or self._unexplained(events))

    def _unexplained(self, events: list[Event]) -> Message | None:
        """Return the reason if the folder has kept files of a step that the journal does not name."""
        named = {str(event.get("step")) for event in events}
        extra = (
            set(os.listdir(self.folder))
            - named
            - {_NAME, _COMMIT, f"{_COMMIT}.new", f"{_NAME}.new", "reserve"}
        )
        return message("journal-without-step", names=sorted(extra)) if extra else None

    def _missing_lines(self, sums: list[bytes]) -> Message | None:
        try:
            confirmed = json.loads((self.folder / _COMMIT).read_bytes())
            lines, checksum = int(confirmed["lines"]), str(confirmed["sum"]).encode()
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError):
            return message("journal-commit-damaged")
        return None if sums[lines - 1 : lines] == [checksum] else message("journal-cut", lines=lines)

    def state(self) -> str:
        """Return open (also during an undo), committed, rolled-back or damaged."""
        journal = self.read()
        if journal.damage is not None:
            return "damaged"
        kinds = [event["event"] for event in journal.events]
        if "rolled-back" in kinds:
            return "rolled-back"
        return "committed" if "commit" in kinds and "undo" not in kinds else "open"

    def was_committed(self) -> bool:
        """Return whether the transaction was complete once, also if its journal is damaged now."""
        kinds = [event["event"] for event in self.read().events]
        return (self.folder / _COMMIT).exists() or ("commit" in kinds and "undo" not in kinds)

    def is_target(self) -> bool:
        """Return whether the journal was written for this very folder: at the same path, or renamed since.

        A copy has another path and another inode.
        """
        recorded = self.read().begin.get("target", {})
        found = self.prefix.stat()
        same_folder = (recorded.get("device"), recorded.get("inode")) == (found.st_dev, found.st_ino)
        return same_folder or is_same_path(Path(recorded.get("path", "")), self.prefix.absolute())

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

    def set_damaged_aside(self) -> Path:
        """Move the folder of a damaged transaction out of the way, with all that it keeps; return its new path."""
        folder = self.prefix / STATE_FOLDER / "damaged"
        folder.mkdir(exist_ok=True)
        free = next(
            path for n in range(1, 10_000) if not (path := folder / f"{self.number:04d}-{n}").exists()
        )
        self.folder.rename(free)
        return free

    def forget(self) -> None:
        """Delete this transaction. The folder around it stays, because it contains the lock file (see `lock`).

        It is renamed first: a folder that has lost its journal while it is deleted would count as damaged.
        """
        gone = self.folder.with_name(f".gone-{self.number:04d}")
        shutil.rmtree(gone, ignore_errors=True)
        self.folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)


def _checksum(former: bytes, body: bytes) -> bytes:
    return hashlib.sha256(former + body).hexdigest()[:16].encode()


def _read_lines(lines: list[bytes]) -> tuple[list[Event], list[bytes]]:
    """Return the events and the checksums of the lines before the first damaged one.

    Lines of version 1, which have no checksums, are read too: the first event tells the version.
    """
    events: list[Event] = []
    sums: list[bytes] = []
    for line in lines:
        found = _SUM.match(line)
        has_version = bool(events) and events[0].get("journal") == VERSION
        if found and found[2] != _checksum(sums[-1] if sums else b"", found[1]):
            break
        event = _parse_event(line)
        if event is None or (found is None and has_version):
            break
        events.append(event)
        sums.append(found[2] if found else b"")
    return events, sums


def _parse_event(line: bytes) -> Event | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else None


def transactions_folder(prefix: Path) -> Path:
    """Return the folder with the transactions of a target."""
    return prefix / STATE_FOLDER / "transactions"


def sweep(prefix: Path) -> None:
    """Delete what a kill left of a transaction that was being made or deleted."""
    for kind in ("new", "gone"):
        for folder in transactions_folder(prefix).glob(f".{kind}-*"):
            shutil.rmtree(folder, ignore_errors=True)


def numbers(prefix: Path) -> list[int]:
    """Return the numbers of the transactions of a target, oldest first."""
    folder = transactions_folder(prefix)
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    return sorted(int(name) for name in names if re.fullmatch(r"\d{4,}", name))


def history(prefix: Path) -> list[Transaction]:
    """Return the transactions of a target, oldest first."""
    return [Transaction(prefix, number) for number in numbers(prefix)]


def begin(prefix: Path, plan: Any, *, creates: bool) -> Transaction:
    """Start the next transaction; raises OSError if the target cannot be written."""
    transaction = Transaction(prefix, max(numbers(prefix), default=0) + 1)
    # The folder gets its name with its first event in it: a folder without a journal has lost it.
    new = transactions_folder(prefix) / f".new-{transaction.number:04d}"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    found = prefix.stat()
    (new / _NAME).touch(0o600)
    Transaction(prefix, transaction.number, new).write(
        "begin",
        journal=VERSION,
        doctor=__version__,
        target={"path": str(prefix.absolute()), "device": found.st_dev, "inode": found.st_ino},
        creates=creates,
        # Without a lock file before, a rollback removes it: uv creates it during the installation.
        uv_lock=(prefix / uv.LOCK_NAME).exists(),
        plan=plan,
    )
    new.rename(transaction.folder)
    return transaction
