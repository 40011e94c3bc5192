"""Asks uv which wheels a machine needs, this one or another, and where they are (PEP 751). Nothing is installed."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from paddlevl_doctor.knowledge.data_files import numbers
from paddlevl_doctor.messages import text
from paddlevl_doctor.packages.uv import RESOLVE_TIMEOUT, UvError, run_uv
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.errors import DoctorError

_PLATFORMS = {
    ("linux", "x86_64"): "x86_64-manylinux_2_28",
    ("linux", "aarch64"): "aarch64-manylinux_2_28",
    ("windows", "x86_64"): "x86_64-pc-windows-msvc",
    ("macos", "aarch64"): "aarch64-apple-darwin",
}
_USUAL = "2_28"
"""The GNU C library of a machine that does not say its own."""
_GLIBCS = ("2_17", _USUAL, *(f"2_{minor}" for minor in range(31, 41)))
"""The GNU C libraries that uv can resolve for, as manylinux_2_17."""
_ROUNDS = 8
"""So many times versions are given up whose wheels need a newer C library."""


@dataclass(frozen=True)
class Machine:
    """A machine that wheels are collected for."""

    system: str
    """linux, windows or macos."""
    machine: str
    """x86_64 or aarch64."""
    python: str
    """Minor version, for example 3.12."""
    glibc: str | None = None

    def platform(self) -> str:
        """Return what uv calls it; raises DoctorError for a machine that nothing is published for."""
        name = _PLATFORMS.get((self.system, self.machine))
        if name is None:
            raise DoctorError(text("house-no-platform", system=self.system, machine=self.machine))
        return name.replace(_USUAL, self._nearest_glibc()) if self.glibc else name

    def _nearest_glibc(self) -> str:
        """Return the first that uv knows from this one on, so that nothing which fits is left out."""
        wanted = numbers(self.glibc or "")
        return next((known for known in _GLIBCS if numbers(known.replace("_", ".")) >= wanted), _GLIBCS[-1])

    def takes(self, wheel: str) -> bool:
        """Say whether a wheel that fits otherwise, by its file name, runs with the C library of this machine."""
        tags = re.findall(r"manylinux_(\d+)_(\d+)_", wheel)
        if self.system != "linux" or self.glibc is None or not tags or "manylinux2014" in wheel:
            return True
        return min(tuple(map(int, tag)) for tag in tags) <= numbers(self.glibc)

    def __str__(self) -> str:
        """Return the words for people."""
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
    """None where the index gives none."""
    size: int | None


def lock(
    system: System, requirements: Sequence[str], machine: Machine, folder: Path, options: Sequence[str] = ()
) -> tuple[LockedWheel, ...]:
    """Return one wheel a distribution for a machine; `folder` is for working files.

    `options` are further words for `uv pip compile`. uv knows not every C library: where it takes a version whose
    wheels need a newer one, an older version is asked for. Raises UvError where the requirements cannot be resolved.
    """
    barred: list[str] = []
    for _ in range(_ROUNDS):
        try:
            wheels = _resolved(system, (*requirements, *barred), machine, folder, options)
        except UvError as error:
            raise _without_wheel(machine, barred) if barred else error from error
        unusable = [f"{wheel.name}<{wheel.version}" for wheel in wheels if not machine.takes(wheel.file)]
        if not unusable:
            return wheels
        barred += unusable
    raise _without_wheel(machine, barred)


def _without_wheel(machine: Machine, barred: Sequence[str]) -> UvError:
    names = dict.fromkeys(word.partition("<")[0] for word in barred)
    return UvError(text("house-glibc", glibc=machine.glibc, names=", ".join(names)))


def _resolved(
    system: System, requirements: Sequence[str], machine: Machine, folder: Path, options: Sequence[str]
) -> tuple[LockedWheel, ...]:
    wanted, found = folder / "requirements.in", folder / "pylock.toml"
    wanted.write_text("\n".join(requirements) + "\n", encoding="utf-8")
    shape = ("--quiet", "--no-header", "--format", "pylock.toml", "--output-file", str(found))
    where = ("--python-platform", machine.platform(), "--python-version", machine.python)
    # Metadata alone is read: our own Python will do, where uv would look for that very version and fetch it.
    fixed = ("--python", sys.executable, "--no-python-downloads", "--only-binary", ":all:")
    found.unlink(missing_ok=True)  # uv would keep the versions that stand there
    run_uv(
        system,
        ("uv", "pip", "compile", *where, *fixed, *options, *shape, str(wanted)),
        timeout=RESOLVE_TIMEOUT,
    )
    return read_pylock(found.read_text(encoding="utf-8"), machine)


def read_pylock(words: str, machine: Machine) -> tuple[LockedWheel, ...]:
    """Return the best wheel of every package in a lock file that uv wrote for one platform."""
    import tomli  # noqa: PLC0415 - start-up time

    packages = tomli.loads(words).get("packages", [])
    return tuple(_chosen(package, machine) for package in packages)


def _chosen(package: Mapping[str, Any], machine: Machine) -> LockedWheel:
    rows = package.get("wheels") or [package[key] for key in ("archive",) if key in package]
    if not rows:  # an archive is what a URL requirement names, and neither that is here nor a wheel
        raise DoctorError(text("house-no-wheel", name=package["name"], machine=machine))
    row = max(rows, key=lambda row: (machine.takes(_file_name(row)), *_rank(_file_name(row), machine.python)))
    url, name = str(row.get("url") or row.get("path")), _file_name(row)
    version = package.get("version") or name.split("-")[1]
    sha256 = row.get("hashes", {}).get("sha256")
    return LockedWheel(package["name"], version, name, url, sha256, row.get("size"))


def _file_name(row: Mapping[str, Any]) -> str:
    return unquote(PurePosixPath(urlsplit(str(row.get("url") or row.get("path"))).path).name)


def _rank(name: str, python: str) -> tuple[bool, bool, int]:
    """Rank wheels that all fit, as uv listed only those: compiled ones first, then what older systems take too."""
    interpreter, _abi, platform = name.removesuffix(".whl").split("-")[-3:]
    oldest = min((int(x) * 1000 + int(y) for x, y in re.findall(r"_(\d+)_(\d+)_", platform)), default=0)
    return platform != "any", interpreter == f"cp{python.replace('.', '')}", -oldest
