"""Which documents were named, and what their results are called."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TypeVar

from paddlevl_doctor.messages import Message, Text, message
from paddlevl_doctor.parsing.input.image_headers import HEAD_BYTES, Size, format_of, png_damage, size_of
from paddlevl_doctor.parsing.run.page_store import document_of
from paddlevl_doctor.values.errors import UsageError

MAX_PIXELS = 500_000_000
"""Above this an image is refused: 500 million pixels are 1.5 GB once decoded in colour."""
SCALED_ABOVE = 64_000_000
"""Above this a page is scaled down before it is read, and the answer says so."""

_NO_FILE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)
"""There is no such file, or can be none."""

SUFFIXES = {
    "png": (".png", ".apng"),
    "jpeg": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "gif": (".gif",),
    "bmp": (".bmp", ".dib"),
    "tiff": (".tif", ".tiff"),
    "webp": (".webp",),
    "pdf": (".pdf",),
}
"""By format, the suffixes that its files have."""


@dataclass(frozen=True)
class InputKind:
    """What a document is by its content; the size in pixels is None for a PDF and where only decoding would tell."""

    format: str
    """png, jpeg, gif, bmp, tiff, webp or pdf."""
    width: int | None = None
    height: int | None = None
    notes: tuple[Text, ...] = ()
    """Sentences for the user that do not stop anything."""


def check_input(path: Path) -> InputKind:
    """Return what the document at `path` is; raises UsageError with one sentence for what cannot be read."""
    try:
        _check_is_file(path)
        with path.open("rb") as file:
            length = os.fstat(file.fileno()).st_size
            head = file.read(HEAD_BYTES * 16)
            image_format = format_of(head)
            if image_format is None:
                raise UsageError(_no_document(path, head))
            damage = png_damage(file, length) if image_format == "png" else None
            size = size_of(file, image_format)
    except OSError as error:
        raise refusal(path, error) from error
    if damage is not None:
        raise UsageError(message("document-truncated", path=path, chunk=damage[0], bytes=damage[1]))
    return _accept(path, image_format, size)


def refusal(path: Path, error: OSError) -> UsageError:
    """Return what to say of a document that the system does not open."""
    message_id = "document-missing" if error.errno in _NO_FILE else "document-forbidden"
    return UsageError(message(message_id, path=path, detail=error.strerror or error))


def _check_is_file(path: Path) -> None:
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        os.scandir(path).close()  # a folder comes here only where this is forbidden
    if not stat.S_ISREG(mode):
        raise UsageError(message("document-not-a-file", path=path))


def _no_document(path: Path, head: bytes) -> Message:
    if not head:
        return message("document-empty", path=path)
    return message("document-not-an-image", path=path, head=repr(head[:16])[1:])


def _accept(path: Path, image_format: str, size: Size | None) -> InputKind:
    """Return the kind of a document whose content is fine, unless its size forbids to read it."""
    notes = []
    if path.suffix.lower() not in SUFFIXES[image_format]:
        notes.append(message("document-suffix", name=path.name, format=image_format.upper()))
    if size is None and image_format in ("pdf", "tiff"):
        return InputKind(image_format, notes=tuple(notes))
    if size is None or min(size) < 1:
        raise UsageError(message("document-no-size", path=path, format=image_format.upper()))
    values = {"width": size[0], "height": size[1], "limit": MAX_PIXELS // 1_000_000}
    if size[0] * size[1] > MAX_PIXELS:
        raise UsageError(message("document-too-large", path=path, **values))
    return InputKind(image_format, *size, tuple(notes))


def check_output_folder(path: Path) -> None:
    """Create the folder for the results and try it; raises UsageError where nothing can be written there."""
    try:
        culprit = next((p for p in (path, *path.parents) if p.exists() and not p.is_dir()), None)
        if culprit is not None:
            raise UsageError(message("output-not-folder", path=path, culprit=culprit))
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(
            dir=path
        ):  # a real file: permission bits say too little about network drives
            pass
    except OSError as error:
        raise UsageError(message("output-forbidden", path=path, detail=error.strerror or error)) from error


PAGES = ".pages"
"""Suffix of the folder with what was read of each page."""
PAGE = re.compile(r"(\d{4,})(\.(?:lying|again|former))?")
"""What the folder of a page is called in it, and what lies beside it while the page is read again."""
DRAWN = (".layout.pdf", ".order.pdf")
"""Suffixes of the pictures of all pages."""
_KNOWN = frozenset(suffix for suffixes in SUFFIXES.values() for suffix in suffixes)
_LONGEST = 200
"""Bytes of a result's name: file systems take 255, and suffixes are added."""
_FIRST, _LAST = 2, 100_000

