"""The context of a run of `parse`, and the record of what it has collected."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from paddlevl_doctor.commands.judge_facts import Examination
from paddlevl_doctor.facts.model_versions import (
    cached_versions,
    known_versions,
    missing_of_pipeline,
    missing_of_version,
    version_for,
)
from paddlevl_doctor.messages import Text
from paddlevl_doctor.parsing.run.report import DocumentReport, ParseRequest
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.facts import Target
from paddlevl_doctor.values.findings import Bar, Stage

if TYPE_CHECKING:
    from paddlevl_doctor.fix.report import FixReport

VL = "PaddleOCR-VL"


@dataclass(frozen=True)
class ParseContext:
    """The examined machine, the request, and the progress display."""

    system: System
    request: ParseRequest
    examination: Examination
    stage: Stage
    bar: Bar

    @property
    def target(self) -> Target:
        """The target environment; raises ValueError without a target, which `choose_engine` excludes."""
        target = self.examination.facts.target
        if target is None:
            raise ValueError("this engine needs a target")
        return target

    @cached_property
    def known_versions(self) -> tuple[str, ...]:
        """The versions of PaddleOCR-VL that the target's paddleocr supports."""
        return known_versions(self.system, self.target)

    @cached_property
    def version(self) -> str | None:
        """The version of PaddleOCR-VL to use; None if the target does not support it."""
        cached = cached_versions(self.examination.facts.cache)
        return version_for(self.request.pipeline_version, self.known_versions, cached)

    @cached_property
    def missing_models(self) -> tuple[str, ...]:
        """The required models whose folders are not in the cache."""
        cache = self.examination.facts.cache
        if self.request.pipeline != VL:
            return missing_of_pipeline(self.system, self.target, self.request.pipeline, cache)
        return (VL,) if self.version is None else missing_of_version(self.version, cache)


@dataclass
class RunRecord:
    """The data that a run has collected so far; `clock` returns seconds."""

    clock: Callable[[], float]
    seconds: dict[str, float] = field(default_factory=dict)
    incidents: list[Text] = field(default_factory=list)
    failures: list[Text] = field(default_factory=list)
    """Reasons why the run fails even if the documents were read."""
    proved_on: tuple[str, ...] = ()
    """The devices that a self-test ran on."""
    order: list[Path] = field(default_factory=list)
    """All documents, in the requested order."""
    documents: dict[Path, DocumentReport] = field(default_factory=dict)
    """The reports of the documents that are done."""
    fix: FixReport | None = None

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Record the duration of the block as `name`."""
        started = self.clock()
        yield
        self.seconds[name] = round(self.clock() - started, 2)
