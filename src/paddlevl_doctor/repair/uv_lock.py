"""uv's own lock of an environment, held while files in it are touched, and never while uv runs.

uv holds `<environment>/.lock` (flock) while it installs; whoever changes files there at the same time could be
half overwritten. uv would wait for us in turn, so the lock is let go before uv is started.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from paddlevl_doctor.errors import DoctorError
from paddlevl_doctor.messages import text

NAME = ".lock"
"""The file, at the top of a virtual environment."""
WAIT = 120.0
"""Seconds: as long as uv may be busy with one package; then the user is told who holds it."""


@contextlib.contextmanager
def uv_locked(prefix: Path, wait: float = WAIT) -> Iterator[None]:
    """Hold uv's lock of the environment at `prefix`. The lock file stays, as uv itself leaves it there.

    Raises DoctorError while uv holds it for longer than `wait` seconds. An interpreter without a virtual
    environment has its lock elsewhere (in the temporary folder, under a hash), and is not held.
    """
    if not (prefix / "pyvenv.cfg").exists():
        yield
        return
    from filelock import FileLock, Timeout  # noqa: PLC0415 - start-up time of every plan

    lock = FileLock(prefix / NAME, timeout=wait)
    try:
        lock.acquire()
    except Timeout as error:
        raise DoctorError(text("uv-busy", path=prefix, seconds=f"{wait:.0f}")) from error
    try:
        yield
    finally:
        lock.release()


def remove_lock_file(prefix: Path) -> None:
    """Remove the lock file, unless somebody holds it or waits for it: uv would then lock a file without a name."""
    path = prefix / NAME
    if not path.exists():
        return
    from filelock import FileLock, Timeout  # noqa: PLC0415 - as above

    lock = FileLock(path, timeout=0)
    with contextlib.suppress(Timeout), lock:
        if not _is_awaited(path):
            path.unlink()


def _is_awaited(path: Path) -> bool:
    """Say whether somebody waits for this very file, as far as the system tells (Linux)."""
    inode = path.stat().st_ino
    try:
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except OSError:
        return False
    return any("->" in line and f":{inode} " in line for line in lines)
