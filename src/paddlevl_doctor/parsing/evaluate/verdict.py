"""Compares a reading with the ground truth and says why it passes or fails.

Compared are the characters in reading order without whitespace (a lost paragraph counts), each part on its own (a lost
heading counts on a long page too), the order of the parts, and the tables, cell by cell.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, islice, pairwise
from typing import NamedTuple

from paddlevl_doctor.messages import Message, message
from paddlevl_doctor.parsing.evaluate.align import (
    MIN_FOUND_SCORE,
    Alignment,
    align,
    locate_all,
    occurrences,
)
from paddlevl_doctor.parsing.evaluate.ground_truth import Truth
from paddlevl_doctor.parsing.evaluate.parts import (
    FORMULAS,
    KINDS,
    ReadBlock,
    is_judged,
    kind_name,
    parts_of,
    quoted,
    read_blocks_of,
)
from paddlevl_doctor.parsing.evaluate.tables import TableFaults, table_faults
from paddlevl_doctor.parsing.evaluate.text_similarity import (
    fold_text,
    fuzzy_contains,
    information_length,
    missing_spans,
)
from paddlevl_doctor.parsing.run.report import Judgement
from paddlevl_doctor.values.pages import Reading

STRUCTURE = "table-structure"
READER_CLAIMS = frozenset({"title", "heading", "text", "caption", "table"})
"""The kinds of parts that the embedded reader reads; of a table it reads the text of the cells."""
NATIVE_CLAIMS = READER_CLAIMS | {STRUCTURE, "formula"}
THRESHOLDS = {"reader": 0.97, "native": 0.9}
"""The required similarity. Reader, measured: 1.0 on the demo page and 0.998 to 1.0 on copies of it blurred by 2 pixels,
at 75 to 300 dpi, with strong noise, rotated by half a degree or as JPEG of quality 30; at most 0.96 without any one of
its paragraphs. Native: not measured (unverified)."""
MIN_ORDER = 0.95
"""The required share of parts in the order of the document: all of them if there are fewer than twenty. A footnote of
a long document may be elsewhere; it is named."""

_MAX_NAMED = 3
"""How many parts one reason names."""
_MIN_DUPLICATE_CHARS = 24
"""Length from which a second copy of a part is no coincidence."""
_MIN_INVENTED_LENGTH = 16
"""Information length from which an unknown text is more than a misread one."""
_MIN_KNOWN_SIMILARITY = 0.75
"""Similarity with any place of the document from which a text is known."""
_MAX_UNKNOWN_CHECKED = 20
"""How many unknown pieces of text are searched for in the whole document."""

_MIN_REPETITIONS, _MIN_UNIT_CHARS, _MAX_UNIT_CHARS = 6, 4, 80
_REPETITION = re.compile(
    rf"(.{{{_MIN_UNIT_CHARS},{_MAX_UNIT_CHARS}}}?)\1{{{_MIN_REPETITIONS - 1},}}", re.DOTALL
)
_NGRAM_CHARS = 8
"""If this many characters occur again within _MAX_UNIT_CHARS, the pattern is tried there; in prose that is rare."""


def compare_with_truth(
    reading: Reading, truth: Truth, *, claims: frozenset[str], threshold: float
) -> Judgement:
    """Return how similar a reading is to the ground truth, and why it passes or fails; the summary is left empty.

    `claims` are the kinds of parts that the engine claims to read. The reasons are first the faults, then other
    differences, then the kinds that were not judged.
    """
    alignment = align(parts_of(truth, claims), read_blocks_of(reading, truth, claims))
    similarity, order = alignment.similarity() if alignment.read else 0.0, alignment.order()
    tables = table_faults(reading, truth, threshold) if STRUCTURE in claims else TableFaults()
    faults = list(_faults(alignment)) if alignment.read else [message("evaluation-nothing")]
    moved = list(_moved_parts(alignment))
    if order < MIN_ORDER:
        right, count = len(alignment.chain), len(alignment.orderable_parts())
        faults += [message("evaluation-order", right=right, count=count, order=order, needed=MIN_ORDER)]
        faults += moved
    faults += tables.faults
    if similarity < threshold and not faults:
        faults.append(_largest_difference(alignment))
    notes = [*(moved if order >= MIN_ORDER else ()), *tables.notes, *_unknown_texts(alignment)]
    return Judgement(
        passed=not faults,
        similarity=round(similarity, 4),
        threshold=threshold,
        reference=truth.name,
        reasons=(*faults, *notes, *_not_judged(truth, claims)),
        order=round(order, 4),
    )


def _faults(alignment: Alignment) -> Iterator[Message]:
    """Yield the reasons for which a reading fails at any similarity: missing parts, endless text, duplicates."""
    scored = sorted(zip(alignment.matches, alignment.parts, strict=True), key=lambda pair: pair[0].score)
    missing = [(match, part) for match, part in scored if match.score < MIN_FOUND_SCORE]
    for match, part in missing[:_MAX_NAMED]:
        yield message("evaluation-part", kind=kind_name(part.kind), name=part.name, score=match.score)
    repetition = next(repetitions(alignment.read, alignment.known), None)
    if repetition is not None:
        yield message("evaluation-loop", text=repetition.text, times=repetition.times)
    yield from _duplicates(alignment)


def _duplicates(alignment: Alignment) -> Iterator[Message]:
    """Yield the parts that were read more often than the document contains them."""
    read = alignment.occurrences
    repeated = {part.folded: part for part in alignment.parts if len(read[part.folded]) > 1}
    known = occurrences(repeated, alignment.known)
    duplicates = (
        part
        for text, part in repeated.items()
        if len(text) >= _MIN_DUPLICATE_CHARS and len(read[text]) > len(known[text])
    )
    for part in islice(duplicates, _MAX_NAMED):
        times = len(read[part.folded])
        yield message("evaluation-twice", kind=kind_name(part.kind), name=part.name, times=times)


def _moved_parts(alignment: Alignment) -> Iterator[Message]:
    """Yield the parts that are not in the order of the document, and after which parts they came.

    Of several consecutive parts that moved together only the first one is named.
    """
    orderable, in_place = alignment.orderable_parts(), dict(alignment.chain)
    starts = {number: in_place.get(number, alignment.candidates[number][0]) for number in orderable}
    read_after = {n: before for before, n in pairwise([None, *sorted(orderable, key=starts.__getitem__)])}
    belongs_after = {n: before for before, n in pairwise([None, *orderable])}
    moved = [n for n in orderable if n not in in_place and read_after[n] != belongs_after[n]]
    for number in moved[:_MAX_NAMED]:
        came, belongs = read_after[number], belongs_after[number]
        part, neighbours = alignment.parts[number], {"came": came, "belongs": belongs}
        names = {key: alignment.parts[other].name for key, other in neighbours.items() if other is not None}
        key = "evaluation-moved-to-first" if came is None else "evaluation-moved"
        key = "evaluation-moved-first" if belongs is None else key
        yield message(key, kind=kind_name(part.kind), name=part.name, **names)
    if len(moved) > _MAX_NAMED:
        yield message("evaluation-more", count=len(moved) - _MAX_NAMED)


def _largest_difference(alignment: Alignment) -> Message:
    """Return the likely reason of a low similarity although every part was found."""
    if len(alignment.read) > 1.1 * len(alignment.known) or not alignment.parts:
        return message("evaluation-extra", read=len(alignment.read), known=len(alignment.known))
    match, part = min(zip(alignment.matches, alignment.parts, strict=True), key=lambda pair: pair[0].score)
    return message("evaluation-differs", kind=kind_name(part.kind), name=part.name, score=match.score)


def _not_judged(truth: Truth, claims: frozenset[str]) -> Iterator[Message]:
    """Yield one message that lists the kinds of parts that were not judged, if there are any."""
    blocks = [block for page in truth.pages for block in page.blocks]
    kinds = dict.fromkeys(b.kind for b in blocks if b.kind in KINDS and not is_judged(b, claims))
    if STRUCTURE not in claims and any(block.rows for block in blocks):
        kinds[STRUCTURE] = None
    if kinds:
        yield message("evaluation-not-judged", kinds=[message(f"part-kind-{kind}") for kind in kinds])


def _unknown_texts(alignment: Alignment) -> Iterator[Message]:
    """Yield the texts that are not in the document; tables and formulas are left out, they are compared separately."""
    known, parts = alignment.known, {part.folded for part in alignment.parts}
    prose = [b for b in alignment.blocks if b.kind not in (*FORMULAS, "table") and b.folded not in parts]
    unknown = [
        (block.page + 1, text)
        for block, start, end in islice(_unmatched_spans(prose, known), _MAX_UNKNOWN_CHECKED)
        if not fuzzy_contains(block.folded[start:end], known, _MIN_KNOWN_SIMILARITY)
        and (text := quoted(_original_text(block.text, start, end)))
    ]
    for page, text in unknown[:_MAX_NAMED]:
        yield message("evaluation-unknown", page=page, text=text)
    if len(unknown) > _MAX_NAMED:
        yield message("evaluation-more", count=len(unknown) - _MAX_NAMED)


def _unmatched_spans(blocks: Sequence[ReadBlock], known: str) -> Iterator[tuple[ReadBlock, int, int]]:
    """Yield the long spans of each block's folded text (start, end) that its place in the document does not contain."""
    texts = [block.folded for block in blocks]
    for block, match in zip(blocks, locate_all(texts, known, occurrences(texts, known)), strict=True):
        if match.score == 1:
            continue
        margin = len(block.folded) // 4
        near = known[max(0, match.start - margin) : match.end + margin]
        for start, end in missing_spans(block.folded, near):
            if information_length(block.folded[start:end]) >= _MIN_INVENTED_LENGTH:
                yield block, start, end


