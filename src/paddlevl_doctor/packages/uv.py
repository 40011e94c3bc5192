"""Runs uv: its command and environment, the changes that it plans, the reason when it fails, its lock."""

from __future__ import annotations

import contextlib
import itertools
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from filelock import FileLock, Timeout
from packaging.utils import canonicalize_name

from paddlevl_doctor.facts.collect import uv_cache
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import Message, message, text
from paddlevl_doctor.packages.credentials import mask, reveal
from paddlevl_doctor.packages.pip_config import ca_bundle
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
_INVALID_WHEEL = "has an invalid package format: Failed to read from zip file"
"""uv's warning about a wheel that ends too early (uv-resolver/src/resolver/mod.rs, 0.10 and later)."""
_CUT = re.compile(
    rf"{_INVALID_WHEEL}[^\n]*|error decoding response body[^\n]*|end of file before message length[^\n]*"
    r"|connection reset by peer[^\n]*|connection closed before[^\n]*|unexpected end of file[^\n]*",
    re.IGNORECASE,
)
_WHEEL_NAME = re.compile(r"`([A-Za-z0-9._-]+==[^`\s]+)`")
_LOST_ARCHIVE = re.compile(r"archive-v\d+\b[^\n]*os error [23]\)")
"""uv's error if its cache knows a wheel whose extracted files are gone."""
_INSTALLED_NAME = re.compile(r"Failed to install: \S+ \(([A-Za-z0-9._-]+)==")
_MAX_LOST = 20
"""How many installations are tried with a cache that lacks the files of further wheels."""
_FEW_INODES, _MB_OF_A_FEW_FILES = 1_000, 50
"""Fewer free inodes than this, with more free space than this, are the reason why no file can be created."""
_UNKNOWN_ISSUER = "UnknownIssuer"
"""rustls's error if no trusted authority signed the certificate of a server."""
_MAX_QUOTED_LINES = 8
"""Lines of uv's error in a message."""


class UvError(DoctorError):
    """uv ended with an error; `message` has its reason, shortened to the relevant lines."""

    @property
    def unsolvable(self) -> bool:
        """Return whether no versions fit together; only other versions help then."""
        return "solution" in str(self.message) and not self.is_cut

    @property
    def is_cut(self) -> bool:
        """Return whether the connection was lost in the middle of a file; the same command may succeed later."""
        return isinstance(self.message, Message) and self.message.id == "uv-cut"


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


def command(arguments: Sequence[str]) -> tuple[str, ...]:
    """Return a command of a plan, which starts with `uv`, with the path of the program."""
    return (uv_program(), *arguments[1:])


def index_options(index: str | None, extra: Sequence[str] = ()) -> list[str]:
    """Return the options of uv for indexes; none if uv chooses the index itself.

    `extra` is searched as pip searches its extra-index-url: the newest version that fits, from any index. By default
    uv takes the first index that knows a name, so an index that sends an empty page would hide a package. URLs with
    credentials are masked.
    """
    default = ["--default-index", mask(index)] if index else []
    besides = [word for url in extra for word in ("--index", mask(url))]
    return [*default, *besides, *(["--index-strategy", "unsafe-best-match"] if besides else [])]


def run_uv(system: System, arguments: Sequence[str], *, timeout: float) -> Completed:
    """Run a uv command of a plan; raises UvError with the reason of uv."""
    # A wheel that a cut connection shortened is an invalid one for uv, which then tries every older version.
    stop_at = _INVALID_WHEEL if _reads_network(arguments) else None
    public, credentials = reveal(arguments)
    env = {**_environment(system, arguments), **credentials}
    done = system.run(command(public), timeout=timeout, env=env, stop_at=stop_at)
    if not done.ok:
        raise UvError(_reason(system, arguments, done, timeout))
    return done


