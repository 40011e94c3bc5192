"""Chooses the package index (--mirror, else uv's configuration, else pip's) and lists the settings that uv follows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.knowledge.catalogue import load_mirrors
from paddlevl_doctor.knowledge.resource_estimates import smallest_wheel
from paddlevl_doctor.messages import Text, message
from paddlevl_doctor.packages.mirrors import measure_mirrors
from paddlevl_doctor.packages.pip_config import ca_bundle, pip_indexes
from paddlevl_doctor.packages.request import Request
from paddlevl_doctor.redaction import mask_url
from paddlevl_doctor.system.http import trust
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.errors import UsageError
from paddlevl_doctor.values.plan import InstallPackages, Plan, Step

if TYPE_CHECKING:
    from paddlevl_doctor.packages.server_rates import ServerRate

TIMEOUT = 8.0
"""Seconds for the measurement of all mirrors."""
AUTO = "auto"
_UNSET = ("", "0", "false", "f", "no", "n", "off")
"""The values that uv takes for a switch that is not set."""
_INDEX_VARIABLES = (
    "UV_DEFAULT_INDEX",
    "UV_INDEX_URL",
    "UV_INDEX",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
)
_SHOWN_VARIABLES = (
    *_INDEX_VARIABLES,
    "UV_LINK_MODE",
    "UV_SYSTEM_PYTHON",
    "UV_CACHE_DIR",
    "UV_OFFLINE",
    "UV_HTTP_TIMEOUT",
    "UV_CONFIG_FILE",
    "UV_NO_CONFIG",
)


@dataclass(frozen=True)
class IndexChoice:
    """The chosen index, the rates of the mirrors, and notes about the settings that uv follows."""

    request: Request
    mirrors: tuple[ServerRate, ...] = ()
    notes: tuple[Text, ...] = ()

    def shown_in(self, plan: Plan) -> Plan:
        """Return the plan with the notes among the reasons of its installations."""
        return replace(plan, steps=tuple(self._with_notes(step) for step in plan.steps))

    def _with_notes(self, step: Step) -> Step:
        if not isinstance(step, InstallPackages) or not self.notes:
            return step
        return replace(step, reasons=(*step.reasons, *self.notes))


def known_mirrors() -> dict[str, str]:
    """Return the mirrors of matrix/mirrors.toml, URL by name."""
    return {row.name: row.url for row in load_mirrors()}


def choose_index(
    system: System, request: Request, paddle: str, timeout: float = TIMEOUT, prefix: str | None = None
) -> IndexChoice:
    """Choose the index for a request; `paddle` is the version of the CPU wheel that mirrors are measured with.

    `prefix` is the environment to install into, if it exists: it may have a configuration of pip's. With `auto`, and
    without a mirror that has the wheel, the index stays the default one. Raises UsageError for an unknown mirror.
    """
    if request.wheelhouse is not None:
        return IndexChoice(request)
    configs = uv_configs(system)
    settings = _uv_settings(system, configs)
    if not system.env.get("SSL_CERT_FILE"):
        trust(ca_bundle(system, prefix))
    if request.index == AUTO:
        named = (system.env.get(name) for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL"))
        own = next(filter(None, named), None) or next((c.default for c in configs if c.default), None)
        return _fastest(own, request, paddle, timeout, settings)
    if request.index is not None:
        return IndexChoice(replace(request, index=_mirror_url(request.index)), (), settings)
    if any(map(system.env.get, _INDEX_VARIABLES[:3])) or any(config.indexes for config in configs):
        return IndexChoice(request, (), settings)
    pip = pip_indexes(system, prefix)
    urls = (*((pip.index,) if pip.index else ()), *pip.extra)
    if not urls:
        return IndexChoice(request, (), settings)
    note = message("index-of-pip", url=", ".join(map(mask_url, urls)))
    return IndexChoice(replace(request, index=pip.index, extra_indexes=pip.extra), (), (note, *settings))


def _mirror_url(mirror: str) -> str:
    if "://" in mirror:
        return mirror
    mirrors = known_mirrors()
    if mirror not in mirrors:
        raise UsageError(message("unknown-mirror", name=mirror, names=", ".join((AUTO, *mirrors))))
    return mirrors[mirror]


def _fastest(
    own: str | None, request: Request, paddle: str, timeout: float, settings: tuple[Text, ...]
) -> IndexChoice:
    candidates: dict[Text, str] = {message("own-index"): own} if own else {}
    candidates.update(known_mirrors())
    least = smallest_wheel("cpu") // 2
    measured = measure_mirrors(candidates, "paddlepaddle", paddle, timeout=timeout, least=least)
    best = measured[0] if measured[0].bytes_per_second else None
    rates = message("mirrors-measured", numbers=tuple(rate.describe() for rate in measured))
    notes = (rates, *settings) if best else (rates, message("mirrors-without"), *settings)
    return IndexChoice(replace(request, index=best.url if best else None), measured, notes)


# --- uv's configuration -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class UvConfig:
    """One configuration file that uv follows."""

    path: Path
    indexes: tuple[str, ...]
    """The URLs of its indexes, in their order."""
    default: str | None = None
    """The one that replaces the default index."""

    def __str__(self) -> str:
        """Return the path and the indexes, without credentials."""
        named = ", ".join(map(mask_url, self.indexes))
        return f"{self.path} ({named})" if named else str(self.path)


def _uv_settings(system: System, configs: Sequence[UvConfig]) -> tuple[Text, ...]:
    variables = ((name, system.env.get(name)) for name in _SHOWN_VARIABLES)
    shown = [f"{name}={mask_url(value)}" for name, value in variables if value]
    shown += map(str, configs)
    return (message("uv-follows", settings=", ".join(shown)),) if shown else ()


def uv_configs(system: System) -> tuple[UvConfig, ...]:
    """Return the files that uv reads in the current folder, the strongest first; invalid TOML names no index."""
    named = system.env.get("UV_CONFIG_FILE")
    if named:
        return tuple(_read_uv_config(system, Path(named)))
    if system.env.get("UV_NO_CONFIG", "").lower() not in _UNSET:
        return ()
    folders = (system.cwd(), *system.cwd().parents)
    of_project = (folder / name for folder in folders for name in ("uv.toml", "pyproject.toml"))
    nearest = next((found for path in of_project if (found := tuple(_read_uv_config(system, path)))), ())
    user = Path(system.env.get("APPDATA") or system.env.get("XDG_CONFIG_HOME") or system.home() / ".config")
    others = (user / "uv" / "uv.toml", Path("/etc/uv/uv.toml"))
    return (*nearest, *(config for path in others for config in _read_uv_config(system, path)))


def _read_uv_config(system: System, path: Path) -> Iterator[UvConfig]:
    content = system.read_text(path)
    if content is None:
        return
    try:
        table = tomli.loads(content)
    except tomli.TOMLDecodeError:
        table = {}
    if path.name == "pyproject.toml":
        tools = _table(table.get("tool"))
        if "uv" not in tools:
            return
        table = _table(tools["uv"])
    listed = table.get("index")
    rows = [row for row in map(_table, listed if isinstance(listed, list) else ()) if _is_general(row)]
    single = [str(t["index-url"]) for t in (table, _table(table.get("pip"))) if "index-url" in t]
    defaults = [*(str(row["url"]) for row in rows if row.get("default")), *single]
    urls = (*(str(row["url"]) for row in rows), *single)
    yield UvConfig(path, tuple(dict.fromkeys(urls)), next(iter(defaults), None))


def _table(value: object) -> dict[str, Any]:
    """Return a table; another type, which uv refuses, counts as an empty one."""
    return value if isinstance(value, dict) else {}


def _is_general(row: Mapping[str, Any]) -> bool:
    """Return whether any package may come from an index; an explicit one serves only packages that name it."""
    return "url" in row and (not row.get("explicit") or bool(row.get("default")))
