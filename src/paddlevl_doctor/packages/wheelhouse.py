"""A folder with every wheel that one machine needs: collected where there is a network, installed where there is none.

`wheelhouse.toml` lists the wheels with their sizes and SHA-256 and is written last: a folder without it is not
finished. Nothing in it is trusted before every file was compared with the list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from paddlevl_doctor.knowledge.data_files import numbers
from paddlevl_doctor.messages import text
from paddlevl_doctor.packages.download import wrong_wheel
from paddlevl_doctor.packages.resolve import Machine
from paddlevl_doctor.packages.wheel_cache import PACKAGE, line_in
from paddlevl_doctor.values.errors import DoctorError

INDEX = "wheelhouse.toml"
REQUIREMENTS = "requirements.txt"
DOCTOR = "doctor"
"""The folder below with the doctor itself, which is a wheelhouse too."""
SCHEMA = "paddlevl-doctor/wheelhouse/1"
_WORKERS = 4
_OLD_TAGS = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
_SHOWN = 4


@dataclass(frozen=True)
class HouseWheel:
    """One wheel in the folder."""

    name: str
    """Of the distribution, normalised."""
    version: str
    file: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Wheelhouse:
    """What a folder holds, and for which machine."""

    folder: Path
    set: str
    machine: Machine
    requirements: tuple[str, ...]
    """What was asked for."""
    wheels: tuple[HouseWheel, ...]
    tag: str | None = None
    """The CUDA line (cu126) of its paddlepaddle-gpu; None for a house without one."""

    @property
    def requirements_file(self) -> Path:
        """The exact versions with their hashes, for uv and for pip."""
        return self.folder / REQUIREMENTS

    @classmethod
    def check(cls, folder: Path) -> Wheelhouse:
        """Return what is in a folder, every file compared; raises DoctorError that names the faults."""
        house = _read(folder)
        with ThreadPoolExecutor(_WORKERS) as pool:
            reasons = pool.map(lambda w: wrong_wheel(folder / w.file, w.sha256, w.size), house.wheels)
            faults = [
                f"{w.file}: {reason}" for w, reason in zip(house.wheels, reasons, strict=True) if reason
            ]
        listed = {wheel.file for wheel in house.wheels}
        faults += [
            f"{path.name}: {text('wheel-unlisted')}" for path in wheels_in(folder) if path.name not in listed
        ]
        if _lines(house.wheels) != _text_of(house.requirements_file):
            faults.append(f"{REQUIREMENTS}: {text('house-other-list')}")
        if faults:
            more = "" if len(faults) <= _SHOWN else f" (+{len(faults) - _SHOWN})"
            raise DoctorError(text("house-damaged", path=folder, faults="; ".join(faults[:_SHOWN]) + more))
        return house

    def refuse_other(self, here: Machine) -> None:
        """Raise DoctorError where the wheels are for another kind of machine, or for a newer GNU C library."""
        if (here.system, here.machine, here.python) != (
            self.machine.system,
            self.machine.machine,
            self.machine.python,
        ):
            raise DoctorError(text("house-other-machine", path=self.folder, made=self.machine, here=here))
        newest = max(self.wheels, key=lambda wheel: least_glibc(wheel.file), default=None)
        if newest and here.glibc and numbers(here.glibc) < least_glibc(newest.file):
            needed = ".".join(map(str, least_glibc(newest.file)))
            told = {"file": newest.file, "needed": needed, "here": here.glibc}
            raise DoctorError(text("house-newer-glibc", path=self.folder, **told))

    def refuse_other_line(self, needed: str) -> None:
        """Raise DoctorError where paddlepaddle-gpu is for another CUDA line than `needed` (cu126).

        A list that does not name the line gives way to what the wheel says of itself.
        """
        made = self.tag or next(
            (line_in(self.folder / wheel.file) for wheel in self.wheels if wheel.name == PACKAGE), None
        )
        if made != needed:
            named = made or text("house-line-unsaid")
            raise DoctorError(text("house-other-line", path=self.folder, made=named, needed=needed))

    def refuse_missing(self, requirements: Sequence[str]) -> None:
        """Raise DoctorError where a requirement of a plan has no wheel here."""
        from packaging.requirements import Requirement  # noqa: PLC0415 - only repairs need it
        from packaging.utils import canonicalize_name  # noqa: PLC0415 - as above

        there = {wheel.name: wheel.version for wheel in self.wheels}
        asked = [Requirement(requirement) for requirement in requirements]
        missing = [
            str(r)
            for r in asked
            if not r.specifier.contains(there.get(canonicalize_name(r.name), "0.dev0"), prereleases=True)
            or canonicalize_name(r.name) not in there
        ]
        if missing:
            told = {"names": ", ".join(missing), "machine": self.machine, "set": self.set}
            raise DoctorError(text("house-lacks", path=self.folder, **told))


def least_glibc(file: str) -> tuple[int, ...]:
    """Return the oldest GNU C library that a wheel runs with, by its name (PEP 600); (0,) where it does not say."""
    tags = file.removesuffix(".whl").rpartition("-")[2].split(".")
    new = [(int(m[1]), int(m[2])) for tag in tags if (m := re.match(r"manylinux_(\d+)_(\d+)_", tag))]
    old = [version for tag in tags for name, version in _OLD_TAGS.items() if tag.startswith(f"{name}_")]
    return min((*new, *old), default=(0,))


def line_of_list(folder: Path) -> str | None:
    """Return the CUDA line that a folder's list names; None without a list, or where it names none."""
    try:
        return _read(folder).tag
    except DoctorError:
        return None


