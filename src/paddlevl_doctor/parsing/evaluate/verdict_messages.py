"""How the reasons of a verdict name and quote a part of a document."""

from __future__ import annotations

from paddlevl_doctor.messages import Message, message

MAX_EXCERPT_CHARS = 24
"""Length of the excerpt that names a part."""
MAX_QUOTED_CHARS = 80
"""Length of a quotation of a text that has no other name."""

KINDS = ("title", "heading", "text", "caption", "table", "formula", "figure", "table-structure")
"""The kinds of parts that have a name (message part-kind-KIND)."""


def kind_name(kind: str) -> Message:
    """Return the name of a kind of part; an unknown kind is called text."""
    return message(f"part-kind-{kind if kind in KINDS else 'text'}")


def excerpt(text: str, max_chars: int = MAX_EXCERPT_CHARS) -> str:
    """Return the beginning of a text on one line, with an ellipsis where it was cut."""
    line = " ".join(text.split())
    return line if len(line) <= max_chars else line[:max_chars].rstrip() + "…"


def quoted(text: str) -> str:
    """Return a text on one line, cut to MAX_QUOTED_CHARS."""
    return excerpt(text, MAX_QUOTED_CHARS)
