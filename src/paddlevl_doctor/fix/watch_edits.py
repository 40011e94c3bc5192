"""Keeps what the user saves, while an installer runs, in files that the installer is about to remove."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from paddlevl_doctor.fix.entries import keep_link

_PAUSE = 0.2
"""Seconds between two looks; a look at the 1,500 files of a large package takes 5 ms."""


@contextlib.contextmanager
def kept_edits(paths: Sequence[str], folder: Path) -> Iterator[dict[str, Path]]:
    """Keep each new file at one of the paths while the block runs, in `folder`.

    Afterwards the dictionary has, by path, the last kept file that is not at the path any more. It was saved by the
    user and removed by the installer, or written by the installer and replaced by the user.
    """
    watch = _Watch(paths, folder)
    lost: dict[str, Path] = {}
    thread = threading.Thread(target=watch.run, daemon=True)
    thread.start()
    try:
        yield lost
    finally:
        watch.ended.set()
        thread.join()
        lost.update(watch.lost())


class _Watch:
    def __init__(self, paths: Sequence[str], folder: Path) -> None:
        self.folder, self.ended = folder, threading.Event()
        self._first = {path: _inode(path) for path in paths}
        self._kept: dict[str, tuple[int, Path]] = {}
        self._count = 0

    def run(self) -> None:
        while not self.ended.wait(_PAUSE):
            for path, first in self._first.items():
                found = _inode(path)
                if found not in (None, first, self._kept.get(path, (None,))[0]):
                    self._keep(path, found)

    def _keep(self, path: str, inode: int) -> None:
        self._count += 1
        self.folder.mkdir(exist_ok=True)
        copy = self.folder / str(self._count)
        with contextlib.suppress(OSError):  # it is gone again
            keep_link(path, str(copy))
            self._kept[path] = (inode, copy)

    def lost(self) -> dict[str, Path]:
        """Return the kept files whose path has another file now, or none."""
        return {path: copy for path, (inode, copy) in self._kept.items() if _inode(path) != inode}


def _inode(path: str) -> int | None:
    try:
        return os.lstat(path).st_ino
    except OSError:
        return None
