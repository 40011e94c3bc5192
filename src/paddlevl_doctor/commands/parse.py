"""`parse`: reads a document end to end and judges the result; with --fix it first makes that possible."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from paddlevl_doctor.commands import fix as repair
from paddlevl_doctor.commands.deep import look_deep
from paddlevl_doctor.commands.examine import Examination, TargetOptions, examine
from paddlevl_doctor.errors import DoctorError, UsageError
from paddlevl_doctor.facts.network import answering_hubs
from paddlevl_doctor.messages import language, text
from paddlevl_doctor.parsing import reader
from paddlevl_doctor.parsing.document import check_input, check_output_folder
from paddlevl_doctor.parsing.markdown import as_document, as_markdown
from paddlevl_doctor.parsing.model import Page, Reading
from paddlevl_doctor.parsing.native import cached_version, read_native
from paddlevl_doctor.parsing.truth import Truth, load_truth
from paddlevl_doctor.parsing.verdict import NATIVE_CLAIMS, READER_CLAIMS, THRESHOLDS, judge
from paddlevl_doctor.repair.plan import Request
from paddlevl_doctor.system import System
from paddlevl_doctor.values import ExitCode, Finding, Stage, Status

ASSETS = Path(__file__).parents[1] / "assets"
DEMO = "demo.png"
_READ_TIMEOUT = 600.0


@dataclass(frozen=True)
class ParseRequest:
    """What the user asked `parse` for."""

    input: str
    output: Path
    engine: str = "auto"
    device: str = "auto"
    expect: Path | None = None
    fix: bool = False
    index: str | None = None


@dataclass(frozen=True)
class Judgement:
    """How good the result is; `similarity` is None where there was no known text to compare with."""

    passed: bool
    similarity: float | None
    threshold: float | None
    reference: str | None
    reasons: tuple[str, ...] = ()
    summary: str = ""


@dataclass(frozen=True)
class ParseReport:
    """The whole answer of `parse`."""

    input: str
    engine: str
    device: str
    requested_engine: str
    reason: str
    """Why the engine differs from the one that was asked for; empty where it does not."""
    pages: tuple[Page, ...]
    outputs: tuple[str, ...]
    verdict: Judgement
    seconds: dict[str, float]
    peak_memory: dict[str, int | None]
    incidents: tuple[str, ...] = ()
    fix: repair.FixReport | None = None

    def exit_code(self) -> ExitCode:
        """0 when the document was read well enough."""
        return ExitCode.OK if self.verdict.passed else ExitCode.PROBLEMS


@dataclass
class _Run:
    """What one run has learnt so far."""

    system: System
    stage: Stage
    seconds: dict[str, float] = field(default_factory=dict)
    incidents: list[str] = field(default_factory=list)
    flaws: list[str] = field(default_factory=list)
    """Why the run fails although the document may have been read."""

    @contextmanager
    def timed(self, name: str, title: str) -> Iterator[None]:
        """Announce a stage and remember how long it took."""
        started = self.system.clock()
        with self.stage(title):
            yield
        self.seconds[name] = round(self.system.clock() - started, 2)


@dataclass(frozen=True)
class _Engine:
    name: str
    reason: str = ""


def parse(system: System, options: TargetOptions, request: ParseRequest, stage: Stage) -> ParseReport:
    """Read a document and judge what was read.

    Raises UsageError for unusable input, DoctorError where the engine cannot run, and what `fix` raises.
    """
    run = _Run(system, stage)
    document, truth = _document(system, request, run)
    run.incidents += check_input(document, language()).notes
    check_output_folder(request.output, language())
    fixed = _fixed(run, options, request) if request.fix else None
    with run.timed("check", text("stage-check")):
        examination = examine(system, _after(options, fixed, system))
    deep = _selftest(run, examination, request, fixed)
    engine = _choose_engine(run, examination, request, deep)
    reading = _read(run, examination, request, document, engine.name)
    run.seconds |= {name: round(s, 2) for name, s in reading.stages.items() if name != "read"}
    with run.timed("judge", text("stage-judge")):
        outputs = () if engine.name == "selftest" else _write(reading, document, request.output)
        verdict = _judge(reading, truth, engine.name, run)
    return ParseReport(
        input=str(document),
        engine=engine.name,
        device=reading.device,
        requested_engine=request.engine,
        reason=engine.reason,
        pages=reading.pages,
        outputs=outputs,
        verdict=verdict,
        seconds=run.seconds,
        peak_memory={"rss_mb": reading.rss_mb, "vram_mb": reading.vram_mb},
        incidents=(*run.incidents, *reading.notes),
        fix=fixed,
    )


def _document(system: System, request: ParseRequest, run: _Run) -> tuple[Path, Truth | None]:
    """Return the document and what is known about it; the shipped page stands in for a missing demo.png."""
    document = system.cwd() / request.input
    shipped = ASSETS / DEMO
    if request.input == DEMO and not system.exists(document):
        run.incidents.append(text("demo-used", name=DEMO))
        document = shipped
    if request.expect is not None:
        return document, load_truth(request.expect, language())
    known = system.exists(document) and system.read_bytes(document) == system.read_bytes(shipped)
    return document, load_truth(ASSETS / "demo.json", language()) if known else None


def _fixed(run: _Run, options: TargetOptions, request: ParseRequest) -> repair.FixReport:
    """Cure what can be cured; an environment that stays broken is a problem even if the page can be read."""
    report = repair.fix(run.system, options, Request(index=request.index), run.stage, apply=True)
    for outcome in report.applied.outcomes if report.applied else ():
        run.seconds[outcome.step] = outcome.seconds
    return report


def _after(options: TargetOptions, fixed: repair.FixReport | None, system: System) -> TargetOptions:
    """Return how to find the target after `--fix`: by its folder where that was only now created."""
    if fixed is None or not fixed.is_new():
        return options
    planned = options.venv or fixed.before.facts.planned_target
    return TargetOptions(None, str(system.cwd() / planned), options.set_name)


def _selftest(
    run: _Run, examination: Examination, request: ParseRequest, fixed: repair.FixReport | None
) -> tuple[Finding, ...]:
    """Prove the native stack where it was just installed or is what was asked for."""
    if fixed is None and request.engine != "selftest":
        return ()
    started = run.system.clock()
    findings = look_deep(run.system, examination, run.stage)
    run.seconds["self-test"] = round(run.system.clock() - started, 2)
    run.flaws += [_flaw(f) for f in findings if f.status in (Status.ERROR, Status.UNKNOWN)]
    blocked = next((f.blocked_by for f in findings if f.status is Status.BLOCKED), None)
    if blocked is not None and not run.flaws:
        run.flaws.append(text("selftest-failed", detail=blocked))
    return findings


def _flaw(finding: Finding) -> str:
    value = finding.evidence[0].value if finding.evidence else finding.title
    return text("selftest-failed", detail=f"{finding.id}: {value}")


# --- which engine -----------------------------------------------------------------------------------------


def _choose_engine(
    run: _Run, examination: Examination, request: ParseRequest, deep: Sequence[Finding]
) -> _Engine:
    if request.engine == "reader":
        if not reader.available():
            raise UsageError(text("reader-missing"))
        return _Engine("reader")
    if request.engine == "selftest":
        return _Engine("selftest")
    obstacle = _native_obstacle(run, examination, deep)
    if obstacle is None:
        return _Engine("native")
    if request.engine == "native":
        raise DoctorError(text("native-impossible", reason=obstacle))
    if reader.available():
        return _Engine("reader", obstacle + " " + text("reader-instead"))
    raise UsageError(obstacle + " " + text("no-reader"))


def _native_obstacle(run: _Run, examination: Examination, deep: Sequence[Finding]) -> str | None:
    """Return why PaddleOCR-VL cannot read here, None when it can."""
    facts = examination.facts
    if facts.target is None:
        return text("native-no-target")
    wrong = [f for f in (*examination.findings, *deep) if f.status is Status.ERROR]
    if wrong:
        return text("native-broken", id=wrong[0].id, title=wrong[0].title)
    if cached_version(facts.cache) is not None:
        return None
    with run.timed("hub", text("stage-hub")):
        hubs = answering_hubs(run.system)
    root = facts.cache.root if facts.cache else "?"
    return None if hubs else text("native-no-weights", path=root)


# --- reading, writing, judging ----------------------------------------------------------------------------


def _read(run: _Run, examination: Examination, request: ParseRequest, document: Path, engine: str) -> Reading:
    title = text("stage-parse", name=document.name, engine=engine)
    device = _device(examination, request)
    if engine == "selftest":
        return Reading("selftest", device, (), {}, 0, None)
    with run.timed("read", title):
        if engine == "reader":
            return reader.read(run.system, document, timeout=_READ_TIMEOUT)
        target = examination.facts.target
        assert target is not None  # noqa: S101 - _native_obstacle looked
        version = cached_version(examination.facts.cache)
        return read_native(run.system, target, document, request.output, device=device, version=version)


def _device(examination: Examination, request: ParseRequest) -> str:
    """Return the device for the native engine: the GPU that was found when the wheel can use it."""
    if request.device != "auto":
        return request.device.replace("cuda", "gpu")
    target = examination.facts.target
    usable = target is not None and target.version_of("paddlepaddle-gpu") and examination.facts.gpus.devices
    return "gpu:0" if usable and examination.context.wheel.device.startswith("gpu") else "cpu"


def _write(reading: Reading, document: Path, folder: Path) -> tuple[str, ...]:
    """Write Markdown and JSON; the native engine has written its own Markdown already."""
    markdown, data = (folder / f"{document.stem}{suffix}" for suffix in (".md", ".json"))
    if document.resolve() in (markdown.resolve(), data.resolve()):
        raise UsageError(text("output-is-input", path=document))
    if not (reading.engine == "native" and markdown.exists()):
        markdown.write_text(as_markdown(reading), encoding="utf-8")
    data.write_text(json.dumps(as_document(reading), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return str(markdown), str(data)


def _judge(reading: Reading, truth: Truth | None, engine: str, run: _Run) -> Judgement:
    if engine == "selftest":
        passed = not run.flaws
        return Judgement(
            passed, None, None, None, tuple(run.flaws), text("selftest-passed") if passed else run.flaws[0]
        )
    if truth is None:
        read = any(block.text.strip() for page in reading.pages for block in page.blocks)
        reasons = (*run.flaws, *(() if read else (text("nothing-read"),)))
        return Judgement(read and not run.flaws, None, None, None, reasons, text("verdict-none"))
    claims = READER_CLAIMS if engine == "reader" else NATIVE_CLAIMS
    verdict = judge(reading, truth, claims=claims, threshold=THRESHOLDS[engine], lang=language())
    numbers = {"similarity": f"{verdict.similarity:.1%}", "threshold": f"{verdict.threshold:.0%}"}
    passed = verdict.passed and not run.flaws
    summary = text("verdict-passed" if verdict.passed else "verdict-failed", **numbers)
    reasons = (*run.flaws, *verdict.reasons)
    return Judgement(passed, verdict.similarity, verdict.threshold, verdict.reference, reasons, summary)
