"""Talks to uv: which command to run, what it would change, and what it said when it failed."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from paddlevl_doctor.messages import Message, message, text
from paddlevl_doctor.system.machine import Completed, System
from paddlevl_doctor.values.errors import DoctorError

RESOLVE_TIMEOUT = 300.0
INSTALL_TIMEOUT = 4 * 3600.0
"""Seconds: a 3 GB wheel on a slow line takes hours, and uv has time limits of its own for a silent server."""

_ASKED_BY = re.compile(r"^([A-Za-z0-9._-]+)==\S+\s+# via (.+)$", re.MULTILINE)
_CHANGE = re.compile(r"^ ([-+~]) ([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)

_PLACES = ("UV_FIND_LINKS", "UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL")
"""What names other places than the one folder that is to be used."""
_SHOWN = 8
"""Lines of what uv said that a message carries."""


class UvError(DoctorError):
    """uv ended with an error; `message` holds what it said, shortened to the lines that matter."""

    @property
    def unsolvable(self) -> bool:
        """Say whether no versions fit together, which nothing but other versions cures."""
        return "solution" in str(self.message)


@dataclass(frozen=True)
class Change:
    """What an installation does to one distribution; None stands for "not there"."""

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
    """Return the uv that belongs to the doctor."""
    from uv import find_uv_bin  # noqa: PLC0415 - only repairs need it

    return str(find_uv_bin())


def command(words: Sequence[str]) -> tuple[str, ...]:
    """Return a plan's command, which starts with the bare word `uv`, as one that can be started."""
    return (uv_program(), *words[1:])


def index_words(index: str | None, extra: Sequence[str] = ()) -> list[str]:
    """Return the words that name indexes by their URLs; none where uv is to choose by itself.

    `extra` is searched as pip searches its extra-index-url: the newest that fits, from whichever index has it. uv's own
    way, the first index that knows a name, would lose a package to an index that answers with an empty page.
    """
    default = ["--default-index", index] if index else []
    besides = [word for url in extra for word in ("--index", url)]
    return [*default, *besides, *(["--index-strategy", "unsafe-best-match"] if besides else [])]


def run_uv(system: System, words: Sequence[str], *, timeout: float) -> Completed:
    """Run a uv command of a plan; raises UvError with uv's own reason."""
    done = system.run(command(words), timeout=timeout, env=_environment(system, words))
    if not done.ok:
        raise UvError(_reason(words, done, timeout))
    return done


def _environment(system: System, words: Sequence[str]) -> dict[str, str]:
    # 30 s without a byte is too little for the 1 to 3 GB wheels (matrix.md, 6); a user's own value is kept.
    environment = {"UV_HTTP_TIMEOUT": "300", **system.env}
    # The environment to change is always named by --python; an active one must not be mixed in.
    environment.pop("VIRTUAL_ENV", None)
    for name in _PLACES if "--no-index" in words else ():
        environment.pop(name, None)
    return environment


def _reason(words: Sequence[str], done: Completed, timeout: float) -> Message:
    verb = " ".join(words[:3])
    if done.timed_out:
        return message("uv-timeout", command=verb, minutes=f"{timeout / 60:.0f}")
    said = _last_words(done.stderr)
    full = "os error 28" in done.stderr or "No space left" in done.stderr
    key = "uv-disk-full" if full else "uv-offline" if _looks_offline(said) else "uv-failed"
    return message(key, command=verb, reason=said or message("exit-status", code=done.returncode))


def _last_words(stderr: str) -> str:
    """Return the error without what came before it; of a long one its beginning and its deepest cause."""
    said = [line.strip() for line in stderr.splitlines() if line.strip()]
    signs = (("error", "×"), ("warning: Failed",), ("",))
    start = next((i for sign in signs for i, line in enumerate(said) if line.startswith(sign)), 0)
    words = said[start:]
    return " ".join(words if len(words) <= _SHOWN else (*words[: _SHOWN - 2], "…", *words[-2:]))


def _looks_offline(reason: str) -> bool:
    signs = ("dns error", "error sending request", "failed to fetch", "network was disabled", "tcp connect")
    return any(sign in reason.lower() for sign in signs)


def resolve(system: System, words: Sequence[str]) -> tuple[Change, ...]:
    """Ask uv what an installation would change, without changing it; raises UvError."""
    done = run_uv(system, (*words, "--dry-run"), timeout=RESOLVE_TIMEOUT)
    return parse_changes(done.stderr)


def required_by(system: System, words: Sequence[str], requirements: Sequence[str]) -> dict[str, str]:
    """Return who asks for each distribution that an installation brings, by its name; empty where uv cannot say.

    `words` is the install command, which ends with the requirements.
    """
    import tempfile  # noqa: PLC0415 - only said where something is in the way

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
    return {name: who.replace("-r requirements.in", "?") for name, who in _ASKED_BY.findall(done.stdout)}


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
        raise DoctorError(message("uv-busy", path=prefix, seconds=f"{wait:.0f}")) from error
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
