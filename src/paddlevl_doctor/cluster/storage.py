"""Documents and results in a folder that several machines share, or at any URL that fsspec knows (s3://, gs://, …)."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from paddlevl_doctor.messages import message
from paddlevl_doctor.parsing.input.documents import select_documents
from paddlevl_doctor.redaction import without_secrets
from paddlevl_doctor.values.errors import DoctorError, UsageError

_MARKS = ("ETag", "etag", "CRC", "mtime", "updated", "LastModified", "last_modified", "modified")
"""What file systems call that which changes when a file does."""
_APPENDED_SUFFIX = ".parts"
"""Suffix of the folder with what was added to a file in a store that cannot append."""


@dataclass(frozen=True)
class Found:
    """A file at a place, what tells it from another version of it, and its folder below the place that was named."""

    place: RemotePath
    version: str
    folder: str = ""


@dataclass(frozen=True)
class RemotePath:
    """A folder or a file, by path or URL. Everything here raises DoctorError with one sentence where it fails."""

    url: str

    @classmethod
    def named(cls, word: str) -> RemotePath:
        """Return the place that a user means; paths become absolute, also at the end of a chain (`zip://::in.zip`)."""
        head, mark, last = word.rpartition("::")
        return cls(word if "://" in last else f"{head}{mark}{Path(last).absolute()}")

    @property
    def shown(self) -> str:
        """What it is called in sentences: a path, or the URL without credentials."""
        return without_secrets(self.url).removeprefix("file://")

    @property
    def name(self) -> str:
        """The last part of it."""
        first, _, rest = self.url.partition("::")
        url = rest if rest and "://" not in first else first
        is_web = url.startswith(("http://", "https://"))
        path = urlsplit(url).path if is_web else url.rpartition("://")[2]
        return path.rstrip("/").rpartition("/")[2] or "document"

    def inside(self, name: str) -> RemotePath:
        """Return what lies in it under a name, the rest of a chain kept."""
        first, mark, rest = self.url.partition("::")
        if mark and "://" not in first:  # a cache before the place itself
            return RemotePath(f"{first}::{RemotePath(rest).inside(name).url}")
        return RemotePath(f"{first if first.endswith('://') else first.rstrip('/') + '/'}{name}{mark}{rest}")

    def files(self) -> dict[PurePosixPath, Found]:
        """Return every file in it by its path from here; a single file has the empty one. Raises UsageError."""
        with self._opened("place-unreadable", UsageError) as (fs, root):
            if fs.isfile(root):
                return {PurePosixPath(): Found(self._called(fs, root), _version(fs.info(root)))}
            infos: Mapping[str, Mapping[str, Any]] = fs.find(root, detail=True)
            if not infos and not fs.exists(root):
                raise FileNotFoundError(os.strerror(2))
            found = {}
            for path, info in infos.items():
                name = PurePosixPath(path.removeprefix(root).strip("/"))
                found[name] = Found(self._called(fs, path, name), _version(info), str(name.parent))
            return found

    def _called(self, fs: Any, path: str, name: PurePosixPath | None = None) -> RemotePath:
        """Return the place of a file; a local one has one name only, however it was named."""
        if _is_local(fs):
            return RemotePath(str(fs.unstrip_protocol(path)))
        return self if name is None else self.inside(name.as_posix())

    def documents(self, output: RemotePath) -> list[Found]:
        """Return the documents that it is or has in it, in order; nothing in `output`, which may lie in it.

        A single file is one, whatever it is called. Raises UsageError.
        """
        files = self.files()
        if PurePosixPath() in files:
            return list(files.values())
        hidden = output.below(self)
        names = (n for n in select_documents(files) if hidden is None or not n.is_relative_to(hidden))
        return [files[name] for name in sorted(names)]

    def below(self, other: RemotePath) -> PurePosixPath | None:
        """Return the way to it from another place; None where it is not below it."""
        with self._opened("place-unreadable") as mine, other._opened("place-unreadable") as theirs:
            here, there = (PurePosixPath(_real(*opened)) for opened in (mine, theirs))
            same = mine[0].protocol == theirs[0].protocol and here != there and here.is_relative_to(there)
            return here.relative_to(there) if same else None

    def fetch(self, path: Path) -> None:
        """Copy a file from there to a path here."""
        with self._opened("place-unreadable") as (fs, root):
            fs.get_file(root, str(path))

    def put(self, folder: Path) -> None:
        """Copy all files in a folder here to there."""
        with self._opened("place-unwritable") as (fs, root):
            for path in sorted(p for p in folder.rglob("*") if p.is_file()):
                there = f"{root.rstrip('/')}/{path.relative_to(folder).as_posix()}"
                fs.makedirs(there.rpartition("/")[0], exist_ok=True)
                fs.put_file(str(path), there)

    def words(self) -> str:
        """Return the text of a file with all that was added to it; empty where there is none."""
        with self._opened("place-unreadable") as (fs, root):
            found = [root] if fs.exists(root) else []
            with contextlib.suppress(FileNotFoundError):
                found += sorted(fs.find(root + _APPENDED_SUFFIX))
            return "".join(fs.cat_file(path).decode("utf-8", errors="replace") for path in found)

    def write(self, words: str) -> None:
        """Write a file so that it is whole or as before, with what was added to it gone."""
        with self._opened("place-unwritable") as (fs, root):
            fs.makedirs(root.rpartition("/")[0], exist_ok=True)
            new = f"{root}.new"
            if _is_local(fs):
                _write(Path(new), words, "wb")
                Path(new).replace(root)
            else:
                fs.pipe_file(new, words.encode("utf-8"))
                fs.mv(new, root)
            with contextlib.suppress(FileNotFoundError):
                fs.rm(root + _APPENDED_SUFFIX, recursive=True)

    def append(self, words: str) -> None:
        """Add to a file that was written; once this returns, a kill or a power cut takes nothing of it.

        Object stores cannot append, and writing all of it again each time would take longer and longer: there it
        becomes a file of its own beside it.
        """
        with self._opened("place-unwritable") as (fs, root):
            if _is_local(fs):
                _write(Path(root), words, "ab")
                return
            part = f"{root}{_APPENDED_SUFFIX}/{time.time_ns():020d}"
            fs.makedirs(part.rpartition("/")[0], exist_ok=True)
            fs.pipe_file(part, words.encode("utf-8"))

    @contextlib.contextmanager
    def _opened(self, key: str, kind: type[DoctorError] = DoctorError) -> Iterator[tuple[Any, str]]:
        """Give the file system and the path in it; what fails is said with the message `key`."""
        try:
            from fsspec.core import url_to_fs  # noqa: PLC0415 - comes with the extra `ray`

            fs, root = url_to_fs(self.url)
        except (ImportError, ValueError) as error:
            raise UsageError(message("place-unknown", url=self.url, detail=error)) from error
        try:
            yield fs, str(root)
        except DoctorError:
            raise
        except Exception as error:  # every file system has errors of its own
            detail = getattr(error, "strerror", None) or error
            raise kind(message(key, url=self.url, detail=detail)) from error


def _version(info: Mapping[str, Any]) -> str:
    mark = next((info[name] for name in _MARKS if info.get(name)), "")
    return f"{info.get('size')} {mark}"


def _is_local(fs: Any) -> bool:
    return "file" in fs.protocol


def _real(fs: Any, root: str) -> str:
    return os.path.realpath(root) if _is_local(fs) else root


def _write(path: Path, words: str, mode: str) -> None:
    with path.open(mode) as file:
        file.write(words.encode("utf-8"))
        file.flush()
        os.fsync(file.fileno())