def wheels_in(folder: Path) -> list[Path]:
    """Return the wheels in a folder, sorted by name."""
    return sorted(folder.glob("*.whl"))


def write(house: Wheelhouse, *, tested: bool) -> None:
    """Write the lists and the page for people beside the wheels, the list that makes it valid last.

    The page says where it holds other versions than were tested.
    """
    _replace(house.requirements_file, _lines(house.wheels))
    _replace(house.folder / "README.md", _page(house, tested=tested))
    _replace(house.folder / INDEX, _toml(house))


def _replace(path: Path, words: str) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_text(words, encoding="utf-8", newline="\n")
    part.replace(path)


def _lines(wheels: Sequence[HouseWheel]) -> str:
    return "".join(f"{w.name}=={w.version} --hash=sha256:{w.sha256}\n" for w in wheels)


def _toml(house: Wheelhouse) -> str:
    """Write the list; a JSON string of printable text is a TOML string too."""
    head = {"schema": SCHEMA, "set": house.set, "tag": house.tag, "requirements": list(house.requirements)}
    lines = [f"{key} = {json.dumps(value)}" for key, value in head.items() if value is not None]
    lines += ["", "[machine]"]
    lines += [f"{key} = {json.dumps(value)}" for key, value in asdict(house.machine).items() if value]
    for wheel in house.wheels:
        lines += ["", "[[wheel]]", *(f"{key} = {json.dumps(value)}" for key, value in asdict(wheel).items())]
    return "\n".join(lines) + "\n"


def _page(house: Wheelhouse, *, tested: bool) -> str:
    size = sum(wheel.size for wheel in house.wheels) >> 20
    told = {"machine": house.machine, "set": house.set, "count": len(house.wheels), "size": size}
    page = text("house-page", **told, index=INDEX, doctor=DOCTOR)
    return page if tested else f"{page}\n{text('house-untested')}\n"


def _read(folder: Path) -> Wheelhouse:
    import msgspec  # noqa: PLC0415 - only wheelhouses need it
    import tomli  # noqa: PLC0415 - as above

    words = _text_of(folder / INDEX)
    if words is None:
        raise DoctorError(text("house-none", path=folder, index=INDEX))
    try:
        said = tomli.loads(words)
        if said.get("schema") != SCHEMA:
            raise ValueError(f"schema {said.get('schema')!r}")
        wheels = msgspec.convert(said["wheel"], tuple[HouseWheel, ...])
        if not all(re.fullmatch(r"[\w.+!-]+\.whl", wheel.file) for wheel in wheels):
            raise ValueError(text("house-paths"))
        machine = msgspec.convert(said["machine"], Machine)
        tag = msgspec.convert(said.get("tag"), str | None)
        return Wheelhouse(folder, str(said["set"]), machine, tuple(said["requirements"]), wheels, tag)
    except (ValueError, KeyError, TypeError) as error:
        raise DoctorError(text("house-unreadable", path=folder / INDEX, reason=error)) from error


def _text_of(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
