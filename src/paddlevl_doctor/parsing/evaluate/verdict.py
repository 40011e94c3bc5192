"""The verdict: is what was read what the document says? It must be able to fail, and to say where.

Compared are the characters in reading order, whitespace aside, so that a lost paragraph counts; each part of the page
on its own, so that a short heading cannot drown in a long page; the order of the parts; and the tables, cell by cell.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice, pairwise
from typing import NamedTuple

from paddlevl_doctor.messages import Message, Text, message
from paddlevl_doctor.parsing.evaluate.align import FOUND, Alignment, align, locate_all, occurrences
from paddlevl_doctor.parsing.evaluate.ground_truth import Truth
from paddlevl_doctor.parsing.evaluate.parts import FORMULAS, Passage, is_judged, parts_of, passages_of
from paddlevl_doctor.parsing.evaluate.tables import TableFaults, table_faults
from paddlevl_doctor.parsing.evaluate.text_similarity import (
    fold_text,
    fuzzy_contains,
    information_length,
    missing_spans,
)
from paddlevl_doctor.parsing.evaluate.verdict_messages import KINDS, kind_name, quoted
from paddlevl_doctor.values.pages import Reading

_MIN_INVENTED_LETTERS = 16
"""Letters from which a text is no misreading of another one."""
_KNOWN_SIMILARITY = 0.75
"""A text as like any place of the document as this is known."""
_UNKNOWN_TEXT_NAMED, _LOOKED_AT = 3, 20


def unknown_text(sight: Alignment) -> list[Message]:
    """Return a sentence for each text that is not in the document; tables and formulas are judged by themselves."""
    known, parts = sight.known, {part.characters for part in sight.parts}
    prose = [p for p in sight.passages if p.kind not in (*FORMULAS, "table") and p.characters not in parts]
    found = [
        (passage, text)
        for passage, start, end in islice(_strange(prose, known), _LOOKED_AT)
        if not fuzzy_contains(passage.characters[start:end], known, _KNOWN_SIMILARITY)
        and (text := quoted(_words(passage.text, start, end)))
    ]
    named = [
        message("evaluation-unknown", page=passage.page + 1, text=text)
        for passage, text in found[:_UNKNOWN_TEXT_NAMED]
    ]
    return named + (
        [message("evaluation-more", count=len(found) - _UNKNOWN_TEXT_NAMED)]
        if len(found) > _UNKNOWN_TEXT_NAMED
        else []
    )


def _strange(passages: Sequence[Passage], known: str) -> Iterator[tuple[Passage, int, int]]:
    """Yield what of each block is not where the block is in the document: its characters from and to."""
    wanted = [passage.characters for passage in passages]
    equal = occurrences(wanted, known)
    for passage, place in zip(passages, locate_all(wanted, known, equal), strict=True):
        characters = passage.characters
        if place.score == 1:
            continue
        margin = len(characters) // 4
        near = known[max(0, place.start - margin) : place.end + margin]
        for start, end in missing_spans(characters, near):
            if information_length(characters[start:end]) >= _MIN_INVENTED_LETTERS:
                yield passage, start, end


def _words(text: str, start: int, end: int) -> str:
    """Return what of a text became the folded characters from `start` to `end`."""
    ends = list(accumulate(len(fold_text(sign)) for sign in text))
    return text[bisect_right(ends, start) : bisect_left(ends, end) + 1]


_TIMES, _LEAST, _MOST = 6, 4, 80
"""So often on end, and from and to so many characters."""
_LOOP = re.compile(rf"(.{{{_LEAST},{_MOST}}}?)\1{{{_TIMES - 1},}}", re.DOTALL)
_GRAM = 8
"""So many characters that come again within the longest unit are worth a closer look; in prose that is rare."""


class Loop(NamedTuple):
    """A text and how many times on end it stands."""

    text: str
    times: int


def endless(read: str, known: str) -> Iterator[Loop]:
    """Yield every text of 4 to 80 characters that was read six times on end and stands nowhere so in the document.

    The pattern alone would try every length at every place, which takes seconds for a book. A loop comes again at its
    own length wherever one looks in its first round, so that every fourth place is enough.
    """
    at = 0
    while at < len(read):
        loop = _loop_at(read, at)
        if loop is None:
            at += _LEAST
            continue
        if loop[1] * _TIMES not in known:
            yield Loop(loop[1], len(loop[0]) // len(loop[1]))
        at = loop.end()


def _loop_at(read: str, at: int) -> re.Match[str] | None:
    again = read.find(read[at : at + _GRAM], at + _LEAST, at + _MOST + _GRAM)
    if again < 0:
        return None
    start = max(0, at - _LEAST + 1)
    near = _LOOP.search(read, start, at + _TIMES * _MOST)
    return _LOOP.match(read, near.start()) if near is not None else None


STRUCTURE = "table-structure"
READER_CLAIMS = frozenset({"title", "heading", "text", "caption", "table"})
"""The reader claims the text of all these, that of a table's cells among it."""
NATIVE_CLAIMS = READER_CLAIMS | {STRUCTURE, "formula"}
THRESHOLDS = {"reader": 0.97, "native": 0.9}
"""The similarity that is needed. Reader, measured: 1.0 on the demo page and 0.998 to 1.0 on copies of it blurred by
2 pixels, at 75 to 300 dpi, with strong noise, turned by half a degree or as JPEG of quality 30; without any one of its
paragraphs at most 0.96. Native: not measured (unverified)."""
ORDER = 0.95
"""The share of the parts that must follow each other as in the document: of fewer than twenty all of them. A footnote
of a long document may stand elsewhere; it is named."""

