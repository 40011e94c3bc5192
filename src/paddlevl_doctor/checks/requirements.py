"""Compares what the installed stack requires, by its METADATA, with what is installed."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from functools import partial

from packaging.version import InvalidVersion, Version

from paddlevl_doctor.checks.base import Check, Context, Diagnosis, ok, skipped
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.knowledge.failures import load_failure
from paddlevl_doctor.knowledge.version_sets import fits
from paddlevl_doctor.messages import Message, message
from paddlevl_doctor.values.facts import Host, Target
from paddlevl_doctor.values.findings import Evidence, Status

DOC_PARSER_EXTRAS = ("ocr", "genai-client")
"""The extras of paddlex that the extra doc-parser of every paddleocr 3.3.0-3.7.0 requires (METADATA)."""
ROOTS = (
    ("paddlepaddle", ()),
    ("paddlepaddle-gpu", ()),
    ("paddleocr", ("doc-parser",)),
    ("paddlex", DOC_PARSER_EXTRAS),
    ("safetensors", ()),
)
"""The distributions that PaddleOCR-VL imports, with the extras that it uses; probes/inventory.py has them too."""
FINDING = "requirements-unmet"
_JUDGED = {
    "numpy": "numpy-2-4-scalar",
    "safetensors": "safetensors-framework-paddle",
    "langchain": "langchain-docstore",
    "aistudio-sdk": "aistudio-sdk-conflict",
}
"""The findings that judge the version of a distribution by what was seen, and not by what METADATA allows."""
_COMPARISON = re.compile(r"""([a-z_]+)\s*(==|!=|<=|>=|<|>)\s*(?:"([^"]*)"|'([^']*)')""")
_ONE_EXTRA = re.compile(r"""extra == ["']([^"' ]+)["']""")
"""The form of most markers."""
_LOWEST = r"\s*(?:>=|===?|>|~=)\s*([^\s*]+?)(?:\.\*)?\s*"
# The names that markers use, as the system itself reports them, for the normalised names in `Host`.
_SYSTEMS = {"linux": ("Linux", "linux"), "windows": ("Windows", "win32"), "macos": ("Darwin", "darwin")}
_MACHINES = {
    ("windows", "x86_64"): "AMD64",
    ("windows", "aarch64"): "ARM64",
    ("macos", "aarch64"): "arm64",
}


@dataclass(frozen=True)
class Requirement:
    """One line of Requires-Dist."""

    name: str
    extras: tuple[str, ...]
    specifier: str
    marker: str


@dataclass(frozen=True)
class Unmet:
    """A requirement that is not met; `installed` is None if the distribution is missing."""

    name: str
    specifier: str
    required_by: str
    installed: str | None

    @property
    def is_too_new(self) -> bool:
        """Whether a version is installed that is newer than every allowed one: a cure would be a downgrade."""
        if self.installed is None:
            return False
        lowest = (
            match[1] for clause in self.specifier.split(",") if (match := re.fullmatch(_LOWEST, clause))
        )
        try:
            return all(Version(self.installed) >= Version(version) for version in lowest)
        except InvalidVersion:
            return False


def normalised(name: str) -> str:
    """Return a distribution's name in its normal form (PEP 503)."""
    return name.lower() if name.isalnum() else re.sub(r"[-_.]+", "-", name).lower()


def parse(line: str) -> Requirement:
    """Return the parts of a line of Requires-Dist. String methods are faster here than a regular expression."""
    head, _, marker = line.partition(";")
    wanted = head.partition("@")[0].strip().replace("(", "").replace(")", "")
    bare, bracket, rest = wanted.partition("[")
    inside, _, specifier = rest.partition("]")
    name = min((bare.partition(sign)[0] for sign in " <>=!~"), key=len)
    extras = tuple(normalised(extra.strip()) for extra in inside.split(",")) if bracket else ()
    clauses = specifier if bracket else bare[len(name) :]
    return Requirement(normalised(name), extras, clauses.strip(), marker.strip())


def marker_environment(host: Host, target: Target) -> dict[str, str]:
    """Return the values of PEP 508's variables in the target."""
    platform_system, sys_platform = _SYSTEMS.get(host.system, (host.system, host.system))
    implementation = {"cpython": "CPython", "pypy": "PyPy"}.get(target.implementation, target.implementation)
    return {
        "python_version": target.version.rpartition(".")[0],
        "python_full_version": target.version,
        "implementation_version": target.version,
        "implementation_name": target.implementation,
        "platform_python_implementation": implementation,
        "os_name": "nt" if host.system == "windows" else "posix",
        "sys_platform": sys_platform,
        "platform_system": platform_system,
        "platform_machine": _MACHINES.get((host.system, host.machine), host.machine),
        "platform_release": host.release,
        "platform_version": "",
    }


def holds(marker: str, environment: Mapping[str, str], extras: Collection[str]) -> bool:
    """Return whether a marker holds for one of the extras, or without any.

    Comparisons of a variable with a text are evaluated here: importing `packaging.markers` costs 20 ms.
    """
    if not marker:
        return True
    if one_extra := _ONE_EXTRA.fullmatch(marker):
        return normalised(one_extra[1]) in extras
    decided = _COMPARISON.sub(partial(_compared, environment, extras), marker)
    if set(decided.replace("and", "").replace("or", "")) <= set("01() "):
        while "(" in decided:
            decided = re.sub(r"\(([^()]*)\)", lambda match: _any_of(match[1]), decided)
        return _any_of(decided) == "1"
    return _holds_by_packaging(marker, environment, extras)


