"""Resolves the devices of a run, and the variables that limit a process to one of them. Does no I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from paddlevl_doctor.messages import message
from paddlevl_doctor.values.errors import UsageError

_DEVICE_PATTERN = re.compile(r"(cpu|gpu|cuda|npu|xpu|dcu|gcu|mlu|iluvatar_gpu|metax_gpu)(?::(\d+))?")
"""PaddleX's device types (paddlex/utils/device.py), and `cuda` as an alias of `gpu`."""

_BASE_MB_PER_WORKER, _WEIGHTS_FACTOR = 1500, 5
_MAX_WORKERS, _MIN_PAGES_PER_WORKER = 4, 8


def resolve_devices(requested: str, gpus: int, usable: Sequence[int]) -> tuple[str, ...]:
    """Return the devices, one for each worker: `auto` means all usable GPUs, or the CPU if there is none.

    `gpus` is the number of GPUs visible to a process, `usable` lists those that the installed wheel supports. Raises
    UsageError for an unknown device, and for a GPU number beyond the visible GPUs.
    """
    if requested == "auto":
        return tuple(f"gpu:{number}" for number in usable) or ("cpu",)
    return tuple(_resolve_device(word.strip().lower(), gpus) for word in requested.split(","))


def cpu_workers(cores: int, free_mb: int, pages: int, weights_mb: int) -> int:
    """Return the default number of worker processes on the CPU, limited by cores, memory and pages.

    On the CPU 16-bit weights take 32 bits in memory, and there are several copies while they are loaded. Measured with
    random weights in a file of the released size: five times the file with paddlex 3.3.6, four times with 3.7.2, plus
    1.5 GB. With fewer pages per worker, loading the models takes longer than reading.
    """
    need_mb = _BASE_MB_PER_WORKER + _WEIGHTS_FACTOR * weights_mb
    return max(1, min(_MAX_WORKERS, cores, pages // _MIN_PAGES_PER_WORKER, free_mb // need_mb))


def _resolve_device(word: str, gpus: int) -> str:
    match = _DEVICE_PATTERN.fullmatch(word)
    if match is None:
        raise UsageError(message("device-unknown", device=word))
    kind = {"cuda": "gpu"}.get(match[1], match[1])
    if kind == "cpu":
        return kind
    number = int(match[2] or 0)
    if kind == "gpu" and gpus and number >= gpus:
        raise UsageError(message("device-missing", device=word, count=gpus))
    return f"{kind}:{number}"


def tuning_variables(device: str, cpu: str | None, flags: Sequence[str]) -> dict[str, str]:
    """Return the variables that make a worker faster on this processor.

    The MKL in paddle's x86 wheels (libmklml_intel, 2019) uses AVX2 only on Intel processors unless MKL_DEBUG_CPU_TYPE
    is set. On an AMD EPYC the variable makes a matrix product 2.5 times, and reading with weights of the released size
    twice as fast. MKL 2020.1 and later ignore it.
    """
    if device != "cpu" or "AMD" not in (cpu or "") or "avx2" not in flags:
        return {}
    return {"MKL_DEBUG_CPU_TYPE": "5"}


def isolate_device(
    device: str, env: Mapping[str, str], *, workers: int, cores: int, guess: bool = False
) -> tuple[str, dict[str, str]]:
    """Return the name of a device in a process that sees no other device, and the variables for that process.

    GPUs are numbered in PCI bus order like in NVML, so that NVML measures the GPU that reads. If only CUDA can resolve
    the numbers in CUDA_VISIBLE_DEVICES (`guess`, see knowledge/visible_gpus.py), CUDA's order is kept, so that hidden
    GPUs stay hidden. Several workers on the CPU share its cores; a single worker uses its own default.
    """
    kind, _, number = device.partition(":")
    if kind == "gpu":
        visible = [part.strip() for part in env.get("CUDA_VISIBLE_DEVICES", number).split(",")]
        position = int(number) if "CUDA_VISIBLE_DEVICES" in env else 0
        if position >= len(visible):
            return device, {}  # the GPU is hidden: CUDA will report the error
        order = {} if guess else {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
        return "gpu:0", {"CUDA_VISIBLE_DEVICES": visible[position], **order}
    if kind != "cpu" or workers == 1:
        return device, {}
    share = str(max(1, cores // workers))
    return device, dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), share)
