"""Asks uv which wheels a machine needs, this one or another, and their URLs (PEP 751). Nothing is installed."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import tomli
from packaging.tags import Tag
from packaging.utils import parse_wheel_filename

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.knowledge.tables import numbers
from paddlevl_doctor.messages import message
from paddlevl_doctor.packages.uv import RESOLVE_TIMEOUT, UvError, run_uv
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.errors import DoctorError

_UV_PLATFORMS = {
    ("linux", "x86_64"): "x86_64-manylinux_2_28",
    ("linux", "aarch64"): "aarch64-manylinux_2_28",
    ("windows", "x86_64"): "x86_64-pc-windows-msvc",
    ("macos", "aarch64"): "aarch64-apple-darwin",
}
_DEFAULT_GLIBC = "2_28"
"""The GNU C library of a machine whose own is not known."""
_UV_GLIBCS = ("2_17", _DEFAULT_GLIBC, *(f"2_{minor}" for minor in range(31, 41)))
"""The GNU C libraries that uv can resolve for, as in manylinux_2_17."""
_LEGACY_TAGS = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
_MAX_ROUNDS = 8
"""The number of resolutions, each without the versions whose wheels need a newer C library."""


@dataclass(frozen=True)
class TargetPlatform:
    """A kind of machine that wheels are collected for."""

    system: str
    """linux, windows or macos."""
    machine: str
    """x86_64 or aarch64."""
    python: str
    """Minor version, for example 3.12."""
    glibc: str | None = None

    def uv_platform(self) -> str:
        """Return uv's name of the platform; raises DoctorError for a machine without published wheels."""
        name = _UV_PLATFORMS.get((self.system, self.machine))
        if name is None:
            raise DoctorError(message("house-no-platform", system=self.system, machine=self.machine))
        if self.glibc is None:
            return name
        wanted = numbers(self.glibc)
        # The next version that uv knows, so that no wheel that fits is left out.
        known = (glibc for glibc in _UV_GLIBCS if numbers(glibc.replace("_", ".")) >= wanted)
        return name.replace(_DEFAULT_GLIBC, next(known, _UV_GLIBCS[-1]))

    def accepts(self, wheel: str) -> bool:
        """Return whether a wheel that uv chose, by its file name, runs with the C library of this machine."""
        return self.system != "linux" or self.glibc is None or least_glibc(wheel) <= numbers(self.glibc)

    def __str__(self) -> str:
        """Return the description for people."""
        return f"{self.system} {self.machine}, Python {self.python}"


@dataclass(frozen=True)
class LockedWheel:
    """One wheel that a machine needs."""

    name: str
    """Of the distribution, normalised."""
    version: str
    file: str
    url: str
    sha256: str | None
    """None if the index gives none."""
    size: int | None


def least_glibc(file: str) -> tuple[int, ...]:
    """Return the oldest GNU C library that a wheel runs with, by its name (PEP 600); (0,) if it names none."""
    return min(filter(None, map(_glibc_of, parse_wheel_filename(file)[3])), default=(0,))


def _glibc_of(tag: Tag) -> tuple[int, ...]:
    family, *version = tag.platform.split("_")
    if family == "manylinux":
        return (int(version[0]), int(version[1]))
    return _LEGACY_TAGS.get(family, ())


def lock(
    system: System,
    requirements: Sequence[str],
    machine: TargetPlatform,
    folder: Path,
    options: Sequence[str] = (),
) -> tuple[LockedWheel, ...]:
    """Return one wheel a distribution for a machine; `folder` is for working files.

    `options` are further arguments of `uv pip compile`. uv does not know every C library: if it chooses a version
    whose wheels need a newer one, an older version is resolved. Raises UvError if the requirements cannot be met.
    """
    excluded: list[str] = []
    for _ in range(_MAX_ROUNDS):
        try:
            wheels = _resolve(system, (*requirements, *excluded), machine, folder, options)
        except UvError as error:
            raise _without_wheel(machine, excluded) if excluded else error from error
        unusable = [f"{wheel.name}<{wheel.version}" for wheel in wheels if not machine.accepts(wheel.file)]
        if not unusable:
            return wheels
        excluded += unusable
    raise _without_wheel(machine, excluded)


