"""`parse`: reads documents end to end and judges the result; with --fix it first makes that possible."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from paddlevl_doctor.commands.diagnose import Background, Examination, TargetOptions, examine
from paddlevl_doctor.commands.engines import Choice, Staff, hire, hire_witness
from paddlevl_doctor.messages import language, text
from paddlevl_doctor.parsing.evaluate.cross_check_queue import Look, SecondLook
from paddlevl_doctor.parsing.evaluate.ground_truth import Known
from paddlevl_doctor.parsing.evaluate.judge import compare, difference_of, judge_alone, judge_run
from paddlevl_doctor.parsing.evaluate.reread_rotated import may_lie, set_upright
from paddlevl_doctor.parsing.input.documents import (
    PAGES,
    Input,
    check_input,
    check_output_folder,
    expand,
    refusal,
)
from paddlevl_doctor.parsing.input.page_source import PageSource, drawers_for
from paddlevl_doctor.parsing.output.run_report import tell
from paddlevl_doctor.parsing.output.writer import write_outputs
from paddlevl_doctor.parsing.run.page_store import PageStore, key_of
from paddlevl_doctor.parsing.run.report import (
    DocumentReport,
    Judgement,
    ParseReport,
    ParseRequest,
    unreadable,
)
from paddlevl_doctor.parsing.run.result_files import refuse_to_replace
from paddlevl_doctor.parsing.run.session import Session, Work
from paddlevl_doctor.parsing.workers.watchdog import summed
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.errors import DoctorError, UsageError
from paddlevl_doctor.values.findings import Bar, Finding, Stage, Status
from paddlevl_doctor.values.pages import Reading

if TYPE_CHECKING:
    from paddlevl_doctor.fix.report import FixReport


@dataclass
class Run:
    """What one run has learnt so far."""

    system: System
    request: ParseRequest
    stage: Stage
    bar: Bar
    seconds: dict[str, float] = field(default_factory=dict)
    incidents: list[str] = field(default_factory=list)
    flaws: list[str] = field(default_factory=list)
    """Why the run fails although the documents may have been read."""
    proved_on: tuple[str, ...] = ()
    """The devices that a self-test ran on."""
    order: list[Path] = field(default_factory=list)
    """All documents, as they were named."""
    documents: dict[Path, DocumentReport] = field(default_factory=dict)
    """Those that are over."""
    written: dict[Path, tuple[str, ...]] = field(default_factory=dict)
    """The results of those that were read and wait for their verdict."""

    @contextmanager
    def timed(self, name: str, title: str) -> Iterator[None]:
        """Announce a stage and remember how long it took."""
        with self.stage(title), self.clocked(name):
            yield

    @contextmanager
    def clocked(self, name: str) -> Iterator[None]:
        """Remember how long something took."""
        started = self.system.clock()
        yield
        self.seconds[name] = round(self.system.clock() - started, 2)


ASSETS = Path(__file__).parents[1] / "assets"
DEMO = "demo.png"


def parse(
    system: System, options: TargetOptions, request: ParseRequest, stage: Stage, bar: Bar
) -> ParseReport:
    """Read documents and judge what was read.

    Raises UsageError for unusable input, DoctorError where the engine cannot run, and what `fix` raises.
    """

    outputs = tuple(request.output / engine for engine in request.compare) or (request.output,)
    # All engines of a comparison read the same documents, under the same names.
    found = functools.cache(lambda *named: expand(named, *{*outputs, request.output}))

    def once(one: ParseRequest) -> ParseReport:
        run = Run(system, one, stage, bar)
        with tempfile.TemporaryDirectory(prefix="paddlevl-doctor-") as scratch:
            drawers = drawers_for(system.cpu_count(), system.memory_mb()[1])
            source = PageSource(Path(scratch), system.env, drawers=drawers)
            source.begin()
            try:
                return _parse(run, options, source, found, outputs)
            finally:
                source.close()

    if request.compare:
        from paddlevl_doctor.commands.engines import check_options  # noqa: PLC0415 - start-up time
        from paddlevl_doctor.parsing.evaluate.compare_engines import side_by_side  # noqa: PLC0415 - as above

        for engine in request.compare:
            check_options(replace(request, engine=engine))
        return side_by_side(request.compare, request, once)
    return once(request)


def _parse(
    run: Run,
    options: TargetOptions,
    source: PageSource,
    found: Callable[..., tuple[Input, ...]],
    outputs: Sequence[Path],
) -> ParseReport:
    system, request = run.system, run.request
    # The target's Python answers, and the process that draws starts, while the rest of the doctor is loaded.
    looking = None if request.fix else Background(lambda: examine(system, options))
    from paddlevl_doctor.commands.engines import check_options, choose  # noqa: PLC0415 - as above
    from paddlevl_doctor.parsing.evaluate.ground_truth import known_texts  # noqa: PLC0415 - as above

    check_options(request)
    inputs = found(*(_document(run, word) for word in request.inputs))
    known = known_texts(request.expect, inputs, ASSETS, language(), request.missing)
    if request.threshold is not None and not (known.texts or known.missing):
        raise UsageError(text("threshold-alone"))
    works = _works(run, source, inputs)
    if request.engine != "selftest":  # which writes nothing
        needed = (*known.places, *(item.path for item in inputs))
        refuse_to_replace([work.name for work in works], outputs, needed)
    check_output_folder(request.output, language())
    fixed = _fixed(run, options) if request.fix else None
    with run.timed("check", text("stage-check")):
        examination = looking.result() if looking else examine(system, _after(options, fixed, system))
    deep = _selftest(run, examination, fixed)
    choice = choose(system, run.stage, examination, request, deep)
    if choice.name == "selftest":
        return _proven(run, works[0].path)
    return read_documents(run, examination, choice, works, source, known, fixed)


# --- the documents ----------------------------------------------------------------------------------------


def _document(run: Run, word: str) -> Path:
    """Return the path of an input; the shipped page stands in for a missing demo.png."""
    path = run.system.cwd() / word
    if word == DEMO and not run.system.exists(path):
        run.incidents.append(text("demo-used", name=DEMO))
        return ASSETS / DEMO
    return path


def _works(run: Run, source: PageSource, inputs: Sequence[Input]) -> list[Work]:
    """Open every document; one that cannot be read is reported, and ends the run only where it is the only one."""
    run.order = [item.path for item in inputs]
    works = []
    for item in inputs:
        try:
            notes = list(check_input(item.path, language()).notes)
            count = source.count(item.path)
        except UsageError as error:
            if len(inputs) == 1:
                raise
            run.documents[item.path] = unreadable(item.path, error.message)
            continue
        if count.frames > count.pages:
            notes.append(text("first-frame", name=item.path.name, frames=count.frames))
        store = PageStore(run.request.output / f"{item.name}{PAGES}", "", item.path.name)
        works.append(Work(item.path, item.name, count.pages, store, notes))
    if not works:
        raise UsageError(text("no-readable-document", count=len(inputs)))
    return works


# --- the environment --------------------------------------------------------------------------------------


def _fixed(run: Run, options: TargetOptions) -> FixReport:
    """Cure what can be cured; an environment that stays broken is a problem even if the page can be read."""
    from paddlevl_doctor.commands import fix as repair  # noqa: PLC0415 - start-up time
    from paddlevl_doctor.packages.request import Request  # noqa: PLC0415 - as above

    report = repair.fix(
        run.system, options, Request(index=run.request.index), run.stage, apply=True, bar=run.bar
    )
    for outcome in report.applied.outcomes if report.applied else ():
        run.seconds[outcome.step] = outcome.seconds
    return report


def _after(options: TargetOptions, fixed: FixReport | None, system: System) -> TargetOptions:
    """Return how to find the target after `--fix`: by its folder where that was only now created."""
    if fixed is None or not fixed.is_new():
        return options
    planned = options.venv or fixed.before.facts.planned_target
    return TargetOptions(None, str(system.cwd() / planned), options.set_name)


def _selftest(run: Run, examination: Examination, fixed: FixReport | None) -> tuple[Finding, ...]:
    """Prove the native stack where it was just installed or is what was asked for."""
    if fixed is None and run.request.engine != "selftest":
        return ()
    from paddlevl_doctor.commands.diagnose import devices_of, judge_deep, see_deep  # noqa: PLC0415 - start-up time

    started = run.system.clock()
    seen = see_deep(run.system, examination, run.stage)
    findings = judge_deep(examination, seen)
    run.proved_on = seen.read_on() if seen else devices_of(examination.context)
    run.seconds["self-test"] = round(run.system.clock() - started, 2)
    run.flaws += [_flaw(f) for f in findings if f.status in (Status.ERROR, Status.UNKNOWN)]
    blocked = next((f.blocked_by for f in findings if f.status is Status.BLOCKED), None)
    if blocked is not None and not run.flaws:
        run.flaws.append(text("selftest-failed", detail=blocked))
    return findings


def _flaw(finding: Finding) -> str:
    value = finding.evidence[0].value if finding.evidence else finding.title
    return text("selftest-failed", detail=f"{finding.id}: {value}")


def _proven(run: Run, document: Path) -> ParseReport:
    """Return the report of a self-test, which reads no document."""
    passed = not run.flaws
    summary = text("selftest-passed") if passed else run.flaws[0]
    verdict = Judgement(passed, reasons=tuple(run.flaws), summary=summary)
    memory: dict[str, int | None] = {"rss_mb": 0, "vram_mb": None}
    head = (str(document), "selftest", ",".join(run.proved_on), run.request.engine, "")
    return ParseReport(*head, (), (), verdict, run.seconds, memory, tuple(run.incidents))


def read_documents(
    run: Run,
    examination: Examination,
    choice: Choice,
    works: list[Work],
    source: PageSource,
    known: Known,
    fixed: FixReport | None,
) -> ParseReport:
    """Read everything, write the results, judge them; raises DoctorError where nothing can be read."""
    pages = sum(work.count for work in works)
    staff = hire(run.system, examination, run.request, choice.name, source.folder, pages)
    look = hire_witness(run.system, run.request, choice.name, source, staff)
    works = _signed(run, works, staff.reads_with)
    session = Session(works, source, lambda work: _write(run, work, choice, source), look.page)
    if run.request.resume:
        session.resume()
    try:
        _read_and_look(run, session, staff, look, choice)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_interrupted(works)) from None
    for work in works:
        run.documents[work.path] = _judged(run, work, choice, known, look.of(work))
    report = _report(run, choice, works, staff, fixed)
    return replace(report, story=tell(report, works, staff.samples))


def _read_and_look(run: Run, session: Session, staff: Staff, look: SecondLook, choice: Choice) -> None:
    """Read all pages, let the witness look, read again what lies; then end whoever was hired."""
    try:
        with run.clocked("read"):
            _run_through(run, session, staff, session.works, choice)
        _hear(run, look, session.works)
        _turn(run, look, session, staff)
    finally:
        look.close()
        staff.close()


def _signed(run: Run, works: list[Work], reads_with: str) -> list[Work]:
    """Give every document the key under which its pages are kept: its bytes, and what decides how they read.

    One that is gone by now is reported; raises UsageError where none is left.
    """
    for work in works:
        try:
            work.store = replace(work.store, key=key_of(work.path, reads_with))
        except OSError as error:
            reason = refusal(work.path, error, language())
            if len(run.order) == 1:
                raise reason from error
            run.documents[work.path] = unreadable(work.path, reason.message)
    signed = [work for work in works if work.path not in run.documents]
    if not signed:
        raise UsageError(text("no-readable-document", count=len(run.order)))
    return signed


def _run_through(run: Run, session: Session, staff: Staff, works: Sequence[Work], choice: Choice) -> None:
    """Read all pages; where the last engine is lost, what was read until then is still told."""
    total = sum(work.count - work.resumed for work in works)
    try:
        with run.bar(text("stage-parse", name=_called(works), engine=choice.name), total) as advance:
            session.on_over = lambda: advance(1)
            staff.on_stage(lambda stage: advance.say(text(f"worker-{stage}")))
            run.incidents += session.run(staff.engines)
    except DoctorError as error:
        if isinstance(error, UsageError) or not any(work.pages for work in works):
            raise
        for work in [work for work in works if not work.over]:
            missing = [index for index in range(work.count) if index not in work.pages]
            work.failed |= {index: error.message for index in missing if index not in work.failed}
            session.finish(work)


def _interrupted(works: Sequence[Work]) -> str:
    done, count = sum(len(work.pages) for work in works), sum(work.count for work in works)
    return text("parse-interrupted", done=done, count=count)


def _called(works: Sequence[Work]) -> str:
    return works[0].path.name if len(works) == 1 else text("documents-count", count=len(works))


def _hear(run: Run, look: SecondLook, works: Sequence[Work]) -> None:
    """Wait for the witness; pages of an earlier run are looked at as well."""
    for work in works:
        for index in sorted(work.kept):
            look.page(work, work.pages[index])
    if look.left():
        with run.timed("witness", text("stage-witness")):
            look.wait()


def _turn(run: Run, look: SecondLook, session: Session, staff: Staff) -> None:
    """Read pages again that lie on their sides, and join and write their documents anew."""
    lying = [work for work in session.works if may_lie(work, look)]
    if lying:
        with run.timed("upright", text("stage-upright")):
            for work in lying:
                if set_upright(work, look, staff.engines, session.source):
                    work.markdown = staff.engines[0].join([page.markdown for page in work.in_order()])
                    session.finish(work)
    run.incidents += dict.fromkeys(look.troubles)


def _write(run: Run, work: Work, choice: Choice, source: PageSource) -> None:
    """Write a document that is over."""
    reading = _reading(work, choice.name)
    run.written[work.path] = write_outputs(work, reading, run.request.output, source)


def _reading(work: Work, engine: str) -> Reading:
    pages = tuple(page.page for page in work.in_order())
    device = ",".join(sorted({page.device for page in work.pages.values()}))
    vram = max((page.vram_mb for page in work.pages.values() if page.vram_mb is not None), default=None)
    notes = tuple(note for page in work.in_order() for note in page.notes)
    seconds = {"read": round(sum(page.seconds for page in pages), 2)}
    return Reading(engine, device, pages, seconds, 0, vram, notes)


def _judged(run: Run, work: Work, choice: Choice, known: Known, looks: Mapping[int, Look]) -> DocumentReport:
    reading, truth = _reading(work, choice.name), known.texts.get(work.path)
    failed = tuple(work.failed[index] for index in sorted(work.failed))
    blank = all(page.blank for page in work.pages.values())
    verdict = (
        judge_alone(reading, looks, failed, blank=blank, missing=known.why_missing(work.path))
        if truth is None
        else compare(reading, truth, run.request.threshold, failed)
    )
    return DocumentReport(
        input=str(work.path),
        pages=len(work.pages),
        resumed=work.resumed,
        failed=failed,
        outputs=run.written.get(work.path, ()),
        verdict=verdict,
        notes=(*work.notes, *reading.notes),
        witnessed=sum(look.seen > 0 for look in looks.values()),
        differences=tuple(found for _, look in sorted(looks.items()) for found in look.differences),
        diff="" if truth is None else difference_of(reading, truth),
    )


def _report(
    run: Run, choice: Choice, works: list[Work], staff: Staff, fixed: FixReport | None
) -> ParseReport:
    pages = [page for work in works for page in work.in_order()]
    documents = tuple(run.documents[path] for path in run.order)
    samples = summed(staff.samples)
    told = (*(page.vram_mb for page in pages), *(sample.vram_mb for sample in samples))
    vram = max((mb for mb in told if mb is not None), default=None)
    rss = max((sample.rss_mb for sample in samples), default=0)
    started = {name: seconds for name, seconds in staff.seconds().items() if name != "read"}
    names = [page.rung for page in pages]
    return ParseReport(
        input=run.request.inputs[0] if len(documents) > 1 else str(works[0].path),
        engine=choice.name,
        device=",".join(dict.fromkeys(page.device for page in pages)) or ",".join(staff.devices),
        requested_engine=run.request.engine,
        reason=choice.reason,
        pages=tuple(page.page for page in pages),
        outputs=tuple(path for document in documents for path in document.outputs),
        verdict=judge_run(documents, run.flaws, choice.name, run.request.require),
        seconds={**run.seconds, **started},
        peak_memory={"rss_mb": rss, "vram_mb": vram},
        incidents=(
            *run.incidents,
            *staff.incidents,
            *(note for document in documents for note in document.notes),
        ),
        documents=documents,
        pipeline=run.request.pipeline if choice.name == "native" else None,
        rungs={name: names.count(name) for name in dict.fromkeys(names)},
        fix=fixed,
    )
