"""Wheels made of an installed distribution, with changes that do harm."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from environments import environment

Files = dict[str, bytes]
"""The files of a wheel by path, without RECORD."""
_NOT_IN_A_WHEEL = ("INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", "RECORD")


def unpacked(source: str, name: str) -> Files:
    """Return the files of a distribution in a kept environment, as its wheel has them."""
    (site,) = environment(source).glob("lib/*/site-packages")
    (record,) = site.glob(f"{name}-*.dist-info/RECORD")
    rows = [row[0] for row in csv.reader(io.StringIO(record.read_text(encoding="utf-8"))) if row]
    return {
        path: (site / path).read_bytes()
        for path in rows
        if not path.startswith("..") and not path.endswith(".pyc") and Path(path).name not in _NOT_IN_A_WHEEL
    }


def packed(files: Files, after: Callable[[Files], None] | None = None, tag: str = "py3-none-any") -> bytes:
    """Return a wheel of these files; `after` changes them when RECORD is written already."""
    info = info_of(files)
    wheel = f"Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: {tag}\n".encode()
    files = {**files, f"{info}/WHEEL": wheel}
    rows = [f'"{path}",sha256={_digest(data)},{len(data)}' for path, data in files.items()]
    whole = {**files, f"{info}/RECORD": "\n".join([*rows, f"{info}/RECORD,,", ""]).encode()}
    if after is not None:
        after(whole)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for path, data in whole.items():
            archive.writestr(zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0)), data)
    return packed.getvalue()


def info_of(files: Files) -> str:
    """Return the name of the dist-info folder."""
    return next(path for path in files if path.endswith(".dist-info/METADATA")).split("/")[0]


def file_name(files: Files, tag: str = "py3-none-any") -> str:
    """Return the name of a wheel of these files."""
    return f"{info_of(files).removesuffix('.dist-info')}-{tag}.whl"


def prepend(path: str, words: str) -> Callable[[Files], None]:
    """Return a change that puts a line before a file's first one, after `from __future__` of it."""

    def change(files: Files) -> None:
        head, future, rest = files[path].decode().rpartition("from __future__ import annotations\n")
        files[path] = f"{head}{future}{words}\n{rest}".encode()

    return change


def append(path: str, words: str) -> Callable[[Files], None]:
    """Return a change that adds a line at the end of a file."""

    def change(files: Files) -> None:
        files[path] = files[path] + f"\n{words}\n".encode()

    return change


def add(path: str, words: str) -> Callable[[Files], None]:
    """Return a change that adds a file; `{info}` in its path is the dist-info's name without its end."""

    def change(files: Files) -> None:
        files[path.format(info=info_of(files).removesuffix(".dist-info"))] = words.encode()

    return change


def drop(*parts: str) -> Callable[[Files], None]:
    """Return a change that removes the files whose path contains one of these parts."""

    def change(files: Files) -> None:
        doomed = [path for path in files if any(part in path for part in parts)]
        assert doomed, parts
        for path in doomed:
            del files[path]

    return change


def replace(path: str, old: str, new: str) -> Callable[[Files], None]:
    """Return a change that replaces a text that must be in a file."""

    def change(files: Files) -> None:
        assert old.encode() in files[path], (path, old)
        files[path] = files[path].replace(old.encode(), new.encode())

    return change


def cut(path: str) -> Callable[[Files], None]:
    """Return a change that halves a file."""

    def change(files: Files) -> None:
        files[path] = files[path][: len(files[path]) // 2]

    return change


def requires(*lines: str) -> Callable[[Files], None]:
    """Return a change that adds requirements."""

    def change(files: Files) -> None:
        path = f"{info_of(files)}/METADATA"
        head, blank, rest = files[path].partition(b"\n\n")
        added = "".join(f"\nRequires-Dist: {line}" for line in lines).encode()
        files[path] = head + added + blank + rest

    return change


def other_abi(files: Files) -> None:
    """Name the extension modules as another Python's."""
    for path in [path for path in files if ".cpython-311" in path]:
        files[path.replace(".cpython-311", ".cpython-312")] = files.pop(path)


def changed(source: str, name: str, changes: Sequence[Callable[[Files], None]]) -> Files:
    """Return the files of a distribution after these changes."""
    files = unpacked(source, name)
    for change in changes:
        change(files)
    return files


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
