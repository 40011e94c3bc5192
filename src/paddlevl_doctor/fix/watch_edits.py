"""Keeps what the user saves, while an installer runs, in files that the installer is about to remove."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from paddlevl_doctor.fix.entries import is_same_file, keep_link

Owners = Mapping[str, Mapping[str, str | None]]
"""The paths by the RECORD that lists them, each with the path of its kept copy, None if there is none."""
_PAUSE = 0.2
"""Seconds between two looks; a look at the 1,500 files of a large package takes 5 ms."""


@contextlib.contextmanager
def kept_edits(owners: Owners, folder: Path) -> Iterator[dict[str, Path]]:
    """Keep each file that replaced one at a path since the tree was kept, until the block ends, in `folder`.

    `owners` has the paths by the RECORD that lists them, each with its kept copy. An installer removes RECORD first;
    what is written afterwards is its own. When the block has ended, the dictionary has, by path, the kept file that is
    not there any more.
    """
    watch = _Watch(owners, folder)
    watch.look()
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
    def __init__(self, owners: Owners, folder: Path) -> None:
        self.folder, self.ended = folder, threading.Event()
        self._owners = {
            record: (_inode(record), {path: _former(path, kept) for path, kept in paths.items()})
            for record, paths in owners.items()
        }
        self._kept: dict[str, tuple[int, Path]] = {}
        self._count = 0

    def run(self) -> None:
        while not self.ended.wait(_PAUSE):
            self.look()

    def look(self) -> None:
        for record, (first, paths) in self._owners.items():
            if _inode(record) == first:
                self._look(record, first, paths)

    def _look(self, record: str, first: int | None, paths: Mapping[str, int | None]) -> None:
        new = {path: found for path, former in paths.items() if (found := _inode(path)) not in (None, former)}
        if _inode(record) != first:  # the installer has begun since
            return
        for path, found in new.items():
            if found is not None and self._kept.get(path, (None,))[0] != found:
                self._count += 1
                self.folder.mkdir(exist_ok=True)
                copy = self.folder / str(self._count)
                with contextlib.suppress(OSError):  # it is gone again
                    keep_link(path, str(copy))
                    self._kept[path] = (found, copy)

    def lost(self) -> dict[str, Path]:
        """Return the kept files whose path has another file now, or none."""
        return {path: copy for path, (inode, copy) in self._kept.items() if _inode(path) != inode}


def _former(path: str, kept: str | None) -> int | None:
    """Return the inode of the file that was at a path when its copy was kept."""
    if kept is None or not os.path.lexists(kept) or is_same_file(Path(kept), Path(path)):
        return _inode(path)
    return _inode(kept)


def _inode(path: str) -> int | None:
    try:
        return os.lstat(path).st_ino
    except OSError:
        return None
