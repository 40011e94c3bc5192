"""Finds and reads the data files of `matrix` and `patches`, inside an installed wheel or beside `src`."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli


@functools.cache
def data_folder(name: str) -> Path:
    """Return the folder of `matrix` or `patches`; in a wheel they are packaged under `data/`."""
    packaged = Path(__file__).parent / "data" / name
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / name


def read_toml(path: Path) -> Mapping[str, Any]:
    """Return the content of a TOML file. Raises OSError, or ValueError if it is not TOML in UTF-8."""
    document: dict[str, Any] = tomli.loads(path.read_text(encoding="utf-8"))
    return document


read_toml_once = functools.cache(read_toml)
"""Like `read_toml`, with a cache for files that do not change while the process runs."""
