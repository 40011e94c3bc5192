"""How much of one GPU is in use, asked from NVML again and again while something runs on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from paddlevl_doctor.system import System

_MIB = 20


@dataclass
class GpuUse:
    """One GPU, by its index or UUID as CUDA_VISIBLE_DEVICES has it. Not thread-safe."""

    system: System
    device: str
    _nvml: Any = field(default=None, repr=False)
    _handle: Any = field(default=None, repr=False)
    _is_mute: bool = False

    def __call__(self) -> tuple[int, int] | None:
        """Return memory in use in MiB and how busy it is in percent; None where NVML does not say, for good."""
        if self._is_mute:
            return None
        try:
            handle = self._handle = self._handle or self._found()
            used = int(self._nvml.nvmlDeviceGetMemoryInfo(handle).used) >> _MIB
            return used, int(self._nvml.nvmlDeviceGetUtilizationRates(handle).gpu)
        except Exception:  # a driver that says nothing must not stop a reading
            self._is_mute = True
            return None

    def _found(self) -> Any:
        self._nvml = self.system.nvml()
        self._nvml.nvmlInit()
        if self.device.isdecimal():
            return self._nvml.nvmlDeviceGetHandleByIndex(int(self.device))
        return self._nvml.nvmlDeviceGetHandleByUUID(self.device)
