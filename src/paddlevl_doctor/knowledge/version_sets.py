"""Version sets: tested combinations of paddle, paddleocr and paddlex (matrix/sets.toml), and version comparisons."""

from __future__ import annotations

import functools
import operator
import re
import sys
from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path

from paddlevl_doctor.data_files import data_folder
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.knowledge.tables import Fact, load_rows, numbers
from paddlevl_doctor.values.facts import Host, Target

PLANNED_PYTHON = "3.12"
"""The Python of a described machine, and of a new environment if the version set does not support the doctor's own."""
_BOUNDS = re.compile(r">=(\d+\.\d+),<(\d+\.\d+)")


@dataclass(frozen=True, kw_only=True)
class OptionalWheel(Fact):
    """A wheel that is on no index; it is installed only on request."""

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
    """One complete combination of exact versions."""

    name: str
    default: bool
    paddleocr: str
    paddlex: str
    paddle_cpu: str
    python: str
    """The supported Pythons, as >=X.Y,<X.Y."""
    requirements: tuple[str, ...]
    """The requirements in addition to paddle, paddleocr and paddlex."""
    constraints: tuple[str, ...]
    """Version bounds for indirect dependencies."""
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
        """Return the requirement strings of all packages except paddle."""
        return (f"paddleocr[doc-parser]=={self.paddleocr}", f"paddlex=={self.paddlex}", *self.requirements)

    def why(self, lang: str) -> str:
        """Return the reason for this combination, in English or Chinese (zh)."""
        return self.why_zh if lang == "zh" else self.why_en


@functools.cache
def load_sets() -> tuple[VersionSet, ...]:
    """Return all sets, the default one first. Raises KnowledgeError for a malformed file."""
    gpu = load_rows("sets", "gpu", GpuVersion)
    wheels = load_rows("sets", "optional_wheel", OptionalWheel)
    sets = (
        replace(
            row,
            paddle_gpu={one.tag: one.version for one in gpu if one.set == row.name},
            optional_wheels=tuple(wheel for wheel in wheels if wheel.set == row.name),
        )
        for row in load_rows("sets", "set", VersionSet)
    )
    return tuple(sorted(sets, key=lambda version_set: not version_set.default))


def find_set(name: str) -> VersionSet | None:
    """Return the set of this name, None if there is none."""
    return next((version_set for version_set in load_sets() if version_set.name == name), None)


def gpu_version(set_name: str, tag: str) -> GpuVersion:
    """Return the row with the paddlepaddle-gpu of a set on an index. Raises StopIteration if there is none."""
    rows = load_rows("sets", "gpu", GpuVersion)
    return next(row for row in rows if (row.set, row.tag) == (set_name, tag))


def default_set() -> VersionSet:
    """Return the set that is installed unless the user chooses another one."""
    return load_sets()[0]


def minor_of(version: str) -> str:
    """Return 3.12 for 3.12.1."""
    return ".".join(version.split(".")[:2])


def own_python() -> str:
    """Return the version of the Python that the doctor runs on, as 3.12."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def own_interpreter() -> str:
    """Return the path of the Python that the doctor's own environment was made with."""
    return getattr(sys, "_base_executable", None) or sys.executable


def planned_python(version_set: VersionSet) -> str:
    """Return the Python of a new environment: the doctor's own if the set supports it, because it needs no download."""
    return own_python() if version_set.supports_python(own_python()) else PLANNED_PYTHON


def set_of(target: Target) -> VersionSet | None:
    """Return the set whose exact paddleocr and paddlex this environment has, None if there is none.

    A local version (3.3.6+paddlevl.1, a wheel patched by the doctor) counts as the public version before it.
    """
    installed = tuple((target.version_of(name) or "").partition("+")[0] for name in ("paddleocr", "paddlex"))
    return next((one for one in load_sets() if (one.paddleocr, one.paddlex) == installed), None)


def resolved_list(version_set: VersionSet, host: Host, python_version: str) -> Path | None:
    """Return the requirements file with the exact versions with which a set was tested, None if there is none.

    uv installs these versions into a new environment instead of newer ones. The files exist only for Linux x86_64 with
    glibc 2.28 or later, because some of these versions have no wheels for an older glibc; on other systems uv installs
    the newest versions that fit.
    """
    if (host.system, host.machine) != ("linux", "x86_64") or numbers(host.glibc or "2.28") < (2, 28):
        return None
    minor = minor_of(python_version)
    path = data_folder("matrix") / "resolved" / f"{version_set.name}-{minor}.txt"
    return path if path.is_file() else None


_RELEASE = re.compile(r"\d+(?:\.\d+)*(?:\.post\d+)?")
_CLAUSE = re.compile(
    r"\s*(?:(>=|<=|<|>|==|!=)\s*(\d+(?:\.\d+)*(?:\.post\d+)?)|(==|!=)\s*(\d+(?:\.\d+)*)\.\*)\s*"
)


def fits(version: str, specifier: str) -> bool:
    """Return whether a version, which may be a pre-release, fulfils a specifier (PEP 440). An empty one excludes none.

    Releases and simple clauses are compared here, which is faster; the rest by `packaging`. An invalid version
    fulfils no specifier. Raises InvalidSpecifier.
    """
    clauses = [_CLAUSE.fullmatch(clause) for clause in specifier.split(",")] if specifier.strip() else []
    if not clauses:
        return True
    if _RELEASE.fullmatch(version) is None or None in clauses:
        from packaging.specifiers import SpecifierSet  # noqa: PLC0415 - see above

        return SpecifierSet(specifier).contains(version, prereleases=True)
    return all(_fulfils(version, clause) for clause in clauses if clause is not None)


def _fulfils(version: str, clause: re.Match[str]) -> bool:
    if clause[4] is not None:  # ==1.2.* or !=1.2.*
        prefix = [int(part) for part in clause[4].split(".")]
        release = [int(part) for part in version.partition(".post")[0].split(".")]
        return ((release + [0] * len(prefix))[: len(prefix)] == prefix) is (clause[3] == "==")
    parts, wanted = _parts(version), _parts(clause[2])
    if clause[1] == ">" and parts[0] == wanted[0]:  # a post-release is not newer than its release
        return "post" in clause[2] and parts > wanted
    return bool(_OPERATORS[clause[1]](parts, wanted))


_OPERATORS = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "==": operator.eq,
    "!=": operator.ne,
}


def _parts(version: str) -> tuple[tuple[int, ...], int]:
    """Return the numbers of a release without trailing zeros, so that 3.3 and 3.3.0 are equal, and its post-release."""
    release, _, post = version.partition(".post")
    parts = [int(part) for part in release.split(".")]
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts), int(post or -1)
