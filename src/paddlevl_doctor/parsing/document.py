"""A look at what the user gave, before anything heavy starts: can it be read, and can the answer be written?

Everything here runs in the doctor's own process, with the standard library alone.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from paddlevl_doctor.errors import UsageError
from paddlevl_doctor.messages import message, render
from paddlevl_doctor.parsing.image_headers import HEAD_BYTES, Size, format_of, png_damage, size_of

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
    notes: tuple[str, ...] = ()
    """Sentences for the user that do not stop anything."""


def sentence(message_id: str, lang: str, /, **values: object) -> str:
    """Return a message in `lang`, en or zh."""
    return render(message(message_id, **values), lang)


def check_input(path: Path, lang: str = "en") -> InputKind:
    """Return what the document at `path` is; raises UsageError with one sentence for what cannot be read."""
    try:
        _check_is_file(path, lang)
        with path.open("rb") as file:
            length = os.fstat(file.fileno()).st_size
            head = file.read(HEAD_BYTES * 16)
            image_format = format_of(head)
            if image_format is None:
                raise UsageError(_no_document(path, head, lang))
            damage = png_damage(file, length) if image_format == "png" else None
            size = size_of(file, image_format)
    except OSError as error:
        raise refusal(path, error, lang) from error
    if damage is not None:
        raise UsageError(sentence("document-truncated", lang, path=path, chunk=damage[0], bytes=damage[1]))
    return _accept(path, image_format, size, lang)


def refusal(path: Path, error: OSError, lang: str = "en") -> UsageError:
    """Return what to say of a document that the system does not open."""
    message_id = "document-missing" if error.errno in _NO_FILE else "document-forbidden"
    return UsageError(sentence(message_id, lang, path=path, detail=error.strerror or error))


def _check_is_file(path: Path, lang: str) -> None:
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        os.scandir(path).close()  # a folder comes here only where this is forbidden
    if not stat.S_ISREG(mode):
        raise UsageError(sentence("document-not-a-file", lang, path=path))


def _no_document(path: Path, head: bytes, lang: str) -> str:
    if not head:
        return sentence("document-empty", lang, path=path)
    return sentence("document-not-an-image", lang, path=path, head=repr(head[:16])[1:])


def _accept(path: Path, image_format: str, size: Size | None, lang: str) -> InputKind:
    """Return the kind of a document whose content is fine, unless its size forbids to read it."""
    notes = []
    if path.suffix.lower() not in SUFFIXES[image_format]:
        notes.append(sentence("document-suffix", lang, name=path.name, format=image_format.upper()))
    if size is None and image_format in ("pdf", "tiff"):
        return InputKind(image_format, notes=tuple(notes))
    if size is None or min(size) < 1:
        raise UsageError(sentence("document-no-size", lang, path=path, format=image_format.upper()))
    values = {"width": size[0], "height": size[1], "limit": MAX_PIXELS // 1_000_000}
    if size[0] * size[1] > MAX_PIXELS:
        raise UsageError(sentence("document-too-large", lang, path=path, **values))
    return InputKind(image_format, *size, tuple(notes))


def check_output_folder(path: Path, lang: str = "en") -> None:
    """Create the folder for the results and try it; raises UsageError where nothing can be written there."""
    try:
        culprit = next((p for p in (path, *path.parents) if p.exists() and not p.is_dir()), None)
        if culprit is not None:
            raise UsageError(sentence("output-not-folder", lang, path=path, culprit=culprit))
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(
            dir=path
        ):  # a real file: permission bits say too little about network drives
            pass
    except OSError as error:
        raise UsageError(
            sentence("output-forbidden", lang, path=path, detail=error.strerror or error)
        ) from error
