"""What went wrong in one attempt to read, in a form that can be compared, told and kept."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from paddlevl_doctor.facts.run_probes import death_of
from paddlevl_doctor.messages import text
from paddlevl_doctor.parsing.engines.fallbacks import Failure
from paddlevl_doctor.parsing.workers.json_lines_process import Event
from paddlevl_doctor.parsing.workers.watchdog import DiedError, StalledError

_SHOWN = 300
_KEPT = 20_000
"""Characters of what is kept of a worker: the stacks of a hundred threads."""


class RaisedError(Exception):
    """The pipeline raised an exception, and its process lives."""


class StrangeError(Exception):
    """A worker answered something else than it was asked for; what follows cannot be trusted."""

    def __init__(self, stage: str, answer: object) -> None:
        super().__init__(f"{stage}: {answer}")
        self.stage, self.answer = stage, answer


FAULTS = (StalledError, DiedError, RaisedError, StrangeError)
"""All that an attempt can end with."""


def expect(event: Event, stage: str, /, **wanted: object) -> Event:
    """Return an event that is what was asked for; raises RaisedError and StrangeError."""
    if event["event"] == "failed":
        raise RaisedError(described(event.get("error")))
    if any(event.get(name) != value for name, value in wanted.items()):
        raise StrangeError(stage, event)
    return event


def failure_of(error: Exception) -> Failure:
    """Return what one of FAULTS means: where it was, how it ended, and one line about it."""
    if isinstance(error, StalledError):
        key, stage = "worker-idle" if error.idle else "worker-slow", text(f"worker-{error.stage}")
        return Failure(error.stage, "stalled", text(key, stage=stage, seconds=f"{error.waited:.0f}"))
    if isinstance(error, DiedError):
        last = next((line for line in reversed(error.words.splitlines()) if line.strip()), "")
        key = "worker-died" if error.killed_with is None else "worker-killed"
        words = {"how": death_of(error.returncode), "mb": error.killed_with, "words": last.strip()[:_SHOWN]}
        return Failure(error.stage, "died", text(key, **words))
    if isinstance(error, StrangeError):
        return Failure(error.stage, "died", text("worker-strange", answer=str(error.answer)[:_SHOWN]))
    return Failure("read", "raised", str(error))


def described(error: Mapping[str, Any] | None) -> str:
    """Return the root of an exception in one line: what went wrong before anything was said about it."""
    known = error or {}
    return " ".join(str(known.get("root") or known.get("message")).split())[:_SHOWN]


def helped(rungs: Mapping[str, int]) -> str:
    """Return the sentence about pages that were not read on the first rung (pages by rung); empty where all were."""
    others = [f"{text(f'rung-{name}')} ({pages})" for name, pages in rungs.items() if name != "first"]
    return text("rungs-helped", rungs=", ".join(others)) if others else ""


def left_of(error: Exception) -> str:
    """Return what a worker has left: where its threads stood, or the last that it wrote."""
    if isinstance(error, StalledError):
        return error.stacks
    return error.words if isinstance(error, DiedError) else ""


def keep(folder: Path | None, name: str, words: str) -> Path | None:
    """Write that to a file of its own, beside those of other incidents; None where there is nothing, or no room."""
    if folder is None or not words.strip():
        return None
    for number in itertools.count(1):
        path = folder / (f"{name}.txt" if number == 1 else f"{name}-{number}.txt")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(words[-_KEPT:])
        except FileExistsError:
            continue
        except OSError:
            return None
        return path
    raise AssertionError  # counting has no end
