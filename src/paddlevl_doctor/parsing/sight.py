"""A document and its reading beside each other: where each part was found, and which parts follow each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from paddlevl_doctor.parsing.compared import Part, Passage
from paddlevl_doctor.parsing.placing import Place, in_order, occurrences, places, similarity

_SURE = 0.85
"""Similarity from which the place of a misread part says something about the order."""
_ANYWHERE = 50
"""A text that is at more places than these is too short to say anything about the order."""


@dataclass(frozen=True)
class Sight:
    """Both sides, as folded characters of all parts and of all blocks."""

    parts: Sequence[Part]
    passages: Sequence[Passage]
    known: str
    read: str
    places: Sequence[Place]
    """The likeliest place of every part in what was read."""
    equal: dict[str, list[int]]
    """All places in what was read of the characters of each part."""
    candidates: Sequence[Sequence[int]]
    """Where in what was read each part may begin; nothing where its order cannot be told."""
    chain: Sequence[tuple[int, int]]
    """The parts that follow each other as in the document: their numbers, and where they begin in what was read."""

    def similarity(self) -> float:
        """Return how like the texts are on the whole, 0 to 1."""
        starts = [0, *accumulate(len(part.characters) for part in self.parts)]
        return similarity(self.known, self.read, [(starts[n], at) for n, at in self.chain])

    def placed(self) -> list[int]:
        """Return the numbers of the parts whose order can be told."""
        return [number for number, starts in enumerate(self.candidates) if starts]

    def order(self) -> float:
        """Return the share of them that follow each other as in the document, 0 to 1."""
        return len(self.chain) / max(len(self.placed()), 1) if self.placed() else 1.0


def sight_of(parts: Sequence[Part], passages: Sequence[Passage]) -> Sight:
    """Put the parts of a document beside the blocks that were read."""
    wanted = [part.characters for part in parts]
    known, read = "".join(wanted), "".join(passage.characters for passage in passages)
    equal = occurrences(wanted, read)
    found = places(wanted, read, equal)
    borders = {0, *accumulate(len(passage.characters) for passage in passages)}
    times = Counter(wanted)
    candidates = [
        _candidates(place, equal[one], _whole(one, equal[one], borders, times[one]))
        for one, place in zip(wanted, found, strict=True)
    ]
    return Sight(parts, passages, known, read, found, equal, candidates, in_order(candidates))


def _whole(one: str, starts: Sequence[int], borders: set[int], times: int) -> Sequence[int]:
    """Return where a part is a block of its own, if it is one as often as the document has it."""
    found = [start for start in starts if start in borders and start + len(one) in borders]
    return found if len(found) >= times else ()


def _candidates(place: Place, equal: Sequence[int], whole: Sequence[int]) -> Sequence[int]:
    """Return where a part may be; a block of its own is meant rather than the same word in another one."""
    if place.score < _SURE:
        return ()
    starts = whole or equal or [place.start]
    return starts if len(starts) <= _ANYWHERE else ()