def _environment(system: System, arguments: Sequence[str]) -> dict[str, str]:
    # 30 s without a byte is too little for the 1 to 3 GB wheels (matrix.md, 6); a user's own value is kept.
    environment = {"UV_HTTP_TIMEOUT": "300", **system.env, "RUST_LOG": "uv_resolver=warn"}
    # --python always names the environment to change; an active one must not count.
    environment.pop("VIRTUAL_ENV", None)
    for name in _INDEX_VARIABLES if "--no-index" in arguments else ():
        environment.pop(name, None)
    if not environment.get("SSL_CERT_FILE") and _reads_network(arguments):
        prefix = _prefix_of(arguments)
        if (trusted := ca_bundle(system, str(prefix) if prefix else None)) is not None:
            environment["SSL_CERT_FILE"] = trusted
    return environment


def _prefix_of(arguments: Sequence[str]) -> Path | None:
    """Return the environment whose Python a command names with --python, None if it names none."""
    if "--python" not in arguments:
        return None
    return Path(arguments[arguments.index("--python") + 1]).parent.parent


_PIN = re.compile(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.+!_-]+)(?=\s|;|\\|$)")
"""A requirement of one version; a pattern such as `3.7.*` is none."""


def pinned_versions(requirements: Iterable[str]) -> dict[str, str]:
    """Return the versions, by normalised name, of the requirements that allow one version only."""
    pins = (_PIN.match(line) for line in requirements)
    return {canonicalize_name(pin[1]): pin[2] for pin in pins if pin}


def listed_requirements(system: System, arguments: Sequence[str]) -> list[str]:
    """Return the lines of the files that a command names with --requirements."""
    paths = [value for option, value in itertools.pairwise(arguments) if option == "--requirements"]
    return [line for path in paths for line in (system.read_text(Path(path)) or "").splitlines()]


def _reads_network(arguments: Sequence[str]) -> bool:
    """Return whether a command may read an index over the network: not with --no-index, nor with folders as indexes."""
    options = ("--default-index", "--index")
    named = [value for option, value in itertools.pairwise(arguments) if option in options]
    return "--no-index" not in arguments and not (named and all(url.startswith("file:") for url in named))


def _reason(system: System, arguments: Sequence[str], done: Completed, timeout: float) -> Message:
    verb = " ".join(arguments[:3])
    if done.timed_out:
        return message("uv-timeout", command=verb, minutes=f"{timeout / 60:.0f}")
    error = _error_lines(done.stderr)
    reason = error or message("exit-status", code=done.returncode)
    if "os error 28" in done.stderr or "No space left" in done.stderr:
        place = _without_inodes(system, arguments)
        if place is not None:
            return message("uv-inodes-full", command=verb, place=message(f"room-{place}"), reason=reason)
        return message("uv-disk-full", command=verb, reason=reason)
    if _reads_network(arguments) and (cut := _CUT.search(done.stderr)):
        name = _WHEEL_NAME.search(done.stderr[: cut.end()])
        return message("uv-cut", command=verb, name=name[1] if name else "?", reason=cut[0])
    if _UNKNOWN_ISSUER in done.stderr:
        return message("uv-issuer", command=verb, reason=reason)
    signs = ("dns error", "error sending request", "failed to fetch", "network was disabled", "tcp connect")
    return message(
        "uv-offline" if any(sign in error.lower() for sign in signs) else "uv-failed",
        command=verb,
        reason=reason,
    )


def _without_inodes(system: System, arguments: Sequence[str]) -> str | None:
    """Return the place whose file system ran out of inodes rather than of space, None if none did."""
    places = {"uv-cache": uv_cache(system)}
    if prefix := _prefix_of(arguments):
        places["target"] = prefix
    for name, path in places.items():
        inodes, free = system.inodes(path), system.free_disk_mb(path)
        if inodes is not None and inodes[0] < _FEW_INODES and (free or 0) > _MB_OF_A_FEW_FILES:
            return name
    return None


