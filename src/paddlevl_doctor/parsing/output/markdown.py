"""Converts a reading to Markdown and to a JSON document. The text is untrusted: nothing in it may become markup."""

from __future__ import annotations

import re
from typing import Any

from paddlevl_doctor import __version__
from paddlevl_doctor.parsing.output.html_tables import rows_of
from paddlevl_doctor.values.pages import Block, Reading, reading_to_dict

READING = "paddlevl-doctor/reading/1"
"""The schema of a reading's JSON document."""

# Both the kinds of the embedded reader and the labels of the native layout models.
_HEADING_MARKS = {"title": "# ", "doc_title": "# ", "heading": "## ", "paragraph_title": "## "}
_FORMULAS = ("formula", "display_formula")

# Control characters, line separators, and characters that change the direction of text (U+202E and similar).
_INVISIBLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_INLINE = re.compile(r"[\\`*_\[\]|~$]")
_LINE_START = re.compile(r"^(?:([#+=-])|(\d{1,9})([.)]))")


def as_markdown(reading: Reading) -> str:
    """Return a reading as Markdown, with blank lines between blocks and rules between pages."""
    pages = ("\n\n".join(filter(None, map(_block, page.blocks))) for page in reading.pages)
    return "\n\n---\n\n".join(filter(None, pages)) + "\n"


def as_document(reading: Reading) -> dict[str, Any]:
    """Return the JSON document of a reading: pages, blocks and boxes as they were read."""
    doctor = {"version": __version__}
    return {"schema": READING, "doctor": doctor, **reading_to_dict(reading)}


_TAG = re.compile(
    r"<(/?)(table|thead|tbody|tfoot|tr|td|th|caption|br|sub|sup|b|i|u|em|strong)\b((?:\s+[\w-]+(?:\s*=\s*(?:\"[^\"<>]*\""
    r"|'[^'<>]*'|[^\s\"'<>=`]+))?)*)\s*/?>|<(?=[A-Za-z/!?])",
    re.IGNORECASE,
)
"""A tag that a model may write, or the beginning of any other one."""
_SPAN = re.compile(r"\b((?:col|row)span)\s*=\s*[\"']?(\d{1,3})", re.IGNORECASE)
_SCRIPT_LINK = re.compile(r"(\]\(\s*<?)(?=(?:javascript|vbscript|data):)|!(?=\[[^\]]*\]\()", re.IGNORECASE)


def clean_markdown(text: str) -> str:
    """Return Markdown that a server wrote without control characters, images, scripts, and tags but those of tables."""
    shown = _TAG.sub(_clean_tag, _INVISIBLE.sub(" ", text))
    return _SCRIPT_LINK.sub(lambda found: f"{found[1]}#" if found[1] else "", shown)


def _clean_tag(found: re.Match[str]) -> str:
    if found[2] is None:
        return "&lt;"
    spans = "".join(f' {name.lower()}="{number}"' for name, number in _SPAN.findall(found[3]))
    return f"<{found[1]}{found[2].lower()}{spans}>"


def _block(block: Block) -> str:
    text = _INVISIBLE.sub(" ", block.text).strip()
    if block.kind in _FORMULAS:
        # Backticks are removed: they could end the fence, in which renderers apply no markup.
        return f"```math\n{' '.join(text.replace('`', '').split())}\n```" if text else ""
    rows = rows_of(text) if block.kind == "table" else ()
    if rows:
        columns = max(map(len, rows))
        lines = [[escape(cell) for cell in row] + [""] * (columns - len(row)) for row in rows]
        lines.insert(1, ["---"] * columns)
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)
    if block.kind in _HEADING_MARKS and text:
        return _HEADING_MARKS[block.kind] + escape(" ".join(text.split()))
    return "\\\n".join(
        " | ".join(escape(cell.strip()) for cell in line.split("\t"))
        for line in text.splitlines()
        if line.strip()
    )


def escape(text: str) -> str:
    """Return one line of text with Markdown and HTML escaped, so that it is shown as it is."""
    for char, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = _INLINE.sub(r"\\\g<0>", text) if char == "&" else text
        text = text.replace(char, entity)
    return _LINE_START.sub(lambda match: f"\\{match[1]}" if match[1] else f"{match[2]}\\{match[3]}", text)
