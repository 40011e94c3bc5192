"""`pipelines`: the PaddleOCR and PaddleX names of the pipelines, and their files in the target."""

from __future__ import annotations

from pathlib import Path

from paddlevl_doctor.facts.collect import PIPELINES
from paddlevl_doctor.facts.target import choose_target, collect_target
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.knowledge.catalogue import load_pipelines
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.facts import Target


@dataclass(frozen=True)
class PipelineRow:
    """One pipeline. `path` is None without a target, or if its paddlex does not have the pipeline."""

    paddleocr: str
    paddlex: str
    file: str
    since: str
    path: str | None


def list_pipelines(system: System, python: str | None, venv: str | None) -> tuple[PipelineRow, ...]:
    """Return every pipeline that PaddleOCR registers; raises UsageError if the named target is not an environment."""
    target = collect_target(system, choose_target(system, python, venv))
    folder = Path(target.folder_of("paddlex")) / PIPELINES if isinstance(target, Target) else None
    return tuple(
        PipelineRow(p.paddleocr, p.paddlex, p.file, p.since, _path(system, folder, p.file))
        for p in load_pipelines()
    )


def _path(system: System, folder: Path | None, file: str) -> str | None:
    path = folder / file if folder else None
    return str(path) if path is not None and system.exists(path) else None