def _without_wheel(machine: TargetPlatform, excluded: Sequence[str]) -> UvError:
    names = dict.fromkeys(requirement.partition("<")[0] for requirement in excluded)
    return UvError(message("house-glibc", glibc=machine.glibc, names=", ".join(names)))


def _resolve(
    system: System,
    requirements: Sequence[str],
    machine: TargetPlatform,
    folder: Path,
    options: Sequence[str],
) -> tuple[LockedWheel, ...]:
    given, lock_file = folder / "requirements.in", folder / "pylock.toml"
    given.write_text("\n".join(requirements) + "\n", encoding="utf-8")
    shape = ("--quiet", "--no-header", "--format", "pylock.toml", "--output-file", str(lock_file))
    target = ("--python-platform", machine.uv_platform(), "--python-version", machine.python)
    # Only metadata is read: our own Python will do; uv would search for that very version and download it.
    fixed = ("--python", sys.executable, "--no-python-downloads", "--only-binary", ":all:")
    lock_file.unlink(missing_ok=True)  # uv would keep the versions in it
    command = ("uv", "pip", "compile", *target, *fixed, *options, *shape, str(given))
    run_uv(system, command, timeout=RESOLVE_TIMEOUT)
    return read_pylock(lock_file.read_text(encoding="utf-8"), machine)


def read_pylock(content: str, machine: TargetPlatform) -> tuple[LockedWheel, ...]:
    """Return the best wheel of every package in a lock file that uv wrote for one platform.

    `packaging.pylock` refuses wheels without a hash, which uv 0.10 writes for an index without hashes, as Paddle's.
    """
    return tuple(_best_wheel(package, machine) for package in tomli.loads(content).get("packages", []))


def _best_wheel(package: Mapping[str, Any], machine: TargetPlatform) -> LockedWheel:
    rows = package.get("wheels") or [package[key] for key in ("archive",) if key in package]
    if not rows:  # an archive is a requirement with a URL
        raise DoctorError(message("house-no-wheel", name=package["name"], machine=machine))
    row = max(rows, key=lambda row: _rank(_file_name(row), machine))
    file = _file_name(row)
    version = package.get("version") or str(parse_wheel_filename(file)[1])
    sha256 = row.get("hashes", {}).get("sha256")
    return LockedWheel(package["name"], version, file, _url(row), sha256, row.get("size"))


def _url(row: Mapping[str, Any]) -> str:
    return str(row.get("url") or row.get("path"))


def _file_name(row: Mapping[str, Any]) -> str:
    return unquote(PurePosixPath(urlsplit(_url(row)).path).name)


def _rank(file: str, machine: TargetPlatform) -> tuple[bool, bool, bool, tuple[int, ...]]:
    """Rank wheels that all fit, as uv lists only those: compiled ones first, then those for the oldest systems."""
    tags = parse_wheel_filename(file)[3]
    compiled = any(tag.platform != "any" for tag in tags)
    own_python = any(tag.interpreter == f"cp{machine.python.replace('.', '')}" for tag in tags)
    oldest = tuple(-number for number in _least_system(tags))
    return machine.accepts(file), compiled, own_python, oldest


def _least_system(tags: frozenset[Tag]) -> tuple[int, ...]:
    """Return the oldest glibc or macOS that the platforms name (manylinux_2_28, macosx_11_0); (0, 0) for none."""
    named = (
        tag.platform.split("_")[1:3] for tag in tags if tag.platform.startswith(("manylinux_", "macosx_"))
    )
    return min(((int(major), int(minor)) for major, minor in named), default=(0, 0))
