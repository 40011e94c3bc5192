"""Reads ground truths: JSON, Markdown or plain text with the correct text of a document."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from pathlib import Path, PurePath
from typing import Any, TypeVar

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import Text, message
from paddlevl_doctor.parsing.input.documents import Input
from paddlevl_doctor.parsing.output.html_tables import rows_of
from paddlevl_doctor.system.files import load_json, read_text
from paddlevl_doctor.values.errors import UsageError
from paddlevl_doctor.values.pages import Box, box_of

_MALFORMED = (ValueError, TypeError, LookupError, AttributeError)
_Parsed = TypeVar("_Parsed")

_FENCE = re.compile(r"^```math\n(.*?)\n```$", re.DOTALL | re.MULTILINE)
_BLANK_LINES = re.compile(r"\n\s*\n")
_TABLE = re.compile(
    r"(<table\b.*?</table>|^[ \t]*\|[^\n]*\|[ \t]*\n[ \t]*\|[ \t|:-]*-[ \t|:-]*\|[ \t]*(?:\n[ \t]*\|[^\n]*\|[ \t]*)*$)",
    re.IGNORECASE | re.MULTILINE | re.DOTALL,
)
"""A table in HTML, or lines between pipes whose second line is a rule."""
_CELL_BORDER = re.compile(r"(?<!\\)\|")
_TABLE_RULE = re.compile(r"^(?=.*(?:\||---))[ \t|:-]*-[ \t|:-]*$\n?", re.MULTILINE)
_LINE_MARKS = re.compile(r"^[ \t]*(?:#{1,6}\s+|>\s?|[-+*]\s+)", re.MULTILINE)
_INLINE_MARKS = re.compile(r"(?<!\\)(?:\*\*|__|[*`|])|\\$", re.MULTILINE)
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")


@dataclass(frozen=True)
class TruthBlock:
    """One part of a page; the cells of a table are in `rows`, a formula is in `latex`."""

    kind: str
    text: str
    box: Box | None = None
    rows: tuple[tuple[str, ...], ...] = ()
    latex: str = ""


@dataclass(frozen=True)
class TruthPage:
    """One page, its blocks in reading order; the size is in the unit of the boxes, 0 if there are no boxes."""

    blocks: tuple[TruthBlock, ...]
    width: int = 0
    height: int = 0


@dataclass(frozen=True)
class Truth:
    """The ground truth of a document; `name` is its file name."""

    name: str
    pages: tuple[TruthPage, ...]


def load_truth(path: Path) -> Truth:
    """Read a ground truth: JSON like demo.json, Markdown, or plain text. Raises UsageError if it is unusable."""
    try:
        text = read_text(path, "utf-8-sig")
    except OSError as error:
        raise _error("ground-truth-unreadable", path, error.strerror or error) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise _error("ground-truth-not-utf8", path, line) from error
    try:
        pages = _json_pages(load_json(text)) if path.suffix.lower() == ".json" else (_text_page(path, text),)
    except _MALFORMED as error:
        raise _error("ground-truth-malformed", path, error) from error
    if not any(block.text.strip() or block.rows or block.latex for page in pages for block in page.blocks):
        raise _error("ground-truth-empty", path)
    return Truth(path.name, pages)


def _error(key: str, path: Path, detail: object = "") -> UsageError:
    return UsageError(message(key, path=path, detail=detail))


def _json_pages(document: dict[str, Any]) -> tuple[TruthPage, ...]:
    pages = _parse_at("the file", lambda: list(document["pages"]))
    return tuple(_parse_at(f"pages[{n}]", _json_page, page, f"pages[{n}]") for n, page in enumerate(pages))


def _json_page(page: dict[str, Any], place: str) -> TruthPage:
    blocks = enumerate(list(page["blocks"]))
    found = tuple(_parse_at(f"{place}.blocks[{n}]", _json_block, block) for n, block in blocks)
    return TruthPage(found, int(page["width"]), int(page["height"]))


def _parse_at(place: str, parse: Callable[..., _Parsed], *values: object) -> _Parsed:
    """Return the parsed part of a file; raises ValueError with the place of the part."""
    try:
        return parse(*values)
    except _MisplacedError:
        raise
    except _MALFORMED as error:
        reason = f"no {error}" if isinstance(error, KeyError) else error
        raise _MisplacedError(f"{place}: {reason}") from error


class _MisplacedError(ValueError):
    """An error in a ground truth whose message begins with its place."""


def _json_block(block: dict[str, Any]) -> TruthBlock:
    """Return a block; a table in HTML, as engines write it, becomes rows."""
    kind, text = str(block["kind"]), str(block["text"])
    rows = tuple(tuple(str(cell) for cell in row) for row in block.get("rows", ()))
    return TruthBlock(
        kind=kind,
        text=text,
        box=box_of(block["box"]) if "box" in block else None,
        rows=rows or (rows_of(text) if kind == "table" else ()),
        latex=str(block.get("latex", "")),
    )


def _text_page(path: Path, text: str) -> TruthPage:
    """Return a page of the paragraphs of a text; Markdown also yields tables and formulas, without its markup."""
    is_markdown = path.suffix.lower() in (".md", ".markdown")
    pieces = _FENCE.split(text) if is_markdown else [text]
    blocks = []
    for number, piece in enumerate(pieces):
        if number % 2:
            blocks.append(TruthBlock("formula", "", latex=piece))
            continue
        blocks += _markdown_blocks(piece) if is_markdown else _paragraphs(piece)
    return TruthPage(tuple(blocks))


def _paragraphs(text: str) -> list[TruthBlock]:
    return [TruthBlock("text", part.strip()) for part in _BLANK_LINES.split(text) if part.strip()]


def _markdown_blocks(text: str) -> list[TruthBlock]:
    """Return the paragraphs and tables of Markdown; tables may have pipes or be in HTML."""
    blocks: list[TruthBlock] = []
    for number, piece in enumerate(_TABLE.split(text)):
        rows = _table_rows(piece) if number % 2 else ()
        blocks += [TruthBlock("table", "", rows=rows)] if rows else _paragraphs(without_markdown(piece))
    return blocks


def _table_rows(table: str) -> tuple[tuple[str, ...], ...]:
    if table.lstrip().startswith("<"):
        return rows_of(table)
    lines = [line.strip().strip("|") for n, line in enumerate(table.strip().splitlines()) if n != 1]
    return tuple(tuple(without_markdown(cell).strip() for cell in _CELL_BORDER.split(line)) for line in lines)


def without_markdown(text: str) -> str:
    """Return a Markdown text without the marks of headings, lists, quotes, tables and emphasis, and without tags."""
    for pattern in (_TABLE_RULE, _LINE_MARKS, _INLINE_MARKS, _TAG):
        text = pattern.sub("", text)
    return html.unescape(_ESCAPED.sub(r"\1", text))


SUFFIXES = (".json", ".md", ".markdown", ".txt")
"""Suffixes of ground truths in a folder, after the name of the document."""

_Folder = TypeVar("_Folder", bound=PurePath)


@dataclass(frozen=True)
class GroundTruths:
    """The ground truths of the documents of a run."""

    truths: Mapping[Path, Truth] = field(default_factory=dict)
    missing: Mapping[Path, Path | Text] = field(default_factory=dict)
    """For each document whose ground truth does not exist, where it was expected."""
    files: tuple[Path, ...] = ()
    """The files that the user gave."""

    def why_missing(self, document: Path) -> Text:
        """Return why a document fails without its ground truth, empty if none was expected."""
        place = self.missing.get(document)
        return "" if place is None else message("known-missing", place=place)


def find_ground_truths(
    expect: Path | None, inputs: Sequence[Input], assets: Path, missing: Text = ""
) -> GroundTruths:
    """Read the ground truths that `--expect` names, else that of the included demo page.

    In a folder the ground truth of `a/1.png` is `a/1.md` or `a/1.png.md`. If `missing` is set, it is where the ground
    truths of all documents were searched for and not found. Raises UsageError if a ground truth cannot be read, if one
    is given for several documents, and if a folder has none for any document.
    """
    if missing:
        return GroundTruths(missing={item.path: missing for item in inputs})
    if expect is None:
        demo = (assets / "demo.png").read_bytes()
        known = (item.path for item in inputs if _has_content(item.path, demo))
        return GroundTruths({path: load_truth(assets / "demo.json") for path in known})
    if not expect.is_dir():
        if len(inputs) > 1:
            raise UsageError(message("known-one-for-many", path=expect, count=len(inputs)))
        return GroundTruths({inputs[0].path: load_truth(expect)}, files=(expect,))
    files = {item.path: _truth_file(expect, item) for item in inputs}
    truths = {path: load_truth(file) for path, file in files.items() if file is not None}
    missing_files = {item.path: expect / f"{item.name}.md" for item in inputs if item.path not in truths}
    if not truths:
        place = missing_files[inputs[0].path]
        raise UsageError(message("known-none", folder=expect, count=len(inputs), place=place))
    return GroundTruths(truths, missing_files, tuple(filter(None, files.values())))


def candidate_files(folder: _Folder, document: PurePath) -> Iterator[_Folder]:
    """Yield the possible ground truths of a document in the folder that mirrors its own, in order of preference."""
    names = (f"{name}{suffix}" for name in (document.name, document.stem) for suffix in SUFFIXES)
    yield from (folder / name for name in names)


def _truth_file(folder: Path, item: Input) -> Path | None:
    """Return the ground truth of a document, None if there is none."""
    files = candidate_files(folder / Path(item.name).parent, item.path)
    return next((file for file in files if file.is_file()), None)


def _has_content(document: Path, data: bytes) -> bool:
    try:
        return document.stat().st_size == len(data) and document.read_bytes() == data
    except OSError:  # reported when the document is read
        return False
