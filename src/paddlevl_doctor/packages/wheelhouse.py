"""A folder with every wheel that one machine needs: collected on a machine with a network, installed without one.

`wheelhouse.toml` lists the wheels with their sizes and SHA-256 and is written last: a folder without it is
incomplete. Every file is compared with the list before the folder is used.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import tomli
from packaging.requirements import Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.knowledge.tables import numbers
from paddlevl_doctor.messages import Text, message, text
from paddlevl_doctor.packages.download import wheel_fault
from paddlevl_doctor.packages.gpu_wheel import PACKAGE, cuda_tag_of
from paddlevl_doctor.packages.resolve import TargetPlatform, least_glibc
from paddlevl_doctor.system.files import new_file, read_text
from paddlevl_doctor.values.errors import DoctorError

INDEX = "wheelhouse.toml"
REQUIREMENTS = "requirements.txt"
DOCTOR = "doctor"
"""The subfolder with the doctor itself, which is a wheelhouse too."""
SCHEMA = "paddlevl-doctor/wheelhouse/1"
_WORKERS = 4
_MAX_SHOWN_FAULTS = 4


@dataclass(frozen=True)
class WheelEntry:
    """One wheel in the folder."""

    name: str
    """Of the distribution, normalised."""
    version: str
    file: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Wheelhouse:
    """The contents of a folder, and the machine that they are for."""

    folder: Path
    set: str
    machine: TargetPlatform
    requirements: tuple[str, ...]
    """The requirements that were resolved."""
    wheels: tuple[WheelEntry, ...]
    tag: str | None = None
    """The CUDA variant (cu126) of its paddlepaddle-gpu; None for a wheelhouse without one."""

    @property
    def requirements_file(self) -> Path:
        """The exact versions with their hashes, for uv and for pip."""
        return self.folder / REQUIREMENTS

    @classmethod
    def check(cls, folder: Path) -> Wheelhouse:
        """Return the contents of a folder, every file verified; raises DoctorError that names the faults."""
        wheelhouse = _read(folder)
        with ThreadPoolExecutor(_WORKERS) as pool:
            reasons = pool.map(lambda w: wheel_fault(folder / w.file, w.sha256, w.size), wheelhouse.wheels)
            faults = [
                message("with-label", label=wheel.file, text=reason)
                for wheel, reason in zip(wheelhouse.wheels, reasons, strict=True)
                if reason
            ]
        listed = {wheel.file for wheel in wheelhouse.wheels}
        unlisted = (path.name for path in wheels_in(folder) if path.name not in listed)
        faults += [message("with-label", label=name, text=message("wheel-unlisted")) for name in unlisted]
        if _requirement_lines(wheelhouse.wheels) != _text_of(wheelhouse.requirements_file):
            faults.append(message("with-label", label=REQUIREMENTS, text=message("house-other-list")))
        if faults:
            hidden = len(faults) - _MAX_SHOWN_FAULTS
            shown: list[Text] = [*faults[:_MAX_SHOWN_FAULTS], *([f"+{hidden}"] if hidden > 0 else [])]
            raise DoctorError(message("house-damaged", path=folder, faults=shown))
        return wheelhouse

    def refuse_other(self, here: TargetPlatform) -> None:
        """Raise DoctorError if the wheels are for another kind of machine, or for a newer GNU C library."""
        made = self.machine
        if (here.system, here.machine, here.python) != (made.system, made.machine, made.python):
            raise DoctorError(message("house-other-machine", path=self.folder, made=made, here=here))
        newest = max(self.wheels, key=lambda wheel: least_glibc(wheel.file), default=None)
        if newest and here.glibc and numbers(here.glibc) < least_glibc(newest.file):
            needed = ".".join(map(str, least_glibc(newest.file)))
            params = {"file": newest.file, "needed": needed, "here": here.glibc}
            raise DoctorError(message("house-newer-glibc", path=self.folder, **params))

    def refuse_other_variant(self, needed: str) -> None:
        """Raise DoctorError if paddlepaddle-gpu is for another CUDA variant than `needed` (cu126).

        If the list does not name the variant, the wheel itself does.
        """
        made = self.tag or next(
            (cuda_tag_of(self.folder / wheel.file) for wheel in self.wheels if wheel.name == PACKAGE), None
        )
        if made != needed:
            named = made or message("house-line-unsaid")
            raise DoctorError(message("house-other-line", path=self.folder, made=named, needed=needed))

    def refuse_missing(self, requirements: Sequence[str]) -> None:
        """Raise DoctorError if a requirement of a plan has no wheel here."""
        versions = {wheel.name: wheel.version for wheel in self.wheels}

        def is_met(requirement: Requirement) -> bool:
            version = versions.get(canonicalize_name(requirement.name))
            return version is not None and requirement.specifier.contains(version, prereleases=True)

        missing = [str(r) for r in map(Requirement, requirements) if not is_met(r)]
        if missing:
            params = {"names": ", ".join(missing), "machine": self.machine, "set": self.set}
            raise DoctorError(message("house-lacks", path=self.folder, **params))


def cuda_tag_of_list(folder: Path) -> str | None:
    """Return the CUDA variant that the list of a folder names; None without a list, or if it names none."""
    try:
        return _read(folder).tag
    except DoctorError:
        return None


def wheels_in(folder: Path) -> list[Path]:
    """Return the wheels in a folder, sorted by name."""
    return sorted(folder.glob("*.whl"))


def write(wheelhouse: Wheelhouse, *, tested: bool) -> None:
    """Write the lists and the page for people, last the list that makes the folder valid.

    The page says if the versions are not the tested ones.
    """
    _replace(wheelhouse.requirements_file, _requirement_lines(wheelhouse.wheels))
    _replace(wheelhouse.folder / "README.md", _page(wheelhouse, tested=tested))
    head = {
        "schema": SCHEMA,
        "set": wheelhouse.set,
        "tag": wheelhouse.tag,
        "requirements": list(wheelhouse.requirements),
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in head.items() if value is not None]
    lines += ["", "[machine]"]
    # A JSON string of printable text is a TOML string too.
    lines += [f"{key} = {json.dumps(value)}" for key, value in asdict(wheelhouse.machine).items() if value]
    for wheel in wheelhouse.wheels:
        lines += ["", "[[wheel]]", *(f"{key} = {json.dumps(value)}" for key, value in asdict(wheel).items())]
    _replace(wheelhouse.folder / INDEX, "\n".join(lines) + "\n")


def _replace(path: Path, content: str) -> None:
    with new_file(path) as file:
        file.write(content.encode())


def _requirement_lines(wheels: Sequence[WheelEntry]) -> str:
    return "".join(f"{w.name}=={w.version} --hash=sha256:{w.sha256}\n" for w in wheels)


def _page(wheelhouse: Wheelhouse, *, tested: bool) -> str:
    size = sum(wheel.size for wheel in wheelhouse.wheels) >> 20
    params = {"machine": wheelhouse.machine, "set": wheelhouse.set, "count": len(wheelhouse.wheels)}
    page = text("house-page", **params, size=size, index=INDEX, doctor=DOCTOR)
    return page if tested else f"{page}\n{text('house-untested')}\n"


def _read(folder: Path) -> Wheelhouse:
    import msgspec  # noqa: PLC0415 - takes a third of the time of a check, and only a wheelhouse needs it

    content = _text_of(folder / INDEX)
    if content is None:
        raise DoctorError(message("house-none", path=folder, index=INDEX))
    try:
        table = tomli.loads(content)
        if table.get("schema") != SCHEMA:
            raise ValueError(f"schema {table.get('schema')!r}")
        wheels = msgspec.convert(table["wheel"], tuple[WheelEntry, ...])
        if not all(_is_wheel_name(wheel.file) for wheel in wheels):
            raise DoctorError(message("house-unreadable", path=folder / INDEX, reason=message("house-paths")))
        machine = msgspec.convert(table["machine"], TargetPlatform)
        tag = msgspec.convert(table.get("tag"), str | None)
        return Wheelhouse(folder, str(table["set"]), machine, tuple(table["requirements"]), wheels, tag)
    except (ValueError, KeyError, TypeError) as error:
        raise DoctorError(message("house-unreadable", path=folder / INDEX, reason=error)) from error


def _is_wheel_name(file: str) -> bool:
    """Return whether a file of the list is a wheel in the folder itself; a path could lead out of it."""
    try:
        parse_wheel_filename(file)
    except InvalidWheelFilename:
        return False
    return Path(file).name == file and "\\" not in file


def _text_of(path: Path) -> str | None:
    try:
        return read_text(path)
    except (OSError, UnicodeDecodeError):
        return None
