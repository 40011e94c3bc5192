"""`parse`: reads documents end to end and judges the result; with --fix it first makes that possible."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from paddlevl_doctor.commands.examine import Background, Examination, TargetOptions, examine
from paddlevl_doctor.commands.run import Run
from paddlevl_doctor.errors import UsageError
from paddlevl_doctor.messages import language, text
from paddlevl_doctor.parsing.document import check_input, check_output_folder
from paddlevl_doctor.parsing.inputs import PAGES, Input, expand
from paddlevl_doctor.parsing.outcome import Judgement, ParseReport, ParseRequest, unreadable
from paddlevl_doctor.parsing.page_store import PageStore
from paddlevl_doctor.parsing.pages import PageSource, drawers_for
from paddlevl_doctor.parsing.results import refuse_to_replace
from paddlevl_doctor.parsing.session import Work
from paddlevl_doctor.system import System
from paddlevl_doctor.values import Bar, Finding, Stage, Status

if TYPE_CHECKING:
    from paddlevl_doctor.commands import fix as repair

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
        from paddlevl_doctor.parsing.comparing import side_by_side  # noqa: PLC0415 - as above

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
    from paddlevl_doctor.commands.reading import read_documents  # noqa: PLC0415 - as above
    from paddlevl_doctor.parsing.known import known_texts  # noqa: PLC0415 - as above

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


def _fixed(run: Run, options: TargetOptions) -> repair.FixReport:
    """Cure what can be cured; an environment that stays broken is a problem even if the page can be read."""
    from paddlevl_doctor.commands import fix as repair  # noqa: PLC0415 - start-up time
    from paddlevl_doctor.repair.plan import Request  # noqa: PLC0415 - as above

    report = repair.fix(
        run.system, options, Request(index=run.request.index), run.stage, apply=True, bar=run.bar
    )
    for outcome in report.applied.outcomes if report.applied else ():
        run.seconds[outcome.step] = outcome.seconds
    return report


def _after(options: TargetOptions, fixed: repair.FixReport | None, system: System) -> TargetOptions:
    """Return how to find the target after `--fix`: by its folder where that was only now created."""
    if fixed is None or not fixed.is_new():
        return options
    planned = options.venv or fixed.before.facts.planned_target
    return TargetOptions(None, str(system.cwd() / planned), options.set_name)


def _selftest(run: Run, examination: Examination, fixed: repair.FixReport | None) -> tuple[Finding, ...]:
    """Prove the native stack where it was just installed or is what was asked for."""
    if fixed is None and run.request.engine != "selftest":
        return ()
    from paddlevl_doctor.commands.deep import (  # noqa: PLC0415 - start-up time
        devices_of,
        judge_deep,
        see_deep,
    )

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
