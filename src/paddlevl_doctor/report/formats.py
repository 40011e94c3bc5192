"""The formats of a check that leave the machine: each of them is redacted before it is written."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from functools import partial

from paddlevl_doctor.checks.report import CheckReport

_NAMES = ("markdown", "junit", "github", "html")
"""Modules of this package, each with `render(report) -> str`."""


def renderers(report: CheckReport) -> Mapping[str, Callable[[], str]]:
    """Return what writes a check in each format; a format that nobody asks for is not even imported."""
    return {name: partial(_render, name, report) for name in _NAMES}


def _render(name: str, report: CheckReport) -> str:
    from paddlevl_doctor.redaction import Redactor  # noqa: PLC0415 - start-up time

    module = importlib.import_module(f"paddlevl_doctor.report.{name}")
    return str(module.render(Redactor.of_this_machine().value(report)))
