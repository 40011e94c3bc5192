"""Finds signatures in a stretch of log: one pass for their anchors, the regular expression only where one was found."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from ahocorasick_rs import BytesAhoCorasick, Implementation

from paddlevl_doctor.knowledge.tables import KnowledgeError
from paddlevl_doctor.logs.normalise import decoded, strip_to_visible_ascii, unescaped
from paddlevl_doctor.logs.window import Line, LogWindow, parse_line

if sys.version_info >= (3, 11):
    from re import _constants as ops  # type: ignore[attr-defined]
    from re import _parser as parser  # type: ignore[attr-defined]
else:
    import sre_constants as ops
    import sre_parse as parser

SHORTEST = 3
"""Bytes of an anchor; shorter words occur everywhere."""
_MANY = 8
"""A repetition of nearly any character, longer than this, may run from one line into the next."""

_FAR = 500
"""Characters of any text within a signature: paths and lists of versions are shorter."""

_NOTHING = (ops.AT, ops.ASSERT, ops.ASSERT_NOT)
_REPEATS = tuple(
    getattr(ops, name) for name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT") if hasattr(ops, name)
)
_ATOMIC = getattr(ops, "ATOMIC_GROUP", None)


@dataclass(frozen=True)
class Signature:
    """One signature, ready for the search. Every text that it matches has one of `anchors` in its squeezed copy."""

    owner: str
    anchors: frozenset[bytes]
    needed: frozenset[bytes]
    """Words that every match has besides, near the anchor: a cheap way to say no."""
    folded: bool
    """The signature does not mind upper and lower case; its anchors are in lower case."""
    exact: re.Pattern[str]
    loose: re.Pattern[str]
    """As `exact`, but every blank may be missing: for lines that a terminal has broken."""
    wide: bool
    """It can run over any text, so where lines were joined it must be asked whether they belong together."""


def signature_of(owner: str, source: str) -> Signature:
    """Take a signature apart; raises KnowledgeError where it is none, or one that can only be tried everywhere."""
    try:
        tree = parser.parse(source)
        exact, loose = re.compile(bounded(source)), re.compile(loosened(source))
    except re.error as error:
        raise KnowledgeError(f"{owner}.toml", "signatures", str(error)) from error
    folded = bool(tree.state.flags & re.IGNORECASE)
    fold = bytes.lower if folded else bytes
    anchors = frozenset(map(fold, _anchors(tree.data)))
    if not anchors or min(map(len, anchors)) < SHORTEST:
        raise KnowledgeError(f"{owner}.toml", "signatures", f"no word to look for in {source!r}")
    needed = frozenset(fold(words[0]) for words in _choices(tree.data) if len(words) == 1 and words[0])
    return Signature(owner, anchors, needed - anchors, folded, exact, loose, _is_wide(tree.data))


def _anchors(items: Iterable[Any]) -> tuple[bytes, ...]:
    """Return words of which every match has one: those whose shortest is the longest."""
    return max(_choices(items), key=lambda words: min(map(len, words), default=0))


def _choices(items: Iterable[Any]) -> list[tuple[bytes, ...]]:
    """Return, in their order, what every match has: of each tuple at least one word."""
    choices: list[tuple[bytes, ...]] = []
    run = b""
    for op, value in items:
        if op is ops.LITERAL:
            run += strip_to_visible_ascii(chr(value).encode("utf-8", "surrogatepass"))
            if value < 0x80:  # noqa: PLR2004 - the end of ASCII
                continue
        if op in _NOTHING or _only_blanks(op, value):
            continue
        choices.append((run,))
        run = b""
        choices.append(_inside(op, value))
    return [*choices, (run,)]


def _inside(op: object, value: Any) -> tuple[bytes, ...]:
    if op is ops.SUBPATTERN:
        return _anchors(value[-1])
    if op is ops.BRANCH:
        branches = [_anchors(branch) for branch in value[1]]
        return tuple(word for words in branches for word in words) if all(branches) else ()
    if op in _REPEATS and value[0] > 0:
        return _anchors(value[2])
    return _anchors(value) if _ATOMIC is not None and op is _ATOMIC else ()


def _only_blanks(op: object, value: Any) -> bool:
    """Return whether an item can match nothing but what the squeezed copy leaves out."""
    if op in _REPEATS:
        return all(_only_blanks(*item) for item in value[2])
    if op is ops.LITERAL:
        return value < 0x80 and not strip_to_visible_ascii(bytes([value]))  # noqa: PLR2004 - the end of ASCII
    if op is ops.IN:
        return all(item == (ops.CATEGORY, ops.CATEGORY_SPACE) or _only_blanks(*item) for item in value)
    return False


def _is_wide(items: Iterable[Any]) -> bool:
    return any(_wide_item(op, value) for op, value in items)


def _wide_item(op: object, value: Any) -> bool:
    if op in _REPEATS:
        return (value[1] > _MANY and any(_is_any(*item) for item in value[2])) or _is_wide(value[2])
    if op is ops.SUBPATTERN:
        return _is_wide(value[-1])
    if op is ops.BRANCH:
        return any(_is_wide(branch) for branch in value[1])
    return _ATOMIC is not None and op is _ATOMIC and _is_wide(value)


def _is_any(op: object, value: Any) -> bool:
    return op in (ops.ANY, ops.NOT_LITERAL) or (op is ops.IN and value[0][0] is ops.NEGATE)


_TOKEN = re.compile(
    r"(?P<behind>\(\?<[=!](?:\\.|\[(?:\\.|[^\]\\])+\]|\([^)]*\)|[^()\\\[])*\))"
    r"|(?P<any>\.|\[\^(?:\\.|[^\]\\])+\])(?P<many>[*+])"
    r"|(?P<blank>(?:\ |\\\ |\\s)(?:[*+?]|\{\d*,?\d*\})?[?+]?)"
    r"|(?P<other>\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|.)",
    re.DOTALL,
)


def bounded(source: str, blank: str | None = None) -> str:
    """Return the signature with an end to what may run over any text: two of those are slow where nothing matches."""

    def word(found: re.Match[str]) -> str:
        if found["any"]:
            return f"{found['any']}{{{1 if found['many'] == '+' else 0},{_FAR}}}"
        return blank if blank is not None and found["blank"] else found[0]

    return "".join(word(found) for found in _TOKEN.finditer(source))


def loosened(source: str) -> str:
    """Return the bounded signature with every blank optional; what it looks back at keeps its width."""
    return bounded(source, r"\s*")


_EXCERPT = 240
"""Characters of the line that are shown."""
_NARROW, _WIDE = 700, 5000
"""Squeezed bytes around an anchor in which the rest of its signature must be."""
_TERMINAL = 38
"""No terminal is narrower."""
_REMEMBERED = 512


@dataclass(frozen=True)
class LogPosition:
    """Where a signature begins: the line, and within it the part of an escaped text and the column."""

    line: int
    part: int
    column: int
    excerpt: str = field(compare=False)

    @property
    def order(self) -> tuple[int, int, int]:
        """What comes first in the text is smaller."""
        return self.line, self.part, self.column


@dataclass(frozen=True)
class Hit:
    """An anchor that was found: where its byte is in the stretch, and whose it is (a mark or signatures)."""

    offset: int
    squeezed: int
    marks: tuple[str, ...]
    signatures: tuple[Signature, ...]


class Index:
    """All anchors of some signatures in one automaton, and words of our own (`marks`) beside them."""

    def __init__(self, signatures: tuple[Signature, ...], marks: tuple[str, ...]) -> None:
        self.signatures = signatures
        self._plain = _Automaton([s for s in signatures if not s.folded], marks)
        self._folded = _Automaton([s for s in signatures if s.folded], ())

    def hits(self, stretch: LogWindow, enough: frozenset[str] = frozenset()) -> list[Hit]:
        """Return every anchor in a stretch, in the order of the text, but those of owners that were seen `enough`."""
        found = list(self._plain.hits(stretch, stretch.squeezed, enough))
        if self._folded.anchors:
            found += self._folded.hits(stretch, stretch.squeezed.lower(), enough)
        return sorted(found, key=lambda hit: hit.squeezed)


class _Automaton:
    def __init__(self, signatures: list[Signature], marks: tuple[str, ...]) -> None:
        users: dict[bytes, list[Signature]] = {mark.encode(): [] for mark in marks}
        for signature in signatures:
            for anchor in signature.anchors:
                users.setdefault(anchor, []).append(signature)
        self.anchors = list(users)
        self._marks = [(a.decode(),) if a.decode() in marks else () for a in self.anchors]
        self._users = [tuple(users[anchor]) for anchor in self.anchors]
        self._search = BytesAhoCorasick(self.anchors, implementation=Implementation.DFA)

    def hits(self, stretch: LogWindow, text: bytes, enough: frozenset[str]) -> Iterator[Hit]:
        wanted = [tuple(s for s in users if s.owner not in enough) for users in self._users]
        for which, begin, _ in self._search.find_matches_as_indexes(text, overlapping=True):
            near = tuple(s for s in wanted[which] if _has_the_rest(s, text, begin))
            if near or self._marks[which]:
                yield Hit(stretch.offset_of(begin), begin, self._marks[which], near)


def _has_the_rest(signature: Signature, text: bytes, place: int) -> bool:
    if not signature.needed:
        return True
    reach = _WIDE if signature.wide else _NARROW
    near = text[max(0, place - reach) : place + reach]
    return all(word in near for word in signature.needed)


@functools.lru_cache(maxsize=8)
def index_of(sources: tuple[tuple[str, str], ...], marks: tuple[str, ...] = ()) -> Index:
    """Return the index of these (failure id, signature) pairs; raises KnowledgeError for a signature that is none."""
    return Index(tuple(signature_of(*source) for source in sources), marks)


class Verifier:
    """Says whether a signature really matches around a hit; remembers what it was asked, for logs repeat themselves."""

    def __init__(self) -> None:
        self._seen: dict[tuple[Signature, bytes, int], LogPosition | None] = {}

    def place(self, signature: Signature, stretch: LogWindow, offset: int) -> LogPosition | None:
        """Return where the signature that has an anchor at `offset` begins, None where it was only the anchor."""
        begin, data, line = stretch.around(offset)
        key = (signature, data, line)
        if key not in self._seen:
            if len(self._seen) >= _REMEMBERED:
                self._seen.clear()
            self._seen[key] = _search(signature, _Window(data, line))
        found = self._seen[key]
        if found is None:
            return None
        return LogPosition(found.line + stretch.number_of(begin), found.part, found.column, found.excerpt)


class _Window:
    """The lines around a hit, numbered from 0, those of other speakers left out."""

    def __init__(self, data: bytes, hit: int) -> None:
        lines = [parse_line(number, 0, text) for number, text in enumerate(decoded(data).split("\n"))]
        self.hit = hit
        speaker = lines[hit].speaker
        self.lines = [line for line in lines if line.speaker == speaker]

    def texts(self) -> Iterator[_Text]:
        """Give the readings of these lines, the most natural first."""
        pieces = [_Piece(line, 0, line.said) for line in self.lines]
        readings = [pieces]
        for _ in range(2):  # a text may have been quoted twice
            parts = [_Piece(p.line, n, t) for p in pieces for n, t in enumerate(unescaped(p.said), p.part)]
            if [p.said for p in parts] == [p.said for p in pieces]:
                break
            readings.append(pieces := parts)
        for whole in readings:
            yield _Text(whole, "\n", self.hit)
        for whole in readings:
            stripped = [_Piece(p.line, p.part, p.said.strip()) for p in whole if p.said.strip()]
            yield _Text(stripped, "", self.hit)
            yield _Text(stripped, " ", self.hit)


@dataclass(frozen=True)
class _Piece:
    line: Line
    part: int
    said: str


class _Text:
    def __init__(self, pieces: list[_Piece], between: str, hit: int) -> None:
        self.pieces, self.between, self.hit = pieces, between, hit
        self.text = between.join(piece.said for piece in pieces)
        lengths = (len(piece.said) + len(between) for piece in pieces)
        self.starts = list(accumulate(lengths, initial=0))[: len(pieces)]

    def find(self, signature: Signature) -> LogPosition | None:
        broken = self.between != "\n"
        pattern = signature.loose if broken else signature.exact
        for found in pattern.finditer(self.text):
            first, last = self._piece(found.start()), self._piece(max(found.start(), found.end() - 1))
            covers = self.pieces[first].line.number <= self.hit <= self.pieces[last].line.number
            if covers and not (broken and signature.wide and not self._one_line(first, last)):
                return self._place(first, found.start())
        return None

    def _piece(self, position: int) -> int:
        low, high = 0, len(self.starts)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.starts[middle] <= position else (low, middle)
        return low

    def _one_line(self, first: int, last: int) -> bool:
        """Return whether these lines look as if a terminal had broken one: the next word found no room in each."""
        width = max(len(piece.said) for piece in self.pieces)
        return width >= _TERMINAL and all(
            len(self.pieces[i].said) + 1 + len(self.pieces[i + 1].said.split(" ", 1)[0]) > width
            for i in range(first, last)
        )

    def _place(self, which: int, position: int) -> LogPosition:
        piece = self.pieces[which]
        column = position - self.starts[which]
        shown = piece.said if len(piece.said) <= _EXCERPT else piece.said[column : column + _EXCERPT]
        return LogPosition(piece.line.number, piece.part, column, shown.strip())


def _search(signature: Signature, window: _Window) -> LogPosition | None:
    return next((place for text in window.texts() if (place := text.find(signature)) is not None), None)
