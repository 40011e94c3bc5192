"""Findings, plans, steps and their outcomes.

The values are frozen and consist of plain types, so that tests can compare them, and they can be written as JSON and
read back. Texts for people are messages, which `report` renders in the language of the user.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import Message, Text, render, to_json

Stage = Callable[[Text], AbstractContextManager[None]]
"""Shows the title of a stage while the context lasts."""


class Advance:
    """Receives the progress of a task. This one shows nothing."""

    def __call__(self, done: int) -> None:
        """Add the number of parts that were done since the last call."""

    def say(self, words: Text) -> None:
        """Set the description of the current work."""


Bar = Callable[[Text, int], AbstractContextManager[Advance]]
"""Shows a progress bar: takes the title and the total, and gives the receiver of the progress."""


@contextlib.contextmanager
def no_bar(_title: Text, _total: int) -> Iterator[Advance]:
    """Show nothing."""
    yield Advance()


Command = tuple[str, ...]
"""A command as an argument list; it is never run by a shell."""


class Status(str, enum.Enum):
    """The result of a check; the values are part of the JSON contract."""

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
    """The probe, file or command that gave a value, and the raw value."""

    source: str
    value: Text


@dataclass(frozen=True)
class Remedy:
    """The fix for a finding: a text, and commands that are safe to run unchanged."""

    text: Text
    commands: tuple[Command, ...] = ()


@dataclass(frozen=True)
class Finding:
    """The result of one check. `blocked_by` is the id of the finding that must be fixed first."""

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
    """The names of the affected distributions or cached models, which the fix works on."""


def as_dict(value: Any, lang: str = "en") -> Any:
    """Return a value (or a container of values) as plain JSON types, with its messages rendered in a language.

    For a field that is a message, `<field>_message` has its id and parameters. For a list with messages,
    `<field>_messages` has these, with null for each element that is not a message.
    """
    if type(value) in _PLAIN:  # most values are
        return value
    if isinstance(value, Message):
        return render(value, lang)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        own = getattr(value, "json_fields", None)  # a step has its own form
        return _fields(own() if own else {n: getattr(value, n) for n in value.__dataclass_fields__}, lang)
    if isinstance(value, dict):
        return _fields(value, lang)
    if isinstance(value, (list, tuple)):
        return [as_dict(item, lang) for item in value]
    return value.value if isinstance(value, enum.Enum) else value


_PLAIN = frozenset({str, int, float, bool, type(None)})


def _fields(fields: Mapping[Any, Any], lang: str) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for name, item in fields.items():
        document[str(name)] = as_dict(item, lang)
        if isinstance(item, Message):
            document[f"{name}_message"] = to_json(item)
        elif isinstance(item, (list, tuple)) and any(isinstance(part, Message) for part in item):
            document[f"{name}_messages"] = [to_json(p) if isinstance(p, Message) else None for p in item]
    return document
