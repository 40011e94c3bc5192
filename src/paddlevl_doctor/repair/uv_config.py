"""Which configuration files uv reads here, and which indexes they name.

As docs.astral.sh/uv/concepts/configuration-files says:
`UV_CONFIG_FILE` replaces all of them, `UV_NO_CONFIG` switches them off. Else there is the nearest folder above with a
uv.toml, or with a pyproject.toml that has a table [tool.uv]; the user's file; the machine's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paddlevl_doctor.report.privacy import without_secrets
from paddlevl_doctor.system import System

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
