"""Which NVIDIA packages an installed distribution asks for on this system, and what is there instead."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from packaging.version import Version

from paddlevl_doctor.facts.model import Distribution, Host, Target
from paddlevl_doctor.knowledge.versions import fits

_LINE = re.compile(r"(nvidia-[A-Za-z0-9._-]+)\s*\(?\s*([=<>!~][^;)]*)?")
_MARKER = re.compile(r"""(platform_system|platform_machine|sys_platform)\s*==\s*['"](\w+)['"]""")
_LINE_OF_CUDA = re.compile(r"-cu\d+$")
_NAMES = {"windows": ("windows", "win32"), "macos": ("darwin",), "linux": ("linux",)}
# `Host` folds the names that systems give to one processor; a marker has whichever its system uses.
_MACHINES = {"x86_64": ("x86_64", "amd64"), "aarch64": ("aarch64", "arm64")}


@dataclass(frozen=True)
class Pin:
    """One requirement on an NVIDIA package, and the version that is installed (None: absent)."""

    name: str
    specifier: str
    installed: str | None

    @property
    def exact(self) -> str | None:
        """The one version that is asked for, None where several would do."""
        return self.specifier[2:].strip() if re.fullmatch(r"==[^=,*]+", self.specifier) else None

    @property
    def broken(self) -> bool:
        """Whether the package is there in a version that is not asked for."""
        return self.installed is not None and not fits(self.installed, self.specifier)


def pins(target: Target, distribution: str, host: Host) -> tuple[Pin, ...]:
    """Return what the METADATA of a distribution asks for on this system and processor."""
    lines = next((d.requires for d in target.distributions if d.name == distribution), ())
    found = [match for line in lines if _is_for(line, host) and (match := _LINE.match(line))]
    return tuple(_pin(target, match[1], (match[2] or "").strip()) for match in found)


def published(lines: Sequence[str]) -> tuple[Pin, ...]:
    """Return what lines of a published METADATA ask for, without looking at an environment."""
    found = [match for line in lines if (match := _LINE.match(line))]
    return tuple(Pin(_normal(match[1]), (match[2] or "").strip(), None) for match in found)


def conflicts(mine: Sequence[Pin], others: Sequence[Pin]) -> tuple[tuple[Pin, Pin], ...]:
    """Return what both ask for in exact versions that exclude each other, as (mine, the other's)."""
    pairs = ((one, other) for one in mine for other in others if one.exact and other.exact)
    return tuple((one, other) for one, other in pairs if _exclude(one, other))


def _exclude(one: Pin, other: Pin) -> bool:
    if one.name == other.name:
        return Version(one.exact or "") != Version(other.exact or "")
    return _same_files((one.name, one.exact or ""), (other.name, other.exact or ""))


def rivals(target: Target, wanted: Sequence[Pin]) -> tuple[tuple[Pin, Distribution], ...]:
    """Return the installed packages of another CUDA line whose files lie where those of a pin belong."""
    nvidia = [d for d in target.distributions if d.name.startswith("nvidia-")]
    pairs = ((pin, d) for pin in wanted if pin.installed for d in nvidia)
    return tuple(
        (pin, d) for pin, d in pairs if _same_files((pin.name, pin.installed or ""), (d.name, d.version))
    )


def _same_files(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Compare (name, version): nvidia-nccl-cu12 and nvidia-nccl-cu13 both hold nvidia/nccl/lib/libnccl.so.2.

    All lines of a library share one folder, and the major version stands in the names of its files (seen in
    RECORD of nvidia-nccl-cu12 2.27.3, nvidia-nccl-cu13 2.32.3, nvidia-nvtx-cu11 11.8 and nvidia-nvtx-cu12 12.9).
    """
    libraries = {_LINE_OF_CUDA.sub("", name) for name, _ in (one, other)}
    majors = {version.partition(".")[0] for _, version in (one, other)}
    return one[0] != other[0] and len(libraries) == 1 and len(majors) == 1


def _pin(target: Target, name: str, specifier: str) -> Pin:
    normal = _normal(name)
    return Pin(normal, specifier, target.version_of(normal))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _is_for(line: str, host: Host) -> bool:
    """Read the only markers that such lines have: the system and the machine (METADATA of torch and of Paddle)."""
    marker = line.partition(";")[2]
    system = _NAMES.get(host.system, (host.system,))
    here = {"platform_machine": _MACHINES.get(host.machine, (host.machine,))}
    named = _MARKER.findall(marker)
    return "extra ==" not in marker and all(value.lower() in here.get(key, system) for key, value in named)
