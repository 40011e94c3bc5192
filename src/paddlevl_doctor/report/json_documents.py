"""The JSON documents of the commands, as described in docs/json.md and by the schemas in `schemas/`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from paddlevl_doctor import __version__
from paddlevl_doctor.invocation import invocation
from paddlevl_doctor.redaction import scrubbed, without_secrets
from paddlevl_doctor.values.errors import DoctorError
from paddlevl_doctor.values.findings import Finding, Remedy, as_dict

if TYPE_CHECKING:
    from paddlevl_doctor.commands.list_checks import ListedCheck
    from paddlevl_doctor.commands.pipelines import PipelineRow
    from paddlevl_doctor.fix.report import FixReport, UndoReport
    from paddlevl_doctor.parsing.run.report import ParseReport
    from paddlevl_doctor.values.check_report import CheckReport

Document = dict[str, Any]


def document(verb: str, **fields: Any) -> Document:
    """Return a document with the schema of a command, the version of the doctor, and the fields as values."""
    return {"schema": f"paddlevl-doctor/{verb}/1", "doctor": {"version": __version__}, **fields}


def check_document(report: CheckReport) -> Document:
    """Return the document of `check`."""
    target = report.facts.target
    shown = {"python": target.python, "version": target.version, "prefix": target.prefix} if target else None
    return document(
        "check",
        target=shown,
        facts=report.facts,
        findings=completed(report.findings),
        summary=report.summary,
        seconds=report.seconds,
    )


def completed(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings whose commands name the program as it was called, the target, and what else decides."""
    return tuple(replace(f, remedy=f.remedy and complete_remedy(f.remedy)) for f in findings)


def complete_remedy(remedy: Remedy) -> Remedy:
    """Return a remedy with completed commands."""
    return replace(remedy, commands=tuple(map(invocation().complete, remedy.commands)))


def list_document(rows: tuple[ListedCheck, ...]) -> Document:
    """Return the document of `check --list`."""
    return document("check-list", checks=rows)


def fix_document(report: FixReport) -> Document:
    """Return the document of `fix`: the plan, and the outcome if it was applied."""
    fields: dict[str, Any] = {"plan": {"steps": report.plan.steps}, "skipped": report.plan.skipped}
    fields |= {"request": report.request, "state": report.state}
    if report.mirrors:
        fields["mirrors"] = report.mirrors
    if report.note:
        fields["note"] = report.note
    if report.recovered is not None:
        fields |= {"recovered": report.recovered.transaction, "recovery": report.recovered}
    if report.applied is not None and report.recheck is not None:
        fields["outcome"] = report.applied.outcomes
        fields["transaction"] = report.applied.number
        fields["recheck"] = check_document(report.recheck)
    return document("fix", **fields)


def undo_document(report: UndoReport) -> Document:
    """Return the document of `undo`."""
    fields = {"changes": report.changes} if report.changes else {}
    return document("undo", undone=report.undone, transactions=report.left, dry_run=report.dry_run, **fields)


def parse_document(report: ParseReport) -> Document:
    """Return the document of `parse`."""
    return document("parse", **report.fields())


def pipelines_document(rows: tuple[PipelineRow, ...]) -> Document:
    """Return the document of `pipelines list`."""
    return document("pipelines", pipelines=rows)


def error_document(verb: str, error: DoctorError) -> Document:
    """Return the document of a command that raised an error, with the outcomes of the steps of a failed repair."""
    outcomes = getattr(error, "outcomes", None)
    extra = {} if outcomes is None else {"outcome": outcomes}
    return document(verb, error={"message": error.message, "exit_code": int(error.exit_code)}, **extra)


def as_json(document: Document, lang: str) -> str:
    """Return a document as JSON text without secrets, with its messages in a language.

    Most documents have no secrets, and searching the whole text takes a tenth of the time of searching each string.
    """
    plain = as_dict(document, lang)
    text = _in_lines(plain)
    return text if without_secrets(text) == text else _in_lines(scrubbed(plain))


def _in_lines(document: Document) -> str:
    """Return a document as JSON text with a line for each field, and for each element of a list.

    `json.dumps` with an indent does not use its C encoder and takes a thirtieth of the time of a check.
    """
    fields = (f"  {_line(name)}: {_element_lines(value)}" for name, value in document.items())
    return "{\n" + ",\n".join(fields) + "\n}"


def _element_lines(value: Any) -> str:
    if not isinstance(value, list) or not value:
        return _line(value)
    return "[\n    " + ",\n    ".join(map(_line, value)) + "\n  ]"


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
