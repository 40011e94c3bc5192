"""uv's own lock of an environment, held while files in it are touched, and never while uv runs.

uv holds `<environment>/.lock` (flock) while it installs; whoever changes files there at the same time could be
half overwritten. uv would wait for us in turn, so the lock is let go before uv is started.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from paddlevl_doctor.errors import DoctorError
from paddlevl_doctor.messages import text

WAIT = 120.0
"""Seconds: as long as uv may be busy with one package; then the user is told who holds it."""


@contextlib.contextmanager
def uv_locked(prefix: Path, wait: float = WAIT) -> Iterator[None]:
    """Hold uv's lock of the environment at `prefix`; leaves no lock file where there was none.

    Raises DoctorError while uv holds it for longer than `wait` seconds. An interpreter without a virtual
    environment has its lock elsewhere (in the temporary folder, under a hash), and is not held.
    """
    path = prefix / ".lock"
    if not (prefix / "pyvenv.cfg").exists():
        yield
        return
    existed = path.exists()
    lock = FileLock(path, timeout=wait)
    try:
        lock.acquire()
    except Timeout as error:
        raise DoctorError(text("uv-busy", path=prefix, seconds=f"{wait:.0f}")) from error
    try:
        yield
    finally:
        lock.release()
        if not existed:
            path.unlink(missing_ok=True)
