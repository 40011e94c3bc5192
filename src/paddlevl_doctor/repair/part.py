"""A file that is being fetched: what is there of it, which version of it that is, and whether the whole is right."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from pathlib import Path

from paddlevl_doctor.messages import text
from paddlevl_doctor.repair.answers import Origin

_CHUNK = 1 << 20


class Part:
    """The partial file and, beside it, where it came from; both outlive the process."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f".{name}.part"
        self._note = folder / f".{name}.part.json"

    def size(self) -> int:
        """Return how many bytes are there."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def origin(self) -> Origin:
        """Return where the first bytes came from; an unreadable note says nothing."""
        try:
            said = json.loads(self._note.read_text(encoding="utf-8"))
            url, validator, total = said["url"], said["validator"], said["total"]
        except (OSError, ValueError, KeyError, TypeError):
            return Origin()
        return Origin(url, validator, total if isinstance(total, int) else None)

    def begin(self, origin: Origin) -> None:
        """Forget what is there: the bytes of another file, or version, follow."""
        self.drop()
        said = {"url": origin.url, "validator": origin.validator, "total": origin.total}
        self._note.write_text(json.dumps(said), encoding="utf-8")

    def drop(self) -> None:
        """Remove what is there."""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def finish(self, path: Path) -> None:
        """Give the complete file its name."""
        self.path.replace(path)
        self._note.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(_CHUNK):
            digest.update(data)
    return digest.hexdigest()


def wrong_wheel(path: Path, sha256: str | None, size: int | None) -> str | None:
    """Return what is wrong with a wheel's file, None where it is right.

    Without a SHA-256 every file in the archive is compared with its CRC, which takes longer.
    """
    try:
        found = path.stat().st_size
    except FileNotFoundError:
        return text("wheel-missing")
    if size is not None and found != size:
        return text("wheel-size", found=found, size=size)
    if sha256 is not None:
        return None if sha256_of(path) == sha256 else text("wheel-sha256")
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, OSError, NotImplementedError, EOFError) as error:
        return text("wheel-broken", reason=error)
    return text("wheel-broken", reason=broken) if broken else None
