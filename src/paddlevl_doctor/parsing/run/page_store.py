"""Keeps every page that was read on disk before the next one begins, and finds it again after anything.

OUTPUT/NAME.md, NAME.json       the whole document, written when its last page is there
OUTPUT/NAME.pages/0001/         what the pipeline saved of page 1; its page.json is written last and in one step
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from paddlevl_doctor.messages import Message, Text, from_json, message
from paddlevl_doctor.values.errors import DoctorError
from paddlevl_doctor.values.findings import as_dict
from paddlevl_doctor.values.pages import Block, Page, box_of

SCHEMA = "paddlevl-doctor/page/1"
_FILE_NAME = "page.json"
_ANOTHER, _FORMER = ".again", ".former"
"""What is added to the name of a page's folder while it is read again, and while what came of that takes its place."""
_CHUNK_BYTES = 1 << 20
_IMAGE = re.compile(r"""(?<=["(])(imgs/[^"()\s]+)""")
"""Where a page's Markdown names a picture that the pipeline cut out of it."""


@dataclass(frozen=True)
class PageRead:
    """One page as an engine read it, with what is needed to join pages and to tell how it was read."""

    page: Page
    markdown: Mapping[str, Any] = field(default_factory=dict)
    """markdown_texts and page_continuation_flags, as the pipeline wants them back for joining."""
    device: str = ""
    rung: str = "first"
    vram_mb: int | None = None
    notes: tuple[Text, ...] = ()
    blank: bool = False
    """Nothing is on the page, as its picture says."""
    turned: int = 0
    """Degrees against the clock by which the page was turned to be read; its boxes are those of the page as it lies."""


@dataclass(frozen=True)
class PageStore:
    """The folder of one document. `key` says what the pages must have been read from, and with what."""

    folder: Path
    key: str
    document: str = ""
    """The name of its file, by which the next run knows whose pages these are."""

    def folder_of(self, index: int) -> Path:
        """Return the folder of a page; `index` counts from 0."""
        return self.folder / f"{index + 1:04d}"

    def clear(self, index: int) -> Path:
        """Make the empty folder of a page that is to be read; returns it. Raises DoctorError (a full disk)."""
        for name in (_ANOTHER, _FORMER):
            shutil.rmtree(self._folder_with_suffix(index, name), ignore_errors=True)
        return _make_empty_folder(self.folder_of(index))

    def make_reread_folder(self, index: int) -> Path:
        """Make an empty folder for a page that is to be read again; what is there stays. Raises DoctorError."""
        return _make_empty_folder(self._folder_with_suffix(index, _ANOTHER))

    def drop_reread_folder(self, index: int) -> None:
        """Remove that folder where it is still there."""
        shutil.rmtree(self._folder_with_suffix(index, _ANOTHER), ignore_errors=True)

    def replace_page(self, found: PageRead) -> None:
        """Put a page that was read into `another` folder in the place of the one before. Raises DoctorError."""
        index = found.page.index
        place, new, old = (
            self.folder_of(index),
            self._folder_with_suffix(index, _ANOTHER),
            self._folder_with_suffix(index, _FORMER),
        )
        self.save(found, new)
        shutil.rmtree(old, ignore_errors=True)
        with _reporting_write_errors(place):
            place.rename(old)
            try:
                new.rename(place)
            finally:
                if not place.exists():
                    old.rename(place)
        shutil.rmtree(old, ignore_errors=True)

    def _folder_with_suffix(self, index: int, name: str) -> Path:
        return self.folder_of(index).with_suffix(name)

    def save(self, found: PageRead, place: Path | None = None) -> None:
        """Write a page down so that it is whole or absent, also after a power cut. Raises DoctorError (a full disk).

        `place` is where it was read to, unless that is the page's own folder.
        """
        place = place or self.folder_of(found.page.index)
        new = place / f"{_FILE_NAME}.new"
        document = {"schema": SCHEMA, "key": self.key, "document": self.document, **as_dict(found)}
        with _reporting_write_errors(place):
            place.mkdir(parents=True, exist_ok=True)
            with new.open("w", encoding="utf-8") as file:
                json.dump(document, file, ensure_ascii=False)
                file.flush()
                os.fsync(file.fileno())
            new.replace(place / _FILE_NAME)

    def load(self, index: int) -> PageRead | None:
        """Return a page that was read before from the same document in the same way, None where there is none."""
        try:
            document = json.loads((self.folder_of(index) / _FILE_NAME).read_text(encoding="utf-8"))
            return _page_from_json(document) if document["key"] == self.key else None
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _make_empty_folder(place: Path) -> Path:
    shutil.rmtree(place, ignore_errors=True)
    with _reporting_write_errors(place):
        place.mkdir(parents=True)
    return place


