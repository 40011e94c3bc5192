"""Facts and knowledge in, findings out; all of it pure. `ALL` lists every quick check in order."""

from __future__ import annotations

from paddlevl_doctor.checks import environment, gpu, models, packages, sources, windows_dlls
from paddlevl_doctor.checks.base import Check

ALL: tuple[Check, ...] = (
    *environment.CHECKS,
    *packages.DISTRIBUTIONS_CHECKS,
    *packages.CHECKS,
    *gpu.CHECKS,
    *windows_dlls.CHECKS,
    *packages.COMPANIONS_CHECKS,
    *gpu.DEVICES_CHECKS,
    *sources.BY_ENTRY_CHECKS,
    *gpu.MEMORY_CHECKS,
    *environment.SETTINGS_CHECKS,
    *sources.CHECKS,
    *models.CHECKS,
)
