"""`explain`: names the failures in a log, which of them is the root, whether they concern the target, and the cure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from paddlevl_doctor.checks.base import Applicability, applicability
from paddlevl_doctor.checks.runner import AUTOMATIC
from paddlevl_doctor.commands.diagnose import TargetOptions, examine
from paddlevl_doctor.knowledge.failures import Failure, load_all
from paddlevl_doctor.logs.read_log import STDIN, chunks, open_log
from paddlevl_doctor.logs.recognise import Seen, recognise
from paddlevl_doctor.messages import Message, Text, message
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.errors import UsageError
from paddlevl_doctor.values.facts import Facts
from paddlevl_doctor.values.findings import ExitCode, Remedy, Stage

_REAL = ("cause", "warning", "consequence")
"""Weights of failures; the others only look like one."""


@dataclass(frozen=True)
class NamedFailure:
    """One known failure in a log; `count` ends at 1000, `excerpt` is the line without colours and frames."""

    id: str
    title: Text
    weight: str
    """cause, warning, consequence or harmless: what these words in a log mean."""
    line: int
    excerpt: str
    count: int
    root_cause: bool
    consequence_of: str | None
    applies: str
    """yes, no or unknown: whether the target and this machine can have this failure."""
    reason: Text
    cause: Text
    remedy: Remedy
    links: tuple[str, ...]


@dataclass(frozen=True)
class UnknownError:
    """One error that the doctor does not know; `trace` are the lines that belong to it."""

    line: int
    words: str
    count: int
    trace: tuple[str, ...]


@dataclass(frozen=True)
class Explanation:
    """What a log shows: the failures, the root cause first, and the errors that nobody knows."""

    matches: tuple[NamedFailure, ...]
    unknown: tuple[UnknownError, ...]
    lines: int
    bytes: int


@dataclass(frozen=True)
class ExplainReport:
    """The whole answer of `explain`. `facts` is None where no failure had to be compared with the target."""

    source: str
    explanation: Explanation
    facts: Facts | None
    seconds: float

    def exit_code(self) -> ExitCode:
        """1 an error was found, known or not; 0 none, or only what looks like one."""
        real = [named for named in self.explanation.matches if named.weight in _REAL]
        return ExitCode.PROBLEMS if real or self.explanation.unknown else ExitCode.OK


def explain(system: System, source: str | None, options: TargetOptions, stage: Stage) -> ExplainReport:
    """Read a log (a path; `-` or None for standard input) and explain it; raises UsageError for unusable input."""
    started = system.clock()
    if options.python and options.venv:
        raise UsageError(message("python-and-venv"))
    with stage(message("stage-explain")), open_log(source) as stream:
        pieces = chunks(stream)
        here = {"win32": "windows", "darwin": "macos"}.get(system.platform, "linux")
        found = recognise(pieces, load_all(), system=here)
    if found.size == 0:
        raise UsageError(message("log-empty", path=source or STDIN))
    facts = examine(system, options).facts if found.seen else None
    explanation = Explanation(
        _named(found.seen, facts) if facts else (),
        tuple(UnknownError(u.line, u.words, u.count, u.trace) for u in found.unknown),
        found.lines,
        found.size,
    )
    return ExplainReport(source or STDIN, explanation, facts, round(system.clock() - started, 3))


def _named(seen: tuple[Seen, ...], facts: Facts) -> tuple[NamedFailure, ...]:
    root = next((one.failure.id for one in seen if one.failure.weight in ("cause", "warning")), None)
    return tuple(_one(one, rank == 0, root, facts) for rank, one in enumerate(seen))


def _one(seen: Seen, first: bool, root: str | None, facts: Facts) -> NamedFailure:
    failure = seen.failure
    here = applicability(failure, facts)
    echo_of = root if failure.weight == "consequence" and root != failure.id else None
    words = _words(seen, facts)
    return NamedFailure(
        id=failure.id,
        title=failure.message("title.short"),
        weight=failure.weight,
        line=seen.place.line,
        excerpt=seen.place.excerpt,
        count=seen.count,
        root_cause=first and failure.weight in _REAL,
        consequence_of=seen.after or echo_of,
        applies=here.answer,
        reason=here.reason,
        cause=words("cause"),
        remedy=Remedy(words("remedy"), _commands(failure, here)),
        links=failure.links,
    )


def _words(seen: Seen, facts: Facts) -> Callable[[Literal["cause", "remedy"]], Message]:
    """Return what writes a text of the entry with the values of the target; an ellipsis stands for the others."""
    names = ("paddlex", "numpy", "paddleocr", "safetensors", "setuptools")
    target = facts.target
    known: dict[str, object] = {name: target.version_of(name) for name in names} if target else {}
    known |= {"paddle": target.paddle.version if target and target.paddle else None}
    known |= {"system": facts.host.system}
    values = {name: value for name, value in known.items() if value is not None}

    def write(name: Literal["cause", "remedy"]) -> Message:
        return seen.failure.message(name, **values)

    return write


def _commands(failure: Failure, here: Applicability) -> tuple[tuple[str, ...], ...]:
    """Return what cures it; nothing for a failure that this target cannot have."""
    if failure.cure.kind not in AUTOMATIC or here.answer == "no":
        return ()
    return (("paddlevl-doctor", "fix", "--apply", "--only", failure.id),)
