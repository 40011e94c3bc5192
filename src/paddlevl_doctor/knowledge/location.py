"""Where the data lies: inside an installed wheel, or beside `src` in a checkout."""

from __future__ import annotations

from pathlib import Path


def data_folder(name: str) -> Path:
    """Return the folder of `matrix` or `patches`; in a wheel they are packaged under `data/`."""
    packaged = Path(__file__).parents[1] / "data" / name
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / name
