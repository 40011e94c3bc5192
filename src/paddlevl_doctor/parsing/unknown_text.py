"""Names text that was read and is nowhere in the document: a model may make up sentences that look right."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, islice

from paddlevl_doctor.parsing.compared import FORMULAS, Passage
from paddlevl_doctor.parsing.folding import fold_text
from paddlevl_doctor.parsing.likeness import holes, is_like, weight
from paddlevl_doctor.parsing.placing import occurrences, places
from paddlevl_doctor.parsing.sight import Sight
from paddlevl_doctor.parsing.verdict_words import quoted, say

_WORTH = 16
"""Letters from which a text is no misreading of another one."""
_LIKE = 0.75
"""A text as like any place of the document as this is known."""
_NAMED, _LOOKED_AT = 3, 20


def unknown_text(sight: Sight, lang: str) -> list[str]:
    """Return a sentence for each text that is not in the document; tables and formulas are judged by themselves."""
    known, parts = sight.known, {part.characters for part in sight.parts}
    prose = [p for p in sight.passages if p.kind not in (*FORMULAS, "table") and p.characters not in parts]
    found = [
        (passage, text)
        for passage, start, end in islice(_strange(prose, known), _LOOKED_AT)
        if not is_like(passage.characters[start:end], known, _LIKE)
        and (text := quoted(_words(passage.text, start, end)))
    ]
    named = [
        say("evaluation-unknown", lang, page=passage.page + 1, text=text) for passage, text in found[:_NAMED]
    ]
    return named + ([say("evaluation-more", lang, count=len(found) - _NAMED)] if len(found) > _NAMED else [])


def _strange(passages: Sequence[Passage], known: str) -> Iterator[tuple[Passage, int, int]]:
    """Yield what of each block is not where the block is in the document: its characters from and to."""
    wanted = [passage.characters for passage in passages]
    equal = occurrences(wanted, known)
    for passage, place in zip(passages, places(wanted, known, equal), strict=True):
        characters = passage.characters
        if place.score == 1:
            continue
        margin = len(characters) // 4
        near = known[max(0, place.start - margin) : place.end + margin]
        for start, end in holes(characters, near):
            if weight(characters[start:end]) >= _WORTH:
                yield passage, start, end


def _words(text: str, start: int, end: int) -> str:
    """Return what of a text became the folded characters from `start` to `end`."""
    ends = list(accumulate(len(fold_text(sign)) for sign in text))
    return text[bisect_right(ends, start) : bisect_left(ends, end) + 1]
