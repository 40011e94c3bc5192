"""Reads a plan file: `fix --output plan.json` writes it, `fix --apply plan.json` applies it.

The commands in the file are never run. The doctor makes a new plan with the options in the file, and applies it only
if the environment has not changed and the new plan equals the plan in the file. So the user gets the plan that the
file shows, and a file from another person cannot add a step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

import msgspec

from paddlevl_doctor.fix.plan_input import Site
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import Message, message
from paddlevl_doctor.packages.request import Request
from paddlevl_doctor.system.files import open_file
from paddlevl_doctor.values.errors import UsageError
from paddlevl_doctor.values.facts import Facts
from paddlevl_doctor.values.findings import as_dict
from paddlevl_doctor.values.plan import Plan, Step

SCHEMA = "paddlevl-doctor/fix/1"
_MAX_BYTES = 16 << 20
"""Bytes that are read at most; a plan file has some kilobytes."""
_TEXT_FIELDS = frozenset(
    f"{name}{end}"
    for name in ("summary", "precondition", "undo", "notes", "needs_consent", "optional")
    for end in ("", "_message", "_messages")
)
"""Fields that do not change what a step does: text in the user's language, and marks that a new plan has, too."""


@dataclass(frozen=True)
class State:
    """The environment that a plan was made for: its distributions, and the files that patches change."""

    prefix: str
    python: str
    exists: bool
    virtual: bool
    distributions: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str | None] = field(default_factory=dict)
    """SHA-256 by path relative to site-packages; None for a missing file."""
    pipelines: str | None = None
    """State and destination of the link `pipelines`."""


@dataclass(frozen=True)
class SavedPlan:
    """The contents of a plan file: the options, the environment at that time, and the steps."""

    request: Request
    state: State
    steps: tuple[Mapping[str, Any], ...]


def state_of(facts: Facts, site: Site) -> State:
    """Return the state of the environment that a plan changes."""
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
    """Read a plan file; raises UsageError if it is not a valid one."""
    try:
        with open_file(path) as file:
            data = file.read(_MAX_BYTES + 1)
        document = msgspec.json.decode(data[:_MAX_BYTES])
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
    """Return what has changed since the plan was made; empty if the plan can be applied."""
    changed = (
        *_changed_values(saved.state.distributions, now.distributions),
        *_changed_values(saved.state.files, now.files),
        *_changed_target(saved.state, now),
    )
    return changed or tuple(_changed_steps(saved.steps, plan.steps))


def _changed_target(former: State, now: State) -> Iterator[Message]:
    for name in ("prefix", "exists", "pipelines"):
        before, after = getattr(former, name), getattr(now, name)
        if before != after:
            yield message("plan-moved", name=name, before=before, after=after)


def _changed_values(former: Mapping[str, str | None], now: Mapping[str, str | None]) -> Iterator[Message]:
    for name in sorted({*former, *now}):
        before, after = former.get(name), now.get(name)
        if before != after:
            yield message("plan-moved", name=name, before=_shortened(before), after=_shortened(after))


def _shortened(value: str | None) -> str:
    return "-" if value is None else value if len(value) <= len("2026.11.23.dev0") else f"{value[:12]}…"


def _changed_steps(former: Sequence[Mapping[str, Any]], now: Sequence[Step]) -> Iterator[Message]:
    before = {str(step.get("id")): _effect(step) for step in former}
    after = {step.id: _effect(as_dict(step)) for step in now}
    for name in dict.fromkeys((*before, *after)):
        if before.get(name) != after.get(name):
            yield message("plan-step-moved", step=name)


def _effect(step: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a step that change its effect."""
    kept = {name: value for name, value in step.items() if name not in _TEXT_FIELDS}
    arguments = kept.get("arguments")
    if isinstance(arguments, Mapping):
        kept["arguments"] = {
            name: value for name, value in arguments.items() if name not in ("reasons", "reasons_messages")
        }
    return kept
