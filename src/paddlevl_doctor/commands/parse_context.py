"""What every part of a run of `parse` needs, and what a run has collected."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from paddlevl_doctor.commands.diagnose import Examination
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
    """The machine as it was examined, what the user requested, and where progress is shown."""

    system: System
    request: ParseRequest
    examination: Examination
    stage: Stage
    bar: Bar

    @property
    def target(self) -> Target:
        """The target environment; raises ValueError where there is none, which `choose_engine` has excluded."""
        target = self.examination.facts.target
        if target is None:
            raise ValueError("this engine needs a target")
        return target

    @cached_property
    def known_versions(self) -> tuple[str, ...]:
        """The versions of PaddleOCR-VL that the target's paddleocr can read with."""
        return known_versions(self.system, self.target)

    @cached_property
    def version(self) -> str | None:
        """The version of PaddleOCR-VL that reads, None where the target has none, or not the requested one."""
        cached = cached_versions(self.examination.facts.cache)
        return version_for(self.request.pipeline_version, self.known_versions, cached)

    @cached_property
    def missing_models(self) -> tuple[str, ...]:
        """The models that are not in the cache, as far as its folders show."""
        cache = self.examination.facts.cache
        if self.request.pipeline != VL:
            return missing_of_pipeline(self.system, self.target, self.request.pipeline, cache)
        return (VL,) if self.version is None else missing_of_version(self.version, cache)


@dataclass
class RunRecord:
    """What a run has collected so far; `clock` gives seconds."""

    clock: Callable[[], float]
    seconds: dict[str, float] = field(default_factory=dict)
    incidents: list[Text] = field(default_factory=list)
    failures: list[Text] = field(default_factory=list)
    """Why the run fails although the documents may have been read."""
    proved_on: tuple[str, ...] = ()
    """The devices that a self-test ran on."""
    order: list[Path] = field(default_factory=list)
    """All documents, as they were named."""
    documents: dict[Path, DocumentReport] = field(default_factory=dict)
    """Those that are done."""
    fix: FixReport | None = None

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Record how long something took."""
        started = self.clock()
        yield
        self.seconds[name] = round(self.clock() - started, 2)
