"""What a document really says: the ground truth that a reading is compared with."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, TypeVar

from paddlevl_doctor.messages import Text, message
from paddlevl_doctor.parsing.input.documents import Input
from paddlevl_doctor.parsing.output.html_tables import rows_of
from paddlevl_doctor.values.errors import UsageError
from paddlevl_doctor.values.pages import Box, box_of

_MALFORMED = (ValueError, TypeError, LookupError, AttributeError)
_Made = TypeVar("_Made")

_FENCE = re.compile(r"^```math\n(.*?)\n```$", re.DOTALL | re.MULTILINE)
_BLANK = re.compile(r"\n\s*\n")
_TABLE = re.compile(
    r"(<table\b.*?</table>|^[ \t]*\|[^\n]*\|[ \t]*\n[ \t]*\|[ \t|:-]*-[ \t|:-]*\|[ \t]*(?:\n[ \t]*\|[^\n]*\|[ \t]*)*$)",
    re.IGNORECASE | re.MULTILINE | re.DOTALL,
)
"""A table in HTML, or lines between pipes of which the second one is a rule."""
_CELL_BORDER = re.compile(r"(?<!\\)\|")
_TABLE_RULE = re.compile(r"^(?=.*(?:\||---))[ \t|:-]*-[ \t|:-]*$\n?", re.MULTILINE)
_LINE_MARKS = re.compile(r"^[ \t]*(?:#{1,6}\s+|>\s?|[-+*]\s+)", re.MULTILINE)
_INLINE_MARKS = re.compile(r"(?<!\\)(?:\*\*|__|[*`|])|\\$", re.MULTILINE)
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")


@dataclass(frozen=True)
class TruthBlock:
    """One part of a page as it is; what is read from a table is in `rows`, from a formula in `latex`."""

    kind: str
    text: str
    box: Box | None = None
    rows: tuple[tuple[str, ...], ...] = ()
    latex: str = ""


@dataclass(frozen=True)
class TruthPage:
    """One page in reading order; the size is that of the boxes, 0 where there are none."""

    blocks: tuple[TruthBlock, ...]
    width: int = 0
    height: int = 0


@dataclass(frozen=True)
class Truth:
    """A document as it is; `name` says where that is known from."""

    name: str
    pages: tuple[TruthPage, ...]


def load_truth(path: Path) -> Truth:
    """Read a ground truth: JSON like demo.json, Markdown, or plain text; raises UsageError for anything else."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise _error("ground-truth-unreadable", path, error.strerror or error) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise _error("ground-truth-not-utf8", path, line) from error
    try:
        pages = _json_pages(json.loads(text)) if path.suffix.lower() == ".json" else (_text_page(path, text),)
    except _MALFORMED as error:
        raise _error("ground-truth-malformed", path, error) from error
    if not any(block.text.strip() or block.rows or block.latex for page in pages for block in page.blocks):
        raise _error("ground-truth-empty", path)
    return Truth(path.name, pages)


def _error(key: str, path: Path, detail: object = "") -> UsageError:
    return UsageError(message(key, path=path, detail=detail))


def _json_pages(document: dict[str, Any]) -> tuple[TruthPage, ...]:
    pages = _at("the file", lambda: list(document["pages"]))
    return tuple(_at(f"pages[{n}]", _json_page, page, f"pages[{n}]") for n, page in enumerate(pages))


def _json_page(page: dict[str, Any], place: str) -> TruthPage:
    blocks = enumerate(list(page["blocks"]))
    found = tuple(_at(f"{place}.blocks[{n}]", _json_block, block) for n, block in blocks)
    return TruthPage(found, int(page["width"]), int(page["height"]))


def _at(place: str, make: Callable[..., _Made], *values: object) -> _Made:
    """Return what is made of a part of the file; raises ValueError that names the part."""
    try:
        return make(*values)
    except _MisplacedError:
        raise
    except _MALFORMED as error:
        what = f"no {error}" if isinstance(error, KeyError) else error
        raise _MisplacedError(f"{place}: {what}") from error


class _MisplacedError(ValueError):
    """Says what is wrong in a ground truth, and where."""


