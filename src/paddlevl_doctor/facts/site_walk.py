"""Walks through a site-packages folder: the states of the files that a RECORD lists, and the code that none lists.

Paths are relative to site-packages, with forward slashes.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping

from paddlevl_doctor.facts.stat_index import state_of
from paddlevl_doctor.facts.target import STATE_FOLDER
from paddlevl_doctor.frozen import dataclass

_CODE = (".py", ".pyc", ".pyw", ".so", ".pyd", ".dll", ".dylib")
_BYTECODE = "__pycache__"
_BY_DESCRIPTOR = os.scandir in os.supports_fd
"""Whether a folder can be listed through a descriptor, which makes looking at its entries faster."""


@dataclass(frozen=True)
class Walk:
    """What a walk found."""

    states: dict[str, str]
    """The state of each listed file that can be remembered."""
    unowned: tuple[str, ...]
    """The files with code that no distribution lists; a folder without any listed file has a slash at the end.

    What the quick check judges is left out: files, and folders with the name of a module, at the top.
    """
    unread: tuple[str, ...]
    """The folders that cannot be listed."""


def walk(site: str, wanted: Mapping[str, str], newest: int) -> Walk:
    """Look at every file below a site-packages folder.

    `wanted` are the hashes of the listed files, empty for those without one. A file that changed after `newest`
    (nanoseconds since 1970) gets no state.
    """
    walker = _Walker(site, wanted, newest)
    walker.run()
    return Walk(walker.states, tuple(sorted(walker.unowned)), tuple(sorted(walker.unread)))


class _Walker:
    def __init__(self, site: str, wanted: Mapping[str, str], newest: int) -> None:
        self.states: dict[str, str] = {}
        self.unowned: list[str] = []
        self.unread: list[str] = []
        self._site, self._wanted, self._newest = site, wanted, newest
        self._owned = _folders_of(wanted)
        self._waiting = [""]

    def run(self) -> None:
        while self._waiting:
            prefix = self._waiting.pop()
            for entry in self._entries(prefix):
                path = prefix + entry.name
                digest = self._wanted.get(path)
                if digest:
                    self._remember(path, entry, digest)
                elif digest is None:
                    self._judge(prefix, path, entry)

    def _entries(self, prefix: str) -> Iterator[os.DirEntry[str]]:
        """Yield the entries of a folder while it is open; note a folder that cannot be listed."""
        descriptor, folder = None, f"{self._site}/{prefix}"
        try:
            if _BY_DESCRIPTOR:
                descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            with os.scandir(folder if descriptor is None else descriptor) as entries:
                yield from entries
        except OSError:
            self.unread.append(prefix)
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def _remember(self, path: str, entry: os.DirEntry[str], digest: str) -> None:
        try:
            status = entry.stat()
        except OSError:  # a link to nothing, or removed meanwhile
            return
        if status.st_mtime_ns < self._newest and status.st_ctime_ns < self._newest:
            self.states[path] = state_of(status, digest)

    def _judge(self, prefix: str, path: str, entry: os.DirEntry[str]) -> None:
        """Judge what is listed nowhere; a folder may hold listed files."""
        folder = entry.is_dir(follow_symlinks=False)
        if path in self._owned or entry.name == _BYTECODE:
            if folder:
                self._waiting.append(f"{path}/")
        elif not prefix and _is_judged_at_top(entry.name, folder=folder or entry.is_dir()):
            pass
        elif _is_code(prefix, entry.name) and not folder:
            self.unowned.append(path)
        elif (folder or (entry.is_symlink() and entry.is_dir())) and self._has_code(f"{path}/"):
            self.unowned.append(f"{path}/")

    def _has_code(self, prefix: str) -> bool:
        """Return whether a folder without a listed file has code at any depth; a link below it is not followed."""
        entries = list(self._entries(prefix))
        if any(_is_code(prefix, entry.name) and not entry.is_dir() for entry in entries):
            return True
        folders = (entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        return any(self._has_code(f"{prefix}{name}/") for name in folders)


def _folders_of(paths: Collection[str]) -> set[str]:
    """Return all folders that hold these files, at any depth."""
    folders: set[str] = set()
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    return folders


def _is_judged_at_top(name: str, *, folder: bool) -> bool:
    """Return whether the quick check, or another finding, judges this entry of site-packages."""
    return not folder or name.isidentifier() or name == STATE_FOLDER or name.startswith("~")


def _is_code(prefix: str, name: str) -> bool:
    """Return whether Python can load a file of this name; it does not load bytecode whose source is gone."""
    if prefix.endswith(f"{_BYTECODE}/"):
        return name.endswith(_CODE) and not name.endswith(".pyc")
    return name.endswith(_CODE) or ".so." in name
