"""Where packages come from: --mirror, else pip's configuration where uv has none; and what uv will follow."""

from __future__ import annotations

import configparser
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paddlevl_doctor.messages import Text, message
from paddlevl_doctor.packages.request import Request
from paddlevl_doctor.redaction import without_secrets
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.errors import UsageError
from paddlevl_doctor.values.findings import Plan, Step

if TYPE_CHECKING:
    from paddlevl_doctor.packages.server_rates import ServerRate

_OFF = ("", "0", "false", "f", "no", "n", "off")
"""What uv takes for a switch that is not set."""


@dataclass(frozen=True)
class UvConfig:
    """One file that uv follows."""

    path: Path
    indexes: tuple[str, ...]
    """The URLs of the indexes that it names, in their order."""
    default: str | None = None
    """The one of them that stands for the default index."""

    def __str__(self) -> str:
        """Return the words for people: no credentials."""
        named = ", ".join(map(without_secrets, self.indexes))
        return f"{self.path} ({named})" if named else str(self.path)


def uv_configs(system: System) -> tuple[UvConfig, ...]:
    """Return the files that uv reads in the present folder, the strongest first; one that is no TOML names nothing."""
    named = system.env.get("UV_CONFIG_FILE")
    if named:
        return tuple(_read(system, Path(named)))
    if system.env.get("UV_NO_CONFIG", "").lower() not in _OFF:
        return ()
    home, env = system.home(), system.env
    user = Path(env.get("APPDATA") or env.get("XDG_CONFIG_HOME") or home / ".config")
    others = (user / "uv" / "uv.toml", Path("/etc/uv/uv.toml"))
    return (*_of_project(system), *(config for path in others for config in _read(system, path)))


def _of_project(system: System) -> tuple[UvConfig, ...]:
    for folder in (system.cwd(), *system.cwd().parents):
        for name in ("uv.toml", "pyproject.toml"):
            if found := tuple(_read(system, folder / name)):
                return found
    return ()


def _read(system: System, path: Path) -> Iterator[UvConfig]:
    import tomli  # noqa: PLC0415 - start-up time

    words = system.read_text(path)
    if words is None:
        return
    try:
        table = tomli.loads(words)
    except tomli.TOMLDecodeError:
        table = {}
    if path.name == "pyproject.toml":
        tools = _table(table.get("tool"))
        if "uv" not in tools:
            return
        table = _table(tools["uv"])
    yield _config(path, table)


def _table(value: object) -> dict[str, Any]:
    """Return a table; what stands in its place and is none, which uv refuses, says nothing."""
    return value if isinstance(value, dict) else {}


def _counts(row: Mapping[str, Any]) -> bool:
    """Say whether any package may come from an index: not from one for packages that a project names only."""
    return "url" in row and (not row.get("explicit") or bool(row.get("default")))


def _config(path: Path, table: Mapping[str, Any]) -> UvConfig:
    listed = table.get("index")
    rows = [row for row in map(_table, listed if isinstance(listed, list) else ()) if _counts(row)]
    places = (table, _table(table.get("pip")))
    single = [str(place["index-url"]) for place in places if "index-url" in place]
    defaults = [*(str(row["url"]) for row in rows if row.get("default")), *single]
    named = (*(str(row["url"]) for row in rows), *single)
    return UvConfig(path, tuple(dict.fromkeys(named)), next(iter(defaults), None))


