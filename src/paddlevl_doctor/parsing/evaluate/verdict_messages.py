"""The sentences of a verdict, in English and Chinese."""

from __future__ import annotations

from paddlevl_doctor.messages import Message, message

MAX_EXCERPT_CHARS = 24
"""Characters by which a part is called."""
_QUOTED = 80
"""Characters of a text that is quoted because nobody knows it by its beginning."""

KINDS = ("title", "heading", "text", "caption", "table", "formula", "figure", "table-structure")
"""The kinds of parts that have a name."""


def kind_name(kind: str) -> Message:
    """Return what a kind of part is called; unknown ones are text."""
    return message(f"part-kind-{kind if kind in KINDS else 'text'}")


def excerpt(text: str) -> str:
    """Return the beginning of a text, by which people find it."""
    words = " ".join(text.split())
    return words if len(words) <= MAX_EXCERPT_CHARS else words[:MAX_EXCERPT_CHARS].rstrip() + "…"


def quoted(text: str) -> str:
    """Return a text on one line, cut where it is long."""
    words = " ".join(text.split())
    return words if len(words) <= _QUOTED else words[:_QUOTED].rstrip() + "…"
