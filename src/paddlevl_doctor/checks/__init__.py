"""Compares facts with knowledge and returns findings, without I/O. `ALL` lists every quick check in order."""

from __future__ import annotations

from paddlevl_doctor.checks import (
    environment,
    gpu,
    imports,
    models,
    overlaps,
    ownership,
    packages,
    requirements,
    sources,
    windows_dlls,
)
from paddlevl_doctor.checks.base import Check

ALL: tuple[Check, ...] = (
    *environment.CHECKS,
    *imports.CHECKS,
    *packages.CHECKS,
    *requirements.CHECKS,
    *overlaps.CHECKS,
    *gpu.CHECKS,
    *windows_dlls.CHECKS,
    *packages.COMPANION_CHECKS,
    *gpu.CAPABILITY_CHECKS,
    *sources.VERSION_CHECKS,
    *gpu.MEMORY_CHECKS,
    *environment.VARIABLE_CHECKS,
    *sources.CHECKS,
    *ownership.CHECKS,
    *models.CHECKS,
)
