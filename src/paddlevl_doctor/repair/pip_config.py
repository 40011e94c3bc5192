"""Which indexes pip's configuration names; uv does not read it (pip.pypa.io/en/stable/topics/configuration)."""

from __future__ import annotations

import configparser
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from paddlevl_doctor.system import System


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
