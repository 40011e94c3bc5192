"""The shapes of an error in a log, whatever its words: Python tracebacks with their chains, and single lines."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from paddlevl_doctor.logs.normalise import unescaped
from paddlevl_doctor.logs.signatures import Hit
from paddlevl_doctor.logs.window import Line, LogWindow, parse_line

TRACEBACK = "Traceback(mostrecentcalllast)"
MARKS = (
    TRACEBACK,
    "Error:",
    "Exception:",
    "error:",
    "ERROR",
    "FATAL",
    "CRITICAL",
    "FatalPythonerror:",
    "Windowsfatalexception:",
    "Segmentationfault",
    "coredumped",
    "Buserror",
    "terminatecalledafterthrowing",
)
"""Squeezed words (knowledge/squeeze.py) of which every shape has one."""

_SHORT, _LONGEST = 100, 600
"""Lines of one chain of tracebacks that are read."""
_MAX_QUOTED_CHARS = 60
_WORDS = 400
_NEAR = 10
"""Lines between a known failure and a line of the log that only says that something failed."""

_HEADER = "Traceback (most recent call last)"
_FILE = re.compile(r'\s*File "')
_ERROR_NAME = r"(?:[A-Za-z_]\w*\.)*[A-Z]\w*"
_STRICT = re.compile(
    rf"(?:{_ERROR_NAME}(?:Error|Exception|Warning|Exit|Interrupt|Timeout|Expired|Failure|NotFound)(?::\s.*|:)?"
    r"|(?:queue\.)?(?:Empty|Full)|StopIteration)$"
)
_LOOSE = re.compile(r"[A-Za-z_][\w.]*(?::\s.*|:)?$")
_LINK = re.compile(
    r"(?:During handling of the above exception, another exception occurred|"
    r"The above exception was the direct cause of the following exception)"
)
_SUMMARY = "Error Message Summary:"
_NATIVE = "C++ Traceback"
_BARE = re.compile(rf"{_ERROR_NAME}(?:Error|Exception):\s+\S")
_CRASH = re.compile(
    r"Fatal Python error: |Windows fatal exception: |\bSegmentation fault\b|\(core dumped\)|\bBus error\b"
    r"|terminate called after throwing"
)
_LEVEL = re.compile(
    r"(?:error|ERROR|FATAL|CRITICAL):\s+\S|(?:.*[\s\[(|:-])?(?:ERROR|FATAL|CRITICAL)[\]):]?\s+[|:-]?\s*\S"
)


@dataclass(frozen=True)
class Trouble:
    """One error in a log.

    `words` is the last line of its first traceback, or the line itself; `errors` has that of every traceback
    of the chain. A known failure that begins in the lines `near_first` to `near_last` explains it; `begin` and
    `end` are bytes of the stretch around them. `own` are the numbers of its lines.
    """

    line: int
    words: str
    errors: tuple[str, ...]
    trace: tuple[str, ...]
    near_first: int
    near_last: int
    begin: int
    end: int
    own: frozenset[int]


def trouble_at(stretch: LogWindow, hit: Hit) -> Trouble | None:
    """Return the error that a mark stands for, None where the words mean something else."""
    if TRACEBACK in hit.marks:
        short = _chain(stretch, hit.offset, _SHORT)
        whole = short is not None and max(short.own) < stretch.number_of(hit.offset) + _SHORT // 2
        return short if whole else _chain(stretch, hit.offset, _LONGEST)
    return _single(stretch, hit.offset)


def _chain(stretch: LogWindow, offset: int, most: int) -> Trouble | None:
    lines = _own_lines(_escaped(list(stretch.lines(offset, most)), stretch, offset))
    if not lines or _NATIVE in lines[0].said:
        return None
    errors: list[int] = []
    at: int | None = 0
    while at is not None:
        last = _last_line(lines, at)
        if last is None:
            break
        errors.append(last)
        at = _next_traceback(lines, last)
    if not errors:
        return None
    end = _end_of_message(lines, errors[-1])
    own = lines[: end + 1]
    return Trouble(
        line=lines[errors[0]].number,
        words=lines[errors[0]].said.strip()[:_WORDS],
        errors=tuple(lines[index].said.strip()[:_WORDS] for index in errors),
        trace=_shown(own),
        near_first=own[0].number,
        near_last=own[-1].number,
        begin=own[0].start,
        end=own[-1].start + _WORDS * 4,
        own=frozenset(line.number for line in own),
    )


def _shown(lines: list[Line]) -> tuple[str, ...]:
    """Return a chain for people: of a long one the beginning and, more of it, the end."""
    said = [line.said.rstrip()[:_WORDS] for line in lines]
    if len(said) <= _MAX_QUOTED_CHARS:
        return tuple(said)
    return (*said[: _MAX_QUOTED_CHARS // 3], "…", *said[-2 * _MAX_QUOTED_CHARS // 3 :])


def _escaped(lines: list[Line], stretch: LogWindow, offset: int) -> list[Line]:
    """Return the lines from the traceback on; where it is one line of JSON, what that line stands for."""
    head = lines[0]
    end = stretch.data.find(b"\n", offset)
    rest = stretch.data[offset : end if end >= 0 else len(stretch.data)][: 1 << 16]
    if b"\\n" not in rest:
        return lines
    text = rest.decode("utf-8", "replace")
    for _ in range(2):  # quoted twice
        if len(parts := unescaped(text)) > 1:
            first = parts[0] if parts[0].startswith("Traceback") else text
            own = [replace(parse_line(head.number, head.start, part), speaker="") for part in parts]
            return own if first == parts[0] and len(own) > 2 else lines  # noqa: PLR2004 - header, frame, error
        text = "\n".join(parts)
    return lines


def _own_lines(lines: list[Line]) -> list[Line]:
    """Leave out what other workers say in between, and a prefix that all lines of this one have."""
    head, rest = lines[0], lines[1:]
    prefix = head.said.partition("Traceback")[0]
    if prefix.strip() and any(line.said.startswith(prefix) for line in rest[:3]):
        rest = [replace(x, said=x.said[len(prefix) :]) for x in rest if x.said.startswith(prefix)]
    own = next((line.speaker for line in rest[:8] if _FILE.match(line.said)), head.speaker)
    return [head, *(line for line in rest if line.speaker == own)]


def _last_line(lines: list[Line], header: int) -> int | None:
    """Return where the traceback that begins at `header` names its exception."""
    code_follows = foreign = False
    for index in range(header + 1, len(lines)):
        said = lines[index].said
        if _HEADER in said:
            return None
        if not said.strip() or said[0].isspace():
            code_follows = False
        elif _FILE.match(said):  # the indentation was lost on the way
            code_follows = True
        elif _STRICT.match(said) or (not foreign and not code_follows and _LOOSE.match(said)):
            return index
        else:
            foreign, code_follows = foreign or not code_follows, False
    return None


def _next_traceback(lines: list[Line], last: int) -> int | None:
    """Return the header of the traceback that Python links to the one before."""
    linked = False
    for index in range(last + 1, min(last + 40, len(lines))):
        said = lines[index].said
        linked = linked or _LINK.search(said) is not None
        if _HEADER in said and _NATIVE not in said:
            return index if linked else None
    return None


def _end_of_message(lines: list[Line], last: int) -> int:
    """Return the last line of an exception's message; Paddle adds a native stack and a summary."""
    ahead = range(last + 1, min(last + 120, len(lines)))
    native = next((i for i in ahead if i <= last + 6 and _NATIVE in lines[i].said), None)
    if native is not None:
        summary = next((i for i in ahead if _SUMMARY in lines[i].said), native)
        return min(summary + 6, len(lines) - 1)
    if lines[last].said.rstrip().endswith(":"):
        return min(last + 4, len(lines) - 1)
    end = last
    while end + 1 < min(last + 7, len(lines)) and lines[end + 1].said[:1].isspace():
        end += 1
    return end


def _single(stretch: LogWindow, offset: int) -> Trouble | None:
    line = next(iter(stretch.lines(offset, 1)))
    said = line.said.strip()
    exception = _BARE.match(said) or _STRICT.match(said)
    if not (exception or _CRASH.search(said) or _LEVEL.match(said)):
        return None
    around = 1 if exception else _NEAR
    return Trouble(
        line=line.number,
        words=said[:_WORDS],
        errors=(said[:_WORDS],),
        trace=(said[:_WORDS],),
        near_first=line.number - (0 if exception else around),
        near_last=line.number + around,
        begin=line.start - (0 if exception else 2000),
        end=line.start + 2000,
        own=frozenset([line.number]),
    )
