"""How many pages one call of a pipeline has: a call costs its start and its end, a kill what has not come yet."""

from __future__ import annotations

FIRST = 2
"""Pages in the first call: nothing is known of how long they take."""
_MOST = 32
"""Their pictures are in memory together: 500 pages in calls of 64 needed up to 1.1 GiB, in calls of 32 1.0."""
_SILENCE = 20.0
"""Seconds in which a call may say nothing at most: so much is read again after a kill."""
_AT_ONCE = 0.9
"""Where one wait is this share of a call, its results came all at once, and will the next time."""


def next_call(now: int, pages: int, seconds: float, longest: float) -> int:
    """Return how many pages the next calls may have, after one of `pages` where `now` were allowed.

    `seconds` is what the call took, `longest` its longest wait for a page. PaddleX lays eight pages out at a time and
    gives the results of each eight (paddlex 3.3.0 to 3.7.2, batch_size of LayoutDetection); with a server behind it,
    or without its queues, all of them at once. One page alone, maybe an empty one, tells little.
    """
    at_once = longest >= _AT_ONCE * seconds
    grown = int(_SILENCE * pages / max(seconds if at_once else longest, 0.001))
    if longest <= _SILENCE:
        grown = max(now, grown if at_once else max(grown, 2 * pages))
    return max(1, min(grown, _MOST if pages > 1 else max(FIRST, now)))
