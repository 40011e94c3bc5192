"""Finds and checks the input documents, and assigns a unique result name to each."""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import re
import stat
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path, PurePath
from typing import TypeVar

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import Text, message
from paddlevl_doctor.parsing.input.image_headers import HEAD_BYTES, Size, format_of, png_damage, size_of
from paddlevl_doctor.parsing.run.page_store import source_name_of
from paddlevl_doctor.values.errors import UsageError

MAX_PIXELS = 500_000_000
"""The largest image that is accepted, in pixels: decoded in colour, it takes 1.5 GB."""
SCALED_ABOVE = 64_000_000
"""Pages with more pixels are scaled down before they are read; a note says so."""

_NO_FILE_ERRORS = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)
"""The file does not exist, or its path is not valid."""

SUFFIXES = {
    "png": (".png", ".apng"),
    "jpeg": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "gif": (".gif",),
    "bmp": (".bmp", ".dib"),
    "tiff": (".tif", ".tiff"),
    "webp": (".webp",),
    "pdf": (".pdf",),
}
"""The suffixes of each format."""


@dataclass(frozen=True)
class InputKind:
    """The format of a document and its size in pixels; the size is None for a PDF and for a BigTIFF."""

    format: str
    """png, jpeg, gif, bmp, tiff, webp or pdf."""
    width: int | None = None
    height: int | None = None
    notes: tuple[Text, ...] = ()
    """Notes for the user, such as a wrong suffix."""


def check_input(path: Path) -> InputKind:
    """Return the kind of the document at `path`; raises UsageError if it cannot be read."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            # This raises PermissionError: `find_documents` keeps only folders that cannot be listed.
            os.scandir(path).close()
        if not stat.S_ISREG(mode):
            raise UsageError(message("document-not-a-file", path=path))
        with path.open("rb") as file:
            length = os.fstat(file.fileno()).st_size
            head = file.read(HEAD_BYTES * 16)
            image_format = format_of(head)
            if image_format is None:
                unknown = message("document-not-an-image", path=path, head=repr(head[:16])[1:])
                raise UsageError(unknown if head else message("document-empty", path=path))
            damage = png_damage(file, length) if image_format == "png" else None
            size = size_of(file, image_format)
    except OSError as error:
        raise unopenable_error(path, error) from error
    if damage is not None:
        raise UsageError(message("document-truncated", path=path, chunk=damage[0], bytes=damage[1]))
    return _input_kind(path, image_format, size)


def unopenable_error(path: Path, error: OSError) -> UsageError:
    """Return the error for a document that the operating system does not open."""
    message_id = "document-missing" if error.errno in _NO_FILE_ERRORS else "document-forbidden"
    return UsageError(message(message_id, path=path, detail=error.strerror or error))


def _input_kind(path: Path, image_format: str, size: Size | None) -> InputKind:
    """Return the kind of a document; raises UsageError if its size is unknown or too large."""
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
    """Create the folder for the results; raises UsageError if no file can be written there."""
    try:
        blocking_file = next((p for p in (path, *path.parents) if p.exists() and not p.is_dir()), None)
        if blocking_file is not None:
            raise UsageError(message("output-not-folder", path=path, culprit=blocking_file))
        path.mkdir(parents=True, exist_ok=True)
        # Write a real file: on network drives the permission bits are not reliable.
        tempfile.TemporaryFile(dir=path).close()
    except OSError as error:
        raise UsageError(message("output-forbidden", path=path, detail=error.strerror or error)) from error


PAGES_SUFFIX = ".pages"
"""Suffix of the folder that holds one folder for each page of a document."""
PAGE_FOLDER_NAME = re.compile(r"(\d{4,})(\.(?:lying|again|former))?")
"""Matches the folder of a page, and the folders beside it that exist while the page is read again."""
PAGE_PDF_SUFFIXES = (".layout.pdf", ".order.pdf")
"""Suffixes of the PDFs that show all pages with their layout and their reading order."""
_DOCUMENT_SUFFIXES = frozenset(suffix for suffixes in SUFFIXES.values() for suffix in suffixes)
_MAX_NAME_BYTES = 200
"""Limit of a result's name without suffixes; file systems allow 255."""

PathT = TypeVar("PathT", bound=PurePath)


def select_documents(files: Iterable[PathT]) -> list[PathT]:
    """Return the documents among all files of a folder; the paths are relative to the folder.

    A document has one of SUFFIXES, is not hidden and is not a result of an earlier run. Results are recognized by the
    folder of pages beside them.
    """
    listed = list(files)
    pages_folders = {folder for path in listed for folder in _pages_folders(path)}
    page_pdfs = {
        folder.with_name(folder.name.removesuffix(PAGES_SUFFIX) + suffix)
        for folder in pages_folders
        for suffix in PAGE_PDF_SUFFIXES
    }
    return [
        path
        for path in listed
        if path.suffix.lower() in _DOCUMENT_SUFFIXES
        and not any(part.startswith(".") for part in path.parts)
        and path not in page_pdfs
        and pages_folders.isdisjoint(path.parents)
    ]


