"""The formats of `check` that leave the machine. The report is redacted before it is rendered."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from paddlevl_doctor.redaction import Redactor

if TYPE_CHECKING:
    from paddlevl_doctor.values.check_report import CheckReport

_WRITERS = {
    "markdown": ("markdown", "render_check"),
    "junit": ("ci", "junit"),
    "github": ("ci", "github"),
    "html": ("html", "render_check"),
}
"""The module of this package and its function `(report, lang) -> str`, by format."""


def renderers(report: CheckReport, lang: str) -> Mapping[str, Callable[[], str]]:
    """Return for each format a function that renders the report; it imports the module of the format when called."""
    return {name: partial(_write, name, report, lang) for name in _WRITERS}


def _write(name: str, report: CheckReport, lang: str) -> str:
    module, function = _WRITERS[name]
    render = getattr(importlib.import_module(f"paddlevl_doctor.report.{module}"), function)
    return str(render(Redactor.of_this_machine().value(report, lang), lang))
