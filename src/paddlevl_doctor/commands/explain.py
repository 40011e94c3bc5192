"""`explain`: finds the failures in a log, their root cause, whether they can affect the target, and the fix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from paddlevl_doctor.checks.base import Applicability, applicability
from paddlevl_doctor.checks.runner import AUTOMATIC
from paddlevl_doctor.commands.diagnose import TargetOptions, examine
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.knowledge.failures import Failure, load_all
from paddlevl_doctor.logs.read_log import STDIN, chunks, open_log
from paddlevl_doctor.logs.recognise import Seen, recognise
from paddlevl_doctor.messages import Message, Text, message
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.errors import UsageError
from paddlevl_doctor.values.facts import Facts
from paddlevl_doctor.values.findings import ExitCode, Remedy, Stage

_REAL = ("cause", "warning", "consequence")
"""Weights of real failures; lines of other weights are harmless."""


@dataclass(frozen=True)
class NamedFailure:
    """A known failure in a log; `count` is at most 1000, `excerpt` is the line without colours and frames."""

    id: str
    title: Text
    weight: str
    """cause, warning, consequence or harmless: the meaning of the failure in a log."""
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
    """An error that no known failure matches; `trace` has its lines."""

    line: int
    words: str
    count: int
    trace: tuple[str, ...]


@dataclass(frozen=True)
class Explanation:
    """The known failures in a log, the root cause first, and the unknown errors."""

    matches: tuple[NamedFailure, ...]
    unknown: tuple[UnknownError, ...]
    lines: int
    bytes: int


@dataclass(frozen=True)
class ExplainReport:
    """The result of `explain`. `facts` is None if the log has no known failure to compare with the target."""

    source: str
    explanation: Explanation
    facts: Facts | None
    seconds: float

    def exit_code(self) -> ExitCode:
        """Return 1 if the log has an error, known or not, else 0."""
        real = [named for named in self.explanation.matches if named.weight in _REAL]
        return ExitCode.PROBLEMS if real or self.explanation.unknown else ExitCode.OK


def explain(system: System, source: str | None, options: TargetOptions, stage: Stage) -> ExplainReport:
    """Read a log from a path, or from stdin (`-` or None), and explain it. Raises UsageError if it is unusable."""
    started = system.clock()
    if options.python and options.venv:
        raise UsageError(message("python-and-venv"))
    with stage(message("stage-explain")), open_log(source) as stream:
        name = {"win32": "windows", "darwin": "macos"}.get(system.platform, "linux")
        found = recognise(chunks(stream), load_all(), system=name)
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
    root = next((match.failure.id for match in seen if match.failure.weight in ("cause", "warning")), None)
    return tuple(_named_failure(match, rank == 0, root, facts) for rank, match in enumerate(seen))


def _named_failure(seen: Seen, first: bool, root: str | None, facts: Facts) -> NamedFailure:
    failure = seen.failure
    applies = applicability(failure, facts)
    follows = root if failure.weight == "consequence" and root != failure.id else None
    filled = _failure_texts(seen, facts)
    return NamedFailure(
        id=failure.id,
        title=failure.message("title.short"),
        weight=failure.weight,
        line=seen.place.line,
        excerpt=seen.place.excerpt,
        count=seen.count,
        root_cause=first and failure.weight in _REAL,
        consequence_of=seen.after or follows,
        applies=applies.answer,
        reason=applies.reason,
        cause=filled("cause"),
        remedy=Remedy(filled("remedy"), _commands(failure, applies)),
        links=failure.links,
    )


def _failure_texts(seen: Seen, facts: Facts) -> Callable[[Literal["cause", "remedy"]], Message]:
    """Return a function that fills a text of the failure with values of the target, or with … if they are unknown."""
    names = ("paddlex", "numpy", "paddleocr", "safetensors", "setuptools")
    target = facts.target
    known: dict[str, object] = {name: target.version_of(name) for name in names} if target else {}
    known |= {"paddle": target.paddle.version if target and target.paddle else None}
    known |= {"system": facts.host.system}
    values = {name: value for name, value in known.items() if value is not None}

    def fill(name: Literal["cause", "remedy"]) -> Message:
        return seen.failure.message(name, **values)

    return fill


def _commands(failure: Failure, applies: Applicability) -> tuple[tuple[str, ...], ...]:
    """Return the commands that fix a failure; none if the target cannot have it or the fix is manual."""
    if failure.cure.kind not in AUTOMATIC or applies.answer == "no":
        return ()
    return (("paddlevl-doctor", "fix", "--apply", "--only", failure.id),)