def _any_of(alternatives: str) -> str:
    clauses = (clause.split(" and ") for clause in alternatives.split(" or "))
    return "1" if any(all(part.strip() == "1" for part in clause) for clause in clauses) else "0"


def _compared(environment: Mapping[str, str], extras: Collection[str], match: re.Match[str]) -> str:
    name, operator, wanted = match[1], match[2], match[3] if match[3] is not None else match[4]
    if name == "extra" and operator == "==":
        return "1" if normalised(wanted) in extras else "0"
    if name in ("python_version", "python_full_version"):
        return "1" if fits(environment[name], f"{operator}{wanted}") else "0"
    if operator in ("==", "!=") and name in environment:
        return "1" if (environment[name] == wanted) is (operator == "==") else "0"
    return match[0]


def _holds_by_packaging(marker: str, environment: Mapping[str, str], extras: Collection[str]) -> bool:
    from packaging.markers import InvalidMarker, Marker, UndefinedComparison  # noqa: PLC0415 - see `holds`

    try:
        parsed = Marker(marker)
        return any(parsed.evaluate({**environment, "extra": extra}) for extra in (*extras, ""))
    except (InvalidMarker, UndefinedComparison):
        return False


def requirements(host: Host, target: Target) -> Iterator[tuple[str, Requirement]]:
    """Yield the name of a requiring distribution and each requirement that applies, beginning with the stack.

    Of two records of one name the first on the import path counts, as for an import.
    """
    environment = marker_environment(host, target)
    lines = {d.name: d.requires for d in reversed(target.distributions)}
    parsed: dict[str, list[Requirement]] = {}
    waiting, seen = list(ROOTS), set()
    while waiting:
        name, extras = waiting.pop()
        if name not in lines or (name, extras) in seen:
            continue
        seen.add((name, extras))
        if name not in parsed:
            parsed[name] = [parse(line) for line in lines[name]]
        for required in parsed[name]:
            if holds(required.marker, environment, extras):
                yield name, required
                waiting.append((required.name, required.extras))


def unmet(host: Host, target: Target) -> tuple[Unmet, ...]:
    """Return the requirements that are not met and that no other finding names."""
    installed = {d.name: d.version for d in reversed(target.distributions)}
    found: dict[tuple[str, str], Unmet] = {}
    for by, required in requirements(host, target):
        version = installed.get(required.name)
        if version is None or not _allows(required.specifier, version):
            one = Unmet(required.name, required.specifier, by, version)
            if not _is_judged(one, required.marker):
                found.setdefault((one.name, one.specifier), one)
    return tuple(found.values())


def _allows(specifier: str, version: str) -> bool:
    try:
        return fits(version, specifier) or not Version(version)
    except ValueError:  # an invalid version or specifier
        return True


def _is_judged(one: Unmet, marker: str) -> bool:
    """Return whether another finding names this requirement."""
    if one.name in ("paddlex", "setuptools") or one.name.startswith("nvidia-"):
        return True
    if one.installed is None:
        return one.required_by == "paddlex" and "extra" in marker
    judge = _JUDGED.get(one.name)
    return judge is not None and (
        one.is_too_new or fits(one.installed, load_failure(judge).applies.specifiers[one.name])
    )


def allowed(host: Host, target: Target, names: Collection[str]) -> tuple[str, ...]:
    """Return for each name the requirement that satisfies every distribution of the stack."""
    clauses: dict[str, dict[str, None]] = {name: {} for name in names}
    for _, required in requirements(host, target):
        if required.name in clauses and required.specifier:
            clauses[required.name].update(dict.fromkeys(required.specifier.replace(" ", "").split(",")))
    return tuple(f"{name}{','.join(found)}" for name, found in clauses.items())


def too_new(host: Host, target: Target) -> tuple[str, ...]:
    """Return the names that only a downgrade would cure."""
    found = unmet(host, target)
    return tuple(
        dict.fromkeys(one.name for one in found if all(o.is_too_new for o in found if o.name == one.name))
    )


def _unmet(context: Context) -> Diagnosis:
    target = context.target
    if not any(target.version_of(name) for name, _ in ROOTS):
        return skipped(message("evidence-not-installed"))
    found = unmet(context.facts.host, target)
    if not found:
        return ok("METADATA", message("evidence-distributions", count=len(target.distributions)))
    names = tuple(dict.fromkeys(one.name for one in found))
    wanted = dict.fromkeys(f"{one.name}{one.specifier}" for one in found)
    # A version that is too new may work; an absent or too old one lacks what is imported.
    status = Status.WARNING if all(one.is_too_new for one in found) else Status.ERROR
    evidence = tuple(Evidence(one.name, _evidence(one)) for one in found)
    return Diagnosis(status, evidence, {"names": ", ".join(wanted)}, names)


def _evidence(one: Unmet) -> Message:
    requirement = f"{one.name}{one.specifier}"
    if one.installed is None:
        return message("evidence-requirement-missing", by=one.required_by, requirement=requirement)
    return message(
        "evidence-requirement-version", by=one.required_by, requirement=requirement, version=one.installed
    )


CHECKS = (Check(FINDING, _unmet, needs=("target-environment", "python-version-unsupported")),)
