"""How an attempt to read a page failed: as a value that can be compared, as a sentence, and as a file to send."""

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
"""Enough for the stacks of a hundred threads."""


class RaisedError(Exception):
    """The pipeline raised an exception, and its process lives."""


class StrangeError(Exception):
    """A worker's answer does not fit the request; its further answers cannot be trusted."""

    def __init__(self, stage: str, answer: object) -> None:
        super().__init__(f"{stage}: {answer}")
        self.stage, self.answer = stage, answer


FAULTS = (StalledError, DiedError, RaisedError, StrangeError)
"""All that an attempt can end with."""


def expect(event: Event, stage: str, /, **wanted: object) -> Event:
    """Return an event that has the wanted fields; raises RaisedError and StrangeError."""
    if event["event"] == "failed":
        raise RaisedError(described(event.get("error")))
    if any(event.get(name) != value for name, value in wanted.items()):
        raise StrangeError(stage, event)
    return event


def failure_of(error: Exception) -> Failure:
    """Return one of FAULTS as a failure."""
    if isinstance(error, StalledError):
        key, stage = "worker-idle" if error.idle else "worker-slow", message(f"worker-{error.stage}")
        return Failure(error.stage, "stalled", message(key, stage=stage, seconds=f"{error.waited:.0f}"))
    if isinstance(error, DiedError):
        last = next((line for line in reversed(error.stderr.splitlines()) if line.strip()), "")
        key = "worker-died" if error.killed_with is None else "worker-killed"
        how, words = death_of(error.returncode), last.strip()[:_MAX_QUOTED_CHARS]
        return Failure(error.stage, "died", message(key, how=how, mb=error.killed_with, words=words))
    if isinstance(error, StrangeError):
        answer = str(error.answer)[:_MAX_QUOTED_CHARS]
        return Failure(error.stage, "died", message("worker-strange", answer=answer))
    return Failure("read", "raised", str(error))


def described(error: Mapping[str, Any] | None) -> str:
    """Return the root of an exception in one line: the first error, not those that were raised while handling it."""
    known = error or {}
    return " ".join(str(known.get("root") or known.get("message")).split())[:_MAX_QUOTED_CHARS]


def fallback_summary(rungs: Mapping[str, int]) -> Text:
    """Return the sentence about pages that needed a fallback (pages by strategy); empty where none did."""
    others = [
        message("rung-pages", rung=message(f"rung-{name}"), pages=pages)
        for name, pages in rungs.items()
        if name != "first"
    ]
    return message("rungs-helped", rungs=others) if others else ""


def stderr_or_stacks(error: Exception) -> str:
    """Return where the threads of a stalled worker were, or the end of what a crashed one wrote to stderr."""
    if isinstance(error, StalledError):
        return error.stacks
    return error.stderr if isinstance(error, DiedError) else ""


def save_incident(folder: Path | None, name: str, words: str) -> Path | None:
    """Write that to a new file; returns its path, None where there is nothing to write, no folder, or no room."""
    if folder is None or not words.strip():
        return None
    for number in itertools.count(1):
        path = folder / (f"{name}.txt" if number == 1 else f"{name}-{number}.txt")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(words[-_MAX_SAVED_CHARS:])
        except FileExistsError:
            continue
        except OSError:
            return None
        return path
    raise AssertionError  # counting has no end
