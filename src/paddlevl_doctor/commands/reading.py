"""One run over some documents with the engine that was chosen: read, looked at by the witness, judged, told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from paddlevl_doctor.commands.engines import Choice, Staff, hire, hire_witness
from paddlevl_doctor.commands.examine import Examination
from paddlevl_doctor.commands.run import Run
from paddlevl_doctor.errors import DoctorError, UsageError
from paddlevl_doctor.messages import language, text
from paddlevl_doctor.parsing.document import refusal
from paddlevl_doctor.parsing.growth import summed
from paddlevl_doctor.parsing.judging import compare, difference_of, judge_alone, judge_run
from paddlevl_doctor.parsing.known import Known
from paddlevl_doctor.parsing.model import Reading
from paddlevl_doctor.parsing.outcome import DocumentReport, ParseReport, unreadable
from paddlevl_doctor.parsing.outputs import write_outputs
from paddlevl_doctor.parsing.page_store import key_of
from paddlevl_doctor.parsing.pages import PageSource
from paddlevl_doctor.parsing.second_look import Look, SecondLook
from paddlevl_doctor.parsing.session import Session, Work
from paddlevl_doctor.parsing.telling import tell
from paddlevl_doctor.parsing.upright import may_lie, set_upright

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
