"""Documents and results in a folder that several machines share, or at any URL that fsspec knows (s3://, gs://, …)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paddlevl_doctor.errors import DoctorError, UsageError
from paddlevl_doctor.messages import text
from paddlevl_doctor.parsing.document import SUFFIXES

_KNOWN = tuple(suffix for suffixes in SUFFIXES.values() for suffix in suffixes)


@dataclass(frozen=True)
class Place:
    """A folder or a file, by path or URL. Everything here raises DoctorError with one sentence where it fails."""

    url: str

    @property
    def name(self) -> str:
        """The last part of it."""
        return self.url.rstrip("/").rpartition("/")[2]

    def inside(self, name: str) -> Place:
        """Return what lies in it under a name."""
        return Place(f"{self.url.rstrip('/')}/{name}")

    def documents(self) -> Iterator[tuple[Place, str]]:
        """Yield the documents that it is or has in it, in order, and what tells each from another version of it."""
        fs, root = self._opened()
        try:
            found = [root] if fs.isfile(root) else sorted(p for p in fs.find(root) if _is_document(p, root))
            for path in found:
                info = fs.info(path)
                mark = info.get("ETag") or info.get("mtime") or info.get("updated") or ""
                yield Place(fs.unstrip_protocol(path)), f"{info.get('size')} {mark}"
        except OSError as error:
            raise UsageError(text("place-unreadable", url=self.url, detail=error)) from error

    def fetch(self, path: Path) -> None:
        """Copy a file from there to a path here."""
        fs, root = self._opened()
        try:
            fs.get_file(root, str(path))
        except OSError as error:
            raise DoctorError(text("place-unreadable", url=self.url, detail=error)) from error

    def put(self, folder: Path) -> None:
        """Copy all files in a folder here to there."""
        fs, root = self._opened()
        try:
            for path in sorted(p for p in folder.rglob("*") if p.is_file()):
                there = f"{root.rstrip('/')}/{path.relative_to(folder).as_posix()}"
                fs.makedirs(there.rpartition("/")[0], exist_ok=True)
                fs.put_file(str(path), there)
        except OSError as error:
            raise DoctorError(text("place-unwritable", url=self.url, detail=error)) from error

    def words(self) -> str:
        """Return the text of a file; empty where there is none."""
        fs, root = self._opened()
        try:
            return str(fs.cat_file(root).decode("utf-8"))
        except OSError:
            return ""

    def write(self, words: str) -> None:
        """Write a file; whole, because object stores know nothing else."""
        fs, root = self._opened()
        try:
            fs.makedirs(root.rpartition("/")[0], exist_ok=True)
            fs.pipe_file(root, words.encode("utf-8"))
        except OSError as error:
            raise DoctorError(text("place-unwritable", url=self.url, detail=error)) from error

    def _opened(self) -> tuple[Any, str]:
        try:
            from fsspec.core import url_to_fs  # noqa: PLC0415 - comes with the extra `ray`

            fs, root = url_to_fs(self.url)
        except (ImportError, ValueError) as error:
            raise UsageError(text("place-unknown", url=self.url, detail=error)) from error
        return fs, str(root)


def _is_document(path: str, root: str) -> bool:
    parts = path.removeprefix(root).strip("/").split("/")
    hidden = any(part.startswith(".") or part.endswith(".pages") for part in parts)
    return not hidden and path.lower().endswith(_KNOWN)
