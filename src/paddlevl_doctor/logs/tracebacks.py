"""Finds errors in a log by their form: Python tracebacks with chained exceptions, and single lines."""

from __future__ import annotations

import re
from dataclasses import replace

from paddlevl_doctor.frozen import dataclass
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
"""Visible ASCII words (logs/normalise.py); every form of an error contains one of them."""

_SHORT, _LONGEST = 100, 600
"""The number of lines that are read for one chain of tracebacks: first _SHORT, then _LONGEST."""
_MAX_QUOTED_LINES = 60
_MAX_LINE_CHARS = 400
_NEAR = 10
"""The maximum number of lines between a known failure and a line that only reports that something failed."""

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
class LogError:
    """One error in a log.

    `words` is the last line of the first traceback, or the line itself; `errors` are the last lines of all tracebacks
    of the chain. A known failure that begins in the lines `near_first` to `near_last` explains the error; `begin` and
    `end` are the offsets of these lines in the window. `own` are the line numbers of the error.
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


def error_at(window: LogWindow, hit: Hit) -> LogError | None:
    """Return the error at a mark, None if the line is not an error."""
    if TRACEBACK in hit.marks:
        short = _chain(window, hit.offset, _SHORT)
        whole = short is not None and max(short.own) < window.number_of(hit.offset) + _SHORT // 2
        return short if whole else _chain(window, hit.offset, _LONGEST)
    return _single(window, hit.offset)


def _chain(window: LogWindow, offset: int, most: int) -> LogError | None:
    lines = _own_lines(_escaped(list(window.lines(offset, most)), window, offset))
    if not lines or _NATIVE in lines[0].text:
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
    return LogError(
        line=lines[errors[0]].number,
        words=lines[errors[0]].text.strip()[:_MAX_LINE_CHARS],
        errors=tuple(lines[index].text.strip()[:_MAX_LINE_CHARS] for index in errors),
        trace=_shown(own),
        near_first=own[0].number,
        near_last=own[-1].number,
        begin=own[0].start,
        end=own[-1].start + _MAX_LINE_CHARS * 4,
        own=frozenset(line.number for line in own),
    )


def _shown(lines: list[Line]) -> tuple[str, ...]:
    """Return the lines to show; of a long chain the first third and the last two thirds of _MAX_QUOTED_LINES."""
    texts = [line.text.rstrip()[:_MAX_LINE_CHARS] for line in lines]
    if len(texts) <= _MAX_QUOTED_LINES:
        return tuple(texts)
    return (*texts[: _MAX_QUOTED_LINES // 3], "…", *texts[-2 * _MAX_QUOTED_LINES // 3 :])


def _escaped(lines: list[Line], window: LogWindow, offset: int) -> list[Line]:
    """Return the lines of a traceback; if it is one line of JSON, the lines that this line contains."""
    head = lines[0]
    end = window.data.find(b"\n", offset)
    rest = window.data[offset : end if end >= 0 else len(window.data)][: 1 << 16]
    if b"\\n" not in rest:
        return lines
    text = rest.decode("utf-8", "replace")
    for _ in range(2):  # quoted twice
        if len(parts := unescaped(text)) > 1:
            first = parts[0] if parts[0].startswith("Traceback") else text
            own = [replace(parse_line(head.number, head.start, part), prefix="") for part in parts]
            return own if first == parts[0] and len(own) > 2 else lines  # noqa: PLR2004 - header, frame, error
        text = "\n".join(parts)
    return lines


def _own_lines(lines: list[Line]) -> list[Line]:
    """Remove the lines of other workers, and a prefix that all lines of this traceback have."""
    head, rest = lines[0], lines[1:]
    prefix = head.text.partition("Traceback")[0]
    if prefix.strip() and any(line.text.startswith(prefix) for line in rest[:3]):
        rest = [replace(x, text=x.text[len(prefix) :]) for x in rest if x.text.startswith(prefix)]
    own = next((line.prefix for line in rest[:8] if _FILE.match(line.text)), head.prefix)
    return [head, *(line for line in rest if line.prefix == own)]


def _last_line(lines: list[Line], header: int) -> int | None:
    """Return the index of the line with the exception of the traceback that begins at `header`, None without one."""
    code_follows = foreign = False
    for index in range(header + 1, len(lines)):
        text = lines[index].text
        if _HEADER in text:
            return None
        if not text.strip() or text[0].isspace():
            code_follows = False
        elif _FILE.match(text):  # the indentation was lost on the way
            code_follows = True
        elif _STRICT.match(text) or (not foreign and not code_follows and _LOOSE.match(text)):
            return index
        else:
            foreign, code_follows = foreign or not code_follows, False
    return None


def _next_traceback(lines: list[Line], last: int) -> int | None:
    """Return the index of the header of the next chained traceback, None if there is none."""
    linked = False
    for index in range(last + 1, min(last + 40, len(lines))):
        text = lines[index].text
        linked = linked or _LINK.search(text) is not None
        if _HEADER in text and _NATIVE not in text:
            return index if linked else None
    return None


def _end_of_message(lines: list[Line], last: int) -> int:
    """Return the index of the last line of an exception's message; Paddle adds a native stack and a summary."""
    ahead = range(last + 1, min(last + 120, len(lines)))
    native = next((i for i in ahead if i <= last + 6 and _NATIVE in lines[i].text), None)
    if native is not None:
        summary = next((i for i in ahead if _SUMMARY in lines[i].text), native)
        return min(summary + 6, len(lines) - 1)
    if lines[last].text.rstrip().endswith(":"):
        return min(last + 4, len(lines) - 1)
    end = last
    while end + 1 < min(last + 7, len(lines)) and lines[end + 1].text[:1].isspace():
        end += 1
    return end


def _single(window: LogWindow, offset: int) -> LogError | None:
    line = next(iter(window.lines(offset, 1)))
    text = line.text.strip()
    exception = _BARE.match(text) or _STRICT.match(text)
    if not (exception or _CRASH.search(text) or _LEVEL.match(text)):
        return None
    around = 1 if exception else _NEAR
    return LogError(
        line=line.number,
        words=text[:_MAX_LINE_CHARS],
        errors=(text[:_MAX_LINE_CHARS],),
        trace=(text[:_MAX_LINE_CHARS],),
        near_first=line.number - (0 if exception else around),
        near_last=line.number + around,
        begin=line.start - (0 if exception else 2000),
        end=line.start + 2000,
        own=frozenset([line.number]),
    )
