"""The values that travel between the rooms: what was found, what will be done, what came of it.

All of them are frozen and made of plain types, so that they can be compared in tests, written as JSON and read
back. Text in them is already in the reader's language.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

Stage = Callable[[str], AbstractContextManager[None]]
"""Announces a stage of the work while it lasts."""


class Advance:
    """Is told how some work goes on, and shows nothing of it."""

    def __call__(self, done: int) -> None:
        """Take how many parts were done since the last call."""

    def say(self, words: str) -> None:
        """Take what is being done now."""


Bar = Callable[[str, int], AbstractContextManager[Advance]]
"""Shows how far some work is: takes a title and the total, gives what is told of every part done."""


@contextlib.contextmanager
def no_bar(_title: str, _total: int) -> Iterator[Advance]:
    """Show nothing."""
    yield Advance()


Command = tuple[str, ...]
"""One command as an argument list; it never passes through a shell."""


class Status(str, enum.Enum):
    """What a check concluded; the words are part of the JSON contract."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"
    UNKNOWN = "unknown"
    BLOCKED = "blocked"
    SKIPPED = "skipped"


class ExitCode(enum.IntEnum):
    """The exit codes of every command."""

    OK = 0
    PROBLEMS = 1
    USAGE = 2
    NOT_LOOKED_AT = 3
    ROLLED_BACK = 4
    UNDO_NEEDED = 5
    INTERNAL = 70
    INTERRUPTED = 130


@dataclass(frozen=True)
class Evidence:
    """Which probe or file answered, and the raw value it gave."""

    source: str
    value: str


@dataclass(frozen=True)
class Remedy:
    """What cures a finding: a text for people, and commands that are safe to run as they stand."""

    text: str
    commands: tuple[Command, ...] = ()


@dataclass(frozen=True)
class Finding:
    """The answer of one check. `blocked_by` names the finding that has to be cured first."""

    id: str
    status: Status
    title: str
    cause: str = ""
    evidence: tuple[Evidence, ...] = ()
    remedy: Remedy | None = None
    links: tuple[str, ...] = ()
    blocked_by: str | None = None
    duration_ms: float = 0.0
    subjects: tuple[str, ...] = ()
    """What exactly is wrong, by the names that a cure works on: distributions, or models of the cache."""


@dataclass(frozen=True)
class FileChange:
    """One file that a step writes: its path, and the SHA-256 before (None: no such file) and after."""

    path: str
    before: str | None
    after: str


@dataclass(frozen=True)
class Step:
    """One change of the target.

    `precondition` and `undo` are sentences for people; the machine-readable form is in `commands`, `files`
    and `arguments`, which the step's runner (by `kind`) checks again before it touches anything.
    """

    id: str
    kind: str
    summary: str
    resolves: tuple[str, ...] = ()
    commands: tuple[Command, ...] = ()
    diff: str = ""
    precondition: str = ""
    undo: str = ""
    files: tuple[FileChange, ...] = ()
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SkippedFix:
    """A finding that the plan leaves alone, and why."""

    finding: str
    reason: str


@dataclass(frozen=True)
class Plan:
    """What `fix` would do, in order."""

    steps: tuple[Step, ...] = ()
    skipped: tuple[SkippedFix, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What became of one step: applied, already, failed or rolled-back."""

    step: str
    status: str
    seconds: float
    message: str = ""


def as_dict(value: Any) -> Any:
    """Return a value of this module (or a container of them) as plain JSON types."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: as_dict(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, dict):
        return {str(key): as_dict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_dict(item) for item in value]
    return value
