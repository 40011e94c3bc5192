"""Facts about the machine: system, architecture, virtualisation, processor, memory."""

from __future__ import annotations

from pathlib import Path

from paddlevl_doctor.facts.model import Host
from paddlevl_doctor.system import System

_SYSTEMS = {"win32": "windows", "darwin": "macos", "cygwin": "windows"}
_MACHINES = {"amd64": "x86_64", "x64": "x86_64", "arm64": "aarch64"}
_FLAGS = ("avx", "avx2", "avx512f", "fma")
_CONTAINER_MARKS = {"/.dockerenv": "docker", "/run/.containerenv": "podman"}


def collect_host(system: System) -> Host:
    """Describe the machine behind `system`; what cannot be read stays None, empty or 0."""
    release, machine = system.uname()
    name = _SYSTEMS.get(system.platform, "linux" if system.platform.startswith("linux") else system.platform)
    cpu, flags = _processor(system)
    total, available = system.memory_mb()
    return Host(
        system=name,
        release=release,
        machine=_MACHINES.get(machine.lower(), machine.lower()),
        distribution=_distribution(system) if name == "linux" else None,
        wsl=_wsl(release) if name == "linux" else None,
        container=_container(system) if name == "linux" else None,
        notebook=_notebook(system),
        glibc=system.glibc(),
        musl=name == "linux" and _has_musl(system),
        cpu=cpu,
        cpu_count=system.cpu_count(),
        cpu_flags=flags,
        memory_total_mb=total,
        memory_available_mb=available,
    )


def _distribution(system: System) -> str | None:
    text = system.read_text(Path("/etc/os-release")) or ""
    fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    return fields.get("PRETTY_NAME", "").strip('"') or None


def _wsl(release: str) -> int | None:
    # WSL 1 kernels end in -Microsoft, WSL 2 kernels contain -microsoft-standard (Microsoft's own advice).
    if "microsoft" not in release.lower():
        return None
    return 1 if release.endswith("-Microsoft") else 2


def _has_musl(system: System) -> bool:
    """Say whether musl's loader is the only C library here: Debian has a package of it beside its own."""
    return system.glibc() is None and any(name.startswith("ld-musl-") for name in system.names(Path("/lib")))


def _container(system: System) -> str | None:
    if "KUBERNETES_SERVICE_HOST" in system.env:
        return "kubernetes"
    return next((name for mark, name in _CONTAINER_MARKS.items() if system.exists(Path(mark))), None)


def _notebook(system: System) -> str | None:
    if "KAGGLE_KERNEL_RUN_TYPE" in system.env:
        return "kaggle"
    return "colab" if "COLAB_RELEASE_TAG" in system.env else None


def _processor(system: System) -> tuple[str | None, tuple[str, ...]]:
    """Return the first processor's name and those of its flags that wheels depend on."""
    text = system.read_text(Path("/proc/cpuinfo")) or ""
    first = dict(_fields(text.split("\n\n", 1)[0]))
    flags = first.get("flags", "").split()
    return first.get("model name"), tuple(flag for flag in _FLAGS if flag in flags)


def _fields(block: str) -> list[tuple[str, str]]:
    pairs = (line.partition(":") for line in block.splitlines())
    return [(key.strip(), value.strip()) for key, _, value in pairs]
