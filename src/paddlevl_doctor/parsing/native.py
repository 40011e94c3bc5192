"""The native engine: PaddleOCRVL in the target's own Python, with the released weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from paddlevl_doctor.errors import DoctorError
from paddlevl_doctor.facts.deep import run_probe
from paddlevl_doctor.facts.model import ModelCache, Target
from paddlevl_doctor.messages import text
from paddlevl_doctor.parsing.model import Block, Page, Reading
from paddlevl_doctor.system import System

READ_TIMEOUT = 3600.0
"""Seconds for one document; the first run may download 2 GB of weights."""

# Newest first: pipeline version and the cache folder of its language model (matrix.md, 3.3).
_VERSIONS = (("v1.6", "PaddleOCR-VL-1.6"), ("v1.5", "PaddleOCR-VL-1.5"), ("v1", "PaddleOCR-VL"))


def cached_version(cache: ModelCache | None) -> str | None:
    """Return the newest pipeline version whose language model lies complete in the cache."""
    complete = {model.name for model in cache.models if not model.missing} if cache else set()
    nested = {
        name.partition("/")[0] for name in complete if name.rpartition("/")[2].startswith("PaddleOCR-VL")
    }
    return next((version for version, folder in _VERSIONS if folder in complete | nested), None)


def read_native(
    system: System, target: Target, document: Path, folder: Path, *, device: str, version: str | None
) -> Reading:
    """Read a document in the target; raises DoctorError with the first cause when that fails."""
    arguments = [str(document), str(folder), "--device", device]
    if version is not None:
        arguments += ["--pipeline-version", version]
    # The user's own run writes bytecode too; only looking must leave no trace.
    environment = {k: v for k, v in system.env.items() if k != "PYTHONDONTWRITEBYTECODE"}
    result = run_probe(system, target.python, "native_read", arguments, READ_TIMEOUT, environment)
    if result.data is None:
        raise DoctorError(
            text("native-failed", name=document.name, detail=f"{result.status}: {result.detail}")
        )
    error = result.data["error"]
    if error is not None:
        detail = f"{error['type']}: {error['message']} ({error['root']})"
        raise DoctorError(text("native-failed", name=document.name, detail=detail))
    return _reading(result.data, device)


def _reading(data: dict[str, Any], device: str) -> Reading:
    return Reading(
        engine="native",
        device=device,
        pages=tuple(_page(page) for page in data["pages"]),
        stages=dict(data["seconds"]),
        rss_mb=data["rss_peak_mb"],
        vram_mb=data.get("vram_peak_mb"),
    )


def _page(page: dict[str, Any]) -> Page:
    blocks = tuple(Block(b["kind"], b["text"], tuple(b["box"])) for b in page["blocks"])
    return Page(page["index"], page["width"], page["height"], blocks, page["seconds"])
