"""What a signature cannot do without: the words to look for before its regular expression is tried at all.

Logs are searched for these words in a squeezed copy (knowledge/squeeze.py), so they are squeezed as well.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from paddlevl_doctor.knowledge.errors import KnowledgeError
from paddlevl_doctor.knowledge.squeeze import squeezed

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
            run += squeezed(chr(value).encode("utf-8", "surrogatepass"))
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
    """Say whether an item can match nothing but what the squeezed copy leaves out."""
    if op in _REPEATS:
        return all(_only_blanks(*item) for item in value[2])
    if op is ops.LITERAL:
        return value < 0x80 and not squeezed(bytes([value]))  # noqa: PLR2004 - the end of ASCII
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
