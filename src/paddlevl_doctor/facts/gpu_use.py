"""How much of one GPU is in use, asked from NVML again and again while something runs on it."""

from __future__ import annotations

from collections.abc import Collection
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
    _seen: int = 0
    """Until when NVML has told about single processes; its own microseconds."""
    _tells: bool = False
    """It has told about ours: what it says of them counts, and nothing means that they do nothing."""

    def __call__(self, pids: Collection[int]) -> tuple[int, int] | None:
        """Return memory in use in MiB, by anybody, and for how many percent of the time some processes compute.

        Where NVML does not know them (other numbers in a container, MIG, WSL) that is the GPU's whole time. None where
        it says nothing at all, for good.
        """
        if self._is_mute:
            return None
        try:
            handle = self._handle = self._handle or self._found()
            used = int(self._nvml.nvmlDeviceGetMemoryInfo(handle).used) >> _MIB
            whole = int(self._nvml.nvmlDeviceGetUtilizationRates(handle).gpu)
        except Exception:  # a driver that says nothing must not stop a reading
            self._is_mute = True
            return None
        ours = self._ours(pids)
        return used, whole if ours is None else ours

    def _ours(self, pids: Collection[int]) -> int | None:
        try:
            told = self._nvml.nvmlDeviceGetProcessUtilization(self._handle, self._seen)
        except Exception:  # that is also how it says that nobody has computed since then
            told = ()
        self._seen = max((int(process.timeStamp) for process in told), default=self._seen)
        ours = [int(process.smUtil) for process in told if process.pid in pids]
        self._tells = self._tells or bool(ours)
        return max(ours, default=0) if self._tells else None

    def _found(self) -> Any:
        self._nvml = self.system.nvml()
        self._nvml.nvmlInit()
        if self.device.isdecimal():
            return self._nvml.nvmlDeviceGetHandleByIndex(int(self.device))
        return self._nvml.nvmlDeviceGetHandleByUUID(self.device)
