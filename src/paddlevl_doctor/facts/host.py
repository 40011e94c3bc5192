"""Collects facts about the machine: system, architecture, virtualisation, processor, memory, variables."""

from __future__ import annotations

from pathlib import Path

from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.facts import Facts, Host, Target

WSL_LIBRARIES = "/usr/lib/wsl/lib"
"""The folder of the driver's libraries under WSL."""
SET = "set"
"""Replaces a value that must not be shown."""
LOOPBACK = "set, covers loopback"
"""Replaces a NO_PROXY that exempts requests to this machine."""

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
    """Return the relevant environment variables, sorted; proxies and secrets as `SET`, URLs without credentials.

    LD_LIBRARY_PATH is included only under WSL, as yes or no: whether it contains `WSL_LIBRARIES`.
    """
    shown = {
        name: _shown_value(name, value)
        for name, value in system.env.items()
        if name in _NAMES or name.startswith(_PREFIXES)
    }
    # Both spellings count: requests reads lower case first.
    values = {name: system.env.get(name.lower()) or system.env.get(name) for name in (*_PROXIES, "NO_PROXY")}
    shown |= {name: _proxy(name, value) for name, value in values.items() if value}
    if "microsoft" in system.uname()[0].lower():
        folders = system.env.get("LD_LIBRARY_PATH", "").split(":")
        shown["LD_LIBRARY_PATH"] = "yes" if WSL_LIBRARIES in (f.rstrip("/") for f in folders) else "no"
    return dict(sorted(shown.items()))


def _shown_value(name: str, value: str) -> str:
    if any(word in name.upper() for word in _SECRETS):
        return SET
    scheme, found, rest = value.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{found}{'***@' if '@' in host else ''}{host.rpartition('@')[2]}{slash}{path}"


def _proxy(name: str, value: str) -> str:
    hosts = {host.strip().lower() for host in value.split(",")}
    return LOOPBACK if name == "NO_PROXY" and hosts & _LOOPBACK else SET


_SYSTEMS = {"win32": "windows", "darwin": "macos", "cygwin": "windows"}
_MACHINES = {"amd64": "x86_64", "x64": "x86_64", "arm64": "aarch64"}
_FLAGS = ("avx", "avx2", "avx512f", "fma")
_CONTAINER_MARKS = {"/.dockerenv": "docker", "/run/.containerenv": "podman"}


def collect_host(system: System) -> Host:
    """Return the facts about the machine; an unreadable one is None, empty or 0."""
    release, machine = system.uname()
    name = _SYSTEMS.get(system.platform, "linux" if system.platform.startswith("linux") else system.platform)
    processor, *_ = (system.read_text(Path("/proc/cpuinfo")) or "").split("\n\n", 1)
    pairs = (line.partition(":") for line in processor.splitlines())
    first = {key.strip(): value.strip() for key, _, value in pairs}
    architecture = _MACHINES.get(machine.lower(), machine.lower())
    total, available = system.memory_mb()
    return Host(
        system=name,
        release=release,
        machine=architecture,
        distribution=_distribution(system) if name == "linux" else None,
        wsl=_wsl(release) if name == "linux" else None,
        container=_container(system) if name == "linux" else None,
        notebook=_notebook(system),
        glibc=system.glibc(),
        musl=name == "linux" and _has_musl(system),
        cpu=first.get("model name"),
        cpu_count=system.cpu_count(),
        cpu_flags=tuple(flag for flag in _FLAGS if flag in first.get("flags", "").split()),
        memory_total_mb=total,
        memory_available_mb=available,
        # QEMU and Rosetta show the /proc/cpuinfo of the ARM machine below (docker/for-mac#6047, #7080).
        emulated_on="aarch64" if architecture == "x86_64" and "CPU implementer" in first else None,
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
    """Return whether musl is the only C library; Debian has a package of musl in addition to glibc."""
    return system.glibc() is None and any(name.startswith("ld-musl-") for name in system.names(Path("/lib")))


def _container(system: System) -> str | None:
    if "KUBERNETES_SERVICE_HOST" in system.env:
        return "kubernetes"
    return next((name for mark, name in _CONTAINER_MARKS.items() if system.exists(Path(mark))), None)


def _notebook(system: System) -> str | None:
    if "KAGGLE_KERNEL_RUN_TYPE" in system.env:
        return "kaggle"
    return "colab" if "COLAB_RELEASE_TAG" in system.env else None


MAX_PATH = 260
"""The maximum length of a path with its terminating NUL if Windows does not allow long paths (MAX_PATH)."""
LONGEST_RELATIVE_PATH = 134
"""The longest path below site-packages with paddlepaddle 3.2.2 and paddleocr 3.7.0 (measured, modelscope)."""
_COMMAND = (
    "reg",
    "query",
    r"HKLM\SYSTEM\CurrentControlSet\Control\FileSystem",
    "/v",
    "LongPathsEnabled",
)


def longest_path(purelib: str) -> int:
    """Return the length of the longest path in this site-packages folder, with its terminating NUL."""
    return len(purelib) + 1 + LONGEST_RELATIVE_PATH + 1


def long_paths_allowed(system: System, target: Target | None) -> bool | None:
    """Return whether the registry allows long paths; None on other systems and if no path is too long.

    The command that reads the registry runs only if a path is too long.
    """
    if system.platform != "win32" or target is None or longest_path(target.purelib) <= MAX_PATH:
        return None
    answer = system.run(_COMMAND, timeout=10.0)
    words = answer.stdout.split()
    return int(words[-1], 16) == 1 if answer.ok and words and words[-1].startswith("0x") else None


_CUDA = "libcuda.so"
"""The name that paddle loads (dynamic_loader.cc); the loader often knows only libcuda.so.1 (microsoft/WSL#8587)."""
_HIDDEN = ("library-not-on-path", "driver-of-linux-in-wsl")


def hidden_driver(facts: Facts) -> str | None:
    """Return the reason why the driver's libraries are not found under WSL, None if they are or without WSL."""
    gpus, target = facts.gpus, facts.target
    if not facts.host.wsl:
        return None
    if gpus.reason in _HIDDEN and WSL_LIBRARIES in gpus.detail:
        return gpus.detail
    if gpus.devices and target is not None and _CUDA in target.missing_libraries:
        return f"{_CUDA} is not found"
    return None
