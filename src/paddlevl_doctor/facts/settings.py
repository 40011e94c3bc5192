"""The environment variables that the stack heeds: an allow-list, and no value that is nobody's business."""

from __future__ import annotations

from collections.abc import Mapping

from paddlevl_doctor.system import System

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