TIMEOUT = 8.0
"""Seconds for all mirrors together."""
AUTO = "auto"
_UV = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")
_SHOWN = (
    *_UV,
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
    """The index that was chosen, what was measured for it, and the settings that uv follows besides."""

    request: Request
    mirrors: tuple[ServerRate, ...] = ()
    notes: tuple[Text, ...] = ()

    def shown_in(self, plan: Plan) -> Plan:
        """Return the plan with the notes among the reasons of what is installed."""
        return replace(plan, steps=tuple(self._with_notes(step) for step in plan.steps))

    def _with_notes(self, step: Step) -> Step:
        if step.kind != "install-packages" or not self.notes:
            return step
        reasons = [*step.arguments.get("reasons", ()), *self.notes]
        return replace(step, arguments={**step.arguments, "reasons": reasons})


def known_mirrors() -> dict[str, str]:
    """Return the mirrors of matrix/mirrors.toml, URL by name."""
    from paddlevl_doctor.knowledge.catalogue import load_mirrors  # noqa: PLC0415 - start-up time

    return {row.name: row.url for row in load_mirrors()}


def choose_index(
    system: System, request: Request, paddle: str, timeout: float = TIMEOUT, prefix: str | None = None
) -> IndexChoice:
    """Choose the index for a request; `paddle` is the version of the CPU wheel that mirrors are measured with.

    `prefix` is the environment to install into, where there is one: it may have settings of pip's.
    Raises UsageError for a mirror that has no such name. With `auto` and no mirror that has the wheel, the index
    stays the default one.
    """
    if request.wheelhouse is not None:
        return IndexChoice(request)
    configs = uv_configs(system)
    settings = _settings(system, configs)
    if request.index == AUTO:
        named = (system.env.get(name) for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL"))
        own = next(filter(None, named), None) or next((c.default for c in configs if c.default), None)
        return _fastest(own, request, paddle, timeout, settings)
    if request.index is not None:
        return IndexChoice(replace(request, index=_named(request.index)), (), settings)
    if any(system.env.get(name) for name in _UV[:3]) or any(config.indexes for config in configs):
        return IndexChoice(request, (), settings)
    return _of_pip(system, request, settings, prefix)


def _named(mirror: str) -> str:
    if "://" in mirror:
        return mirror
    mirrors = known_mirrors()
    if mirror not in mirrors:
        raise UsageError(message("unknown-mirror", name=mirror, names=", ".join((AUTO, *mirrors))))
    return mirrors[mirror]


def _fastest(
    own: str | None, request: Request, paddle: str, timeout: float, settings: tuple[Text, ...]
) -> IndexChoice:
    from paddlevl_doctor.knowledge.resource_estimates import smallest_wheel  # noqa: PLC0415 - as above
    from paddlevl_doctor.packages.mirrors import measure_mirrors  # noqa: PLC0415 - start-up time

    candidates: dict[Text, str] = {message("own-index"): own} if own else {}
    candidates.update(known_mirrors())
    least = smallest_wheel("cpu") // 2
    measured = measure_mirrors(candidates, "paddlepaddle", paddle, timeout=timeout, least=least)
    best = measured[0] if measured[0].bytes_per_second else None
    numbers = message("mirrors-measured", numbers=tuple(rate.describe() for rate in measured))
    notes = (numbers, *settings) if best else (numbers, message("mirrors-without"), *settings)
    return IndexChoice(replace(request, index=best.url if best else None), measured, notes)


def _settings(system: System, configs: Sequence[UvConfig]) -> tuple[Text, ...]:
    env = system.env
    shown = [f"{name}={without_secrets(env[name])}" for name in _SHOWN if env.get(name)]
    shown += map(str, configs)
    return (message("uv-follows", settings=", ".join(shown)),) if shown else ()


def _of_pip(system: System, request: Request, settings: tuple[Text, ...], prefix: str | None) -> IndexChoice:
    """Take what pip's configuration names, all of it as pip does: the newest that fits from any of the indexes."""

    found = pip_indexes(system, prefix)
    urls = (*((found.index,) if found.index else ()), *found.extra)
    if not urls:
        return IndexChoice(request, (), settings)
    note = message("index-of-pip", url=", ".join(map(without_secrets, urls)))
    return IndexChoice(replace(request, index=found.index, extra_indexes=found.extra), (), (note, *settings))


@dataclass(frozen=True)
class PipIndexes:
    """The URL that replaces the default index, and those that pip searches besides."""

    index: str | None
    extra: tuple[str, ...]


def pip_indexes(system: System, prefix: str | None = None) -> PipIndexes:
    """Return what pip would use: a variable before the files, the nearest file first.

    `prefix` is the environment that is treated: it may have a file of its own.
    """
    files = tuple(_files(system, prefix))
    extra = _setting(system, files, "extra-index-url") or ""
    return PipIndexes(_setting(system, files, "index-url"), tuple(extra.split()))


def _setting(system: System, files: tuple[configparser.RawConfigParser, ...], key: str) -> str | None:
    """Return what pip takes: what any file says of `install` stands before what any says of everything."""
    if said := system.env.get(f"PIP_{key.upper().replace('-', '_')}"):
        return said
    found = (file.get(section, key, fallback=None) for section in ("install", "global") for file in files)
    return next((value.strip() for value in found if value), None)


def _files(system: System, prefix: str | None) -> Iterator[configparser.RawConfigParser]:
    if system.env.get("PIP_CONFIG_FILE") == os.devnull:  # pip's way to say: no files
        return
    for path in _places(system, prefix):
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read_string(system.read_text(path) or "")
        except configparser.Error:
            continue
        yield parser


def _places(system: System, prefix: str | None) -> Iterator[Path]:
    """Yield where pip looks, the strongest first: a named file, the environment's, the user's, the machine's.

    A named file that is there stands for the user's (pip/_internal/configuration.py, iter_config_files).
    """
    named = system.env.get("PIP_CONFIG_FILE")
    name = "pip.ini" if system.platform == "win32" else "pip.conf"
    if named:
        yield Path(named)
    if prefix:
        yield Path(prefix, name)
    if not (named and system.exists(Path(named))):
        yield from (folder / name for folder in _of_user(system))
    yield from (folder / name for folder in _of_machine(system))


def _of_user(system: System) -> Iterator[Path]:
    home, env = system.home(), system.env
    if system.platform == "win32":
        yield Path(env.get("APPDATA") or home / "AppData/Roaming", "pip")
        yield home / "pip"
        return
    of_mac = home / "Library/Application Support/pip"
    usual = Path(env.get("XDG_CONFIG_HOME") or home / ".config") / "pip"
    yield of_mac if system.platform == "darwin" and system.exists(of_mac) else usual
    yield home / ".pip"


def _of_machine(system: System) -> Iterator[Path]:
    env = system.env
    if system.platform == "win32":
        yield Path(env.get("PROGRAMDATA") or "C:/ProgramData", "pip")
    elif system.platform == "darwin":
        yield Path("/Library/Application Support/pip")
    else:
        yield Path("/etc")
        folders = (env.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")
        yield from (Path(folder, "pip") for folder in reversed(folders))
