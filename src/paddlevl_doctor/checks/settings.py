"""Checks of the environment variables that the stack heeds, or that people believe it heeds."""

from __future__ import annotations

from paddlevl_doctor.checks.model import Check, Context, Diagnosis, bad, ok, skipped
from paddlevl_doctor.facts.model import Gpus
from paddlevl_doctor.knowledge.tables import numbers
from paddlevl_doctor.knowledge.visible import LIST
from paddlevl_doctor.values import Status

_MISPRINT = "DISABLE_MODEL_SOURCE_CHECK"
_RIGHT = "PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK"
_FIRST_WITH_CHECK = (3, 3, 11)
"""The first paddlex that reads `_RIGHT`; none of the 26 releases 3.3.0-3.7.2 reads `_MISPRINT`."""


def _source_check(context: Context) -> Diagnosis:
    settings = context.facts.settings
    if _MISPRINT not in settings:
        return skipped(f"{_MISPRINT} is not set")
    if settings.get(_RIGHT):
        return ok(_RIGHT, settings[_RIGHT])
    paddlex = context.target.version_of("paddlex") or "0"
    if numbers(paddlex) < _FIRST_WITH_CHECK:
        return bad(Status.NOTE, _MISPRINT, settings[_MISPRINT], paddlex=paddlex)
    return bad(Status.WARNING, _MISPRINT, settings[_MISPRINT], paddlex=paddlex)


def _visible_devices(context: Context) -> Diagnosis:
    value, gpus = context.facts.settings.get(LIST), context.facts.gpus
    if value is None:
        return skipped(f"{LIST} is not set")
    if context.target.version_of("paddlepaddle-gpu") is None or not gpus.devices:
        return skipped("no CUDA wheel with a GPU")
    if _wrong_entry(value, gpus) is None:
        return ok(LIST, value)
    shown, there = value or "empty", len(gpus.devices)
    return bad(Status.WARNING, LIST, shown, devices=shown, count=there)


def _wrong_entry(value: str, gpus: Gpus) -> str | None:
    """Return the first entry that names no GPU, or one that was named before; CUDA then sees fewer, or none.

    Source: see `visible`. A GPU that could not be asked still has a number, and UUIDs that nobody could look up
    are taken as right; an empty value hides every GPU.
    """
    count = None if gpus.detail else len(gpus.devices)
    before: set[str] = set()
    for entry in (part.strip() for part in value.split(",")):
        by_uuid = entry.startswith(("GPU-", "MIG-"))
        there = entry.isdecimal() and (count is None or int(entry) < count)
        there = (gpus.by_uuid is None or entry in gpus.by_uuid) if by_uuid else there
        if not there or entry in before:
            return entry
        before.add(entry)
    return None


CHECKS = (
    Check("misprinted-source-check-env", _source_check, needs=("no-paddleocr-installed",)),
    Check("cuda-visible-devices", _visible_devices, needs=("no-paddle-installed",)),
)
