"""Facts and knowledge in, findings out; all of it pure. `ALL` lists every quick check in order."""

from __future__ import annotations

from paddlevl_doctor.checks import (
    by_entry,
    companions,
    devices,
    distributions,
    dlls,
    environment,
    gpu,
    memory,
    models,
    packages,
    settings,
    sources,
)
from paddlevl_doctor.checks.model import Check

ALL: tuple[Check, ...] = (
    *environment.CHECKS,
    *distributions.CHECKS,
    *packages.CHECKS,
    *gpu.CHECKS,
    *dlls.CHECKS,
    *companions.CHECKS,
    *devices.CHECKS,
    *by_entry.CHECKS,
    *memory.CHECKS,
    *settings.CHECKS,
    *sources.CHECKS,
    *models.CHECKS,
)
