"""What the user asked `parse` for, and the whole answer to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paddlevl_doctor.messages import Text
from paddlevl_doctor.parsing.output.run_report_model import Difference, RunReport
from paddlevl_doctor.values.findings import ExitCode
from paddlevl_doctor.values.pages import Page

if TYPE_CHECKING:
    from paddlevl_doctor.fix.report import FixReport


@dataclass(frozen=True)
class ParseRequest:
    """What the user asked `parse` for."""

    inputs: tuple[str, ...]
    output: Path
    engine: str = "auto"
    device: str = "auto"
    expect: Path | None = None
    missing: str = ""
    """Where the known text was looked for in vain: its documents fail."""
    fix: bool = False
    index: str | None = None
    pipeline: str = "PaddleOCR-VL"
    pipeline_version: str = ""
    """Of PaddleOCR-VL, such as v1.5; empty: the newest whose weights are at hand."""
    resume: bool = False
    require: str | None = None
    """Only this engine counts: a stand-in fails."""
    witness: str = "auto"
    """auto, all or none: which pages the embedded reader reads as well."""
    compare: tuple[str, ...] = ()
    """These engines read everything, one after the other, and are compared."""
    server_url: str = ""
    server_backend: str = ""
    """What serves PaddleOCR-VL there; empty: nobody said."""
    server_model: str = ""
    """Which of the server's models; empty: its only one."""
    server_prompt: str = ""
    keep_warm: float | None = None
    """Minutes for which workers wait for the next run; None: they end with this one."""
    stall: float | None = None
    """Seconds without any use of the processor after which a worker is ended; None: what suits each stage."""
    threshold: float | None = None
    """Similarity with the known text from which a document passes, 0 to 1; None: what the engine should reach."""


@dataclass(frozen=True)
class Judgement:
    """How good a result is; `similarity` is None where there was no known text to compare with."""

    passed: bool
    similarity: float | None = None
    threshold: float | None = None
    reference: str | None = None
    reasons: tuple[Text, ...] = ()
    summary: Text = ""
    judged: bool = True
    """False where nothing was there to judge by, neither a known text nor a witness: then it is neither good nor bad,
    and fails only where a known text was promised."""
    order: float | None = None
    """The share of the known text's parts that follow each other as they should, 0 to 1; None without a known text."""


@dataclass(frozen=True)
class DocumentReport:
    """What came of one document of a run; its pages follow those of the documents before it in the report's."""

    input: str
    pages: int
    """How many were read, those of an earlier run among them."""
    resumed: int
    failed: tuple[Text, ...]
    """A sentence for every page that could not be read; for a document that could not be opened, the only one."""
    outputs: tuple[str, ...]
    verdict: Judgement
    notes: tuple[Text, ...] = ()
    witnessed: int = 0
    """Pages that the embedded reader looked at as well."""
    differences: tuple[Difference, ...] = ()
    """Where it saw something else."""
    diff: str = ""
    """Unified diff of the known text and what was read; empty where there is none."""


def unreadable(path: Path, reason: Text) -> DocumentReport:
    """Return the report of a document that could not be opened."""
    return DocumentReport(str(path), 0, 0, (reason,), (), Judgement(False, reasons=(reason,), summary=reason))


def display_names(inputs: Sequence[str]) -> tuple[str, ...]:
    """Return what documents are called in a list of them: their names, or where two have the same one also folders."""
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
    """One document as an engine read it, beside how the first one did."""

    name: str
    similarity: float | None
    """From 0 to 1; None where neither could read anything of it."""
    diff: str
    """Unified, from the first engine's text to this one's."""


@dataclass(frozen=True)
class ComparedEngine:
    """One engine of a comparison."""

    engine: str
    device: str = ""
    seconds: float = 0.0
    pages: int = 0
    documents: tuple[ComparedDocument, ...] = ()
    failure: Text = ""
    """Why it could not read, or did not read well enough."""


@dataclass(frozen=True)
class ParseReport:
    """The whole answer of `parse`."""

    input: str
    engine: str
    device: str
    requested_engine: str
    reason: Text
    """Why the engine differs from the one that was asked for; empty where it does not."""
    pages: tuple[Page, ...]
    outputs: tuple[str, ...]
    verdict: Judgement
    seconds: dict[str, float]
    peak_memory: dict[str, int | None]
    incidents: tuple[Text, ...] = ()
    documents: tuple[DocumentReport, ...] = ()
    pipeline: str | None = None
    rungs: dict[str, int] = field(default_factory=dict)
    """How many pages were read on which rung of the ladder."""
    compared: tuple[ComparedEngine, ...] = ()
    """With `--compare`: every engine, the first one as well; all else in the report is the first one's."""
    fix: FixReport | None = None
    run_report: RunReport | None = None
    """The same for people who want to see the pages; not part of the JSON document."""

    def exit_code(self) -> ExitCode:
        """0 when everything was read well enough."""
        return ExitCode.OK if self.verdict.passed else ExitCode.PROBLEMS

    def fields(self) -> dict[str, Any]:
        """Return the fields of the JSON document."""
        return {name: value for name, value in vars(self).items() if name not in ("fix", "run_report")}
