"""Runs uv: its command and environment, the changes that it plans, the reason when it fails, its lock."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from paddlevl_doctor.messages import Message, message, text
from paddlevl_doctor.system.machine import Completed, System
from paddlevl_doctor.values.errors import DoctorError

RESOLVE_TIMEOUT = 300.0
INSTALL_TIMEOUT = 4 * 3600.0
"""Seconds: a 3 GB wheel on a slow line takes hours, and uv has time limits of its own for a silent server."""

LOCK_NAME = ".lock"
"""The lock file of uv, at the top of a virtual environment."""
WAIT = 120.0
"""Seconds, as long as uv may be busy with one package."""
_REQUIRED_BY = re.compile(r"^([A-Za-z0-9._-]+)==\S+\s+# via (.+)$", re.MULTILINE)
_CHANGE = re.compile(r"^ ([-+~]) ([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)

_INDEX_VARIABLES = ("UV_FIND_LINKS", "UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL")
"""Variables that add sources to the one folder of an offline installation."""
_MAX_QUOTED_LINES = 8
"""Lines of uv's error in a message."""


class UvError(DoctorError):
    """uv ended with an error; `message` has its reason, shortened to the relevant lines."""

    @property
    def unsolvable(self) -> bool:
        """Return whether no versions fit together; only other versions help then."""
        return "solution" in str(self.message)


@dataclass(frozen=True)
class Change:
    """The change of one distribution by an installation; None stands for "not installed"."""

    name: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        """Return one line of a diff-like listing."""
        if self.before is None:
            return f"+ {self.name} {self.after}"
        if self.after is None:
            return f"- {self.name} {self.before}"
        if self.before == self.after:
            return f"~ {self.name} {self.before} ({text('again')})"
        return f"~ {self.name} {self.before} -> {self.after}"


def uv_program() -> str:
    """Return the path of the uv in the doctor's environment."""
    from uv import find_uv_bin  # noqa: PLC0415 - only repairs need it

    return str(find_uv_bin())


def command(words: Sequence[str]) -> tuple[str, ...]:
    """Return a command of a plan, which starts with `uv`, with the path of the program."""
    return (uv_program(), *words[1:])


def index_words(index: str | None, extra: Sequence[str] = ()) -> list[str]:
    """Return the options of uv for indexes; none if uv chooses the index itself.

    `extra` is searched as pip searches its extra-index-url: the newest version that fits, from any index. By default
    uv takes the first index that knows a name, so an index that sends an empty page would hide a package.
    """
    default = ["--default-index", index] if index else []
    besides = [word for url in extra for word in ("--index", url)]
    return [*default, *besides, *(["--index-strategy", "unsafe-best-match"] if besides else [])]


def run_uv(system: System, words: Sequence[str], *, timeout: float) -> Completed:
    """Run a uv command of a plan; raises UvError with the reason of uv."""
    done = system.run(command(words), timeout=timeout, env=_environment(system, words))
    if not done.ok:
        raise UvError(_reason(words, done, timeout))
    return done


def _environment(system: System, words: Sequence[str]) -> dict[str, str]:
    # 30 s without a byte is too little for the 1 to 3 GB wheels (matrix.md, 6); a user's own value is kept.
    environment = {"UV_HTTP_TIMEOUT": "300", **system.env}
    # --python always names the environment to change; an active one must not count.
    environment.pop("VIRTUAL_ENV", None)
    for name in _INDEX_VARIABLES if "--no-index" in words else ():
        environment.pop(name, None)
    return environment


def _reason(words: Sequence[str], done: Completed, timeout: float) -> Message:
    verb = " ".join(words[:3])
    if done.timed_out:
        return message("uv-timeout", command=verb, minutes=f"{timeout / 60:.0f}")
    error = _error_lines(done.stderr)
    full = "os error 28" in done.stderr or "No space left" in done.stderr
    key = "uv-disk-full" if full else "uv-offline" if _looks_offline(error) else "uv-failed"
    return message(key, command=verb, reason=error or message("exit-status", code=done.returncode))


