"""Queries the NVIDIA GPUs through NVML, the library of the driver."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from paddlevl_doctor.facts.host import WSL_LIBRARIES
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.facts import Gpu, Gpus

# NVML's error codes by the reason they mean (nvml.h, nvmlReturn_t).
_REASONS = {
    4: "no-permission",
    9: "driver-not-loaded",
    12: "no-library",
    13: "library-too-old",
    18: "driver-library-mismatch",
}
_LIBRARY = "libnvidia-ml.so.1"
# Folders with the driver's libraries on systems whose loader knows them only through a variable or a configuration
# file, which may be missing: WSL, Kaggle and GKE, Colab, NixOS.
_DRIVER_FOLDERS = (
    "/usr/lib/wsl/lib",
    "/usr/local/nvidia/lib64",
    "/usr/lib64-nvidia",
    "/run/opengl-driver/lib",
)
_PACKAGE_FOLDERS = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64")
"""The folders in which the packages of Debian, Ubuntu and Fedora install the libraries of a Linux driver."""
_MIB = 20

Answer = TypeVar("Answer")


def collect_gpus(system: System) -> Gpus:
    """Return the NVIDIA GPUs of a machine, or the reason why none is known; never raises.

    CUDA_VISIBLE_DEVICES hides no GPU here: NVML lists every GPU that the container or the account may use. Only the
    UUIDs in the variable are looked up. A GPU in MIG mode is described by the instance in the variable, else by its
    first instance, because a process can use only one.
    """
    try:
        nvml = system.nvml()
        nvml.nvmlInit()
    except OSError as error:
        words = str(error)
        places = [f"{folder}/{_LIBRARY}" for folder in _DRIVER_FOLDERS if system.platform.startswith("linux")]
        hidden = next((place for place in places if system.exists(Path(place))), None)
        if hidden is None:
            return Gpus(reason="no-library", detail=words)
        return Gpus(reason="library-not-on-path", detail=f"{words}; {hidden} exists")
    except Exception as error:  # a broken binding must not hide the other facts
        return _check_linux_driver(system, Gpus(reason=_reason(error), detail=_error_text(error)))
    try:
        return _query(nvml, _uuids(system.env))
    except Exception as error:  # as above
        return Gpus(reason=_reason(error), detail=_error_text(error))
    finally:
        _try(nvml.nvmlShutdown, None)


def _uuids(env: Mapping[str, str]) -> tuple[str, ...]:
    entries = (part.strip() for part in env.get("CUDA_VISIBLE_DEVICES", "").split(","))
    return tuple(entry for entry in entries if entry.startswith(("GPU-", "MIG-")))


def _check_linux_driver(system: System, failed: Gpus) -> Gpus:
    """Return another reason if, under WSL, a Linux driver package hides the Windows driver's libraries.

    The libraries of such a package find no driver there (NVIDIA's user guide of CUDA on WSL).
    """
    ours = f"{WSL_LIBRARIES}/libcuda.so.1"
    theirs = [
        f"{folder}/libcuda.so.1"
        for folder in _PACKAGE_FOLDERS
        if system.exists(Path(f"{folder}/libcuda.so.1"))
    ]
    if "microsoft" not in system.uname()[0].lower() or not theirs or not system.exists(Path(ours)):
        return failed
    return Gpus(reason="driver-of-linux-in-wsl", detail=f"{failed.detail}; {theirs[0]} before {ours}")


class _NoInstanceError(Exception):
    """MIG is on without an instance, so that CUDA sees no device."""


def _reason(error: Exception) -> str:
    if isinstance(error, _NoInstanceError):
        return "no-devices"
    return _REASONS.get(getattr(error, "value", 0), "nvml-error")


def _error_text(error: Exception) -> str:
    """Return NVML's message; for another exception its name, too."""
    return str(error) if hasattr(error, "value") or isinstance(error, _NoInstanceError) else repr(error)


def _try(ask: Callable[..., Answer], otherwise: Answer, *arguments: object) -> Answer:
    """Call a function of NVML; return `otherwise` if it raises: old drivers lack functions, WSL has invalid UTF-8."""
    try:
        return ask(*arguments)
    except Exception:
        return otherwise


def _query(nvml: Any, uuids: tuple[str, ...]) -> Gpus:
    devices: list[Gpu] = []
    problems: list[tuple[str, str]] = []
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            devices.append(_device(nvml, index, uuids))
        except Exception as error:  # one lost GPU must not hide the others
            problems.append((_reason(error), f"GPU {index}: {_error_text(error)}"))
    reason, first = (problems or [("no-devices", "NVML counts 0 devices")])[0]
    return Gpus(
        devices=tuple(devices),
        driver=_text(_try(nvml.nvmlSystemGetDriverVersion, None)),
        cuda=_cuda(nvml),
        reason=None if devices else reason,
        detail="; ".join(words for _, words in problems) if devices else first,
        by_uuid=_by_uuid(nvml, devices, uuids) if uuids else None,
    )


def _by_uuid(nvml: Any, devices: list[Gpu], uuids: tuple[str, ...]) -> dict[str, int] | None:
    """Return the GPU numbers of these UUIDs or unambiguous prefixes; None if a GPU does not return its UUID."""
    known: list[tuple[str, int]] = []
    for gpu in devices:
        handle = nvml.nvmlDeviceGetHandleByIndex(gpu.index)
        for part in (handle, *_instances(nvml, handle)):
            uuid = _text(_try(nvml.nvmlDeviceGetUUID, None, part))
            if uuid is None:
                return None
            known.append((uuid, gpu.index))
    meant = {entry: [index for uuid, index in known if uuid.startswith(entry)] for entry in uuids}
    return {entry: found[0] for entry, found in meant.items() if len(found) == 1}


def _device(nvml: Any, index: int, uuids: tuple[str, ...]) -> Gpu:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    part = _cuda_handle(nvml, handle, uuids)
    memory = _try(nvml.nvmlDeviceGetMemoryInfo, None, part)
    return Gpu(
        index=index,
        name=_text(_try(nvml.nvmlDeviceGetName, None, part)) or "NVIDIA GPU",
        compute_capability=f"{major}.{minor}",
        memory_total_mb=memory.total >> _MIB if memory else 0,
        memory_free_mb=memory.free >> _MIB if memory else 0,
    )


def _cuda_handle(nvml: Any, handle: Any, uuids: tuple[str, ...]) -> Any:
    """Return the handle that CUDA uses: the GPU if MIG is off or unknown, else the named or the first instance.

    In a container with one instance, NVML does not return the memory of the whole GPU
    (NVIDIA/nvidia-container-toolkit#842). Raises _NoInstanceError if MIG is on without an instance.
    """
    if not _has_mig(nvml, handle):
        return handle
    instances = _instances(nvml, handle)
    if not instances:
        raise _NoInstanceError("MIG is on and has no instance")
    wanted = [entry for entry in uuids if entry.startswith("MIG-")]
    named = (
        i for i in instances if (_text(_try(nvml.nvmlDeviceGetUUID, None, i)) or "").startswith(tuple(wanted))
    )
    return next(named, instances[0]) if wanted else instances[0]


def _has_mig(nvml: Any, handle: Any) -> bool:
    return bool(_try(nvml.nvmlDeviceGetMigMode, [0, 0], handle)[0] == 1)


def _instances(nvml: Any, handle: Any) -> list[Any]:
    """Return the MIG instances of a GPU, nothing if MIG is off."""
    if not _has_mig(nvml, handle):
        return []
    slots = range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle))
    found = (_try(nvml.nvmlDeviceGetMigDeviceHandleByIndex, None, handle, slot) for slot in slots)
    return [instance for instance in found if instance is not None]


