"""A document and its reading beside each other: where each part was found, and which parts follow each other."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from ahocorasick_rs import AhoCorasick
from rapidfuzz import fuzz
from rapidfuzz.distance import Levenshtein

from paddlevl_doctor.parsing.evaluate.parts import Part, Passage

FOUND = 0.75
"""Similarity from which a text is found."""
_FOUND_IN_PLACE = 0.9
"""Similarity from which a short text is found where it is expected, and is not looked for elsewhere."""
_SHORT_TEXT_CHARS = 24
_MIN_GAIN = 0.1
"""By so much a text has to be more like another place to be there and not where it is expected."""
_WINDOW_CHARS = 300
"""Characters around the expected place in which a text is looked for first."""
_BUDGET, _EACH = 1e10, 350
"""Pairs of characters that are compared to find texts everywhere, about a second, and what one costs besides its
length. Whatever is left then, after dozens of texts of a long document were not where they belong, is looked for near
its place only."""
_PATTERN_CHARS = 32
"""Characters that the automaton knows of each text: it is built in a tenth of the time."""
_WHOLE, _STRETCH = 60_000, 20_000
"""Characters up to which two texts are compared as they are, and of the stretches that longer ones are cut into."""


class TextMatch(NamedTuple):
    """Where a text is in another one, and how like it that place is, 0 to 1."""

    start: int
    end: int
    score: float


def occurrences(wanted: Iterable[str], text: str) -> dict[str, list[int]]:
    """Return the starts of every text within the long one, overlapping ones too."""
    found: dict[str, list[int]] = {one: [] for one in wanted if one}
    heads: dict[str, list[str]] = {}
    for one in found:
        heads.setdefault(one[:_PATTERN_CHARS], []).append(one)
    patterns = list(heads)
    matches = AhoCorasick(patterns).find_matches_as_indexes(text, overlapping=True) if patterns else ()
    for number, start, _ in matches:
        for one in heads[patterns[number]]:
            if text.startswith(one, start):
                found[one].append(start)
    return found


def locate_all(wanted: Sequence[str], text: str, equal: dict[str, list[int]]) -> list[TextMatch]:
    """Return the likeliest place of every text; they are expected in this order, and `equal` says the equal ones."""
    return list(_places(wanted, text, equal))


def _places(wanted: Sequence[str], text: str, equal: dict[str, list[int]]) -> Iterator[TextMatch]:
    expected, left = 0, _BUDGET
    for one in wanted:
        starts = equal.get(one)
        if starts:
            start = starts[bisect_left(starts, expected) % len(starts)]
            place = TextMatch(start, start + len(one), 1.0)
        else:
            place = _near(one, text, expected)
            if place.score < (_FOUND_IN_PLACE if len(one) < _SHORT_TEXT_CHARS else FOUND) and left > 0:
                left -= (len(one) + _EACH) * len(text)
                other = _best(one, text, 0)
                likelier = other if other.score > place.score + _MIN_GAIN else place
                place = likelier._replace(score=max(place.score, other.score))
        yield place
        expected = place.end if place.score >= FOUND else expected


def _near(one: str, text: str, expected: int) -> TextMatch:
    """Return the likeliest place near the expected one, which is taken as it is where it is very like."""
    here = fuzz.ratio(one, text[expected : expected + len(one)], score_cutoff=100 * _FOUND_IN_PLACE)
    if here and len(one) >= _SHORT_TEXT_CHARS:
        return TextMatch(expected, expected + len(one), here / 100)
    start = max(0, min(expected - _WINDOW_CHARS, len(text) - len(one)))
    return _best(one, text[start : expected + len(one) + _WINDOW_CHARS], start)


def _best(one: str, text: str, offset: int) -> TextMatch:
    if len(one) > len(text):
        return TextMatch(
            offset, offset + len(text), Levenshtein.normalized_similarity(one, text) if text else 0
        )
    found = fuzz.partial_ratio_alignment(one, text)
    if found is None or not one:
        return TextMatch(offset, offset, 0.0)
    return TextMatch(offset + found.dest_start, offset + found.dest_end, found.score / 100)


# --- order ----------------------------------------------------------------------------------------------------


def longest_ordered_chain(candidates: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """Return the longest chain of texts that follow each other: their numbers, and the place taken of each.

    `candidates` are the places where each text may be. This is the longest common subsequence of the texts as they are
    known and as they were read, by the algorithm of Hunt and Szymanski (1977).
    """
    ends: list[int] = []
    chains: list[_Link] = []
    for number, starts in enumerate(candidates):
        for start in sorted(starts, reverse=True):
            length = bisect_left(ends, start)
            link = _Link(number, start, chains[length - 1] if length else None)
            ends[length : length + 1] = [start]
            chains[length : length + 1] = [link]
    return _unwound(chains[-1] if chains else None)


class _Link(NamedTuple):
    number: int
    start: int
    before: _Link | None


def _unwound(link: _Link | None) -> list[tuple[int, int]]:
    found = []
    while link is not None:
        found.append((link.number, link.start))
        link = link.before
    return found[::-1]


# --- likeness of long texts -----------------------------------------------------------------------------------


def similarity(known: str, read: str, same: Sequence[tuple[int, int]]) -> float:
    """Return how like two texts are, 0 to 1: 1 minus the edit distance by the longer length.

    `same` are places in both, in order, that begin the same text. Long texts are cut there, every twenty thousand
    characters or so, because the time of the distance grows with the square of the length.
    """
    longest = max(len(known), len(read))
    if longest <= _WHOLE:
        return Levenshtein.normalized_similarity(known, read, score_hint=_FOUND_IN_PLACE)
    distance, last = 0, (0, 0)
    for place in (*same, (len(known), len(read))):
        if place[0] - last[0] >= _STRETCH or place == (len(known), len(read)):
            distance += _distance(known[last[0] : place[0]], read[last[1] : place[1]])
            last = place
    return 1 - distance / longest


def _distance(known: str, read: str) -> int:
    """Return the edit distance; a stretch without any place in common is halved, and so at most too far."""
    if max(len(known), len(read)) <= _WHOLE:
        return Levenshtein.distance(known, read, score_hint=max(len(known), len(read)) // 20)
    middle, other = len(known) // 2, len(read) // 2
    return _distance(known[:middle], read[:other]) + _distance(known[middle:], read[other:])


_MIN_ORDERED_SCORE = 0.85
"""Similarity from which the place of a misread part says something about the order."""
_ANYWHERE = 50
"""A text that is at more places than these is too short to say anything about the order."""


@dataclass(frozen=True)
class Alignment:
    """Both sides, as folded characters of all parts and of all blocks."""

    parts: Sequence[Part]
    passages: Sequence[Passage]
    known: str
    read: str
    places: Sequence[TextMatch]
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

    def orderable_parts(self) -> list[int]:
        """Return the numbers of the parts whose order can be told."""
        return [number for number, starts in enumerate(self.candidates) if starts]

    def order(self) -> float:
        """Return the share of them that follow each other as in the document, 0 to 1."""
        return len(self.chain) / max(len(self.orderable_parts()), 1) if self.orderable_parts() else 1.0


def align(parts: Sequence[Part], passages: Sequence[Passage]) -> Alignment:
    """Put the parts of a document beside the blocks that were read."""
    wanted = [part.characters for part in parts]
    known, read = "".join(wanted), "".join(passage.characters for passage in passages)
    equal = occurrences(wanted, read)
    found = locate_all(wanted, read, equal)
    borders = {0, *accumulate(len(passage.characters) for passage in passages)}
    times = Counter(wanted)
    candidates = [
        _candidates(place, equal[one], _whole(one, equal[one], borders, times[one]))
        for one, place in zip(wanted, found, strict=True)
    ]
    return Alignment(
        parts, passages, known, read, found, equal, candidates, longest_ordered_chain(candidates)
    )


def _whole(one: str, starts: Sequence[int], borders: set[int], times: int) -> Sequence[int]:
    """Return where a part is a block of its own, if it is one as often as the document has it."""
    found = [start for start in starts if start in borders and start + len(one) in borders]
    return found if len(found) >= times else ()


def _candidates(place: TextMatch, equal: Sequence[int], whole: Sequence[int]) -> Sequence[int]:
    """Return where a part may be; a block of its own is meant rather than the same word in another one."""
    if place.score < _MIN_ORDERED_SCORE:
        return ()
    starts = whole or equal or [place.start]
    return starts if len(starts) <= _ANYWHERE else ()
