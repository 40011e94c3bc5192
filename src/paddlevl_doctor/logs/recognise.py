"""Finds the known failures in a text or in a stream of chunks, and collects the unknown errors."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from paddlevl_doctor.knowledge.failures import Failure, Match
from paddlevl_doctor.logs.normalise import strip_escapes
from paddlevl_doctor.logs.signatures import Hit, Index, LogPosition, Verifier, index_of
from paddlevl_doctor.logs.tracebacks import MARKS, TRACEBACK, LogError, error_at
from paddlevl_doctor.logs.window import LogWindow

WEIGHTS = ("cause", "warning", "consequence", "harmless")
"""The weights in the order of the result: more likely root causes first."""
COUNTED = 1000
"""The maximum number of occurrences of one failure that are counted; a log can repeat a failure for days."""
_AHEAD = 1 << 16
"""Bytes after an error that are read before it is judged: the longest chain of tracebacks."""
_BEHIND = 1 << 13
"""Bytes before the judged part that a window keeps."""
_MAX_UNKNOWN = 5
"""The maximum number of distinct unknown errors."""
_SYSTEMS = {
    "windows": re.compile(rb"\b[A-Za-z]:\\+\w|\\paddle\\|\.dll\b|WinError"),
    "linux": re.compile(rb"/(?:usr|home|opt|root|workspace|kaggle)/|\.so\b|manylinux"),
    "macos": re.compile(rb"/Users/|\.dylib\b|macosx"),
}
"""Patterns by the system whose logs contain them."""
_MAX_SYSTEM_SAMPLES = 64
"""The maximum number of failures whose surroundings are searched for the system."""
_MAX_JUDGED = 4096
"""The maximum number of judged lines in the cache."""
_NUMBERS = re.compile(r"0x[0-9a-fA-F]+|\d+")


@dataclass(frozen=True)
class Seen:
    """One known failure in a log: its first position and the number of occurrences (up to COUNTED)."""

    failure: Failure
    place: LogPosition
    count: int = 1
    after: str | None = None
    """The id of the failure of an earlier exception in the same traceback."""


@dataclass(frozen=True)
class Unknown:
    """One error that no known failure explains: line number, text, number of occurrences, and its lines."""

    line: int
    words: str
    count: int
    trace: tuple[str, ...]


@dataclass(frozen=True)
class Recognised:
    """The result for a log. `seen` begins with the root cause; `lines` and `size` (bytes) are those of the log."""

    seen: tuple[Seen, ...] = ()
    unknown: tuple[Unknown, ...] = ()
    lines: int = 0
    size: int = 0


def recognise(
    chunks: Iterable[bytes], failures: Iterable[Failure], *, system: str | None = None
) -> Recognised:
    """Find the failures in a stream of UTF-8 chunks; the memory use does not grow with the log.

    `system` is as for `match`, and is used only if the log does not show its own system. Chunks should end at a line
    break. Raises KnowledgeError for a signature that is not a regular expression.
    """
    reader = _Reader(tuple(failures), MARKS)
    lines = size = 0
    last = b""
    for window, begin, end, raw in _windows(chunks):
        reader.read(window, begin, end)
        lines, size = lines + raw.count(b"\n"), size + len(raw)
        last = raw[-1:] or last
    lines += last not in (b"", b"\n")
    return Recognised(
        reader.ordered(reader.written_on() or system), tuple(reader.unknown.values()), lines, size
    )


def known_in(text: str, failures: Iterable[Failure], *, system: str | None = None) -> tuple[Seen, ...]:
    """Find the failures in a short text, the root cause first."""
    reader = _Reader(tuple(failures), ())
    window = LogWindow(strip_escapes(text.encode("utf-8", "replace")))
    reader.read(window, 0, len(window.data))
    return reader.ordered(system)


def _windows(chunks: Iterable[bytes]) -> Iterator[tuple[LogWindow, int, int, bytes]]:
    """Yield overlapping windows as (window, begin and end of the bytes to judge, the new chunk)."""
    kept, judged, line = b"", 0, 1
    for chunk in chunks:
        data = kept + strip_escapes(chunk)
        window, end = LogWindow(data, line), max(judged, len(data) - _AHEAD)
        yield window, judged, end, chunk
        begin = max(0, end - _BEHIND)
        cut = data.rfind(b"\n", 0, begin) + 1 or begin
        line += data.count(b"\n", 0, cut)
        kept, judged = data[cut:], end - cut
    if len(kept) > judged:
        yield LogWindow(kept, line), judged, len(kept), b""


@dataclass
class _Reader:
    """Collects the known failures and unknown errors of one log, window by window."""

    failures: tuple[Failure, ...]
    marks: tuple[str, ...]
    found: dict[str, Seen] = field(default_factory=dict)
    unknown: dict[str, Unknown] = field(default_factory=dict)
    verifier: Verifier = field(default_factory=Verifier)
    index: Index = field(init=False)
    by_id: dict[str, Failure] = field(init=False)
    last: dict[str, LogPosition] = field(default_factory=dict)
    after: dict[str, str] = field(default_factory=dict)
    covered: deque[frozenset[int]] = field(default_factory=lambda: deque(maxlen=16))
    """The line numbers of the last tracebacks; these lines are not separate errors."""

    line: int = 0
    """The number of the single line that was judged last; it may have several marks."""
    judged: dict[bytes, str | None] = field(default_factory=dict)
    systems: Counter[str] = field(default_factory=Counter)
    looked: int = 0

    def __post_init__(self) -> None:
        sources = ((failure.id, signature) for failure in self.failures for signature in failure.signatures)
        self.index = index_of(tuple(sources), self.marks)
        self.by_id = {failure.id: failure for failure in self.failures}

    def read(self, window: LogWindow, begin: int, end: int) -> None:
        """Judge the bytes from `begin` to `end`."""
        hits = self.index.hits(window, self._seen_enough())
        for number, hit in enumerate(hits):
            if begin <= hit.offset < end:
                if hit.signatures:
                    self._count(window, hit)
                if hit.marks:
                    self._judge(window, hits, number)

    def _seen_enough(self) -> frozenset[str]:
        """Return the harmless failures that have been counted often enough; the others may explain an error."""
        return frozenset(
            name
            for name, seen in self.found.items()
            if seen.count >= COUNTED and seen.failure.weight == "harmless"
        )

    def written_on(self) -> str | None:
        """Return the system whose patterns are most frequent around the failures, None without any match."""
        return self.systems.most_common(1)[0][0] if self.systems else None

    def _count(self, window: LogWindow, hit: Hit) -> None:
        for signature in hit.signatures:
            seen = self.found.get(signature.owner)
            if seen is not None and seen.count >= COUNTED:
                continue
            place = self.verifier.place(signature, window, hit.offset)
            if place is not None and place != self.last.get(signature.owner):
                self.last[signature.owner] = place
                self._add(signature.owner, place, seen)
                self._count_systems(window, hit.offset)

    def _count_systems(self, window: LogWindow, offset: int) -> None:
        if self.looked < _MAX_SYSTEM_SAMPLES:
            self.looked += 1
            _, data, _ = window.around(offset)
            self.systems.update(
                {name: len(p.findall(data)) for name, p in _SYSTEMS.items() if p.search(data)}
            )

    def _add(self, owner: str, place: LogPosition, seen: Seen | None) -> None:
        if seen is None:
            self.found[owner] = Seen(self.by_id[owner], place)
        else:
            first = min(seen.place, place, key=lambda one: one.order)
            self.found[owner] = replace(seen, place=first, count=seen.count + 1)

    def _judge(self, window: LogWindow, hits: list[Hit], number: int) -> None:
        line = window.number_of(hits[number].offset)
        if line == self.line or any(line in lines for lines in self.covered):
            return
        single = TRACEBACK not in hits[number].marks
        self.line = line if single else 0
        key = window.line_of(hits[number].offset).translate(None, b"0123456789") if single else b""
        if key in self.judged:
            self._count_unknown(self.judged[key])
            return
        error = error_at(window, hits[number])
        name = self._explain(window, hits, number, error) if error is not None else None
        if single:
            if len(self.judged) >= _MAX_JUDGED:
                self.judged.clear()
            self.judged[key] = name

    def _explain(self, window: LogWindow, hits: list[Hit], number: int, error: LogError) -> str | None:
        """Return the key of an error in `unknown`, None if a known failure explains it."""
        self.covered.append(error.own)
        inside = self._failures_in(window, hits, number, error)
        names = [name for name in dict.fromkeys(inside) if self._weight(name) != "consequence"]
        # The later failures of one traceback are consequences of its first one.
        causes = [name for name in names if self._weight(name) != "harmless"]
        for name in causes[1:]:
            if self.after.get(causes[0]) != name:
                self.after.setdefault(name, causes[0])
        if not any(self._weight(name) != "harmless" for name in names):
            is_consequence = bool(set(inside) - set(names)) and len(error.errors) == 1
            return None if is_consequence else self._add_unknown(error)
        return None

    def _failures_in(self, window: LogWindow, hits: list[Hit], number: int, error: LogError) -> list[str]:
        """Return the failures whose signature begins in the lines of an error, in the order of the text."""
        positions: list[tuple[tuple[int, int, int], str]] = []
        for hit in _hits_in(hits, number, error):
            for signature in hit.signatures:
                place = self.verifier.place(signature, window, hit.offset)
                if place is not None and error.near_first <= place.line <= error.near_last:
                    positions.append((place.order, signature.owner))
        return [owner for _, owner in sorted(positions)]

    def _weight(self, name: str) -> str:
        return self.by_id[name].weight

    def _count_unknown(self, key: str | None) -> None:
        if key in self.unknown:
            self.unknown[key] = replace(self.unknown[key], count=self.unknown[key].count + 1)

    def _add_unknown(self, error: LogError) -> str:
        key = _NUMBERS.sub("0", error.words)
        if key in self.unknown:
            self._count_unknown(key)
        elif len(self.unknown) < _MAX_UNKNOWN:
            self.unknown[key] = Unknown(error.line, error.words, 1, error.trace)
        return key

    def ordered(self, system: str | None) -> tuple[Seen, ...]:
        """Return the failures, the root cause first; of two at the same position, only the one of this system."""
        failures = [replace(seen, after=self.after.get(name)) for name, seen in self.found.items()]
        kept = [one for one in failures if not any(_fits_better(other, one, system) for other in failures)]
        return tuple(sorted(kept, key=lambda one: (WEIGHTS.index(one.failure.weight), one.place.order)))


def _hits_in(hits: list[Hit], number: int, error: LogError) -> Iterator[Hit]:
    """Yield the hits between the first and the last byte of an error; hits[number] is its own."""
    begin = number
    while begin > 0 and hits[begin - 1].offset >= error.begin:
        begin -= 1
    for hit in hits[begin:]:
        if hit.offset > error.end:
            return
        if hit.offset >= error.begin:
            yield hit


def _fits_better(other: Seen, one: Seen, system: str | None) -> bool:
    """Return whether `other` at the same position fits the system better: one for it, then one for all systems."""
    if other.place.order != one.place.order or other.failure.id == one.failure.id:
        return False

    def rank(seen: Seen) -> tuple[int, str]:
        systems = seen.failure.applies.systems
        return (1 if not systems else 0 if system in systems else 2), seen.failure.id

    return rank(other) < rank(one)


def match(text: str, failures: Iterable[Failure], *, system: str | None = None) -> tuple[Match, ...]:
    """Return the failures whose signature occurs in a text; the first of them is the root cause.

    They are sorted by weight (WEIGHTS) and then by position, because Python prints the first of several chained
    exceptions first. `system` (linux, windows or macos; None: unknown) is the system that wrote the text; it decides
    between failures that share a signature. Raises KnowledgeError for a signature that is not a regular expression.
    """
    return tuple(
        Match(seen.failure, seen.place.line, seen.place.excerpt, root_cause=rank == 0)
        for rank, seen in enumerate(known_in(text, failures, system=system))
    )
