"""Stores each page on disk as soon as it is read, so that an interrupted run can be resumed.

OUTPUT/NAME.md, NAME.json       the whole document, written after its last page
OUTPUT/NAME.pages/0001/         the files that the pipeline saved for page 1; page.json is written last, in one step
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import Message, Text, from_json, message
from paddlevl_doctor.system.files import json_bytes, load_json, new_file, open_file, read_text
from paddlevl_doctor.values.errors import DoctorError
from paddlevl_doctor.values.findings import as_dict
from paddlevl_doctor.values.pages import Block, Page, box_of

SCHEMA = "paddlevl-doctor/page/1"
_FILE_NAME = "page.json"
_REREAD, _REPLACED = ".again", ".former"
"""Suffixes of a page's folder: the folder into which it is read again, and the old folder during the replacement."""
_CHUNK_BYTES = 1 << 20
_IMAGE = re.compile(r"""(?<=["(])(imgs/[^"()\s]+)""")
"""Matches the path of a picture that the pipeline cut out of the page, in the page's Markdown."""


@dataclass(frozen=True)
class PageRead:
    """A page as an engine read it, with the data for joining pages and for the report."""

    page: Page
    markdown: Mapping[str, Any] = field(default_factory=dict)
    """markdown_texts and page_continuation_flags, in the form that the pipeline needs to join pages."""
    device: str = ""
    rung: str = "first"
    vram_mb: int | None = None
    notes: tuple[Text, ...] = ()
    blank: bool = False
    """Whether the picture of the page is blank."""
    turned: int = 0
    """Degrees counterclockwise by which the page was rotated to be read; its boxes are those of the unrotated page."""


@dataclass(frozen=True)
class PageStore:
    """The stored pages of one document. `key` identifies the document and all settings that decide its text."""

    folder: Path
    key: str
    document: str = ""
    """The name of the document's file, by which the next run finds its pages."""

    def folder_of(self, index: int) -> Path:
        """Return the folder of a page; `index` counts from 0."""
        return self.folder / f"{index + 1:04d}"

    def clear(self, index: int) -> Path:
        """Create the empty folder of a page that will be read; returns it. Raises DoctorError (a full disk)."""
        for suffix in (_REREAD, _REPLACED):
            shutil.rmtree(self.folder_of(index).with_suffix(suffix), ignore_errors=True)
        return _make_empty_folder(self.folder_of(index))

    def make_reread_folder(self, index: int) -> Path:
        """Create an empty folder to read a page again; its stored page is kept. Raises DoctorError."""
        return _make_empty_folder(self.folder_of(index).with_suffix(_REREAD))

    def drop_reread_folder(self, index: int) -> None:
        """Remove the folder of `make_reread_folder` if it exists."""
        shutil.rmtree(self.folder_of(index).with_suffix(_REREAD), ignore_errors=True)

    def replace_page(self, page: PageRead) -> None:
        """Replace a stored page by one that was read into `make_reread_folder`. Raises DoctorError."""
        index = page.page.index
        folder = self.folder_of(index)
        new, old = folder.with_suffix(_REREAD), folder.with_suffix(_REPLACED)
        self.save(page, new)
        shutil.rmtree(old, ignore_errors=True)
        with _reporting_write_errors(folder):
            folder.rename(old)
            try:
                new.rename(folder)
            finally:
                if not folder.exists():
                    old.rename(folder)
        shutil.rmtree(old, ignore_errors=True)

    def save(self, page: PageRead, folder: Path | None = None) -> None:
        """Write a page so that it is complete or absent, even after a power failure. Raises DoctorError (a full disk).

        `folder` is the folder that it was read into; the default is `folder_of` the page.
        """
        folder = folder or self.folder_of(page.page.index)
        document = {"schema": SCHEMA, "key": self.key, "document": self.document, **as_dict(page)}
        with _reporting_write_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with new_file(folder / _FILE_NAME, folder / f"{_FILE_NAME}.new") as file:
                file.write(json_bytes(json.dumps(document, ensure_ascii=False)))
                file.flush()
                os.fsync(file.fileno())

    def load(self, index: int) -> PageRead | None:
        """Return a stored page with the same key, None if there is none."""
        try:
            document = load_json(read_text(self.folder_of(index) / _FILE_NAME))
            return _page_from_json(document) if document["key"] == self.key else None
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _make_empty_folder(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    with _reporting_write_errors(folder):
        folder.mkdir(parents=True)
    return folder


def source_name_of(folder: Path) -> str | None:
    """Return the name of the document whose pages are stored in a folder, None if it is unknown."""
    page = next(folder.glob(f"*/{_FILE_NAME}"), None)
    try:
        name = None if page is None else load_json(read_text(page)).get("document")
    except (OSError, ValueError, AttributeError):
        return None
    return name if isinstance(name, str) else None


@contextmanager
def _reporting_write_errors(folder: Path) -> Iterator[None]:
    """Raise DoctorError for an OSError of the block."""
    try:
        yield
    except OSError as error:
        raise DoctorError(message("results-not-kept", path=folder, reason=error.strerror or error)) from error


def _page_from_json(document: Mapping[str, Any]) -> PageRead:
    page = document["page"]
    blocks = tuple(Block(str(b["kind"]), str(b["text"]), box_of(b["box"])) for b in page["blocks"])
    texts = document["notes"]
    pairs = zip(texts, document.get("notes_messages") or [None] * len(texts), strict=True)
    return PageRead(
        Page(int(page["index"]), int(page["width"]), int(page["height"]), blocks, float(page["seconds"])),
        dict(document["markdown"]),
        str(document["device"]),
        str(document["rung"]),
        document["vram_mb"],
        tuple(str(note) if stored is None else from_json(stored) for note, stored in pairs),
        bool(document["blank"]),
        int(document.get("turned", 0)),
    )


def with_portable_text(page: PageRead, folder: str) -> PageRead:
    """Return a page whose text can be encoded and whose Markdown links to its pictures.

    `folder` is the path of the page's folder relative to the document's Markdown file.
    """
    blocks = tuple(replace(block, text=_replace_surrogates(block.text)) for block in page.page.blocks)
    markdown = _IMAGE.sub(
        lambda match: f"{quote(folder)}/{match[1]}", str(page.markdown.get("markdown_texts"))
    )
    return replace(
        page,
        page=replace(page.page, blocks=blocks),
        markdown={**page.markdown, "markdown_texts": _replace_surrogates(markdown)}
        if page.markdown
        else page.markdown,
        notes=tuple(map(_replace_surrogates_in_note, page.notes)),
    )


def _replace_surrogates(text: str) -> str:
    """Replace each unpaired surrogate by U+FFFD: a model may stop in the middle of a character."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _replace_surrogates_in_note(note: Text) -> Text:
    if isinstance(note, str):
        return _replace_surrogates(note)
    return Message(
        note.id, {n: _replace_surrogates(v) if isinstance(v, str) else v for n, v in note.params.items()}
    )


def cache_key_of(document: Path, engine_key: str) -> str:
    """Return a hash of the engine's cache key and of the bytes of a document; raises OSError."""
    state = hashlib.sha256(engine_key.encode())
    with open_file(document) as file:
        while chunk := file.read(_CHUNK_BYTES):
            state.update(chunk)
    return state.hexdigest()