def source_name_of(folder: Path) -> str | None:
    """Return the name of the file whose pages are kept in a folder, None where nothing says it."""
    page = next(folder.glob(f"*/{_FILE_NAME}"), None)
    try:
        found = None if page is None else json.loads(page.read_text(encoding="utf-8")).get("document")
    except (OSError, ValueError, AttributeError):
        return None
    return found if isinstance(found, str) else None


@contextmanager
def _reporting_write_errors(place: Path) -> Iterator[None]:
    """Turn what the file system refuses into a sentence that says how to go on."""
    try:
        yield
    except OSError as error:
        raise DoctorError(message("results-not-kept", path=place, reason=error.strerror or error)) from error


def _page_from_json(document: Mapping[str, Any]) -> PageRead:
    page = document["page"]
    blocks = tuple(Block(str(b["kind"]), str(b["text"]), box_of(b["box"])) for b in page["blocks"])
    return PageRead(
        Page(int(page["index"]), int(page["width"]), int(page["height"]), blocks, float(page["seconds"])),
        dict(document["markdown"]),
        str(document["device"]),
        str(document["rung"]),
        document["vram_mb"],
        _notes_from_json(document["notes"], document.get("notes_messages")),
        bool(document["blank"]),
        int(document.get("turned", 0)),
    )


def with_portable_text(page: PageRead, folder: str) -> PageRead:
    """Return a page as it can be written down; `folder` is the page's, seen from beside the document.

    Its Markdown names its pictures from there, and half characters, which no file can hold, are marked as such.
    """
    blocks = tuple(replace(block, text=_replace_surrogates(block.text)) for block in page.page.blocks)
    words = _IMAGE.sub(lambda match: f"{quote(folder)}/{match[1]}", str(page.markdown.get("markdown_texts")))
    return replace(
        page,
        page=replace(page.page, blocks=blocks),
        markdown={**page.markdown, "markdown_texts": _replace_surrogates(words)}
        if page.markdown
        else page.markdown,
        notes=tuple(map(_replace_surrogates_in_note, page.notes)),
    )


def _replace_surrogates(words: str) -> str:
    """Return a text with U+FFFD for every half of a surrogate pair: a model may stop in the middle of a character."""
    return words.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _replace_surrogates_in_note(note: Text) -> Text:
    if isinstance(note, str):
        return _replace_surrogates(note)
    return Message(
        note.id, {n: _replace_surrogates(v) if isinstance(v, str) else v for n, v in note.params.items()}
    )


def _notes_from_json(texts: Sequence[Any], messages: Sequence[Any] | None) -> tuple[Text, ...]:
    """Return stored notes as messages, and as texts where they are none."""
    pairs = zip(texts, messages or [None] * len(texts), strict=True)
    return tuple(str(words) if stored is None else from_json(stored) for words, stored in pairs)


def cache_key_of(document: Path, reads_with: str) -> str:
    """Return what tells one document from any other, and from itself read with anything else; raises OSError."""
    state = hashlib.sha256(reads_with.encode())
    with document.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            state.update(chunk)
    return state.hexdigest()
