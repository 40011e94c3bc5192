"""How much is downloaded for an installation (matrix/downloads.toml and the sizes of the models)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from paddlevl_doctor.facts.model import Host
from paddlevl_doctor.knowledge.matrix import Pipeline, load_models, load_pipelines
from paddlevl_doctor.knowledge.sets import VersionSet
from paddlevl_doctor.knowledge.tables import Fact, load_rows, numbers

_Row = TypeVar("_Row", bound=Fact)
_MB = 1_000_000


@dataclass(frozen=True, kw_only=True)
class PaddleSize(Fact):
    """The size of paddle's wheel."""

    tag: str
    system: str
    machine: str
    megabytes: int


@dataclass(frozen=True, kw_only=True)
class NvidiaSize(Fact):
    """The size of the NVIDIA wheels that one CUDA wheel asks for."""

    tag: str
    system: str
    megabytes: int


@dataclass(frozen=True, kw_only=True)
class StackSize(Fact):
    """The size of everything else of a set."""

    set: str
    system: str
    machine: str
    megabytes: int


@dataclass(frozen=True)
class Download:
    """What is downloaded, in MB (1,000,000 bytes); None where nobody has published the size of that part."""

    paddle_mb: int | None
    nvidia_mb: int | None
    """0 for a CPU wheel, which asks for none."""
    stack_mb: int | None
    models_mb: int | None
    verified: str
    """The weakest mark of the parts: wheel, docs or unverified."""
    sources: tuple[str, ...]

    @property
    def total_mb(self) -> int:
        """The sum of what is known."""
        return sum(part or 0 for part in self._parts)

    @property
    def complete(self) -> bool:
        """Say whether every part is known."""
        return None not in self._parts

    @property
    def _parts(self) -> tuple[int | None, ...]:
        return (self.paddle_mb, self.nvidia_mb, self.stack_mb, self.models_mb)


def expected_download(host: Host, tag: str, version_set: VersionSet) -> Download:
    """Return what a new environment of this set and its models take, with nothing in any cache."""
    place = (host.system, host.machine)
    paddle = _first(row for row in load_rows("downloads", "paddle", PaddleSize) if _key(row) == (tag, *place))
    nvidia = _first(
        row
        for row in load_rows("downloads", "nvidia", NvidiaSize)
        if (row.tag, row.system) == (tag, host.system)
    )
    stack = _first(
        row
        for row in load_rows("downloads", "stack", StackSize)
        if (row.set, row.system, row.machine) == (version_set.name, *place)
    )
    rows: list[PaddleSize | NvidiaSize | StackSize] = [row for row in (paddle, nvidia, stack) if row]
    return Download(
        paddle.megabytes if paddle else None,
        0 if tag == "cpu" else nvidia.megabytes if nvidia else None,
        stack.megabytes if stack else None,
        _models_mb(version_set.paddlex),
        max((row.verified for row in rows), key=("wheel", "docs", "unverified").index, default="unverified"),
        tuple(dict.fromkeys(row.source for row in rows)),
    )


def smallest_wheel(tag: str) -> int:
    """Return the bytes of the smallest of paddle's wheels for an index tag (cpu, cu126 …), over all systems."""
    return min(row.megabytes for row in load_rows("downloads", "paddle", PaddleSize) if row.tag == tag) * _MB


def _key(row: PaddleSize) -> tuple[str, str, str]:
    return row.tag, row.system, row.machine


def _first(rows: Iterable[_Row]) -> _Row | None:
    return next(iter(rows), None)


def newest_pipeline(paddlex: str) -> Pipeline:
    """Return the pipeline that PaddleOCRVL takes by default with this paddlex."""
    rows = [p for p in load_pipelines() if p.version and numbers(p.since) <= numbers(paddlex)]
    return rows[-1]


def _models_mb(paddlex: str) -> int | None:
    pipeline = newest_pipeline(paddlex)
    sizes = {model.name: model.bytes for model in load_models()}
    parts = [sizes.get(name or "") for name in (pipeline.layout_model, pipeline.language_model)]
    known = [part for part in parts if part is not None]
    return round(sum(known) / _MB) if len(known) == len(parts) else None
