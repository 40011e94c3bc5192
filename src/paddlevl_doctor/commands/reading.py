"""One run over some documents with the engine that was chosen: read, looked at by the witness, judged, told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from paddlevl_doctor.commands.engines import Choice, Staff, hire, hire_witness
from paddlevl_doctor.commands.examine import Examination
from paddlevl_doctor.commands.run import Run
from paddlevl_doctor.errors import DoctorError, UsageError
from paddlevl_doctor.messages import text
from paddlevl_doctor.parsing.growth import summed
from paddlevl_doctor.parsing.judging import compare, difference_of, judge_alone, judge_run
from paddlevl_doctor.parsing.known import Known
from paddlevl_doctor.parsing.model import Reading
from paddlevl_doctor.parsing.outcome import DocumentReport, ParseReport
from paddlevl_doctor.parsing.outputs import write_outputs
from paddlevl_doctor.parsing.page_store import PageStore, key_of
from paddlevl_doctor.parsing.pages import PageSource
from paddlevl_doctor.parsing.second_look import Look, SecondLook
from paddlevl_doctor.parsing.session import Session, Work
from paddlevl_doctor.parsing.telling import tell
from paddlevl_doctor.parsing.upright import read_upright

if TYPE_CHECKING:
    from paddlevl_doctor.commands.fix import FixReport


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
    _sign(works, staff.reads_with)
    session = Session(works, source, lambda work: _write(run, work, choice, source), look.page)
    if run.request.resume:
        session.resume()
    try:
        with run.clocked("read"):
            _run_through(run, session, staff, works, choice)
        _hear(run, look, works)
        _turn(run, look, session, staff)
    finally:
        look.close()
        staff.close()
    for work in works:
        run.documents[work.path] = _judged(run, work, choice, known, look.of(work))
    report = _report(run, choice, works, staff, fixed)
    return replace(report, story=tell(report, works, staff.samples))


def _sign(works: list[Work], reads_with: str) -> None:
    """Give every document the key under which its pages are kept: its bytes, and what decides how they read."""
    for work in works:
        work.store = PageStore(work.store.folder, key_of(work.path, reads_with))


def _run_through(run: Run, session: Session, staff: Staff, works: list[Work], choice: Choice) -> None:
    """Read all pages; where the last engine is lost, what was read until then is still told."""
    total = sum(work.count - work.resumed for work in works)
    try:
        with run.bar(text("stage-parse", name=_called(works), engine=choice.name), total) as advance:
            session.on_over = lambda: advance(1)
            staff.on_stage(lambda stage: advance.say(text(f"worker-{stage}")))
            run.incidents += session.run(staff.engines)
    except KeyboardInterrupt:
        done = sum(len(work.pages) for work in works)
        raise KeyboardInterrupt(text("parse-interrupted", done=done, count=total)) from None
    except DoctorError as error:
        if isinstance(error, UsageError) or not any(work.pages for work in works):
            raise
        for work in [work for work in works if not work.over]:
            missing = [index for index in range(work.count) if index not in work.pages]
            work.failed |= {index: error.message for index in missing if index not in work.failed}
            session.finish(work)


def _called(works: list[Work]) -> str:
    return works[0].path.name if len(works) == 1 else text("documents-count", count=len(works))


def _hear(run: Run, look: SecondLook, works: list[Work]) -> None:
    """Wait for the witness; pages of an earlier run are looked at as well."""
    for work in works:
        for page in work.in_order()[: work.resumed]:
            look.page(work, page)
    if look.left():
        with run.timed("witness", text("stage-witness")):
            look.wait()


def _turn(run: Run, look: SecondLook, session: Session, staff: Staff) -> None:
    """Read pages again that lie on their sides, and let the witness look at them once more."""
    for work in session.works:
        lying = {index: seen.lies for index, seen in look.of(work).items() if seen.lies}
        if not lying:
            continue
        with run.timed("upright", text("stage-upright")):
            to_read = (staff.engines, session.source, look.troubles)
            turned = [index for index, turn in lying.items() if read_upright(work, index, turn, *to_read)]
            for index in turned:
                look.page(work, work.pages[index])
            look.wait()
        if turned:
            work.markdown = staff.engines[0].join([page.markdown for page in work.in_order()])
            session.finish(work)
    run.incidents += look.troubles


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