def _text(value: object) -> str | None:
    """Return a string, which some versions of the bindings return as bytes."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value if isinstance(value, str) else None


def _cuda(nvml: Any) -> str | None:
    """Return the CUDA version of the driver's API; NVML returns 12040 for 12.4."""
    for name in ("nvmlSystemGetCudaDriverVersion_v2", "nvmlSystemGetCudaDriverVersion"):
        number = _try(getattr(nvml, name, lambda: 0), 0)
        if number > 0:
            return f"{number // 1000}.{number % 1000 // 10}"
    return None


_GPU_USE_MIB = 20


@dataclass
class GpuUse:
    """Measures the use of one GPU, given by its index or UUID as in CUDA_VISIBLE_DEVICES. Not thread-safe."""

    system: System
    device: str
    _nvml: Any = field(default=None, repr=False)
    _handle: Any = field(default=None, repr=False)
    _is_mute: bool = False
    _last_sample: int = 0
    """The time of NVML's last sample of single processes, in NVML's microseconds."""
    _knows_processes: bool = False
    """Whether NVML has returned a sample of our processes; then a missing sample means that they are idle."""

    def __call__(self, pids: Collection[int]) -> tuple[int, int] | None:
        """Return the used memory of the GPU in MiB, and the percentage of time in which these processes compute.

        If NVML does not know the processes (other process ids in a container, MIG, WSL), the percentage is that of the
        whole GPU. None if NVML returns nothing; it is not queried again then.
        """
        if self._is_mute:
            return None
        try:
            handle = self._handle = self._handle or self._found()
            used = int(self._nvml.nvmlDeviceGetMemoryInfo(handle).used) >> _GPU_USE_MIB
            whole = int(self._nvml.nvmlDeviceGetUtilizationRates(handle).gpu)
        except Exception:  # a failing driver must not stop the parsing
            self._is_mute = True
            return None
        ours = self._process_use(pids)
        return used, whole if ours is None else ours

    def _process_use(self, pids: Collection[int]) -> int | None:
        try:
            told = self._nvml.nvmlDeviceGetProcessUtilization(self._handle, self._last_sample)
        except Exception:  # NVML also raises if no process has computed since then
            told = ()
        self._last_sample = max((int(process.timeStamp) for process in told), default=self._last_sample)
        ours = [int(process.smUtil) for process in told if process.pid in pids]
        self._knows_processes = self._knows_processes or bool(ours)
        return max(ours, default=0) if self._knows_processes else None

    def _found(self) -> Any:
        self._nvml = self.system.nvml()
        self._nvml.nvmlInit()
        if self.device.isdecimal():
            return self._nvml.nvmlDeviceGetHandleByIndex(int(self.device))
        return self._nvml.nvmlDeviceGetHandleByUUID(self.device)
