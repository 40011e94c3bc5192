"""A reading as Markdown and as a JSON document. What was read is hostile: nothing in it may become markup."""

from __future__ import annotations

import re
from typing import Any

from paddlevl_doctor import __version__
from paddlevl_doctor.parsing.output.html_tables import rows_of
from paddlevl_doctor.values.pages import Block, Reading, reading_to_dict

READING = "paddlevl-doctor/reading/1"
"""The schema of a reading's JSON document."""

# Labels of the native layout models stand beside the doctor's own kinds.
_LEVELS = {"title": "# ", "doc_title": "# ", "heading": "## ", "paragraph_title": "## "}
_FORMULAS = ("formula", "display_formula")

# Control characters, line separators, and the marks that make text run the other way (U+202E and its kin).
_INVISIBLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_INLINE = re.compile(r"[\\`*_\[\]|~$]")
_LINE_START = re.compile(r"^(?:([#+=-])|(\d{1,9})([.)]))")


def as_markdown(reading: Reading) -> str:
    """Return a reading as Markdown: titles by their kind, paragraphs between blank lines, pages between rules."""
    pages = ("\n\n".join(filter(None, map(_block, page.blocks))) for page in reading.pages)
    return "\n\n---\n\n".join(filter(None, pages)) + "\n"


def as_document(reading: Reading) -> dict[str, Any]:
    """Return the JSON document that lies beside the Markdown: pages, blocks and boxes as they were read."""
    doctor = {"version": __version__}
    return {"schema": READING, "doctor": doctor, **reading_to_dict(reading)}


def _block(block: Block) -> str:
    text = _INVISIBLE.sub(" ", block.text).strip()
    if block.kind in _FORMULAS:
        return _formula(text) if text else ""
    rows = rows_of(text) if block.kind == "table" else ()
    if rows:
        return _table(rows)
    if block.kind in _LEVELS and text:
        return _LEVELS[block.kind] + escape(" ".join(text.split()))
    return "\\\n".join(
        " | ".join(escape(cell.strip()) for cell in line.split("\t"))
        for line in text.splitlines()
        if line.strip()
    )


def _table(rows: tuple[tuple[str, ...], ...]) -> str:
    columns = max(map(len, rows))
    lines = [[escape(cell) for cell in row] + [""] * (columns - len(row)) for row in rows]
    lines.insert(1, ["---"] * columns)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _formula(latex: str) -> str:
    """Return a formula in a fence, in which no renderer looks for markup; a backtick could end the fence."""
    return f"```math\n{' '.join(latex.replace('`', '').split())}\n```"


def escape(text: str) -> str:
    """Return one line of text so that Markdown shows it as it is, and HTML in it as text."""
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = _INLINE.sub(r"\\\g<0>", text) if sign == "&" else text
        text = text.replace(sign, entity)
    return _LINE_START.sub(lambda match: f"\\{match[1]}" if match[1] else f"{match[2]}\\{match[3]}", text)
