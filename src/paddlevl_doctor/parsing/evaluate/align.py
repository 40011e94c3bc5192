"""Aligns a document with its reading: where each part was found in the text that was read, and which are in order."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple

from ahocorasick_rs import AhoCorasick
from rapidfuzz import fuzz
from rapidfuzz.distance import Levenshtein

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.parsing.evaluate.parts import Part, ReadBlock

MIN_FOUND_SCORE = 0.75
"""Similarity from which a part counts as found."""
_MIN_IN_PLACE_SCORE = 0.9
"""Similarity from which a short text counts as found near the expected place, without a search of the whole text."""
_SHORT_TEXT_CHARS = 24
_MIN_GAIN = 0.1
"""A match elsewhere replaces the match near the expected place only if its score is higher by this much."""
_WINDOW_CHARS = 300
"""Characters before and after the expected place that are searched first."""
_SEARCH_BUDGET = 1e10
"""Pairs of characters that searches of the whole text may compare, about a second. When it is used up (a long document
with dozens of displaced parts), parts are only searched near their expected place."""
_SEARCH_OVERHEAD = 350
"""Fixed cost of one search, in characters of the text that is searched for."""
_PATTERN_CHARS = 32
"""The automaton holds only this many first characters of each text, which makes building it ten times faster."""
_MAX_WHOLE_CHARS = 60_000
"""Up to this length two texts are compared in one piece."""
_MIN_STRETCH_CHARS = 20_000
"""Minimum length of the stretches into which longer texts are cut."""
_MIN_ORDERED_SCORE = 0.85
"""Similarity from which the position of a misread part counts for the order."""
_MAX_CANDIDATES = 50
"""A text that occurs more often is too short to count for the order."""


class TextMatch(NamedTuple):
    """Where a text was found in a longer one, and how similar that place is, 0 to 1."""

    start: int
    end: int
    score: float


@dataclass(frozen=True)
class Alignment:
    """The parts of a document and the blocks that were read, with both texts folded (fold_text) and joined."""

    parts: Sequence[Part]
    blocks: Sequence[ReadBlock]
    known: str
    read: str
    matches: Sequence[TextMatch]
    """The best match of each part in the text that was read."""
    occurrences: dict[str, list[int]]
    """All positions in the text that was read at which the folded text of a part occurs exactly."""
    candidates: Sequence[Sequence[int]]
    """Possible start positions of each part in the text that was read; none if the part is left out of the order."""
    chain: Sequence[tuple[int, int]]
    """The longest series of parts in the order of the document: part number and start in the text that was read."""

    def similarity(self) -> float:
        """Return the similarity of the whole texts, 0 to 1."""
        starts = [0, *accumulate(len(part.folded) for part in self.parts)]
        return similarity(self.known, self.read, [(starts[number], start) for number, start in self.chain])

    def orderable_parts(self) -> list[int]:
        """Return the numbers of the parts that count for the order."""
        return [number for number, starts in enumerate(self.candidates) if starts]

    def order(self) -> float:
        """Return the share of the orderable parts that are in the order of the document, 0 to 1."""
        return len(self.chain) / max(len(self.orderable_parts()), 1) if self.orderable_parts() else 1.0


def align(parts: Sequence[Part], blocks: Sequence[ReadBlock]) -> Alignment:
    """Return the alignment of the parts of a document with the blocks that were read."""
    texts = [part.folded for part in parts]
    known, read = "".join(texts), "".join(block.folded for block in blocks)
    exact = occurrences(texts, read)
    matches = locate_all(texts, read, exact)
    borders = {0, *accumulate(len(block.folded) for block in blocks)}
    counts = Counter(texts)
    candidates = [
        _candidate_starts(match, text, exact[text], borders, counts[text])
        for text, match in zip(texts, matches, strict=True)
    ]
    return Alignment(
        parts, blocks, known, read, matches, exact, candidates, longest_ordered_chain(candidates)
    )


def _candidate_starts(
    match: TextMatch, text: str, exact: Sequence[int], borders: set[int], count: int
) -> Sequence[int]:
    """Return the possible start positions of a part that the document contains `count` times.

    Blocks that are exactly this text are preferred to occurrences within other blocks, if there are enough of them.
    """
    if match.score < _MIN_ORDERED_SCORE:
        return ()
    whole_blocks = [start for start in exact if start in borders and start + len(text) in borders]
    starts = (whole_blocks if len(whole_blocks) >= count else exact) or [match.start]
    return starts if len(starts) <= _MAX_CANDIDATES else ()


def occurrences(wanted: Iterable[str], text: str) -> dict[str, list[int]]:
    """Return the start positions of every wanted text in a long text, overlapping ones included."""
    starts: dict[str, list[int]] = {part: [] for part in wanted if part}
    by_prefix: dict[str, list[str]] = {}
    for part in starts:
        by_prefix.setdefault(part[:_PATTERN_CHARS], []).append(part)
    prefixes = list(by_prefix)
    hits = AhoCorasick(prefixes).find_matches_as_indexes(text, overlapping=True) if prefixes else ()
    for number, start, _ in hits:
        for part in by_prefix[prefixes[number]]:
            if text.startswith(part, start):
                starts[part].append(start)
    return starts


def locate_all(wanted: Sequence[str], text: str, exact: dict[str, list[int]]) -> list[TextMatch]:
    """Return the best match of every wanted text in a long text.

    The texts are expected in the given order; `exact` is the result of `occurrences` for them.
    """
    matches, expected, budget = [], 0, _SEARCH_BUDGET
    for part in wanted:
        starts = exact.get(part)
        if starts:
            start = starts[bisect_left(starts, expected) % len(starts)]
            match = TextMatch(start, start + len(part), 1.0)
        else:
            match = _match_near(part, text, expected)
            sufficient = _MIN_IN_PLACE_SCORE if len(part) < _SHORT_TEXT_CHARS else MIN_FOUND_SCORE
            if match.score < sufficient and budget > 0:
                budget -= (len(part) + _SEARCH_OVERHEAD) * len(text)
                other = _best_match(part, text, 0)
                better = other if other.score > match.score + _MIN_GAIN else match
                match = better._replace(score=max(match.score, other.score))
        matches.append(match)
        expected = match.end if match.score >= MIN_FOUND_SCORE else expected
    return matches


def _match_near(part: str, text: str, expected: int) -> TextMatch:
    """Return the match at the expected place if it is a long text and very similar, else the best one near it."""
    in_place = fuzz.ratio(part, text[expected : expected + len(part)], score_cutoff=100 * _MIN_IN_PLACE_SCORE)
    if in_place and len(part) >= _SHORT_TEXT_CHARS:
        return TextMatch(expected, expected + len(part), in_place / 100)
    start = max(0, min(expected - _WINDOW_CHARS, len(text) - len(part)))
    return _best_match(part, text[start : expected + len(part) + _WINDOW_CHARS], start)


def _best_match(part: str, text: str, offset: int) -> TextMatch:
    """Return the best match in a section of the text that begins at `offset`."""
    if len(part) > len(text):
        score = Levenshtein.normalized_similarity(part, text) if text else 0
        return TextMatch(offset, offset + len(text), score)
    best = fuzz.partial_ratio_alignment(part, text)
    if best is None or not part:
        return TextMatch(offset, offset, 0.0)
    return TextMatch(offset + best.dest_start, offset + best.dest_end, best.score / 100)


class _Link(NamedTuple):
    number: int
    start: int
    before: _Link | None


def longest_ordered_chain(candidates: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """Return the longest chain of parts in increasing order of position: (part number, chosen start position).

    `candidates` are the possible start positions of each part. This is the longest common subsequence of the parts in
    the document and in the reading, by the algorithm of Hunt and Szymanski (1977).
    """
    ends: list[int] = []
    chains: list[_Link] = []
    for number, starts in enumerate(candidates):
        for start in sorted(starts, reverse=True):
            length = bisect_left(ends, start)
            link = _Link(number, start, chains[length - 1] if length else None)
            ends[length : length + 1] = [start]
            chains[length : length + 1] = [link]
    chain, last = [], chains[-1] if chains else None
    while last is not None:
        chain.append((last.number, last.start))
        last = last.before
    return chain[::-1]


def similarity(known: str, read: str, common: Sequence[tuple[int, int]]) -> float:
    """Return the similarity of two texts, 0 to 1: 1 minus the edit distance divided by the longer length.

    `common` are positions in both texts, in order, where the same part begins. Texts of more than 60,000 characters
    are cut there into stretches, because the time of the edit distance grows with the square of the length.
    """
    longest = max(len(known), len(read))
    if longest <= _MAX_WHOLE_CHARS:
        return Levenshtein.normalized_similarity(known, read, score_hint=_MIN_IN_PLACE_SCORE)
    distance, last, end = 0, (0, 0), (len(known), len(read))
    for cut in (*common, end):
        if cut[0] - last[0] >= _MIN_STRETCH_CHARS or cut == end:
            distance += _edit_distance(known[last[0] : cut[0]], read[last[1] : cut[1]])
            last = cut
    return 1 - distance / longest


def _edit_distance(known: str, read: str) -> int:
    """Return the edit distance; for a stretch that is too long, the sum for its halves, which is an upper bound."""
    if max(len(known), len(read)) <= _MAX_WHOLE_CHARS:
        return Levenshtein.distance(known, read, score_hint=max(len(known), len(read)) // 20)
    middle, other = len(known) // 2, len(read) // 2
    return _edit_distance(known[:middle], read[:other]) + _edit_distance(known[middle:], read[other:])
