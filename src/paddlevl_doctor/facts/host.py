"""Facts about the machine: system, architecture, virtualisation, processor, memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.facts import Facts, Host, Target

WSL_LIBRARIES = "/usr/lib/wsl/lib"
"""Where WSL puts the driver's libraries."""
SET = "set"
"""Stands for a value that is not shown."""
LOOPBACK = "set, covers loopback"
"""Stands for a NO_PROXY that keeps requests to this machine away from the proxy."""

_PREFIXES = ("FLAGS_", "PADDLE_PDX_")
_NAMES = (
    "DISABLE_MODEL_SOURCE_CHECK",
    "CUDA_VISIBLE_DEVICES",
    "CUDA_DEVICE_ORDER",
    "CUDA_MODULE_LOADING",
    "HF_ENDPOINT",
    "HF_HUB_OFFLINE",
    "MKL_DEBUG_CPU_TYPE",
    "TMPDIR",
)
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_SECRETS = ("TOKEN", "SECRET", "PASSWORD", "APIKEY", "API_KEY", "CREDENTIAL")
_LOOPBACK = frozenset({"*", "localhost", "127.0.0.1", "127.0.0.0/8"})


def collect_settings(system: System) -> dict[str, str]:
    """Return the settings by name, sorted; proxies and secrets only as `SET`, URLs without their credentials.

    LD_LIBRARY_PATH is shown under WSL only, as yes or no: whether it names `WSL_LIBRARIES`.
    """
    shown = {name: _shown(name, value) for name, value in system.env.items() if _wanted(name)}
    shown |= _proxies(system.env)
    if "microsoft" in system.uname()[0].lower():
        folders = system.env.get("LD_LIBRARY_PATH", "").split(":")
        shown["LD_LIBRARY_PATH"] = "yes" if WSL_LIBRARIES in (f.rstrip("/") for f in folders) else "no"
    return dict(sorted(shown.items()))


def _wanted(name: str) -> bool:
    return name in _NAMES or name.startswith(_PREFIXES)


def _shown(name: str, value: str) -> str:
    if any(word in name.upper() for word in _SECRETS):
        return SET
    scheme, found, rest = value.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{found}{'***@' if '@' in host else ''}{host.rpartition('@')[2]}{slash}{path}"


def _proxies(env: Mapping[str, str]) -> dict[str, str]:
    """Both spellings count: requests reads lower case first, Windows knows only one."""
    values = {name: env.get(name.lower()) or env.get(name) for name in (*_PROXIES, "NO_PROXY")}
    return {name: _proxy(name, value) for name, value in values.items() if value}


def _proxy(name: str, value: str) -> str:
    hosts = {host.strip().lower() for host in value.split(",")}
    return LOOPBACK if name == "NO_PROXY" and hosts & _LOOPBACK else SET


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
    """Return whether musl's loader is the only C library here: Debian has a package of it beside its own."""
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


LIMIT = 260
"""Characters of a path with its end mark, where Windows does not allow long ones (MAX_PATH)."""
LONGEST_INSIDE = 134
"""The longest path below site-packages of paddlepaddle 3.2.2 with paddleocr 3.7.0, measured; it is modelscope's."""
_COMMAND = (
    "reg",
    "query",
    r"HKLM\SYSTEM\CurrentControlSet\Control\FileSystem",
    "/v",
    "LongPathsEnabled",
)


def longest_path(purelib: str) -> int:
    """Return how long the longest path of the stack is in this site-packages folder, with its end mark."""
    return len(purelib) + 1 + LONGEST_INSIDE + 1


def long_paths_allowed(system: System, target: Target | None) -> bool | None:
    """Ask the registry whether long paths are on; None elsewhere than on Windows, and where none is long.

    Only an installation deep in the file system makes this run a command, so that others pay nothing.
    """
    if system.platform != "win32" or target is None or longest_path(target.purelib) <= LIMIT:
        return None
    answer = system.run(_COMMAND, timeout=10.0)
    words = answer.stdout.split()
    return int(words[-1], 16) == 1 if answer.ok and words and words[-1].startswith("0x") else None


_CUDA = "libcuda.so"
"""What paddle asks for (dynamic_loader.cc); the loader's list often has libcuda.so.1 only (microsoft/WSL#8587)."""
_HIDDEN = ("library-not-on-path", "driver-of-linux-in-wsl")


def hidden_driver(facts: Facts) -> str | None:
    """Return what shows that the driver's libraries are not found, None where they are, or where this is no WSL."""
    gpus, target = facts.gpus, facts.target
    if not facts.host.wsl:
        return None
    if gpus.reason in _HIDDEN and WSL_LIBRARIES in gpus.detail:
        return gpus.detail
    if gpus.devices and target is not None and _CUDA in target.missing_libraries:
        return f"{_CUDA} is not found"
    return None
