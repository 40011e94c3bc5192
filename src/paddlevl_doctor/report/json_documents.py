"""The JSON documents of every command, as the contract in docs/json.md and the schemas in `schemas/` describe them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from paddlevl_doctor import __version__
from paddlevl_doctor.redaction import scrubbed, without_secrets
from paddlevl_doctor.values.errors import DoctorError
from paddlevl_doctor.values.findings import as_dict

if TYPE_CHECKING:
    from paddlevl_doctor.checks.report import CheckReport
    from paddlevl_doctor.commands.check import ListedCheck
    from paddlevl_doctor.commands.pipelines import PipelineRow
    from paddlevl_doctor.fix.report import FixReport, UndoReport
    from paddlevl_doctor.parsing.run.report import ParseReport

Document = dict[str, Any]


def document(verb: str, **fields: Any) -> Document:
    """Return a document of this verb: its schema, the doctor's version, and the fields, still as values."""
    return {"schema": f"paddlevl-doctor/{verb}/1", "doctor": {"version": __version__}, **fields}


def check_document(report: CheckReport) -> Document:
    """Describe a check."""
    target = report.facts.target
    shown = {"python": target.python, "version": target.version, "prefix": target.prefix} if target else None
    return document(
        "check",
        target=shown,
        facts=report.facts,
        findings=report.findings,
        summary=report.summary,
        seconds=report.seconds,
    )


def list_document(rows: tuple[ListedCheck, ...]) -> Document:
    """Describe what the doctor knows."""
    return document("check-list", checks=rows)


def fix_document(report: FixReport) -> Document:
    """Describe a plan, and what became of it."""
    fields: dict[str, Any] = {"plan": {"steps": report.plan.steps}, "skipped": report.plan.skipped}
    fields |= {"request": report.request, "state": report.state}
    if report.mirrors:
        fields["mirrors"] = report.mirrors
    if report.note:
        fields["note"] = report.note
    if report.recovered is not None:
        fields["recovered"] = report.recovered
    if report.applied is not None and report.recheck is not None:
        fields["outcome"] = report.applied.outcomes
        fields["transaction"] = report.applied.number
        fields["recheck"] = check_document(report.recheck)
    return document("fix", **fields)


def undo_document(report: UndoReport) -> Document:
    """Describe what was undone and what is still remembered."""
    return document("undo", undone=report.undone, transactions=report.left)


def parse_document(report: ParseReport) -> Document:
    """Describe the reading of a document."""
    return document("parse", **report.fields())


def pipelines_document(rows: tuple[PipelineRow, ...]) -> Document:
    """Describe the pipelines of a target."""
    return document("pipelines", pipelines=rows)


def error_document(verb: str, error: DoctorError) -> Document:
    """Describe a command that ended with one sentence instead of an answer, and how far a failed repair got."""
    outcomes = getattr(error, "outcomes", None)
    extra = {} if outcomes is None else {"outcome": outcomes}
    return document(verb, error={"message": error.message, "exit_code": int(error.exit_code)}, **extra)


def as_json(document: Document, lang: str) -> str:
    """Write a document as JSON text, its messages in a language, secrets taken out.

    Most documents hold none, and looking at the whole text once is a tenth of looking at every string.
    """
    plain = as_dict(document, lang)
    words = json.dumps(plain, ensure_ascii=False, indent=2)
    if without_secrets(words) == words:
        return words
    return json.dumps(scrubbed(plain), ensure_ascii=False, indent=2)
