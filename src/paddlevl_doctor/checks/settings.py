"""Checks of the environment variables that the stack heeds, or that people believe it heeds."""

from __future__ import annotations

from paddlevl_doctor.checks.model import Check, Context, Diagnosis, bad, ok, skipped
from paddlevl_doctor.knowledge.tables import numbers
from paddlevl_doctor.values import Status

_MISPRINT = "DISABLE_MODEL_SOURCE_CHECK"
_RIGHT = "PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK"
_FIRST_WITH_CHECK = (3, 3, 11)
"""The first paddlex that reads `_RIGHT`; none of the 26 releases 3.3.0-3.7.2 reads `_MISPRINT`."""
_VISIBLE = "CUDA_VISIBLE_DEVICES"


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
    value, gpus = context.facts.settings.get(_VISIBLE), context.facts.gpus
    if value is None:
        return skipped(f"{_VISIBLE} is not set")
    if context.target.version_of("paddlepaddle-gpu") is None or not gpus.devices:
        return skipped("no CUDA wheel with a GPU")
    # A GPU that could not be asked still has a number, so that then only the ones that are known are judged.
    count = None if gpus.detail else len(gpus.devices)
    unknown = _first_unknown(value, count)
    if unknown is None:
        return ok(_VISIBLE, value)
    shown, there = value or "empty", len(gpus.devices)
    return bad(Status.WARNING, _VISIBLE, shown, devices=shown, count=there)


def _first_unknown(value: str, count: int | None) -> str | None:
    """Return the first entry that names no GPU; CUDA ignores it and all after it.

    Source: CUDA C++ programming guide, CUDA environment variables. Names as GPU-8932f937 or MIG-... are taken
    as right, because NVML's facts do not have them; an empty value hides every GPU.
    """
    for entry in (part.strip() for part in value.split(",")):
        if entry.startswith(("GPU-", "MIG-")):
            continue
        if not entry.isdecimal() or (count is not None and int(entry) >= count):
            return entry
    return None


CHECKS = (
    Check("misprinted-source-check-env", _source_check, needs=("no-paddleocr-installed",)),
    Check("cuda-visible-devices", _visible_devices, needs=("no-paddle-installed",)),
)
