"""How this process was started: the words that the user typed before the options, the shell and the home folder."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path, PureWindowsPath

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.invocation import NAME, Invocation, without_password
from paddlevl_doctor.shells import shell_of

MODULE = "paddlevl_doctor"
_UV_CACHE = re.compile(r"[/\\](?:archive|builds|environments)-v\d+[/\\]")
"""A folder of uv's cache that holds environments of `uvx` and `uv run --with`; uv may delete it at any time."""

Words = tuple[str, ...]


@dataclass(frozen=True)
class Start:
    """What the system tells about the start of this process."""

    argv: Words
    """`sys.argv`: the program as Python was given it, and the options."""
    original: Words
    """`sys.orig_argv`: the whole command line of Python."""
    prefix: str
    """`sys.prefix`: the environment of the doctor."""
    lent: bool
    """Whether `poetry run` and the like put that environment on PATH, for this process only."""
    by_uv: bool
    """Whether uv started this process, or one that started it."""
    which: Callable[[str], str | None]
    """Finds a program on PATH."""
    which_outside: Callable[[str], str | None]
    """Finds a program on PATH outside the doctor's environment, which uv puts on PATH for this process only."""
    parents: Callable[[], Iterable[Words]]
    """The command lines of the processes above this one, the nearest first."""
    source: Callable[[], str | None]
    """The file, folder or URL that the doctor was installed from; None: from an index."""


def ensure_home() -> None:
    """Set the home folder to the root, as Docker does, if there is no HOME and no entry for this user."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["USERPROFILE" if sys.platform == "win32" else "HOME"] = os.path.abspath(os.sep)  # noqa: PTH100 - a string


def own_invocation() -> Invocation:
    """Return how this process was started, without the options of the doctor."""
    start = Start(
        argv=tuple(sys.argv),
        original=tuple(sys.orig_argv),
        prefix=sys.prefix,
        # Scripts that activate an environment for a shell set its prompt, too.
        lent=os.environ.get("VIRTUAL_ENV") == sys.prefix and "VIRTUAL_ENV_PROMPT" not in os.environ,
        by_uv="UV" in os.environ,
        which=shutil.which,
        which_outside=_which_outside,
        parents=_parents,
        source=_source,
    )
    uv = ("uv",) if _which_outside("uv") else (sys.executable, "-m", "uv")
    return Invocation(program_of(start), (), sys.executable, uv, shell_of(sys.platform), str(Path.home()))


def _which_outside(name: str) -> str | None:
    folders = os.environ.get("PATH", "").split(os.pathsep)
    return shutil.which(
        name, path=os.pathsep.join(f for f in folders if not Path(f).is_relative_to(sys.prefix))
    )


def program_of(start: Start) -> Words:
    """Return the program as it was called: `paddlevl-doctor` on PATH, a path to it, `python -m`, or through uv.

    A program in uv's cache is named by the `uvx` command that put it there. Another program that uses the doctor as a
    library is not named.
    """
    called = PureWindowsPath(start.argv[0])
    module = called.name == "__main__.py" and called.parent.name == MODULE
    if not module and called.stem not in (NAME, f"{NAME}-script"):
        return (NAME,)
    if through := _through_uv(start):
        return through
    if _UV_CACHE.search(start.prefix + os.sep):
        source = start.source()
        return ("uvx", *(("--from", source) if source else ()), NAME)
    if module:
        python, *options = start.original[: len(start.original) - len(start.argv) + 1]
        return (python if _find(python, start) else sys.executable, *options)
    found = _find(NAME, start)
    if found and any(_same(found, start.argv[0] + suffix) for suffix in ("", ".exe")):
        return (NAME,)
    return (start.argv[0],)


def _find(name: str, start: Start) -> str | None:
    """Return the program that the user's shell finds by this name."""
    return (start.which_outside if start.lent else start.which)(name)


def _through_uv(start: Start) -> Words:
    """Return the words of `uvx` or `uv run` before the options, from the command line of uv; empty without one."""
    options = start.argv[1:]
    for line in start.parents() if start.by_uv else ():
        words, rest = line[: len(line) - len(options)], line[len(line) - len(options) :]
        runs_it = bool(words) and rest == options and (NAME in words[-1] or words[-1] == MODULE)
        if runs_it and PureWindowsPath(words[0]).stem in ("uv", "uvx"):
            return tuple(without_password(word) for word in _short(words, start))
    return ()


def _short(words: Words, start: Start) -> Words:
    """Return a command of uv by the name that PATH has; `uvx` runs `uv tool uvx`."""
    name = "uvx" if words[1:3] == ("tool", "uvx") else PureWindowsPath(words[0]).stem
    if not start.which_outside(name):
        return words
    return (name, *words[3:]) if words[1:3] == ("tool", "uvx") else (name, *words[1:])


def _same(first: str, second: str) -> bool:
    try:
        return os.path.samefile(first, second)  # noqa: PTH121 - both are plain strings
    except OSError:
        return False


def _parents() -> Iterable[Words]:
    """Yield the command lines of the nearest processes above this one, as far as the system shows them."""
    import psutil  # noqa: PLC0415 - takes a tenth of the time of `check`, and only uv's start needs it

    try:
        for process in psutil.Process().parents()[:3]:
            yield tuple(process.cmdline())
    except psutil.Error:
        return


def _source() -> str | None:
    """Return the origin that the installer recorded (PEP 610), a folder or file as a path."""
    # Only a program in uv's cache needs these modules.
    from importlib.metadata import PackageNotFoundError, distribution  # noqa: PLC0415 - as above
    from urllib.parse import unquote, urlsplit  # noqa: PLC0415 - as above
    from urllib.request import url2pathname  # noqa: PLC0415 - as above

    try:
        text = distribution(NAME).read_text("direct_url.json")
    except PackageNotFoundError:
        return None
    url = json.loads(text).get("url") if text else None
    if not isinstance(url, str):
        return None
    return url2pathname(unquote(urlsplit(url).path)) if url.startswith("file:") else without_password(url)
