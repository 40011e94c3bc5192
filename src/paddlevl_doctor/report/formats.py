"""The formats of a check that leave the machine: each of them is redacted before it is written."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from functools import partial

from paddlevl_doctor.checks.report import CheckReport

_RENDERERS = {
    "markdown": ("markdown", "render"),
    "junit": ("ci", "junit"),
    "github": ("ci", "github"),
    "html": ("html", "render"),
}
"""The module of this package and its function `(report) -> str` that write a format."""


def renderers(report: CheckReport) -> Mapping[str, Callable[[], str]]:
    """Return what writes a check in each format; the module of a format is imported when it is called."""
    return {name: partial(_render, name, report) for name in _RENDERERS}


def _render(name: str, report: CheckReport) -> str:
    from paddlevl_doctor.redaction import Redactor  # noqa: PLC0415 - start-up time

    module, function = _RENDERERS[name]
    write = getattr(importlib.import_module(f"paddlevl_doctor.report.{module}"), function)
    return str(write(Redactor.of_this_machine().value(report)))
