"""Files in a folder that several machines share, or at any URL that fsspec supports (s3://, gs://, …)."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import message
from paddlevl_doctor.parsing.input.documents import select_documents
from paddlevl_doctor.redaction import without_secrets
from paddlevl_doctor.values.errors import DoctorError, UsageError

_MARKS = ("ETag", "etag", "CRC", "mtime", "updated", "LastModified", "last_modified", "modified")
"""Names under which file systems report a property that changes when the file changes."""
_APPENDED_SUFFIX = ".parts"
"""Suffix of the folder with the appended parts of a file, for stores that cannot append."""


@dataclass(frozen=True)
class RemoteFile:
    """A file, a text that changes when the file changes, and the folder of the file relative to the listed folder."""

    path: RemotePath
    version: str
    folder: str = ""


@dataclass(frozen=True)
class RemotePath:
    """A folder or a file, by path or URL. Every access raises DoctorError if it fails."""

    url: str

    @classmethod
    def from_argument(cls, argument: str) -> RemotePath:
        """Return the location of a path or URL; paths become absolute, also at the end of a chain (`zip://::in.zip`)."""
        head, mark, last = argument.rpartition("::")
        return cls(argument if "://" in last else f"{head}{mark}{Path(last).absolute()}")

    @property
    def display_name(self) -> str:
        """The path, or the URL without credentials, for messages."""
        return without_secrets(self.url).removeprefix("file://")

    @property
    def name(self) -> str:
        """The last part of the path."""
        first, _, rest = self.url.partition("::")
        url = rest if rest and "://" not in first else first
        is_web = url.startswith(("http://", "https://"))
        path = urlsplit(url).path if is_web else url.rpartition("://")[2]
        return path.rstrip("/").rpartition("/")[2] or "document"

    def child(self, name: str) -> RemotePath:
        """Return the location of `name` in this folder; the rest of a chain of URLs stays."""
        first, mark, rest = self.url.partition("::")
        if mark and "://" not in first:  # a cache in front of the location
            return RemotePath(f"{first}::{RemotePath(rest).child(name).url}")
        return RemotePath(f"{first if first.endswith('://') else first.rstrip('/') + '/'}{name}{mark}{rest}")

    def files(self) -> dict[PurePosixPath, RemoteFile]:
        """Return all files by their relative path; a single file has the empty path. Raises UsageError."""
        with self._opened("place-unreadable", UsageError) as (fs, root):
            if fs.isfile(root):
                return {PurePosixPath(): RemoteFile(self._located(fs, root), _version(fs.info(root)))}
            infos: Mapping[str, Mapping[str, Any]] = fs.find(root, detail=True)
            if not infos and not fs.exists(root):
                raise FileNotFoundError(os.strerror(2))
            files = {}
            for path, info in infos.items():
                name = PurePosixPath(path.removeprefix(root).strip("/"))
                files[name] = RemoteFile(self._located(fs, path, name), _version(info), str(name.parent))
            return files

    def _located(self, fs: Any, path: str, name: PurePosixPath | None = None) -> RemotePath:
        """Return the location of a file; a local file has the same URL however the user wrote its path."""
        if _is_local(fs):
            return RemotePath(str(fs.unstrip_protocol(path)))
        return self if name is None else self.child(name.as_posix())

    def documents(self, output: RemotePath) -> list[RemoteFile]:
        """Return this file as the only document, or the sorted documents in this folder outside `output`.

        A single file needs no suffix of a document. Raises UsageError.
        """
        files = self.files()
        if PurePosixPath() in files:
            return list(files.values())
        excluded = output.relative_to(self)
        names = (n for n in select_documents(files) if excluded is None or not n.is_relative_to(excluded))
        return [files[name] for name in sorted(names)]

    def relative_to(self, other: RemotePath) -> PurePosixPath | None:
        """Return the path relative to another location, or None if this one is not inside it."""
        with self._opened("place-unreadable") as mine, other._opened("place-unreadable") as theirs:
            path, folder = (PurePosixPath(_real_path(*opened)) for opened in (mine, theirs))
            inside = mine[0].protocol == theirs[0].protocol and path != folder and path.is_relative_to(folder)
            return path.relative_to(folder) if inside else None

    def download(self, path: Path) -> None:
        """Copy this file to a local path."""
        with self._opened("place-unreadable") as (fs, root):
            fs.get_file(root, str(path))

    def upload(self, folder: Path) -> None:
        """Copy all files of a local folder to this folder."""
        with self._opened("place-unwritable") as (fs, root):
            for path in sorted(p for p in folder.rglob("*") if p.is_file()):
                remote = f"{root.rstrip('/')}/{path.relative_to(folder).as_posix()}"
                fs.makedirs(remote.rpartition("/")[0], exist_ok=True)
                fs.put_file(str(path), remote)

    def read_text(self) -> str:
        """Return the text of this file with all appended parts; empty if it does not exist."""
        with self._opened("place-unreadable") as (fs, root):
            paths = [root] if fs.exists(root) else []
            with contextlib.suppress(FileNotFoundError):
                paths += sorted(fs.find(root + _APPENDED_SUFFIX))
            return "".join(fs.cat_file(path).decode("utf-8", errors="replace") for path in paths)

    def write_text(self, text: str) -> None:
        """Replace the text of this file atomically and remove the appended parts."""
        with self._opened("place-unwritable") as (fs, root):
            fs.makedirs(root.rpartition("/")[0], exist_ok=True)
            new = f"{root}.new"
            if _is_local(fs):
                _write(Path(new), text, "wb")
                Path(new).replace(root)
            else:
                fs.pipe_file(new, text.encode("utf-8"))
                fs.mv(new, root)
            with contextlib.suppress(FileNotFoundError):
                fs.rm(root + _APPENDED_SUFFIX, recursive=True)

    def append_text(self, text: str) -> None:
        """Append to this file and sync it to disk.

        Object stores cannot append, and rewriting the file would take longer each time. There the text becomes another
        file in a folder beside this one.
        """
        with self._opened("place-unwritable") as (fs, root):
            if _is_local(fs):
                _write(Path(root), text, "ab")
                return
            part = f"{root}{_APPENDED_SUFFIX}/{time.time_ns():020d}"
            fs.makedirs(part.rpartition("/")[0], exist_ok=True)
            fs.pipe_file(part, text.encode("utf-8"))

    @contextlib.contextmanager
    def _opened(
        self, message_id: str, error_type: type[DoctorError] = DoctorError
    ) -> Iterator[tuple[Any, str]]:
        """Give the file system and the path in it; raises `error_type` with the message if an access fails."""
        try:
            from fsspec.core import url_to_fs  # noqa: PLC0415 - comes with the extra `ray`

            fs, root = url_to_fs(self.url)
        except (ImportError, ValueError) as error:
            raise UsageError(message("place-unknown", url=self.url, detail=error)) from error
        try:
            yield fs, str(root)
        except DoctorError:
            raise
        except Exception as error:  # every file system raises other exceptions
            detail = getattr(error, "strerror", None) or error
            raise error_type(message(message_id, url=self.url, detail=detail)) from error


def _version(info: Mapping[str, Any]) -> str:
    mark = next((info[name] for name in _MARKS if info.get(name)), "")
    return f"{info.get('size')} {mark}"


def _is_local(fs: Any) -> bool:
    return "file" in fs.protocol


def _real_path(fs: Any, root: str) -> str:
    return os.path.realpath(root) if _is_local(fs) else root


def _write(path: Path, text: str, mode: str) -> None:
    with path.open(mode) as file:
        file.write(text.encode("utf-8"))
        file.flush()
        os.fsync(file.fileno())