def _original_text(text: str, start: int, end: int) -> str:
    """Return the part of a text whose folded form is at `start` to `end` of the folded text."""
    ends = list(accumulate(len(fold_text(character)) for character in text))
    return text[bisect_right(ends, start) : bisect_left(ends, end) + 1]


class Repetition(NamedTuple):
    """A text and how many times in a row it was read."""

    text: str
    times: int


def repetitions(read: str, known: str) -> Iterator[Repetition]:
    """Yield each text of 4 to 80 characters that was read at least six times in a row and is not so in the document.

    To try the pattern at every position takes seconds for a book. A repetition continues at a distance of its own
    length from any position in its first round, so every fourth position is enough.
    """
    position = 0
    while position < len(read):
        found = _repetition_near(read, position)
        if found is None:
            position += _MIN_UNIT_CHARS
            continue
        if found[1] * _MIN_REPETITIONS not in known:
            yield Repetition(found[1], len(found[0]) // len(found[1]))
        position = found.end()


def _repetition_near(read: str, position: int) -> re.Match[str] | None:
    ngram = read[position : position + _NGRAM_CHARS]
    if read.find(ngram, position + _MIN_UNIT_CHARS, position + _MAX_UNIT_CHARS + _NGRAM_CHARS) < 0:
        return None
    start = max(0, position - _MIN_UNIT_CHARS + 1)
    found = _REPETITION.search(read, start, position + _MIN_REPETITIONS * _MAX_UNIT_CHARS)
    return _REPETITION.match(read, found.start()) if found is not None else None
