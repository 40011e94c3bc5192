"""A plan as a file: written by `fix --output plan.json`, carried out later by `fix --apply plan.json`.

The commands in the file are never run. The doctor plans again with the request that the file holds, and goes ahead
only where the environment is what it was and the new plan is the one in the file: what was read is what is done,
and a file from a stranger cannot make the doctor do anything that it would not have done by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from paddlevl_doctor.fix.plan import Site
from paddlevl_doctor.messages import Message, message
from paddlevl_doctor.packages.request import Request
from paddlevl_doctor.values.errors import UsageError
from paddlevl_doctor.values.facts import Facts
from paddlevl_doctor.values.findings import Plan, Step, as_dict

SCHEMA = "paddlevl-doctor/fix/1"
_LIMIT = 16 << 20
"""Bytes; a plan has some kilobytes."""
_WORDS = frozenset(f"{name}{end}" for name in ("summary", "precondition", "undo") for end in ("", "_message"))
"""What is in the reader's language, and no part of what is done."""


@dataclass(frozen=True)
class State:
    """What a plan was made for: the target, what is installed, and the bytes that patches know."""

    prefix: str
    python: str
    exists: bool
    virtual: bool
    distributions: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str | None] = field(default_factory=dict)
    """SHA-256 by path relative to site-packages; None where the file is absent."""
    pipelines: str | None = None
    """State of the link `pipelines`, and what it points to."""


@dataclass(frozen=True)
class SavedPlan:
    """What a file asks for: the request, the state it was made for, and the steps that were shown."""

    request: Request
    state: State
    steps: tuple[Mapping[str, Any], ...]


def state_of(facts: Facts, site: Site) -> State:
    """Describe the target of a plan."""
    target, link = facts.target, facts.pipelines
    return State(
        prefix=site.prefix,
        python=site.python,
        exists=site.exists,
        virtual=target is None or target.is_virtual,
        distributions={d.name: d.version for d in target.distributions} if target else {},
        files={file.path: file.sha256 for file in facts.patched_files},
        pipelines=f"{link.state} {link.points_to or ''}".strip() if link else None,
    )


def load_plan(path: Path) -> SavedPlan:
    """Read a plan file; raises UsageError for one that is not."""
    try:
        with path.open("rb") as file:
            data = file.read(_LIMIT + 1)
        document = msgspec.json.decode(data[:_LIMIT])
        if not isinstance(document, dict) or document.get("schema") != SCHEMA:
            raise ValueError(message("plan-schema", schema=SCHEMA))
        request = msgspec.convert(document["request"], Request)
        if "***" in " ".join((request.index or "", *request.extra_indexes)):
            raise ValueError(message("plan-credentials"))
        return SavedPlan(
            request,
            msgspec.convert(document["state"], State),
            msgspec.convert(document["plan"]["steps"], tuple[dict[str, Any], ...]),
        )
    except (OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(message("plan-refused", path=path, reason=reason)) from error


def differences(saved: SavedPlan, now: State, plan: Plan) -> tuple[Message, ...]:
    """Say what moved since the plan was made, in sentences; empty where it can be carried out as it is."""
    moved = (
        *_changed(saved.state.distributions, now.distributions),
        *_changed(saved.state.files, now.files),
        *_other_target(saved.state, now),
    )
    return moved or tuple(_other_steps(saved.steps, plan.steps))


def _other_target(was: State, now: State) -> Iterator[Message]:
    for name in ("prefix", "exists", "pipelines"):
        before, after = getattr(was, name), getattr(now, name)
        if before != after:
            yield message("plan-moved", name=name, before=before, after=after)


def _changed(before: Mapping[str, str | None], after: Mapping[str, str | None]) -> Iterator[Message]:
    for name in sorted({*before, *after}):
        was, now = before.get(name), after.get(name)
        if was != now:
            yield message("plan-moved", name=name, before=_short(was), after=_short(now))


def _short(value: str | None) -> str:
    return "-" if value is None else value if len(value) <= len("2026.11.23.dev0") else f"{value[:12]}…"


def _other_steps(was: Sequence[Mapping[str, Any]], now: Sequence[Step]) -> Iterator[Message]:
    before = {str(step.get("id")): _substance(step) for step in was}
    after = {step.id: _substance(as_dict(step)) for step in now}
    for name in dict.fromkeys((*before, *after)):
        if before.get(name) != after.get(name):
            yield message("plan-step-moved", step=name)


def _substance(step: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a step does, without the words for people."""
    kept = {name: value for name, value in step.items() if name not in _WORDS}
    arguments = kept.get("arguments")
    if isinstance(arguments, Mapping):
        kept["arguments"] = {
            name: value for name, value in arguments.items() if name not in ("reasons", "reasons_messages")
        }
    return kept