def _pages_folders(path: PurePath) -> Iterator[PurePath]:
    """Yield each folder of pages that contains a file."""
    for page in path.parents:
        if page.parent.suffix == PAGES_SUFFIX and PAGE_FOLDER_NAME.fullmatch(page.name):
            yield page.parent


def unique_result_name(name: str, folder: PurePath, taken: set[str], *alternatives: str) -> str:
    """Return a result name below `folder` that is not in `taken`, and add it there.

    The first choice is `name`, then each of `alternatives`, then the last of them with a number. Names are compared
    without case, because file systems may ignore it.
    """
    numbered = (f"{(name, *alternatives)[-1]}-{number}" for number in itertools.count(2))
    candidates = ((folder / _shorten(n)).as_posix() for n in itertools.chain((name, *alternatives), numbered))
    unique = next(candidate for candidate in candidates if candidate.casefold() not in taken)
    taken.add(unique.casefold())
    return unique


@dataclass(frozen=True)
class Input:
    """A document, and the name of its results: relative to the output folder, without a suffix."""

    path: Path
    name: str


def find_documents(requested: Sequence[Path], *outputs: Path) -> tuple[Input, ...]:
    """Return the documents in the `requested` files and folders, each once, in the requested order.

    The documents of a folder are sorted by path and exclude files below `outputs`. A document that has results in
    one of `outputs` keeps their name. Raises UsageError for a folder without documents.
    """
    output_folders = {output.resolve() for output in outputs}
    parents: dict[Path, Path] = {}
    """The parent of each document, relative to the requested folder."""
    for path in requested:
        if os.path.isdir(path):  # noqa: PTH112 - pathlib raises for an invalid name
            inside = {file: file.relative_to(path).parent for file in _documents_below(path, output_folders)}
            if not inside:
                raise UsageError(message("folder-empty", path=path))
            parents = {**inside, **parents}
        else:
            parents.setdefault(path, Path())

    def sort_key(path: Path) -> tuple[int, str]:
        return next(i for i, root in enumerate(requested) if path.is_relative_to(root)), str(path)

    return tuple(_with_names([(path, parents[path]) for path in sorted(parents, key=sort_key)], outputs))


def _documents_below(folder: Path, outputs: Collection[Path]) -> Iterator[Path]:
    """Yield the documents below a folder, except in hidden folders, linked folders and `outputs`.

    A folder that cannot be listed is yielded too, so that it is reported like a document that cannot be opened.
    """
    files: list[Path] = []
    unlistable: list[Path] = []
    for parent, folders, names in os.walk(
        folder, onerror=lambda error: unlistable.append(Path(error.filename))
    ):
        folders[:] = [f for f in folders if f[0] != "." and Path(parent, f).resolve() not in outputs]
        files += (Path(parent, name).relative_to(folder) for name in names)
    yield from (folder / path for path in select_documents(files))
    yield from unlistable


def _with_names(documents: Sequence[tuple[Path, Path]], outputs: Sequence[Path]) -> Iterator[Input]:
    """Give each document the name of its earlier results, or a new unique name."""
    taken: set[str] = set()
    previous = {path: _previous_name(path, parent, outputs, taken) for path, parent in documents}
    for path, parent in documents:
        name = previous[path] or unique_result_name(path.stem, parent, taken, path.name)
        yield Input(path, str(Path(name)))


def _previous_name(path: Path, parent: Path, outputs: Sequence[Path], taken: set[str]) -> str:
    """Return the name of a document's earlier results and add it to `taken`; empty if there are none."""
    for name in ((parent / _shorten(candidate)).as_posix() for candidate in (path.stem, path.name)):
        sources = (source_name_of(output / f"{name}{PAGES_SUFFIX}") for output in outputs)
        if name.casefold() not in taken and path.name in sources:
            taken.add(name.casefold())
            return name
    return ""


def _shorten(name: str) -> str:
    """Return a name of at most _MAX_NAME_BYTES, or its beginning with a hash of the whole."""
    data = os.fsencode(name)
    if len(data) <= _MAX_NAME_BYTES:
        return name
    return (
        data[:_MAX_NAME_BYTES].decode("utf-8", errors="ignore") + "-" + hashlib.sha256(data).hexdigest()[:8]
    )
