"""Which NVIDIA packages an installed distribution asks for on this system, and what is there instead."""

from __future__ import annotations

import re
from dataclasses import dataclass

from packaging.specifiers import SpecifierSet

from paddlevl_doctor.facts.model import Target

_LINE = re.compile(r"(nvidia-[A-Za-z0-9._-]+)\s*\(?\s*([=<>!~][^;)]*)?")


@dataclass(frozen=True)
class Pin:
    """One requirement on an NVIDIA package, and the version that is installed (None: absent)."""

    name: str
    specifier: str
    installed: str | None

    @property
    def broken(self) -> bool:
        """Whether the package is there in a version that is not asked for."""
        fits = SpecifierSet(self.specifier)
        return self.installed is not None and not fits.contains(self.installed, prereleases=True)


def pins(target: Target, distribution: str, system: str) -> tuple[Pin, ...]:
    """Return what the METADATA of a distribution asks for on this system (linux, windows or macos)."""
    lines = next((d.requires for d in target.distributions if d.name == distribution), ())
    found = [match for line in lines if _for_system(line, system) and (match := _LINE.match(line))]
    return tuple(_pin(target, match[1], (match[2] or "").strip()) for match in found)


def _pin(target: Target, name: str, specifier: str) -> Pin:
    normal = re.sub(r"[-_.]+", "-", name).lower()
    return Pin(normal, specifier, target.version_of(normal))


def _for_system(line: str, system: str) -> bool:
    """Read the only markers that such lines have: the system, and sometimes the machine (setup.py of Paddle)."""
    marker = line.partition(";")[2]
    named = re.search(r"""platform_system\s*==\s*['"](\w+)['"]""", marker)
    return "extra ==" not in marker and (named is None or named[1].lower() == system)