def _json_block(block: dict[str, Any]) -> TruthBlock:
    """Return a block; a table that is given as HTML, as an engine writes it, has its cells taken out."""
    kind, words = str(block["kind"]), str(block["text"])
    rows = tuple(tuple(str(cell) for cell in row) for row in block.get("rows", ()))
    return TruthBlock(
        kind=kind,
        text=words,
        box=box_of(block["box"]) if "box" in block else None,
        rows=rows or (rows_of(words) if kind == "table" else ()),
        latex=str(block.get("latex", "")),
    )


def _text_page(path: Path, text: str) -> TruthPage:
    """Return text as paragraphs, the marks of Markdown taken off where the file is Markdown."""
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
    return [TruthBlock("text", part.strip()) for part in _BLANK.split(text) if part.strip()]


def _markdown_blocks(text: str) -> list[TruthBlock]:
    """Return the paragraphs of Markdown; tables, with pipes or in HTML, have their cells taken out."""
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
    """Return the words of a Markdown text: headings, lists, quotes, tables, emphasis and tags are taken off."""
    for pattern in (_TABLE_RULE, _LINE_MARKS, _INLINE_MARKS, _TAG):
        text = pattern.sub("", text)
    return html.unescape(_ESCAPED.sub(r"\1", text))


SUFFIXES = (".json", ".md", ".markdown", ".txt")
"""Of a known text in a folder of them, after the name of its document."""

_Folder = TypeVar("_Folder", bound=PurePath)


@dataclass(frozen=True)
class KnownTexts:
    """The known texts of the documents that have one; `missing` says where that of each other one was promised.

    `places` are the files that the user gave.
    """

    texts: Mapping[Path, Truth] = field(default_factory=dict)
    missing: Mapping[Path, Path | Text] = field(default_factory=dict)
    places: tuple[Path, ...] = ()

    def why_missing(self, document: Path) -> Text:
        """Return why a document fails for want of its known text, empty where none was promised."""
        place = self.missing.get(document)
        return "" if place is None else message("known-missing", place=place)


def known_texts(expect: Path | None, inputs: Sequence[Input], assets: Path, missing: Text = "") -> KnownTexts:
    """Read the known texts that `--expect` names, else that of the page that ships.

    A folder mirrors the documents': `a/1.png` has `a/1.md` or `a/1.png.md`. `missing` is where those of all documents
    were looked for in vain. Raises UsageError where a text cannot be read, where one text is given for several
    documents, and where a folder has none for any of them.
    """
    if missing:
        return KnownTexts(missing={item.path: missing for item in inputs})
    if expect is None:
        return KnownTexts(_shipped(inputs, assets))
    if not expect.is_dir():
        if len(inputs) > 1:
            raise UsageError(message("known-one-for-many", path=expect, count=len(inputs)))
        return KnownTexts({inputs[0].path: load_truth(expect)}, places=(expect,))
    places = {item.path: _place(expect, item) for item in inputs}
    texts = {path: load_truth(place) for path, place in places.items() if place is not None}
    lacking = {item.path: expect / f"{item.name}.md" for item in inputs if item.path not in texts}
    if not texts:
        place = lacking[inputs[0].path]
        raise UsageError(message("known-none", folder=expect, count=len(inputs), place=place))
    return KnownTexts(texts, lacking, tuple(place for place in places.values() if place is not None))


def candidates(folder: _Folder, document: PurePath) -> Iterator[_Folder]:
    """Yield where the known text of a document may lie, the best place first, in the folder that mirrors its own."""
    names = (f"{name}{suffix}" for name in (document.name, document.stem) for suffix in SUFFIXES)
    yield from (folder / name for name in names)


def _place(folder: Path, item: Input) -> Path | None:
    """Return the file with the known text of a document, None where there is none."""
    places = candidates(folder / Path(item.name).parent, item.path)
    return next((place for place in places if place.is_file()), None)


def _shipped(inputs: Sequence[Input], assets: Path) -> dict[Path, Truth]:
    shipped = (assets / "demo.png").read_bytes()
    same = [item.path for item in inputs if _is(item.path, shipped)]
    return {path: load_truth(assets / "demo.json") for path in same}


def _is(document: Path, data: bytes) -> bool:
    try:
        return document.stat().st_size == len(data) and document.read_bytes() == data
    except OSError:  # what cannot be opened is said when it is read
        return False
