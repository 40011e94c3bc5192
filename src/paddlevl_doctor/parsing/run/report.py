"""The request and the report of `parse`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import Text
from paddlevl_doctor.parsing.output.run_report_model import Difference, RunReport
from paddlevl_doctor.values.findings import ExitCode
from paddlevl_doctor.values.pages import Page

if TYPE_CHECKING:
    from paddlevl_doctor.fix.report import FixReport


@dataclass(frozen=True)
class ParseRequest:
    """The options of `parse`."""

    inputs: tuple[str, ...]
    output: Path
    engine: str = "auto"
    device: str = "auto"
    expect: Path | None = None
    missing: str = ""
    """Where no ground truth was found: the documents without one fail."""
    fix: bool = False
    index: str | None = None
    pipeline: str = "PaddleOCR-VL"
    pipeline_version: str = ""
    """The version of PaddleOCR-VL, such as v1.5; empty: the newest version with cached weights."""
    resume: bool = False
    require: str | None = None
    """The engine that must read; the run fails if another one reads."""
    witness: str = "auto"
    """auto, all or none: which pages the embedded reader cross-checks."""
    compare: tuple[str, ...] = ()
    """The engines to compare; each reads all documents, one engine after the other."""
    server_url: str = ""
    server_backend: str = ""
    """The backend that serves PaddleOCR-VL there, such as vllm-server; empty: not specified."""
    server_model: str = ""
    """The name of the server's model; empty: its only model."""
    server_prompt: str = ""
    keep_warm: float | None = None
    """Minutes for which workers wait for the next run; None: they end with this run."""
    stall: float | None = None
    """Seconds without processor use after which a worker is ended; None: the default of each stage."""
    threshold: float | None = None
    """Minimum similarity with the ground truth, 0 to 1; None: the default of the engine."""


@dataclass(frozen=True)
class Judgement:
    """The verdict on a result; `similarity` is None without a ground truth."""

    passed: bool
    similarity: float | None = None
    threshold: float | None = None
    reference: str | None = None
    reasons: tuple[Text, ...] = ()
    summary: Text = ""
    judged: bool = True
    """False if there is neither a ground truth nor a cross-check; the result then fails only if --expect promised a
    ground truth."""
    order: float | None = None
    """Share of the ground truth's parts that are in the right order, 0 to 1; None without a ground truth."""


@dataclass(frozen=True)
class DocumentReport:
    """The report of one document; ParseReport.pages has the pages of all documents, in the order of the documents."""

    input: str
    pages: int
    """Number of pages read, including those of an earlier run."""
    resumed: int
    failed: tuple[Text, ...]
    """The reason for each page that could not be read, or why the document could not be opened."""
    outputs: tuple[str, ...]
    verdict: Judgement
    notes: tuple[Text, ...] = ()
    witnessed: int = 0
    """Number of pages that the embedded reader cross-checked."""
    differences: tuple[Difference, ...] = ()
    """The differences that the cross-check found."""
    diff: str = ""
    """Unified diff from the ground truth to the text that was read; empty without a ground truth."""


def unreadable(path: Path, reason: Text) -> DocumentReport:
    """Return the report of a document that could not be opened."""
    return DocumentReport(str(path), 0, 0, (reason,), (), Judgement(False, reasons=(reason,), summary=reason))


def display_names(inputs: Sequence[str]) -> tuple[str, ...]:
    """Return the display names of documents: file names, or relative paths if two documents have the same name."""
    paths = [Path(name) for name in inputs]
    names = [path.name for path in paths]
    if len(set(names)) == len(names):
        return tuple(names)
    folders = (paths[0].parent, *paths[0].parents)
    common = next((folder for folder in folders if all(p.is_relative_to(folder) for p in paths)), Path())
    return tuple(
        (path.relative_to(common) if path.is_relative_to(common) else path).as_posix() for path in paths
    )


@dataclass(frozen=True)
class ComparedDocument:
    """One document of an engine, compared with the result of the first engine."""

    name: str
    similarity: float | None
    """0 to 1; None if neither engine could read the document."""
    diff: str
    """Unified diff from the first engine's text to this engine's."""


@dataclass(frozen=True)
class ComparedEngine:
    """One engine of a comparison."""

    engine: str
    device: str = ""
    seconds: float = 0.0
    pages: int = 0
    documents: tuple[ComparedDocument, ...] = ()
    failure: Text = ""
    """Why the engine could not run, or why its result failed."""


@dataclass(frozen=True)
class ParseReport:
    """The report of a run of `parse`."""

    input: str
    engine: str
    device: str
    requested_engine: str
    reason: Text
    """Why the engine is not the requested one; empty if it is."""
    pages: tuple[Page, ...]
    outputs: tuple[str, ...]
    verdict: Judgement
    seconds: dict[str, float]
    peak_memory: dict[str, int | None]
    incidents: tuple[Text, ...] = ()
    documents: tuple[DocumentReport, ...] = ()
    pipeline: str | None = None
    rungs: dict[str, int] = field(default_factory=dict)
    """Number of pages by the fallback strategy that read them."""
    compared: tuple[ComparedEngine, ...] = ()
    """With `--compare`: all engines, including the first one. All other fields describe the first engine."""
    fix: FixReport | None = None
    run_report: RunReport | None = None
    """The data of the HTML report; not part of the JSON document."""

    def exit_code(self) -> ExitCode:
        """Return OK if the verdict passed, else PROBLEMS."""
        return ExitCode.OK if self.verdict.passed else ExitCode.PROBLEMS

    def fields(self) -> dict[str, Any]:
        """Return the fields of the JSON document."""
        return {name: value for name, value in vars(self).items() if name not in ("fix", "run_report")}
