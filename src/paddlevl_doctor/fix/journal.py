"""The journal of a transaction: one JSON line per event, synced to disk before the change that it announces.

Events: `begin` (with the plan), `intent` (a step starts; with what it is going to change), `done` (an installer has
ended; with the list of what it changed), `commit`, `undo` (an undo starts), and `rolled-back` (the former state is
restored). A transaction without `commit`, or with `undo` but without `rolled-back`, was interrupted; the next command
that writes rolls it back first.

`facts.journals` reads the lines and checks their checksums. Paths are relative to the prefix; a path outside it is
absolute, and is used only if `is_target` confirms that the journal was written for this very folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from paddlevl_doctor import __version__
from paddlevl_doctor.facts.journals import (
    CHECKSUM,
    COMMIT,
    JOURNAL,
    RESERVE,
    VERSION,
    Journal,
    checksum,
    parse_journal,
)
from paddlevl_doctor.facts.target import STATE_FOLDER
from paddlevl_doctor.fix.entries import write_durably
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import message
from paddlevl_doctor.packages import uv
from paddlevl_doctor.system.files import is_same_path
from paddlevl_doctor.values.errors import DoctorError

_RESERVE_SIZE = 4 << 20
"""Bytes reserved for a rollback: a list of 20,000 files has three million bytes."""


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
        return self.folder / JOURNAL

    @property
    def aside(self) -> Path:
        """The folder for the user's versions of files that an undo replaces; it outlives the transaction."""
        return self.prefix / STATE_FOLDER / "set-aside" / f"{self.number:04d}"

    def write(self, kind: str, *, durable: bool = True, **fields: Any) -> None:
        """Append an event; `durable` syncs it to disk, so that it survives a power cut too."""
        # A hard link, as in a copy of the project by `cp -al`, becomes a file of its own.
        if self.journal.exists() and self.journal.stat().st_nlink > 1:
            write_durably(self.journal, self.journal.read_bytes())
        with os.fdopen(os.open(self.journal, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
            lines = file.read().splitlines(keepends=True)
            if lines and not lines[-1].endswith(b"\n"):  # an event that was written incompletely
                file.seek(-len(lines.pop()), os.SEEK_END)
                file.truncate()
            former = CHECKSUM.match(lines[-1].rstrip()) if lines else None
            body = json.dumps({"event": kind, "time": time.time(), **fields}).encode()[:-1]
            file.write(b'%s, "sum": "%s"}\n' % (body, checksum(former[2] if former else b"", body)))
            file.flush()
            if durable:
                os.fsync(file.fileno())

    def commit(self, *, durable: bool = True, **fields: Any) -> None:
        """Write the event `commit`, and confirm it in a file of its own."""
        self.write("commit", durable=durable, **fields)
        self.confirm(durable=durable)

    def confirm(self, *, durable: bool = True) -> None:
        """Write `commit.json`; does nothing if it is there. A kill right after the event `commit` prevents it."""
        if (self.folder / COMMIT).exists():
            return
        lines = self.journal.read_bytes().splitlines()
        found = CHECKSUM.match(lines[-1])
        confirmed = {"lines": len(lines), "sum": found[2].decode() if found else ""}
        write_durably(self.folder / COMMIT, json.dumps(confirmed).encode(), sync=durable)

    def read(self) -> Journal:
        """Return the journal; one that cannot be read is damaged."""
        try:
            data = self.journal.read_bytes() if self.journal.exists() else None
            commit = (self.folder / COMMIT).read_bytes() if (self.folder / COMMIT).exists() else None
        except OSError as error:
            return Journal(damage=message("journal-unreadable", detail=error.strerror))
        return parse_journal(data, commit, os.listdir(self.folder) if data else ())

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
        with (self.folder / RESERVE).open("wb") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, _RESERVE_SIZE)
            else:
                file.write(bytes(_RESERVE_SIZE))

    def release(self) -> None:
        """Release the reserved disk space."""
        (self.folder / RESERVE).unlink(missing_ok=True)

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


def transactions_folder(prefix: Path) -> Path:
    """Return the folder with the transactions of a target."""
    return prefix / STATE_FOLDER / "transactions"


def sweep(prefix: Path) -> None:
    """Delete what a kill left of a transaction that was being made or deleted."""
    for kind in ("new", "gone"):
        for folder in transactions_folder(prefix).glob(f".{kind}-*"):
            shutil.rmtree(folder, ignore_errors=True)


def numbers(prefix: Path) -> list[int]:
    """Return the numbers of the transactions of a target, oldest first.

    Raises DoctorError for a file in the place of the folder with the transactions.
    """
    folder = transactions_folder(prefix)
    wrong = (path for path in (folder.parent, folder) if os.path.lexists(path) and not path.is_dir())
    if (path := next(wrong, None)) is not None:
        raise DoctorError(message("state-is-file", path=path))
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    return sorted(int(name) for name in names if re.fullmatch(r"\d{4,}", name))


def history(prefix: Path) -> list[Transaction]:
    """Return the transactions of a target, oldest first."""
    return [Transaction(prefix, number) for number in numbers(prefix)]


@contextlib.contextmanager
def interrupts_told(prefix: Path) -> Iterator[None]:
    """Let an interrupt of the block name the transactions that were undone or committed in it, if there are any."""
    before = set(numbers(prefix))
    try:
        yield
    except KeyboardInterrupt as interrupt:
        undone = sorted(before - set(numbers(prefix)))
        applied = [one.number for one in history(prefix) if one.number not in before]
        if undone:
            raise KeyboardInterrupt(message("interrupted-undone", numbers=undone)) from interrupt
        if applied:
            raise KeyboardInterrupt(message("interrupted-applied", number=applied[-1])) from interrupt
        raise


def begin(prefix: Path, plan: Any, *, creates: bool) -> Transaction:
    """Start the next transaction; raises OSError if the target cannot be written."""
    transaction = Transaction(prefix, max(numbers(prefix), default=0) + 1)
    # The folder gets its name with its first event in it: a folder without a journal has lost it.
    new = transactions_folder(prefix) / f".new-{transaction.number:04d}"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    found = prefix.stat()
    (new / JOURNAL).touch(0o600)
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
