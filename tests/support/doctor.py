"""Runs the command line in a separate process and folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

import paddlevl_doctor

PROGRAM = (sys.executable, "-m", "paddlevl_doctor")
"""The program as the tests call it, which the commands that it prints name too."""
LARGE = 1 << 20
"""Bytes. The ctime of a larger file is ignored, because other processes create and remove hard links to it."""
SCHEMAS = Path(paddlevl_doctor.__file__).parent / "schemas"
# Variables of the developer's shell that would point the tested doctor to another environment.
FOREIGN = (
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "PYTHONPATH",
    "UV_SYSTEM_PYTHON",
    "KAGGLE_KERNEL_RUN_TYPE",
    "COLAB_RELEASE_TAG",
    "NO_COLOR",
)


@dataclass(frozen=True)
class Answer:
    """The result of a run of the command line."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document, which must be the only output on stdout and match its schema."""
        document = json.loads(self.stdout)
        verb = document["schema"].split("/")[1]
        _validator(verb).validate(document)
        return document  # type: ignore[no-any-return]

    def statuses(self, *names: str) -> dict[str, str]:
        """The statuses of the named findings of a check."""
        found = {finding["id"]: finding["status"] for finding in self.document["findings"]}
        return {name: found[name] for name in names}

    def problems(self) -> dict[str, str]:
        """Every finding that is an error, a warning or unknown."""
        bad = ("error", "warning", "unknown")
        return {f["id"]: f["status"] for f in self.document["findings"] if f["status"] in bad}


@cache
def _validator(verb: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads((SCHEMAS / f"{verb}.json").read_text(encoding="utf-8")))


def environment(folder: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment variables for a run, with a separate model cache."""
    base = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    return {
        **base,
        "PADDLE_PDX_CACHE_HOME": str(folder / "model-cache"),
        "LC_ALL": "C.UTF-8",
        "PIP_CONFIG_FILE": os.devnull,  # the doctor would use its indexes
        **(extra or {}),
    }


def doctor(
    *words: str | Path,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    timeout: float = 600,
    under: Sequence[str] = (),
) -> Answer:
    """Run `paddlevl-doctor WORDS` in the folder `cwd`; `under` is a command that runs it, such as a wrapper."""
    argv = [*under, *PROGRAM, *map(str, words)]
    done = subprocess.run(
        argv, cwd=cwd, env=environment(cwd, env), capture_output=True, text=True, timeout=timeout, check=False
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def start_doctor(
    *words: str | Path,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    stdout: int = subprocess.PIPE,
    stderr: int = subprocess.PIPE,
) -> subprocess.Popen[str]:
    """Start `paddlevl-doctor WORDS` in the folder `cwd` and return the running process."""
    argv = [*PROGRAM, *map(str, words)]
    with sigint_not_ignored():
        return subprocess.Popen(
            argv, cwd=cwd, env=environment(cwd, env), stdout=stdout, stderr=stderr, text=True
        )


@contextlib.contextmanager
def sigint_not_ignored() -> Iterator[None]:
    """Let processes that start meanwhile receive SIGINT, which a shell lets its background jobs ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def fingerprint(root: Path) -> dict[str, str]:
    """Return every file and link below a folder with a hash of its content and its mode, without bytecode.

    A file with a known inode, size and times is not read again.
    """
    found = {}
    for folder, names, files in os.walk(root):
        names[:] = [name for name in names if name != "__pycache__"]
        for name in (*files, *(n for n in names if (Path(folder) / n).is_symlink())):
            path = Path(folder) / name
            found[path.relative_to(root).as_posix()] = _digest(path)
    return found


def _digest(path: Path) -> str:
    if path.is_symlink():
        return f"link to {path.readlink()}"
    seen = path.stat()
    changed = seen.st_ctime_ns if seen.st_size <= LARGE else 0
    key = (seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, changed)
    if key not in _known:
        _known[key] = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"{_known[key]} {seen.st_mode:o}"


_known: dict[tuple[int, int, int, int, int], str] = {}
