"""Which GPUs CUDA_VISIBLE_DEVICES lets a program see, and which numbers they have for it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from paddlevl_doctor.knowledge.data_files import numbers
from paddlevl_doctor.knowledge.selection_rules import RuleText, rule_text
from paddlevl_doctor.values.facts import Gpu, Gpus

LIST, ORDER, BUS = "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "PCI_BUS_ID"


@dataclass(frozen=True)
class VisibleGpus:
    """What a program sees of a machine's GPUs."""

    gpus: Gpus
    """Numbered as the program counts them."""
    devices: tuple[Gpu, ...]
    """The same GPUs in the same order, numbered as NVML counts them."""
    said: tuple[RuleText, ...] = ()
    """What is hidden and by which variable, and where a number had to be guessed; each with the way out."""


def find_visible_gpus(gpus: Gpus, settings: Mapping[str, str]) -> VisibleGpus:
    """Leave what the variables CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER let a program see.

    CUDA ignores the first entry that names no GPU and all after it, and sees nothing where one is repeated
    (CUDA C++ programming guide; torch/cuda/__init__.py, _parse_visible_devices). UUIDs that nobody could look up
    leave everything as it is.
    """
    setting = settings.get(LIST)
    if setting is None or not gpus.devices:
        return VisibleGpus(gpus, gpus.devices)
    entries = tuple(part.strip() for part in setting.split(","))
    if entries[0].startswith(("GPU-", "MIG-")) and gpus.by_uuid is None:
        return VisibleGpus(gpus, gpus.devices)
    seen = _seen(entries, gpus, settings)
    hidden = tuple(gpu for gpu in gpus.devices if gpu not in seen)
    if not hidden and is_guess(gpus.devices, settings):
        return VisibleGpus(gpus, gpus.devices)  # every number that could be guessed means a GPU that is seen
    counted = tuple(replace(gpu, index=number) for number, gpu in enumerate(seen))
    said = (*_hidden(setting, hidden), *_guessed(setting, gpus, seen, settings))
    return VisibleGpus(replace(gpus, devices=counted), seen, said)


def is_guess(devices: Sequence[Gpu], settings: Mapping[str, str]) -> bool:
    """Say whether the numbers of CUDA_VISIBLE_DEVICES are CUDA's own, which nobody knows for certain.

    NVML counts by the PCI bus; CUDA the fastest first, unless it is told otherwise. Equal cards keep their order.
    """
    entries = settings.get(LIST, "").split(",")
    counts = entries[0].strip().isdecimal()
    return (
        counts and settings.get(ORDER) != BUS and len({(g.name, g.compute_capability) for g in devices}) > 1
    )


def as_counted(gpus: Gpus, settings: Mapping[str, str]) -> dict[str, str]:
    """Return the settings with which CUDA counts these GPUs as `visible` does.

    A list whose numbers only CUDA knows is left out where it hides nothing; where it does, what is hidden stays so, and
    the numbers are guessed as `visible` guesses them.
    """
    if not gpus.devices:
        return dict(settings)
    whole = find_visible_gpus(gpus, settings).devices == gpus.devices
    left = {
        n: v for n, v in settings.items() if n != LIST or not whole or not is_guess(gpus.devices, settings)
    }
    return left if LIST in left else {**left, ORDER: BUS}


def _seen(entries: Sequence[str], gpus: Gpus, settings: Mapping[str, str]) -> tuple[Gpu, ...]:
    if entries[0].startswith("MIG-"):
        entries = entries[:1]  # a process uses one instance, however many are named
    found = tuple(_until_unknown(entries, _known(gpus, settings)))
    return found if len(set(found)) == len(found) else ()


def _known(gpus: Gpus, settings: Mapping[str, str]) -> dict[str, Gpu]:
    """Return the GPUs by what an entry can call them."""
    by_index = {gpu.index: gpu for gpu in gpus.devices}
    known = {str(index): gpu for index, gpu in by_index.items()}
    if is_guess(gpus.devices, settings):
        known = {str(number): gpu for number, gpu in enumerate(sorted(gpus.devices, key=_speed))}
    return known | {uuid: by_index[index] for uuid, index in (gpus.by_uuid or {}).items()}


def _speed(gpu: Gpu) -> tuple[list[int], int, int]:
    """Order as CUDA is taken to: its own order is by an estimate of speed that NVIDIA does not describe."""
    return [-part for part in numbers(gpu.compute_capability)], -gpu.memory_total_mb, gpu.index


def _until_unknown(entries: Sequence[str], known: Mapping[str, Gpu]) -> Iterator[Gpu]:
    """Yield the GPUs up to the first entry that names none, or that is of another kind than the first."""
    kind = entries[0][:4] if not entries[0].isdecimal() else ""
    for entry in entries:
        if entry not in known or not entry.startswith(kind) or entry.isdecimal() == bool(kind):
            return
        yield known[entry]


def _hidden(setting: str, hidden: Sequence[Gpu]) -> tuple[RuleText, ...]:
    if not hidden:
        return ()
    return (rule_text("gpus-hidden", value=setting or '""', gpus=_names(hidden)),)


def _guessed(
    setting: str, gpus: Gpus, seen: Sequence[Gpu], settings: Mapping[str, str]
) -> tuple[RuleText, ...]:
    if not seen or not is_guess(gpus.devices, settings):
        return ()
    return (rule_text("gpu-order-guessed", value=setting, gpus=_names(seen)),)


def _names(gpus: Sequence[Gpu]) -> str:
    return ", ".join(f"gpu:{gpu.index} ({gpu.name})" for gpu in gpus)
