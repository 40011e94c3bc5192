"""Who installs from a wheel in the cache: the last one who did removes it, and nobody while another still needs it."""

from __future__ import annotations

import contextlib
import zipfile
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

from paddlevl_doctor.facts.target import BUILD_FILE, build_of


def lock_of(wheel: Path) -> FileLock:
    """Return the lock that is held while a wheel is fetched, marked or removed."""
    return FileLock(wheel.with_name(f"{wheel.name}.lock"))


class Use:
    """A mark beside a wheel that says that somebody installs from it; it ends with the process at the latest.

    Made while `lock_of` the wheel is held. Raises OSError where the mark cannot be made.
    """

    def __init__(self, wheel: Path) -> None:
        self._wheel = wheel
        self._mark = FileLock(wheel.with_name(f"{wheel.name}.{uuid4().hex}.used"))
        self._mark.acquire()

    def end(self) -> None:
        """Take the mark away, and the wheel too where nobody else has one: uv has it in its own cache."""
        with contextlib.suppress(OSError), lock_of(self._wheel):
            self._mark.release()
            marks = list(self._wheel.parent.glob(f"{self._wheel.name}.*.used"))
            if not any([_held(mark) for mark in marks]):  # noqa: C419 - every mark that nobody holds is removed
                self._wheel.unlink(missing_ok=True)


def _held(mark: Path) -> bool:
    """Say whether the process behind a mark is still there; without one the mark is removed."""
    lock = FileLock(mark)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    mark.unlink(missing_ok=True)
    return False


PACKAGE = "paddlepaddle-gpu"


def line_of(cuda: str | None) -> str | None:
    """Return the tag of a CUDA version: cu126 of 12.6 or 12.6.3; None for a build without CUDA."""
    return "cu" + "".join(cuda.split(".")[:2]) if cuda else None


def line_in(wheel: Path) -> str | None:
    """Return the tag of the CUDA version that a wheel says it was built with; None where it does not say."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            said = archive.read(BUILD_FILE).decode("utf-8", errors="replace")
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return None
    return line_of(build_of(said).cuda)