_MAX_NAMED = 3
"""So many parts are named for one reason."""
_MIN_DUPLICATE_CHARS = 24
"""Characters from which a second copy of a part is no chance."""


@dataclass(frozen=True)
class Verdict:
    """Whether a document was read well enough; similarity and threshold from 0 to 1, `reference` names the truth."""

    passed: bool
    similarity: float
    threshold: float
    reference: str
    reasons: tuple[Text, ...] = ()
    """Why it failed, then what differs besides, then what was not judged."""
    order: float = 1.0
    """The share of the parts that follow each other as in the document, 0 to 1."""


def judge(reading: Reading, truth: Truth, *, claims: frozenset[str], threshold: float) -> Verdict:
    """Compare a reading with what the document says; `claims` are the kinds that the engine claims to read."""
    sight = align(parts_of(truth, claims), passages_of(reading, truth, claims))
    similarity, order = sight.similarity() if sight.read else 0.0, sight.order()
    tables = table_faults(reading, truth, threshold) if STRUCTURE in claims else TableFaults()
    faults = list(_faults(sight)) if sight.read else [message("evaluation-nothing")]
    faults += [*(_misorder(sight) if order < ORDER else ()), *tables.faults]
    if similarity < threshold and not faults:
        faults.append(_difference(sight))
    notes = [*(_moved(sight) if order >= ORDER else ()), *tables.notes]
    notes += unknown_text(sight)
    reasons = (*faults, *notes, *_not_judged(truth, claims))
    return Verdict(not faults, round(similarity, 4), threshold, truth.name, reasons, round(order, 4))


def _faults(sight: Alignment) -> Iterator[Message]:
    """Yield what makes a reading fail however similar it is on the whole."""
    scored = sorted(zip(sight.places, sight.parts, strict=True), key=lambda pair: pair[0].score)
    for place, part in [(place, part) for place, part in scored if place.score < FOUND][:_MAX_NAMED]:
        yield message("evaluation-part", kind=kind_name(part.kind), name=part.name, score=place.score)
    loop = next(endless(sight.read, sight.known), None)
    if loop is not None:
        yield message("evaluation-loop", text=loop.text, times=loop.times)
    yield from _twice(sight)


def _twice(sight: Alignment) -> Iterator[Message]:
    """Yield the parts that were read more often than they are in the document."""
    often = {part.characters: part for part in sight.parts if len(sight.equal[part.characters]) > 1}
    known = occurrences(often, sight.known)
    doubled = [
        part
        for words, part in often.items()
        if len(words) >= _MIN_DUPLICATE_CHARS and len(sight.equal[words]) > len(known[words])
    ]
    for part in doubled[:_MAX_NAMED]:
        times = len(sight.equal[part.characters])
        yield message("evaluation-twice", kind=kind_name(part.kind), name=part.name, times=times)


def _misorder(sight: Alignment) -> Iterator[Message]:
    """Yield how many parts are in order, and which are not."""
    right, count = len(sight.chain), len(sight.orderable_parts())
    yield message("evaluation-order", right=right, count=count, order=sight.order(), needed=ORDER)
    yield from _moved(sight)


def _moved(sight: Alignment) -> Iterator[Message]:
    """Yield the parts that do not follow each other as in the document, and after which parts they came.

    Of several that moved together the first one is named.
    """
    placed, in_place = sight.orderable_parts(), dict(sight.chain)
    starts = {number: in_place.get(number, sight.candidates[number][0]) for number in placed}
    came = {number: other for other, number in pairwise([None, *sorted(placed, key=starts.__getitem__)])}
    belongs = {number: other for other, number in pairwise([None, *placed])}
    moved = [number for number in placed if number not in in_place and came[number] != belongs[number]]
    for number in moved[:_MAX_NAMED]:
        yield _move(sight, number, came[number], belongs[number])
    if len(moved) > _MAX_NAMED:
        yield message("evaluation-more", count=len(moved) - _MAX_NAMED)


def _move(sight: Alignment, number: int, came: int | None, belongs: int | None) -> Message:
    part = sight.parts[number]
    places = {"came": came, "belongs": belongs}
    names = {word: sight.parts[other].name for word, other in places.items() if other is not None}
    moved = "evaluation-moved-to-first" if came is None else "evaluation-moved"
    moved = "evaluation-moved-first" if belongs is None else moved
    return message(moved, kind=kind_name(part.kind), name=part.name, **names)


def _difference(sight: Alignment) -> Message:
    """Return the likely reason why a reading differs too much although every part was found."""
    if len(sight.read) > 1.1 * len(sight.known) or not sight.parts:
        return message("evaluation-extra", read=len(sight.read), known=len(sight.known))
    place, part = min(zip(sight.places, sight.parts, strict=True), key=lambda pair: pair[0].score)
    return message("evaluation-differs", kind=kind_name(part.kind), name=part.name, score=place.score)


def _not_judged(truth: Truth, claims: frozenset[str]) -> tuple[Text, ...]:
    blocks = [block for page in truth.pages for block in page.blocks]
    kinds = dict.fromkeys(b.kind for b in blocks if b.kind in KINDS and not is_judged(b, claims))
    if STRUCTURE not in claims and any(block.rows for block in blocks):
        kinds[STRUCTURE] = None
    names = [message(f"part-kind-{kind}") for kind in kinds]
    return (message("evaluation-not-judged", kinds=names),) if kinds else ()
