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


def pip_indexes(system: System) -> PipIndexes:
    """Return what pip would use: a variable before the files, the nearest file first."""
    files = tuple(_files(system))
    extra = _setting(system, files, "extra-index-url") or ""
    return PipIndexes(_setting(system, files, "index-url"), tuple(extra.split()))


def _setting(system: System, files: tuple[configparser.RawConfigParser, ...], key: str) -> str | None:
    if said := system.env.get(f"PIP_{key.upper().replace('-', '_')}"):
        return said
    found = (file.get(section, key, fallback=None) for file in files for section in ("install", "global"))
    return next((value.strip() for value in found if value), None)


def _files(system: System) -> Iterator[configparser.RawConfigParser]:
    home, env = system.home(), system.env
    named = env.get("PIP_CONFIG_FILE")
    if named == os.devnull:  # pip's way to say: no files
        return
    windows = [Path(env["APPDATA"], "pip", "pip.ini")] if env.get("APPDATA") else []
    user = Path(env.get("XDG_CONFIG_HOME") or home / ".config") / "pip/pip.conf"
    usual = (*windows, user, home / ".pip/pip.conf", Path("/etc/pip.conf"))
    for path in (*([Path(named)] if named else []), *usual):
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read_string(system.read_text(path) or "")
        except configparser.Error:
            continue
        yield parser
