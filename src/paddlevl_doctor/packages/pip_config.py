"""Reads pip's configuration, which uv ignores: the indexes, and the file with certificates."""

from __future__ import annotations

import configparser
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.system.machine import System


@dataclass(frozen=True)
class PipIndexes:
    """The URL that replaces the default index, and the additional ones."""

    index: str | None
    extra: tuple[str, ...]


def pip_indexes(system: System, prefix: str | None = None) -> PipIndexes:
    """Return the indexes that pip would use; a variable comes before the files, the nearest file first.

    `prefix` is the environment to install into: it may have a file of its own.
    """
    files = tuple(_pip_configs(system, prefix))
    extra = _pip_setting(system, files, "extra-index-url") or ""
    return PipIndexes(_pip_setting(system, files, "index-url"), tuple(extra.split()))


def ca_bundle(system: System, prefix: str | None = None) -> str | None:
    """Return the file with certificates that pip trusts: its `cert`, else the one of requests, which pip contains."""
    files = tuple(_pip_configs(system, prefix))
    variables = (system.env.get(name) for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"))
    named = filter(None, (_pip_setting(system, files, "cert"), *variables))
    return next((path for path in named if system.file_size(Path(path)) is not None), None)


def _pip_setting(system: System, files: Sequence[configparser.RawConfigParser], key: str) -> str | None:
    """Return the value that pip uses: the section `install` of any file comes before `global` of any."""
    if variable := system.env.get(f"PIP_{key.upper().replace('-', '_')}"):
        return variable
    found = (file.get(section, key, fallback=None) for section in ("install", "global") for file in files)
    return next((value.strip() for value in found if value), None)


def _pip_configs(system: System, prefix: str | None) -> Iterator[configparser.RawConfigParser]:
    if system.env.get("PIP_CONFIG_FILE") == os.devnull:  # pip's way to disable all files
        return
    for path in _pip_config_paths(system, prefix):
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read_string(system.read_text(path) or "")
        except configparser.Error:
            continue
        yield parser


def _pip_config_paths(system: System, prefix: str | None) -> Iterator[Path]:
    """Yield the paths that pip reads, the strongest first: a named file, the environment's, the user's, the machine's.

    A named file that exists replaces the user's (pip/_internal/configuration.py, iter_config_files).
    """
    named = system.env.get("PIP_CONFIG_FILE")
    name = "pip.ini" if system.platform == "win32" else "pip.conf"
    if named:
        yield Path(named)
    if prefix:
        yield Path(prefix, name)
    if not (named and system.exists(Path(named))):
        yield from (folder / name for folder in _pip_user_folders(system))
    yield from (folder / name for folder in _pip_machine_folders(system))


def _pip_user_folders(system: System) -> Iterator[Path]:
    home, env = system.home(), system.env
    if system.platform == "win32":
        yield Path(env.get("APPDATA") or home / "AppData/Roaming", "pip")
        yield home / "pip"
        return
    of_mac = home / "Library/Application Support/pip"
    usual = Path(env.get("XDG_CONFIG_HOME") or home / ".config") / "pip"
    yield of_mac if system.platform == "darwin" and system.exists(of_mac) else usual
    yield home / ".pip"


def _pip_machine_folders(system: System) -> Iterator[Path]:
    env = system.env
    if system.platform == "win32":
        yield Path(env.get("PROGRAMDATA") or "C:/ProgramData", "pip")
    elif system.platform == "darwin":
        yield Path("/Library/Application Support/pip")
    else:
        yield Path("/etc")
        folders = (env.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")
        yield from (Path(folder, "pip") for folder in reversed(folders))
