"""Finds the lock file of the project that an environment belongs to, and what it would bring back.

uv, poetry and pdm keep an environment in `.venv` beside pyproject.toml, pixi in `.pixi/envs/NAME`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import tomli
from packaging.utils import canonicalize_name

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.invocation import invocation
from paddlevl_doctor.messages import Message, message
from paddlevl_doctor.packages.uv import Change
from paddlevl_doctor.shells import command_line, shell_of
from paddlevl_doctor.system.machine import System

_TOOLS = {
    "uv.lock": ("uv", "add", "--project"),
    "poetry.lock": ("poetry", "add", "--directory"),
    "pdm.lock": ("pdm", "add", "--project"),
    "pixi.lock": ("pixi", "add", "--manifest-path"),
}
"""The command that changes a requirement of a project and its lock, and the option that names the project."""


@dataclass(frozen=True)
class ProjectLock:
    """A lock file and the versions in it, by normalised name; a name may have one version per platform."""

    path: Path
    versions: Mapping[str, frozenset[str]]


def lock_notes(
    system: System, prefix: Path, changes: Sequence[Change], requirements: Sequence[str]
) -> tuple[Message, ...]:
    """Return a note for every lock file that would revert a change, with the command that changes the project."""
    return tuple(
        message(
            "lock-reverts",
            lock=lock.path,
            names=", ".join(f"{name} {version}" for name, version in reverted.items()),
            command=_command(system, lock.path, reverted, requirements, changes),
        )
        for lock in find_locks(system, prefix)
        if (reverted := _reverted(lock, changes))
    )


def find_locks(system: System, prefix: Path) -> Iterator[ProjectLock]:
    """Yield the lock files of the project whose environment is at `prefix`; unreadable ones are ignored."""
    if prefix.parent.name == "envs" and prefix.parent.parent.name == ".pixi":
        project, names = prefix.parents[2], ["pixi.lock"]
    elif prefix.name == ".venv" and system.exists(prefix.parent / "pyproject.toml"):
        project, names = prefix.parent, ["uv.lock", "poetry.lock", "pdm.lock"]
    else:
        return
    for path in (project / name for name in names):
        words = system.read_text(path)
        if words is not None and (versions := _versions(path.name, words)):
            yield ProjectLock(path, versions)


def _versions(name: str, words: str) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for package, version in _pixi_packages(words) if name == "pixi.lock" else _toml_packages(words):
        known = canonicalize_name(package)
        found[known] = found.get(known, frozenset()) | {version}
    return found


def _toml_packages(words: str) -> Iterator[tuple[str, str]]:
    try:
        rows = tomli.loads(words).get("package", [])
    except tomli.TOMLDecodeError:
        return
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict) and isinstance(row.get("name"), str) and isinstance(row.get("version"), str):
            yield row["name"], row["version"]


def _pixi_packages(words: str) -> Iterator[tuple[str, str]]:
    """Yield the packages from PyPI in a pixi.lock, whose entries are `- pypi: URL`, `  name: …`, `  version: …`."""
    for entry in re.split(r"^- ", words.partition("\npackages:")[2], flags=re.MULTILINE):
        fields = dict(re.findall(r"^ *(pypi|name|version): *['\"]?([^'\"\s]+)", entry, re.MULTILINE))
        if {"pypi", "name", "version"} <= set(fields):
            yield fields["name"], fields["version"]


def _reverted(lock: ProjectLock, changes: Sequence[Change]) -> dict[str, str]:
    """Return the versions that the lock has instead of those that the plan installs, by name."""
    return {
        change.name: ", ".join(sorted(locked))
        for change in changes
        if change.after is not None
        and change.after != change.before
        and (locked := lock.versions.get(canonicalize_name(change.name)))
        and change.after not in locked
    }


def _command(
    system: System,
    lock: Path,
    reverted: Mapping[str, str],
    requirements: Sequence[str],
    changes: Sequence[Change],
) -> str:
    """Return the command that changes the project: with the fix's requirements, else with the exact versions.

    It begins with `uv` only if the user's shell finds that; `uv add` ignores the environment that is active.
    """
    named = [
        r for r in requirements if canonicalize_name(re.split(r"[\[<>=!~ @]", r, maxsplit=1)[0]) in reverted
    ]
    exact = [f"{change.name}=={change.after}" for change in changes if change.name in reverted]
    program, verb, option = _TOOLS[lock.name]
    words = [program, verb, *(["--pypi"] if program == "pixi" else [])]
    if lock.parent != system.cwd():
        words += [option, str(lock.parent)]
    return command_line(invocation().complete((*words, *(named or exact))), shell_of(system.platform))