def _error_lines(stderr: str) -> str:
    """Return the error without the lines before it; of a long one its beginning and its end, the deepest cause."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    signs = (("error", "×"), ("warning: Failed",), ("",))
    start = next((i for sign in signs for i, line in enumerate(lines) if line.startswith(sign)), 0)
    error = lines[start:]
    if len(error) > _MAX_QUOTED_LINES:
        error = [*error[: _MAX_QUOTED_LINES - 2], "…", *error[-2:]]
    return " ".join(error)


def resolve(system: System, arguments: Sequence[str]) -> tuple[Change, ...]:
    """Return the changes of an installation without making them; raises UvError."""
    done = run_uv(system, (*arguments, "--dry-run"), timeout=RESOLVE_TIMEOUT)
    return parse_changes(done.stderr)


@dataclass(frozen=True)
class Installed:
    """The result of an installation: the output of uv, and notes about deviations from the plan."""

    output: Completed
    notes: tuple[Message, ...] = ()


def install(system: System, arguments: Sequence[str], exact: Sequence[str] = ()) -> Installed:
    """Run the install command of a plan, limited to the versions `exact` that the plan shows; raises UvError.

    If the index lacks a version of the list of tested ones, the newest that fit are installed. uv's cache forgets the
    packages that are reinstalled (uv takes its extracted copy again for wheels from a folder, and that may be the
    damaged one), and those whose files it has lost.
    """
    forget(system, [arguments[at + 1] for at, word in enumerate(arguments) if word == "--reinstall-package"])
    try:
        return Installed(_with_whole_cache(system, (*arguments, *exact)))
    except UvError as error:
        if "--requirements" not in arguments or "--no-index" in arguments or not error.unsolvable:
            raise
        at = arguments.index("--requirements")
        newest = (*arguments[:at], *arguments[at + 2 :])
        return Installed(_with_whole_cache(system, newest), (message("newest-instead"),))


def forget(system: System, names: Sequence[str]) -> None:
    """Remove packages from uv's cache; other environments keep their files. Raises UvError."""
    if names:
        run_uv(system, ("uv", "cache", "clean", *names), timeout=WAIT)


def _with_whole_cache(system: System, arguments: Sequence[str]) -> Completed:
    """Install. If uv's cache has lost the files of a wheel, remove that wheel from it and install again."""
    forgotten: set[str] = set()
    for _ in range(_MAX_LOST):
        try:
            return run_uv(system, arguments, timeout=INSTALL_TIMEOUT)
        except UvError as error:
            reason = str(error.message)
            lost = set(_INSTALLED_NAME.findall(reason)) if _LOST_ARCHIVE.search(reason) else set()
            if not lost - forgotten:
                raise
            # The files of others may be gone, too: all that the command names are forgotten at once.
            lost |= {found[0] for word in arguments if (found := re.match(r"[A-Za-z0-9._-]+(?===)", word))}
            forget(system, sorted(lost))
            forgotten |= lost
    return run_uv(system, arguments, timeout=INSTALL_TIMEOUT)


def is_cached(system: System, arguments: Sequence[str], interpreter: str | None = None) -> bool:
    """Return whether uv's cache has every wheel of an installation.

    `interpreter` is the Python of an environment that does not exist yet.
    """
    command = list(arguments)
    if interpreter is not None:
        at = command.index("--python")
        folder = Path(arguments[at + 1]).parent / "none"
        command[at : at + 2] = ("--python", interpreter, "--target", str(folder))
    try:
        done = run_uv(system, (*command, "--offline", "--dry-run"), timeout=RESOLVE_TIMEOUT)
    except UvError:
        return False
    return "Would download" not in done.stderr


def required_by(system: System, arguments: Sequence[str], requirements: Sequence[str]) -> dict[str, str]:
    """Return the distributions that require each one of an installation, by its name; empty if uv fails.

    `arguments` is the install command, which ends with the requirements.
    """
    options = list(arguments[3 : -len(requirements)])
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
