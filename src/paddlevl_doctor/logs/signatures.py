"""Finds signatures in a window of a log: one pass finds literals of a match (anchors), then the regex is applied."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import field
from itertools import accumulate
from typing import Any

from ahocorasick_rs import BytesAhoCorasick, Implementation

from paddlevl_doctor.frozen import dataclass
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
"""The minimum length of an anchor in bytes; shorter literals are too frequent."""
_MAX_SHORT_REPEAT = 8
"""A longer repetition of nearly any character may match across lines."""

_MAX_GAP = 500
"""The maximum number of arbitrary characters within a match; paths and lists of versions are shorter."""

_NOTHING = (ops.AT, ops.ASSERT, ops.ASSERT_NOT)
_REPEATS = tuple(
    getattr(ops, name) for name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT") if hasattr(ops, name)
)
_ATOMIC = getattr(ops, "ATOMIC_GROUP", None)


@dataclass(frozen=True)
class Signature:
    """One compiled signature. The visible ASCII of every match (logs/normalise.py) contains one of `anchors`."""

    owner: str
    anchors: frozenset[bytes]
    other_literals: frozenset[bytes]
    """Literals that every match also contains near the anchor: a cheap test before the regular expression."""
    ignore_case: bool
    """The signature ignores case; its anchors are in lower case."""
    exact: re.Pattern[str]
    loose: re.Pattern[str]
    """Like `exact`, but every blank is optional: for lines that a terminal has broken."""
    may_span_lines: bool
    """The signature can match arbitrary text, so a match in joined lines counts only if a terminal broke the line."""


def signature_of(owner: str, source: str) -> Signature:
    """Compile a signature. Raises KnowledgeError if it is not a regular expression or has no anchor."""
    try:
        tree = parser.parse(source)
        exact, loose = re.compile(bounded(source)), re.compile(loosened(source))
    except re.error as error:
        raise KnowledgeError(f"{owner}.toml", "signatures", str(error)) from error
    ignore_case = bool(tree.state.flags & re.IGNORECASE)
    fold = bytes.lower if ignore_case else bytes
    anchors = frozenset(map(fold, _anchors(tree.data)))
    if not anchors or min(map(len, anchors)) < SHORTEST:
        raise KnowledgeError(f"{owner}.toml", "signatures", f"no word to look for in {source!r}")
    other_literals = frozenset(
        fold(words[0]) for words in _choices(tree.data) if len(words) == 1 and words[0]
    )
    return Signature(owner, anchors, other_literals - anchors, ignore_case, exact, loose, _is_wide(tree.data))


def _anchors(items: Iterable[Any]) -> tuple[bytes, ...]:
    """Return the literals of which every match contains one: of all choices those whose shortest is the longest."""
    return max(_choices(items), key=lambda words: min(map(len, words), default=0))


def _choices(items: Iterable[Any]) -> list[tuple[bytes, ...]]:
    """Return tuples of literals in their order; every match contains at least one literal of each tuple."""
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
    """Return whether an item matches only characters that `strip_to_visible_ascii` removes."""
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
        return (value[1] > _MAX_SHORT_REPEAT and any(_is_any(*item) for item in value[2])) or _is_wide(
            value[2]
        )
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
    """Return the signature with a limit on `.*` and similar: two unlimited ones are slow on text without a match."""

    def word(found: re.Match[str]) -> str:
        if found["any"]:
            return f"{found['any']}{{{1 if found['many'] == '+' else 0},{_MAX_GAP}}}"
        return blank if blank is not None and found["blank"] else found[0]

    return "".join(word(found) for found in _TOKEN.finditer(source))


def loosened(source: str) -> str:
    """Return the bounded signature with every blank optional, except in lookbehinds, which need a fixed width."""
    return bounded(source, r"\s*")


_EXCERPT = 240
"""The maximum number of characters of an excerpt."""
_NARROW, _WIDE = 700, 5000
"""Visible ASCII bytes around an anchor that must contain the other literals of a signature."""
_MIN_TERMINAL_WIDTH = 38
_MAX_CACHED = 512


@dataclass(frozen=True)
class LogPosition:
    """The position of a match: the line, the part of an escaped line, and the column in that part."""

    line: int
    part: int
    column: int
    excerpt: str = field(compare=False)

    @property
    def order(self) -> tuple[int, int, int]:
        """The sort key: an earlier position is smaller."""
        return self.line, self.part, self.column


@dataclass(frozen=True)
class Hit:
    """An anchor in a window: its offset in the data and in the visible ASCII, and its marks and signatures."""

    offset: int
    squeezed: int
    marks: tuple[str, ...]
    signatures: tuple[Signature, ...]


class Index:
    """An automaton for the anchors of signatures and for `marks`, the words that begin an error."""

    def __init__(self, signatures: tuple[Signature, ...], marks: tuple[str, ...]) -> None:
        self.signatures = signatures
        self._exact_case = _Automaton([s for s in signatures if not s.ignore_case], marks)
        self._ignoring_case = _Automaton([s for s in signatures if s.ignore_case], ())

    def hits(self, window: LogWindow, ignored: frozenset[str] = frozenset()) -> list[Hit]:
        """Return the anchors in a window in the order of the text, without the signatures of `ignored` owners."""
        found = list(self._exact_case.hits(window, window.squeezed, ignored))
        if self._ignoring_case.anchors:
            found += self._ignoring_case.hits(window, window.squeezed.lower(), ignored)
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

    def hits(self, window: LogWindow, text: bytes, ignored: frozenset[str]) -> Iterator[Hit]:
        wanted = [tuple(s for s in users if s.owner not in ignored) for users in self._users]
        for which, begin, _ in self._search.find_matches_as_indexes(text, overlapping=True):
            near = tuple(s for s in wanted[which] if _has_the_rest(s, text, begin))
            if near or self._marks[which]:
                yield Hit(window.offset_of(begin), begin, self._marks[which], near)


def _has_the_rest(signature: Signature, text: bytes, place: int) -> bool:
    if not signature.other_literals:
        return True
    reach = _WIDE if signature.may_span_lines else _NARROW
    near = text[max(0, place - reach) : place + reach]
    return all(word in near for word in signature.other_literals)


@functools.lru_cache(maxsize=8)
def index_of(sources: tuple[tuple[str, str], ...], marks: tuple[str, ...] = ()) -> Index:
    """Return the index of (failure id, signature) pairs. Raises KnowledgeError for an invalid signature."""
    return Index(tuple(signature_of(*source) for source in sources), marks)


class Verifier:
    """Applies the regular expressions around hits, with a cache, because logs repeat themselves."""

    def __init__(self) -> None:
        self._seen: dict[tuple[Signature, bytes, int], LogPosition | None] = {}

    def place(self, signature: Signature, window: LogWindow, offset: int) -> LogPosition | None:
        """Return the position of the match around the anchor at `offset`, None if the signature does not match."""
        begin, data, line = window.around(offset)
        key = (signature, data, line)
        if key not in self._seen:
            if len(self._seen) >= _MAX_CACHED:
                self._seen.clear()
            self._seen[key] = _search(signature, _HitContext(data, line))
        found = self._seen[key]
        if found is None:
            return None
        return LogPosition(found.line + window.number_of(begin), found.part, found.column, found.excerpt)


class _HitContext:
    """The lines around a hit that have its prefix, numbered from 0."""

    def __init__(self, data: bytes, hit: int) -> None:
        lines = [parse_line(number, 0, text) for number, text in enumerate(decoded(data).split("\n"))]
        self.hit = hit
        prefix = lines[hit].prefix
        self.lines = [line for line in lines if line.prefix == prefix]

    def texts(self) -> Iterator[_Text]:
        """Yield the lines as texts to search: as they are, unescaped, and joined without line breaks."""
        pieces = [_Piece(line, 0, line.text) for line in self.lines]
        readings = [pieces]
        for _ in range(2):  # a text may have been quoted twice
            parts = [_Piece(p.line, n, t) for p in pieces for n, t in enumerate(unescaped(p.text), p.part)]
            if [p.text for p in parts] == [p.text for p in pieces]:
                break
            readings.append(pieces := parts)
        for whole in readings:
            yield _Text(whole, "\n", self.hit)
        for whole in readings:
            stripped = [_Piece(p.line, p.part, p.text.strip()) for p in whole if p.text.strip()]
            yield _Text(stripped, "", self.hit)
            yield _Text(stripped, " ", self.hit)


@dataclass(frozen=True)
class _Piece:
    line: Line
    part: int
    text: str


class _Text:
    def __init__(self, pieces: list[_Piece], between: str, hit: int) -> None:
        self.pieces, self.between, self.hit = pieces, between, hit
        self.text = between.join(piece.text for piece in pieces)
        lengths = (len(piece.text) + len(between) for piece in pieces)
        self.starts = list(accumulate(lengths, initial=0))[: len(pieces)]

    def find(self, signature: Signature) -> LogPosition | None:
        broken = self.between != "\n"
        pattern = signature.loose if broken else signature.exact
        for found in pattern.finditer(self.text):
            first, last = self._piece(found.start()), self._piece(max(found.start(), found.end() - 1))
            covers = self.pieces[first].line.number <= self.hit <= self.pieces[last].line.number
            if covers and not (broken and signature.may_span_lines and not self._one_line(first, last)):
                return self._place(first, found.start())
        return None

    def _piece(self, position: int) -> int:
        low, high = 0, len(self.starts)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.starts[middle] <= position else (low, middle)
        return low

    def _one_line(self, first: int, last: int) -> bool:
        """Return whether a terminal may have broken these lines: the first word of each did not fit into the former."""
        width = max(len(piece.text) for piece in self.pieces)
        return width >= _MIN_TERMINAL_WIDTH and all(
            len(self.pieces[i].text) + 1 + len(self.pieces[i + 1].text.split(" ", 1)[0]) > width
            for i in range(first, last)
        )

    def _place(self, which: int, position: int) -> LogPosition:
        piece = self.pieces[which]
        column = position - self.starts[which]
        shown = piece.text if len(piece.text) <= _EXCERPT else piece.text[column : column + _EXCERPT]
        return LogPosition(piece.line.number, piece.part, column, shown.strip())


def _search(signature: Signature, window: _HitContext) -> LogPosition | None:
    return next((place for text in window.texts() if (place := text.find(signature)) is not None), None)
