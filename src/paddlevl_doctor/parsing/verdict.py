"""The verdict: is what was read what the document says? It must be able to fail, and to say where.

Compared are the characters in reading order, whitespace aside, so that a lost paragraph counts; each part of the page
on its own, so that a short heading cannot drown in a long page; the order of the parts; and the tables, cell by cell.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from paddlevl_doctor.messages import message
from paddlevl_doctor.parsing.compared import is_judged, parts_of, passages_of
from paddlevl_doctor.parsing.loops import endless
from paddlevl_doctor.parsing.model import Reading
from paddlevl_doctor.parsing.placing import FOUND, occurrences
from paddlevl_doctor.parsing.sight import Sight, sight_of
from paddlevl_doctor.parsing.table_faults import TableFaults, table_faults
from paddlevl_doctor.parsing.truth import Truth
from paddlevl_doctor.parsing.unknown_text import unknown_text
from paddlevl_doctor.parsing.verdict_words import KINDS, kind_name, say

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

_NAMED = 3
"""So many parts are named for one reason."""
_LONG = 24
"""Characters from which a second copy of a part is no chance."""


@dataclass(frozen=True)
class Verdict:
    """Whether a document was read well enough; similarity and threshold from 0 to 1, `reference` names the truth."""

    passed: bool
    similarity: float
    threshold: float
    reference: str
    reasons: tuple[str, ...] = ()
    """Why it failed, then what differs besides, then what was not judged."""
    order: float = 1.0
    """The share of the parts that follow each other as in the document, 0 to 1."""


def judge(
    reading: Reading, truth: Truth, *, claims: frozenset[str], threshold: float, lang: str = "en"
) -> Verdict:
    """Compare a reading with what the document says; `claims` are the kinds that the engine claims to read."""
    sight = sight_of(parts_of(truth, claims), passages_of(reading, truth, claims))
    similarity, order = sight.similarity() if sight.read else 0.0, sight.order()
    tables = table_faults(reading, truth, threshold, lang) if STRUCTURE in claims else TableFaults()
    faults = list(_faults(sight, lang)) if sight.read else [say("evaluation-nothing", lang)]
    faults += [*(_misorder(sight, lang) if order < ORDER else ()), *tables.faults]
    if similarity < threshold and not faults:
        faults.append(_difference(sight, lang))
    notes = [*(_moved(sight, lang) if order >= ORDER else ()), *tables.notes]
    notes += unknown_text(sight, lang)
    reasons = (*faults, *notes, *_not_judged(truth, claims, lang))
    return Verdict(not faults, round(similarity, 4), threshold, truth.name, reasons, round(order, 4))


def _faults(sight: Sight, lang: str) -> Iterator[str]:
    """Yield what makes a reading fail however similar it is on the whole."""
    scored = sorted(zip(sight.places, sight.parts, strict=True), key=lambda pair: pair[0].score)
    for place, part in [(place, part) for place, part in scored if place.score < FOUND][:_NAMED]:
        yield say("evaluation-part", lang, kind=kind_name(part.kind, lang), name=part.name, score=place.score)
    loop = next(endless(sight.read, sight.known), None)
    if loop is not None:
        yield say("evaluation-loop", lang, text=loop.text, times=loop.times)
    yield from _twice(sight, lang)


def _twice(sight: Sight, lang: str) -> Iterator[str]:
    """Yield the parts that were read more often than they are in the document."""
    often = {part.characters: part for part in sight.parts if len(sight.equal[part.characters]) > 1}
    known = occurrences(often, sight.known)
    doubled = [
        part
        for words, part in often.items()
        if len(words) >= _LONG and len(sight.equal[words]) > len(known[words])
    ]
    for part in doubled[:_NAMED]:
        times = len(sight.equal[part.characters])
        yield say("evaluation-twice", lang, kind=kind_name(part.kind, lang), name=part.name, times=times)


def _misorder(sight: Sight, lang: str) -> Iterator[str]:
    """Yield how many parts are in order, and which are not."""
    right, count = len(sight.chain), len(sight.placed())
    yield say("evaluation-order", lang, right=right, count=count, order=sight.order(), needed=ORDER)
    yield from _moved(sight, lang)


def _moved(sight: Sight, lang: str) -> Iterator[str]:
    """Yield the parts that do not follow each other as in the document, and after which parts they came.

    Of several that moved together the first one is named.
    """
    placed, in_place = sight.placed(), dict(sight.chain)
    starts = {number: in_place.get(number, sight.candidates[number][0]) for number in placed}
    came = {number: other for other, number in pairwise([None, *sorted(placed, key=starts.__getitem__)])}
    belongs = {number: other for other, number in pairwise([None, *placed])}
    moved = [number for number in placed if number not in in_place and came[number] != belongs[number]]
    for number in moved[:_NAMED]:
        yield _move(sight, number, came[number], belongs[number], lang)
    if len(moved) > _NAMED:
        yield say("evaluation-more", lang, count=len(moved) - _NAMED)


def _move(sight: Sight, number: int, came: int | None, belongs: int | None, lang: str) -> str:
    part = sight.parts[number]
    places = {"came": came, "belongs": belongs}
    names = {word: sight.parts[other].name for word, other in places.items() if other is not None}
    moved = "evaluation-moved-to-first" if came is None else "evaluation-moved"
    moved = "evaluation-moved-first" if belongs is None else moved
    return say(moved, lang, kind=kind_name(part.kind, lang), name=part.name, **names)


def _difference(sight: Sight, lang: str) -> str:
    """Return the likely reason why a reading differs too much although every part was found."""
    if len(sight.read) > 1.1 * len(sight.known) or not sight.parts:
        return say("evaluation-extra", lang, read=len(sight.read), known=len(sight.known))
    place, part = min(zip(sight.places, sight.parts, strict=True), key=lambda pair: pair[0].score)
    return say("evaluation-differs", lang, kind=kind_name(part.kind, lang), name=part.name, score=place.score)


def _not_judged(truth: Truth, claims: frozenset[str], lang: str) -> tuple[str, ...]:
    blocks = [block for page in truth.pages for block in page.blocks]
    kinds = dict.fromkeys(b.kind for b in blocks if b.kind in KINDS and not is_judged(b, claims))
    if STRUCTURE not in claims and any(block.rows for block in blocks):
        kinds[STRUCTURE] = None
    names = [message(f"part-kind-{kind}") for kind in kinds]
    return (say("evaluation-not-judged", lang, kinds=names),) if kinds else ()
