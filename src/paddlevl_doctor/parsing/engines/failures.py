"""Describes failed attempts to read a page: as comparable values, as messages, and as incident files."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from paddlevl_doctor.facts.run_probes import death_of
from paddlevl_doctor.messages import Text, message
from paddlevl_doctor.parsing.engines.fallbacks import Failure
from paddlevl_doctor.parsing.workers.json_lines_process import Event
from paddlevl_doctor.parsing.workers.watchdog import DiedError, StalledError

_MAX_QUOTED_CHARS = 300
_MAX_SAVED_CHARS = 20_000
"""Limit of an incident file, enough for the stacks of a hundred threads."""


class RaisedError(Exception):
    """The pipeline raised an exception; its process still runs."""


class UnexpectedReplyError(Exception):
    """The reply of a worker does not match the request, so that its further replies cannot be used."""

    def __init__(self, stage: str, reply: object) -> None:
        super().__init__(f"{stage}: {reply}")
        self.stage, self.reply = stage, reply


ATTEMPT_ERRORS = (StalledError, DiedError, RaisedError, UnexpectedReplyError)
"""The errors of a failed attempt."""


def expect(event: Event, stage: str, /, **fields: object) -> Event:
    """Return the event if it has these fields, else raise RaisedError or UnexpectedReplyError."""
    if event["event"] == "failed":
        raise RaisedError(describe_error(event.get("error")))
    if any(event.get(name) != value for name, value in fields.items()):
        raise UnexpectedReplyError(stage, event)
    return event


def failure_of(error: Exception) -> Failure:
    """Return the failure for one of ATTEMPT_ERRORS."""
    if isinstance(error, StalledError):
        key, stage = "worker-idle" if error.idle else "worker-slow", message(f"worker-{error.stage}")
        return Failure(error.stage, "stalled", message(key, stage=stage, seconds=f"{error.waited:.0f}"))
    if isinstance(error, DiedError):
        last_line = next((line for line in reversed(error.stderr.splitlines()) if line.strip()), "")
        key = "worker-died" if error.killed_with is None else "worker-killed"
        how, quote = death_of(error.returncode), last_line.strip()[:_MAX_QUOTED_CHARS]
        return Failure(error.stage, "died", message(key, how=how, mb=error.killed_with, words=quote))
    if isinstance(error, UnexpectedReplyError):
        quote = str(error.reply)[:_MAX_QUOTED_CHARS]
        return Failure(error.stage, "died", message("worker-strange", answer=quote))
    return Failure("read", "raised", str(error))


def describe_error(error: Mapping[str, Any] | None) -> str:
    """Return the root cause of an exception in one line: the first error, not those raised while it was handled."""
    fields = error or {}
    return " ".join(str(fields.get("root") or fields.get("message")).split())[:_MAX_QUOTED_CHARS]


def fallback_summary(pages_by_strategy: Mapping[str, int]) -> Text:
    """Return the message about the pages that needed a fallback strategy; empty if there are none."""
    fallbacks = [
        message("rung-pages", rung=message(f"rung-{name}"), pages=pages)
        for name, pages in pages_by_strategy.items()
        if name != "first"
    ]
    return message("rungs-helped", rungs=fallbacks) if fallbacks else ""


def diagnostics_of(error: Exception) -> str:
    """Return the stacks of a stalled worker, or the end of the stderr of a crashed worker; else empty."""
    if isinstance(error, StalledError):
        return error.stacks
    return error.stderr if isinstance(error, DiedError) else ""


def save_incident(folder: Path | None, name: str, diagnostics: str) -> Path | None:
    """Write diagnostics to a new file; returns its path, None if they are empty, or if nothing can be written."""
    if folder is None or not diagnostics.strip():
        return None
    for number in itertools.count(1):
        path = folder / (f"{name}.txt" if number == 1 else f"{name}-{number}.txt")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(diagnostics[-_MAX_SAVED_CHARS:])
        except FileExistsError:
            continue
        except OSError:
            return None
        return path
    raise AssertionError  # itertools.count has no end
