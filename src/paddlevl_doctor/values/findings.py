"""The values that travel between the rooms: what was found, what will be done, what came of it.

All of them are frozen and made of plain types, so that they can be compared in tests, written as JSON and read
back. A sentence in them is a message, which `report` words in the reader's language.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from paddlevl_doctor.messages import Message, Text, render, to_json

Stage = Callable[[Text], AbstractContextManager[None]]
"""Announces a stage of the work while it lasts."""


class Advance:
    """Is told how some work goes on, and shows nothing of it."""

    def __call__(self, done: int) -> None:
        """Take how many parts were done since the last call."""

    def say(self, words: Text) -> None:
        """Take what is being done now."""


Bar = Callable[[Text, int], AbstractContextManager[Advance]]
"""Shows how far some work is: takes a title and the total, gives what is told of every part done."""


@contextlib.contextmanager
def no_bar(_title: Text, _total: int) -> Iterator[Advance]:
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
    value: Text


@dataclass(frozen=True)
class Remedy:
    """What cures a finding: a text for people, and commands that are safe to run as they stand."""

    text: Text
    commands: tuple[Command, ...] = ()


@dataclass(frozen=True)
class Finding:
    """The answer of one check. `blocked_by` names the finding that has to be cured first."""

    id: str
    status: Status
    title: Text
    cause: Text = ""
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
    summary: Text
    resolves: tuple[str, ...] = ()
    commands: tuple[Command, ...] = ()
    diff: str = ""
    precondition: Text = ""
    undo: Text = ""
    files: tuple[FileChange, ...] = ()
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SkippedFix:
    """A finding that the plan leaves alone, and why."""

    finding: str
    reason: Text


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
    message: Text = ""


def as_dict(value: Any, lang: str = "en") -> Any:
    """Return a value (or a container of values) as plain JSON types, its messages worded in a language.

    Beside a field that is a message stands `<field>_message` with its id and parameters; beside a list that holds
    messages stands `<field>_messages`, null for each part that is none.
    """
    if isinstance(value, Message):
        return render(value, lang)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _fields({f.name: getattr(value, f.name) for f in dataclasses.fields(value)}, lang)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, dict):
        return _fields(value, lang)
    if isinstance(value, (list, tuple)):
        return [as_dict(item, lang) for item in value]
    return value


def _fields(fields: Mapping[Any, Any], lang: str) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for name, item in fields.items():
        document[str(name)] = as_dict(item, lang)
        if isinstance(item, Message):
            document[f"{name}_message"] = to_json(item)
        elif isinstance(item, (list, tuple)) and any(isinstance(part, Message) for part in item):
            document[f"{name}_messages"] = [to_json(p) if isinstance(p, Message) else None for p in item]
    return document
