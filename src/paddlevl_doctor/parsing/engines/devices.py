"""The devices that read, and the variables with which a process sees and uses one of them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from paddlevl_doctor.messages import message
from paddlevl_doctor.values.errors import UsageError

_DEVICE = re.compile(r"(cpu|gpu|cuda|npu|xpu|dcu|gcu|mlu|iluvatar_gpu|metax_gpu)(?::(\d+))?")
"""PaddleX's device types (paddlex/utils/device.py), and `cuda`, which people write for `gpu`."""

_PROCESS_MB, _WEIGHTS_FACTOR = 1500, 5
_MAX_WORKERS, _MIN_PAGES_PER_WORKER = 4, 8


def devices(requested: str, gpus: int, usable: Sequence[int]) -> tuple[str, ...]:
    """Return the devices, one worker each: `auto` is every GPU that the installed wheel can use, else the CPU.

    `gpus` is the number of GPUs that a process sees, and `usable` has the numbers of those that serve. Raises
    UsageError for an unknown device, and for a GPU that is missing where others are visible.
    """
    if requested == "auto":
        return tuple(f"gpu:{number}" for number in usable) or ("cpu",)
    return tuple(_device(word.strip().lower(), gpus) for word in requested.split(","))


def cpu_workers(cores: int, free_mb: int, pages: int, weights_mb: int) -> int:
    """Return how many processes read on the processor by default: more than one only where each has enough.

    Weights of 16 bits take 32 in memory there, and are there more than once while they are loaded: five times the file
    with paddlex 3.3.6, four times with 3.7.2, and 1.5 GB besides (random weights in a file of the released size). For
    so few pages as each would get, loading the models again would take longer than reading.
    """
    need_mb = _PROCESS_MB + _WEIGHTS_FACTOR * weights_mb
    return max(1, min(_MAX_WORKERS, cores, pages // _MIN_PAGES_PER_WORKER, free_mb // need_mb))


def _device(word: str, gpus: int) -> str:
    match = _DEVICE.fullmatch(word)
    if match is None:
        raise UsageError(message("device-unknown", device=word))
    kind = {"cuda": "gpu"}.get(match[1], match[1])
    if kind == "cpu":
        return kind
    number = int(match[2] or 0)
    if kind == "gpu" and gpus and number >= gpus:
        raise UsageError(message("device-missing", device=word, count=gpus))
    return f"{kind}:{number}"


def faster_on(device: str, cpu: str | None, flags: Sequence[str]) -> dict[str, str]:
    """Return the variables with which a process computes faster on this processor.

    The MKL in paddle's x86 wheels (libmklml_intel, of 2019) uses AVX2 on Intel's processors only, unless this is set:
    on an AMD EPYC that makes a product of matrices 2.5 times as fast, and reading with weights of the released size
    twice. From MKL 2020.1 on the variable means nothing.
    """
    if device != "cpu" or "AMD" not in (cpu or "") or "avx2" not in flags:
        return {}
    return {"MKL_DEBUG_CPU_TYPE": "5"}


def alone_on(
    device: str, env: Mapping[str, str], *, workers: int, cores: int, guess: bool = False
) -> tuple[str, dict[str, str]]:
    """Return how a process calls its device when it sees no other, and the variables that make it so.

    GPUs are counted as NVML counts them, so that it is asked about the card that reads. Where only CUDA knows what the
    numbers of CUDA_VISIBLE_DEVICES mean (`guess`, see knowledge/visible.py), they stay CUDA's: what the user hid
    must stay hidden. Several workers on the processor share its cores; a single one is left to its own choice.
    """
    kind, _, number = device.partition(":")
    if kind == "gpu":
        seen = [part.strip() for part in env.get("CUDA_VISIBLE_DEVICES", number).split(",")]
        place = int(number) if "CUDA_VISIBLE_DEVICES" in env else 0
        if place >= len(seen):
            return device, {}  # hidden: CUDA will say so
        order = {} if guess else {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
        return "gpu:0", {"CUDA_VISIBLE_DEVICES": seen[place], **order}
    if kind != "cpu" or workers == 1:
        return device, {}
    share = str(max(1, cores // workers))
    return device, dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), share)
