"""Names the known failures in a text or in a stream of chunks, and collects the errors that nobody knows."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from paddlevl_doctor.knowledge.failures import Failure, Match
from paddlevl_doctor.logs.normalise import strip_escapes
from paddlevl_doctor.logs.signatures import Hit, Index, LogPosition, Verifier, index_of
from paddlevl_doctor.logs.tracebacks import MARKS, TRACEBACK, Trouble, trouble_at
from paddlevl_doctor.logs.window import LogWindow

WEIGHTS = ("cause", "warning", "consequence", "harmless")
"""What is the more likely root of other failures comes first."""
COUNTED = 1000
"""Occurrences of one failure that are looked at; a log can repeat one for days."""
_AHEAD = 1 << 16
"""Bytes that are seen after an error before it is judged: the longest chain of tracebacks."""
_BEHIND = 1 << 13
_UNKNOWN = 5
"""Distinct unknown errors that are kept."""
_SYSTEMS = {
    "windows": re.compile(rb"\b[A-Za-z]:\\+\w|\\paddle\\|\.dll\b|WinError"),
    "linux": re.compile(rb"/(?:usr|home|opt|root|workspace|kaggle)/|\.so\b|manylinux"),
    "macos": re.compile(rb"/Users/|\.dylib\b|macosx"),
}
"""What the lines around a failure say about where they were written."""
_LOOKED_AT = 64
_REMEMBERED = 4096
_NUMBERS = re.compile(r"0x[0-9a-fA-F]+|\d+")


@dataclass(frozen=True)
class Seen:
    """One known failure in a log: where it is first, and how often (up to COUNTED)."""

    failure: Failure
    place: LogPosition
    count: int = 1
    after: str | None = None
    """The failure that an earlier exception of the same traceback shows."""


@dataclass(frozen=True)
class Unknown:
    """One error that no entry explains: its line, its last words, how often, and the lines that belong to it."""

    line: int
    words: str
    count: int
    trace: tuple[str, ...]


@dataclass(frozen=True)
class Recognised:
    """What a log shows. `seen` is sorted: the root cause first."""

    seen: tuple[Seen, ...] = ()
    unknown: tuple[Unknown, ...] = ()
    lines: int = 0
    size: int = 0


def recognise(
    chunks: Iterable[bytes], failures: Iterable[Failure], *, system: str | None = None
) -> Recognised:
    """Name what a stream of UTF-8 chunks shows, in flat memory.

    `system` is as for `failures.match`, and counts where the log itself does not show where it was written.
    Chunks should end at a line break. Raises KnowledgeError for a signature that is no regular expression.
    """
    reader = _Reader(tuple(failures), MARKS)
    lines = size = 0
    last = b""
    for stretch, begin, end, raw in _stretches(chunks):
        reader.read(stretch, begin, end)
        lines, size = lines + raw.count(b"\n"), size + len(raw)
        last = raw[-1:] or last
    lines += last not in (b"", b"\n")
    return Recognised(
        reader.ordered(reader.written_on() or system), tuple(reader.unknown.values()), lines, size
    )


def known_in(text: str, failures: Iterable[Failure], *, system: str | None = None) -> tuple[Seen, ...]:
    """Name what a short text shows, the root cause first."""
    reader = _Reader(tuple(failures), ())
    stretch = LogWindow(strip_escapes(text.encode("utf-8", "replace")))
    reader.read(stretch, 0, len(stretch.data))
    return reader.ordered(system)


def _stretches(chunks: Iterable[bytes]) -> Iterator[tuple[LogWindow, int, int, bytes]]:
    """Give overlapping stretches, the bytes of each that are to be judged now, and the chunk that is new in it."""
    kept, judged, line = b"", 0, 1
    for chunk in chunks:
        data = kept + strip_escapes(chunk)
        stretch, end = LogWindow(data, line), max(judged, len(data) - _AHEAD)
        yield stretch, judged, end, chunk
        cut = data.rfind(b"\n", 0, max(0, end - _BEHIND)) + 1 or max(0, end - _BEHIND)
        line += data.count(b"\n", 0, cut)
        kept, judged = data[cut:], end - cut
    if len(kept) > judged:
        yield LogWindow(kept, line), judged, len(kept), b""


@dataclass
class _Reader:
    """Collects what the stretches of one log show."""

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
    """The lines of the last tracebacks; they are no errors of their own."""

    line: int = 0
    """The single line that was judged last; it may have several marks."""
    judged: dict[bytes, str | None] = field(default_factory=dict)
    systems: Counter[str] = field(default_factory=Counter)
    looked: int = 0

    def __post_init__(self) -> None:
        sources = ((failure.id, signature) for failure in self.failures for signature in failure.signatures)
        self.index = index_of(tuple(sources), self.marks)
        self.by_id = {failure.id: failure for failure in self.failures}

    def read(self, stretch: LogWindow, begin: int, end: int) -> None:
        """Judge the bytes from `begin` to `end`."""
        hits = self.index.hits(stretch, self._seen_enough())
        for number, hit in enumerate(hits):
            if begin <= hit.offset < end:
                if hit.signatures:
                    self._count(stretch, hit)
                if hit.marks:
                    self._judge(stretch, hits, number)

    def _seen_enough(self) -> frozenset[str]:
        """Return the harmless failures that need no more counting; others may still explain an error near them."""
        return frozenset(
            name
            for name, seen in self.found.items()
            if seen.count >= COUNTED and seen.failure.weight == "harmless"
        )

    def written_on(self) -> str | None:
        """Return the system that the lines around the failures speak of most, None where they speak of none."""
        return self.systems.most_common(1)[0][0] if self.systems else None

    def _look_around(self, stretch: LogWindow, offset: int) -> None:
        if self.looked < _LOOKED_AT:
            self.looked += 1
            _, data, _ = stretch.around(offset)
            self.systems.update(
                {name: len(p.findall(data)) for name, p in _SYSTEMS.items() if p.search(data)}
            )

    def _count(self, stretch: LogWindow, hit: Hit) -> None:
        for signature in hit.signatures:
            seen = self.found.get(signature.owner)
            if seen is not None and seen.count >= COUNTED:
                continue
            place = self.verifier.place(signature, stretch, hit.offset)
            if place is not None and place != self.last.get(signature.owner):
                self.last[signature.owner] = place
                self._add(signature.owner, place, seen)
                self._look_around(stretch, hit.offset)

    def _add(self, owner: str, place: LogPosition, seen: Seen | None) -> None:
        if seen is None:
            self.found[owner] = Seen(self.by_id[owner], place)
        else:
            first = min(seen.place, place, key=lambda one: one.order)
            self.found[owner] = replace(seen, place=first, count=seen.count + 1)

    def _judge(self, stretch: LogWindow, hits: list[Hit], number: int) -> None:
        line = stretch.number_of(hits[number].offset)
        if line == self.line or any(line in lines for lines in self.covered):
            return
        single = TRACEBACK not in hits[number].marks
        self.line = line if single else 0
        key = stretch.line_of(hits[number].offset).translate(None, b"0123456789") if single else b""
        if key in self.judged:
            self._again(self.judged[key])
            return
        trouble = trouble_at(stretch, hits[number])
        name = self._listed(stretch, hits, number, trouble) if trouble is not None else None
        if single:
            if len(self.judged) >= _REMEMBERED:
                self.judged.clear()
            self.judged[key] = name

    def _again(self, name: str | None) -> None:
        """Count a line that was judged before, numbers aside."""
        if name in self.unknown:
            self.unknown[name] = replace(self.unknown[name], count=self.unknown[name].count + 1)

    def _listed(self, stretch: LogWindow, hits: list[Hit], number: int, trouble: Trouble) -> str | None:
        """Return the name under which a trouble was listed as unknown, None where a failure explains it."""
        self.covered.append(trouble.own)
        inside = self._inside(stretch, hits, number, trouble)
        names = [name for name in dict.fromkeys(inside) if self._weight(name) != "consequence"]
        self._chain(names)
        if not any(self._weight(name) != "harmless" for name in names):
            echo = bool(set(inside) - set(names)) and len(trouble.errors) == 1
            return None if echo else self._unknown(trouble)
        return None

    def _inside(self, stretch: LogWindow, hits: list[Hit], number: int, trouble: Trouble) -> list[str]:
        """Return the failures whose signature begins in the lines of a trouble, in the order of the text."""
        places: list[tuple[tuple[int, int, int], str]] = []
        for hit in _near(hits, number, trouble):
            for signature in hit.signatures:
                place = self.verifier.place(signature, stretch, hit.offset)
                if place is not None and trouble.near_first <= place.line <= trouble.near_last:
                    places.append((place.order, signature.owner))
        return [owner for _, owner in sorted(places)]

    def _weight(self, name: str) -> str:
        return self.by_id[name].weight

    def _chain(self, names: list[str]) -> None:
        """Remember that the later failures of one traceback follow from its first one."""
        causes = [name for name in names if self._weight(name) != "harmless"]
        for name in causes[1:]:
            if self.after.get(causes[0]) != name:
                self.after.setdefault(name, causes[0])

    def _unknown(self, trouble: Trouble) -> str:
        key = _NUMBERS.sub("0", trouble.words)
        known = self.unknown.get(key)
        if known is not None:
            self.unknown[key] = replace(known, count=known.count + 1)
        elif len(self.unknown) < _UNKNOWN:
            self.unknown[key] = Unknown(trouble.line, trouble.words, 1, trouble.trace)
        return key

    def ordered(self, system: str | None) -> tuple[Seen, ...]:
        """Return the failures, the root cause first; of two that begin in one place, the one of this system."""
        found = [replace(seen, after=self.after.get(name)) for name, seen in self.found.items()]
        kept = [one for one in found if not any(_beats(other, one, system) for other in found)]
        return tuple(sorted(kept, key=lambda one: (WEIGHTS.index(one.failure.weight), one.place.order)))


def _near(hits: list[Hit], number: int, trouble: Trouble) -> Iterator[Hit]:
    """Give the hits that can lie in a trouble."""
    begin = number
    while begin > 0 and hits[begin - 1].offset >= trouble.begin:
        begin -= 1
    for hit in hits[begin:]:
        if hit.offset > trouble.end:
            return
        if hit.offset >= trouble.begin:
            yield hit


def _beats(other: Seen, one: Seen, system: str | None) -> bool:
    """Return whether `other` explains the same words better: it is about this system, or about none."""
    if other.place.order != one.place.order or other.failure.id == one.failure.id:
        return False
    ours, theirs = (_fit(seen.failure, system) for seen in (one, other))
    return (theirs, other.failure.id) < (ours, one.failure.id)


def _fit(failure: Failure, system: str | None) -> int:
    if not failure.applies.systems:
        return 1
    return 0 if system in failure.applies.systems else 2


def match(text: str, failures: Iterable[Failure], *, system: str | None = None) -> tuple[Match, ...]:
    """Name the failures whose signature occurs in a text; the first of them is the root cause.

    Python prints the first of several chained exceptions first, so the first occurrence wins; but a line
    that is often only a warning yields to one that is not, and the echo of another failure yields to both.
    `system` (linux, windows or macos; None: not known) is where the text was written: it decides between
    failures that share a signature, and only there. Raises KnowledgeError for a signature that is no regular
    expression.
    """

    found = known_in(text, failures, system=system)
    return tuple(
        Match(seen.failure, seen.place.line, seen.place.excerpt, root_cause=rank == 0)
        for rank, seen in enumerate(found)
    )
