"""Version sets: which paddle, paddleocr and paddlex are installed together (matrix/sets.toml)."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from paddlevl_doctor.data_files import data_folder
from paddlevl_doctor.knowledge.tables import Fact, load_rows, numbers
from paddlevl_doctor.values.facts import Host, Target

PLANNED_PYTHON = "3.12"
"""The Python of a machine that is only described, and of a new environment that the doctor's own cannot make."""
_BOUNDS = re.compile(r">=(\d+\.\d+),<(\d+\.\d+)")


@dataclass(frozen=True, kw_only=True)
class OptionalWheel(Fact):
    """A wheel outside of every index, installed only where somebody asks for it."""

    set: str
    name: str
    version: str
    system: str
    machine: str
    url: str


@dataclass(frozen=True, kw_only=True)
class GpuVersion(Fact):
    """The version of paddlepaddle-gpu that a set takes from one index."""

    set: str
    tag: str
    version: str


@dataclass(frozen=True, kw_only=True)
class VersionSet(Fact):
    """One complete combination, in exact versions."""

    name: str
    default: bool
    paddleocr: str
    paddlex: str
    paddle_cpu: str
    python: str
    """The Pythons it resolves for, as >=X.Y,<X.Y."""
    requirements: tuple[str, ...]
    """What is installed besides paddle, paddleocr and paddlex."""
    constraints: tuple[str, ...]
    """Bounds on what something else may bring along."""
    why_en: str
    why_zh: str
    paddle_gpu: Mapping[str, str] = field(default_factory=dict)
    """The version of paddlepaddle-gpu by index tag (cu118, cu126, cu129)."""
    optional_wheels: tuple[OptionalWheel, ...] = ()

    def supports_python(self, version: str) -> bool:
        """Return whether the set resolves for this Python, given as 3.11.7 or 3.11."""
        bounds = _BOUNDS.fullmatch(self.python)
        assert bounds is not None  # noqa: S101 - a test reads every set
        return numbers(bounds[1]) <= numbers(version)[:2] < numbers(bounds[2])

    def paddle_versions(self, package: str) -> tuple[str, ...]:
        """Return the versions of paddlepaddle or paddlepaddle-gpu that follow this set."""
        if package == "paddlepaddle":
            return (self.paddle_cpu,)
        return tuple(dict.fromkeys(self.paddle_gpu.values()))

    def stack(self) -> tuple[str, ...]:
        """Return the requirement strings of everything but paddle itself."""
        return (f"paddleocr[doc-parser]=={self.paddleocr}", f"paddlex=={self.paddlex}", *self.requirements)

    def why(self, lang: str) -> str:
        """Return why this combination, in English or Chinese (zh)."""
        return self.why_zh if lang == "zh" else self.why_en


@functools.cache
def load_sets() -> tuple[VersionSet, ...]:
    """Return all sets, the default one first. Raises KnowledgeError for a malformed file."""
    gpu = load_rows("sets", "gpu", GpuVersion)
    wheels = load_rows("sets", "optional_wheel", OptionalWheel)
    sets = (_complete(bare, gpu, wheels) for bare in load_rows("sets", "set", VersionSet))
    return tuple(sorted(sets, key=lambda version_set: not version_set.default))


def _complete(bare: VersionSet, gpu: tuple[GpuVersion, ...], wheels: tuple[OptionalWheel, ...]) -> VersionSet:
    return replace(
        bare,
        paddle_gpu={row.tag: row.version for row in gpu if row.set == bare.name},
        optional_wheels=tuple(wheel for wheel in wheels if wheel.set == bare.name),
    )


def find_set(name: str) -> VersionSet | None:
    """Return the set of this name, None where there is none."""
    return next((version_set for version_set in load_sets() if version_set.name == name), None)


def gpu_version(set_name: str, tag: str) -> GpuVersion:
    """Return the row that says which paddlepaddle-gpu a set takes from an index; raises StopIteration without one."""
    rows = load_rows("sets", "gpu", GpuVersion)
    return next(row for row in rows if (row.set, row.tag) == (set_name, tag))


def default_set() -> VersionSet:
    """Return the set that is installed where nobody chose one."""
    return load_sets()[0]


def minor_of(version: str) -> str:
    """Return 3.12 for 3.12.1."""
    return ".".join(version.split(".")[:2])


def own_python() -> str:
    """Return the version of the Python that the doctor runs on, as 3.12."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def planned_python(version_set: VersionSet) -> str:
    """Return the version of the Python that a new environment on this machine is made of.

    It is the doctor's own where the set supports that, because it needs no download.
    """
    return own_python() if version_set.supports_python(own_python()) else PLANNED_PYTHON


def set_of(target: Target) -> VersionSet | None:
    """Return the set whose exact paddleocr and paddlex this environment has, None for another mixture.

    A local version (3.3.6+paddlevl.1, a wheel patched by the doctor) counts as the public version before it.
    """
    installed = tuple((target.version_of(name) or "").partition("+")[0] for name in ("paddleocr", "paddlex"))
    return next((one for one in load_sets() if (one.paddleocr, one.paddlex) == installed), None)


def resolved_list(version_set: VersionSet, host: Host, python_version: str) -> Path | None:
    """Return the file with the exact versions that a set resolved to when it was tested, None where there is none.

    It is a requirements file for uv: a new environment gets what the tests ran with, and not what was published
    since. Recorded for Linux x86_64 with glibc 2.28 only, as some of these versions have no wheels for an older
    one; elsewhere the newest versions that fit are taken.
    """
    if (host.system, host.machine) != ("linux", "x86_64") or numbers(host.glibc or "2.28") < (2, 28):
        return None
    minor = minor_of(python_version)
    path = data_folder("matrix") / "resolved" / f"{version_set.name}-{minor}.txt"
    return path if path.is_file() else None


_RELEASE = re.compile(r"\d+(?:\.\d+)*")
_CLAUSE = re.compile(r"\s*(>=|<=|<|>|==|!=)\s*(\d+(?:\.\d+)*)\s*")


def fits(version: str, specifier: str) -> bool:
    """Return whether a version fulfils a specifier (PEP 440), pre-releases included; an empty specifier excludes nothing.

    Plain releases against plain clauses, nearly every case, are compared here; everything else by `packaging`.
    What is no version fulfils none. Raises InvalidSpecifier as it does.
    """
    clauses = [_CLAUSE.fullmatch(clause) for clause in specifier.split(",")] if specifier else []
    if _RELEASE.fullmatch(version) is None or None in clauses:
        from packaging.specifiers import SpecifierSet  # noqa: PLC0415 - see above

        return SpecifierSet(specifier).contains(version, prereleases=True)
    mine = _parts(version)
    return all(_holds(mine, clause[1], _parts(clause[2])) for clause in clauses if clause is not None)


def _parts(release: str) -> tuple[int, ...]:
    """Return the numbers of a release without the zeros at its end: 3.3 and 3.3.0 are the same."""
    parts = [int(part) for part in release.split(".")]
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


def _holds(mine: tuple[int, ...], operator: str, other: tuple[int, ...]) -> bool:
    return {
        ">=": mine >= other,
        "<=": mine <= other,
        ">": mine > other,
        "<": mine < other,
        "==": mine == other,
        "!=": mine != other,
    }[operator]