Listed = TypeVar("Listed", bound=PurePath)


def documents_among(files: Iterable[Listed]) -> list[Listed]:
    """Return the documents among all files of a folder, given relative to it.

    Those are the ones with the suffix of a document, but for hidden ones and for the results of an earlier run, which
    are known by the folder of pages that lies beside them; of a page that was never read it has the picture only.
    """
    listed = list(files)
    kept = {folder for path in listed for folder in _pages_around(path)}
    drawn = {
        folder.with_name(folder.name.removesuffix(PAGES) + suffix) for folder in kept for suffix in DRAWN
    }
    return [
        path
        for path in listed
        if path.suffix.lower() in _KNOWN
        and not any(part.startswith(".") for part in path.parts)
        and path not in drawn
        and kept.isdisjoint(path.parents)
    ]


def _pages_around(path: PurePath) -> Iterator[PurePath]:
    """Yield the folder of pages that a file lies in."""
    for page in path.parents:
        if page.parent.suffix == PAGES and PAGE.fullmatch(page.name):
            yield page.parent


def free_name(name: str, folder: PurePath, taken: set[str], *others: str) -> str:
    """Return a document's name below a folder that no other one has, and note it in `taken`.

    `others` are what it may be called besides. File systems may think that upper and lower case are the same.
    """
    choices = (name, *others, *(f"{(others or (name,))[-1]}-{n}" for n in range(_FIRST, _LAST)))
    names = ((folder / _short(choice)).as_posix() for choice in choices)
    found = next(name for name in names if name.casefold() not in taken)
    taken.add(found.casefold())
    return found


@dataclass(frozen=True)
class Input:
    """One document, and the name of its results relative to the output folder, without a suffix."""

    path: Path
    name: str


def expand(named: Sequence[Path], *outputs: Path) -> tuple[Input, ...]:
    """Return the documents in files and folders, each once, in the order named; folders are walked in order of name.

    In a folder only files with the suffix of a document count, and nothing below `outputs`, which may lie in it. A
    document whose results are in one of them keeps their name. Raises UsageError for a folder without any.
    """
    results = {output.resolve() for output in outputs}
    found: dict[Path, Path] = {}
    for path in named:
        if os.path.isdir(path):  # noqa: PTH112 - a name that no file can have raises in pathlib
            inside = {file: file.relative_to(path).parent for file in _walk(path, results)}
            if not inside:
                raise UsageError(message("folder-empty", path=path))
            found = {**inside, **found}
        else:
            found.setdefault(path, Path())
    ordered = sorted(found, key=lambda path: _rank(path, named))
    return tuple(_named([(path, found[path]) for path in ordered], outputs))


def _rank(path: Path, named: Sequence[Path]) -> tuple[int, str]:
    place = next(i for i, one in enumerate(named) if path == one or path.is_relative_to(one))
    return place, str(path)


def _walk(folder: Path, outputs: Collection[Path]) -> Iterator[Path]:
    """Yield the documents below a folder: nothing in hidden ones, in links to folders, and in those of results.

    A folder that nobody may look into is yielded itself: it is to be reported like a document that cannot be opened.
    """
    files: list[Path] = []
    closed: list[Path] = []
    for here, folders, names in os.walk(folder, onerror=lambda error: closed.append(Path(error.filename))):
        folders[:] = [f for f in folders if f[0] != "." and Path(here, f).resolve() not in outputs]
        files += (Path(here, name).relative_to(folder) for name in names)
    yield from (folder / path for path in documents_among(files))
    yield from closed


def _named(found: Sequence[tuple[Path, Path]], outputs: Sequence[Path]) -> Iterator[Input]:
    """Give every document a name that no other has, whatever has come beside it since it was read."""
    taken: set[str] = set()
    own = {path: _own_name(path, folder, outputs, taken) for path, folder in found}
    for path, folder in found:
        yield Input(path, str(Path(own[path] or free_name(path.stem, folder, taken, path.name))))


def _own_name(path: Path, folder: Path, outputs: Sequence[Path], taken: set[str]) -> str:
    """Return the name of a document's results of an earlier run, empty where there are none; note it in `taken`."""
    for name in ((folder / _short(choice)).as_posix() for choice in (path.stem, path.name)):
        kept = (document_of(output / f"{name}{PAGES}") for output in outputs)
        if name.casefold() not in taken and path.name in kept:
            taken.add(name.casefold())
            return name
    return ""


def _short(name: str) -> str:
    data = os.fsencode(name)
    if len(data) <= _LONGEST:
        return name
    return data[:_LONGEST].decode("utf-8", errors="ignore") + "-" + hashlib.sha256(data).hexdigest()[:8]
