"""Determines the versions of PaddleOCR-VL that the target supports and those whose models are in the cache."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from paddlevl_doctor.facts.collect import PIPELINES
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.facts import ModelCache, Target

VERSIONS = {"v1.6": "PaddleOCR-VL-1.6", "v1.5": "PaddleOCR-VL-1.5", "v1": "PaddleOCR-VL"}
"""The values of PaddleOCRVL's `pipeline_version`, newest first, with the name of PaddleX's pipeline file and of the
cache folder of the language model (matrix.md, 3.3)."""
_NEEDED = ("layout_detection", "text_detection", "text_recognition")
"""The modules that the other pipelines need for reading; their other modules can be switched off."""
_CLIENT = Path("paddleocr") / "_pipelines" / "paddleocr_vl.py"
"""The file that lists the servers that the target's client supports."""


def known_versions(system: System, target: Target) -> tuple[str, ...]:
    """Return the versions for which the target's PaddleX has a pipeline, newest first."""
    folder = Path(target.folder_of("paddlex")) / PIPELINES
    return tuple(version for version, name in VERSIONS.items() if system.exists(folder / f"{name}.yaml"))


def complete_models(cache: ModelCache | None) -> frozenset[str]:
    """Return the names of the complete models in the cache."""
    return frozenset(model.name for model in (cache.models if cache else ()) if not model.missing)


def missing_of_version(version: str, cache: ModelCache | None) -> tuple[str, ...]:
    """Return the models of a version of PaddleOCR-VL that are not complete in the cache."""
    language = () if version in cached_versions(cache) else (VERSIONS[version],)
    return language if has_layout(version, cache) else (*language, layout_model(version))


def missing_of_pipeline(
    system: System, target: Target, pipeline: str, cache: ModelCache | None
) -> tuple[str, ...]:
    """Return the required models of a pipeline file that are not complete in the cache.

    Of several models of a module, the first one is the pipeline's own and the others are those of inner pipelines. If
    the file names no model for a module, any cached model counts.
    """
    words = system.read_text(Path(target.folder_of("paddlex")) / PIPELINES / f"{pipeline}.yaml") or ""
    found = (re.search(rf"module_name: {name}\s+model_name: (\S+)", words) for name in _NEEDED)
    named, complete = [match[1] for match in found if match], complete_models(cache)
    if not named:
        return () if complete else (pipeline,)
    return tuple(name for name in named if name not in complete)


def cached_versions(cache: ModelCache | None) -> tuple[str, ...]:
    """Return the versions whose language model is complete in the cache, newest first."""
    complete = complete_models(cache)
    nested = {
        name.partition("/")[0] for name in complete if name.rpartition("/")[2].startswith("PaddleOCR-VL")
    }
    return tuple(version for version, folder in VERSIONS.items() if folder in complete | nested)


def version_for(asked: str, known: Sequence[str], cached: Sequence[str]) -> str | None:
    """Return the version to use: the requested one, else the newest cached one, else the newest known one.

    None if the target does not support it, or supports none.
    """
    if asked:
        return asked if asked in known else None
    return next((version for version in known if version in cached), next(iter(known), None))


def layout_model(version: str) -> str:
    """Return the name of a version's layout model."""
    return "PP-DocLayoutV2" if version == "v1" else "PP-DocLayoutV3"


def nested_layout(version: str, cache: ModelCache | None) -> dict[str, Any]:
    """Return the option with the folder of PP-DocLayoutV2 if its only complete copy is inside PaddleOCR-VL.

    The repository of the first PaddleOCR-VL contains it, but PaddleX does not search there and would download it
    again (matrix.md, 3.3).
    """
    whole = {model.name: model.path for model in (cache.models if cache else ()) if not model.missing}
    name = layout_model(version)
    place = None if name in whole else whole.get(f"PaddleOCR-VL/{name}")
    return {} if place is None else {"layout_detection_model_dir": place}


def has_layout(version: str, cache: ModelCache | None) -> bool:
    """Return whether a version's layout model is complete in the cache, or inside PaddleOCR-VL."""
    return layout_model(version) in complete_models(cache) or bool(nested_layout(version, cache))


def backends_known(system: System, target: Target) -> tuple[str, ...] | None:
    """Return the servers that the target's PaddleOCR supports, None if its source does not list them."""
    source = system.read_text(Path(target.folder_of("paddleocr")) / _CLIENT) or ""
    _, found, rest = source.partition("_SUPPORTED_VL_BACKENDS = [")
    names = (part.strip().strip("\"'") for part in rest.partition("]")[0].split(","))
    return tuple(name for name in names if name and name != "native") if found else None


def readers_of(target: Target) -> str:
    """Return the versions in the target that influence the recognised text."""
    return " ".join(f"{name}={target.version_of(name)}" for name in ("paddlex", "paddleocr"))
