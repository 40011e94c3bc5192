"""Writes the report file of an unexpected error: ready to paste into an issue, without secrets or user names."""

from __future__ import annotations

import platform
import sys
import tempfile
import traceback
from pathlib import Path

from paddlevl_doctor import __version__
from paddlevl_doctor.redaction import Redactor


def write_crash_report(error: BaseException) -> Path | str:
    """Write versions and traceback as Markdown to a new file in the temporary folder; return its path.

    If no file can be written, write it to stderr and return `stderr`.
    """
    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    report = (
        f"paddlevl-doctor {__version__}, Python {platform.python_version()}, {platform.platform()}\n"
        f"arguments: {' '.join(sys.argv[1:])}\n\n```\n{trace}```\n"
    )
    shown = Redactor.of_this_machine().text(report)
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", errors="replace", prefix="paddlevl-doctor-", suffix=".md", delete=False
        ) as file:
            file.write(shown)
    except OSError:
        sys.stderr.write(shown)
        return "stderr"
    return Path(file.name)