def _error_lines(stderr: str) -> str:
    """Return the error without the lines before it; of a long one its beginning and its end, the deepest cause."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    signs = (("error", "×"), ("warning: Failed",), ("",))
    start = next((i for sign in signs for i, line in enumerate(lines) if line.startswith(sign)), 0)
    words = lines[start:]
    return " ".join(
        words if len(words) <= _MAX_QUOTED_LINES else (*words[: _MAX_QUOTED_LINES - 2], "…", *words[-2:])
    )


def _looks_offline(reason: str) -> bool:
    signs = ("dns error", "error sending request", "failed to fetch", "network was disabled", "tcp connect")
    return any(sign in reason.lower() for sign in signs)


def resolve(system: System, words: Sequence[str]) -> tuple[Change, ...]:
    """Return the changes of an installation without making them; raises UvError."""
    done = run_uv(system, (*words, "--dry-run"), timeout=RESOLVE_TIMEOUT)
    return parse_changes(done.stderr)


def required_by(system: System, words: Sequence[str], requirements: Sequence[str]) -> dict[str, str]:
    """Return the distributions that require each one of an installation, by its name; empty if uv fails.

    `words` is the install command, which ends with the requirements.
    """
    options = list(words[3 : -len(requirements)])
    while "--reinstall-package" in options:
        at = options.index("--reinstall-package")
        del options[at : at + 2]
    with tempfile.TemporaryDirectory(prefix="paddlevl-doctor-") as folder:
        wanted = Path(folder, "requirements.in")
        wanted.write_text("\n".join(requirements), encoding="utf-8")
        shape = ("--quiet", "--no-header", "--annotation-style", "line")
        try:
            done = run_uv(
                system, ("uv", "pip", "compile", *options, *shape, str(wanted)), timeout=RESOLVE_TIMEOUT
            )
        except UvError:
            return {}
    return {
        name: requirers.replace("-r requirements.in", "?")
        for name, requirers in _REQUIRED_BY.findall(done.stdout)
    }


def parse_changes(output: str) -> tuple[Change, ...]:
    """Read the lines ` - name==1`, ` + name==2`, ` ~ name==3` that uv prints for every change."""
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    for sign, name, version in _CHANGE.findall(output):
        if sign in "-~":
            before[name] = version
        if sign in "+~":
            after[name] = version
    return tuple(Change(name, before.get(name), after.get(name)) for name in sorted({*before, *after}))


@contextlib.contextmanager
def uv_locked(prefix: Path, wait: float = WAIT) -> Iterator[None]:
    """Hold uv's lock of the environment at `prefix`. The lock file stays, as uv itself leaves it there.

    Raises DoctorError while uv holds it for longer than `wait` seconds. An interpreter without a virtual
    environment has its lock elsewhere (in the temporary folder, under a hash), and is not held.
    """
    if not (prefix / "pyvenv.cfg").exists():
        yield
        return

    lock = FileLock(prefix / LOCK_NAME, timeout=wait)
    try:
        lock.acquire()
    except Timeout as error:
        raise DoctorError(message("uv-busy", path=prefix, seconds=f"{wait:.0f}")) from error
    try:
        yield
    finally:
        lock.release()


def remove_lock_file(prefix: Path) -> None:
    """Remove the lock file unless a process holds it or waits for it: uv would then lock a deleted file."""
    path = prefix / LOCK_NAME
    if not path.exists():
        return

    lock = FileLock(path, timeout=0)
    with contextlib.suppress(Timeout), lock:
        if not _is_awaited(path):
            path.unlink()


def _is_awaited(path: Path) -> bool:
    """Return whether a process waits for this very file, known on Linux only."""
    inode = path.stat().st_ino
    try:
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except OSError:
        return False
    return any("->" in line and f":{inode} " in line for line in lines)
