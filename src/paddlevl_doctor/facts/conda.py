"""Reads which files conda installed: many of its packages have no RECORD."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from paddlevl_doctor.system.files import load_json
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.facts import ProbeResult, Target


def files_of_conda(system: System, prefix: Path) -> frozenset[str]:
    """Return the real paths of all files that conda lists for an environment, and of the folders that hold them."""
    folder = prefix / "conda-meta"
    names = [name for name in system.names(folder) if name.endswith(".json")]
    real = os.path.realpath(prefix)
    listed = {file for name in names for file in _files(system.read_bytes(folder / name) or b"")}
    found: set[str] = set()
    for file in listed:
        while file and file not in found:
            found.add(file)
            file = file.rpartition("/")[0]  # noqa: PLW2901 - the folder that holds it
    return frozenset(os.path.join(real, *file.split("/")) for file in found)  # noqa: PTH118 - there are many


def without_conda_files(system: System, target: Target, result: ProbeResult) -> ProbeResult:
    """Leave out of a comparison of all files the code that conda lists."""
    unowned = (result.data or {}).get("unowned")
    if not unowned:
        return result
    listed = files_of_conda(system, Path(target.prefix))
    kept = [path for path in unowned if os.path.normpath(path) not in listed]
    return replace(result, data={**(result.data or {}), "unowned": kept})


def _files(document: bytes) -> list[str]:
    """Return the files that one document of conda-meta lists, relative to the environment."""
    try:
        entry = load_json(document)
    except ValueError:
        return []
    files = entry.get("files") if isinstance(entry, dict) else None
    return [file for file in files if isinstance(file, str)] if isinstance(files, list) else []
