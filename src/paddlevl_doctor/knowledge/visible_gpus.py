"""Determines the GPUs that a program sees under CUDA_VISIBLE_DEVICES, and the numbers that it uses for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.knowledge.selection_rules import RuleText, rule_text
from paddlevl_doctor.knowledge.tables import numbers
from paddlevl_doctor.values.facts import Gpu, Gpus

VISIBLE_DEVICES, DEVICE_ORDER, BUS_ORDER = "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "PCI_BUS_ID"


@dataclass(frozen=True)
class VisibleGpus:
    """The GPUs of a machine that a program sees."""

    gpus: Gpus
    """The visible GPUs with the numbers that the program uses."""
    devices: tuple[Gpu, ...]
    """The same GPUs in the same order with NVML's numbers."""
    notes: tuple[RuleText, ...] = ()
    """Notes about hidden GPUs and guessed numbers, each with a solution."""


def find_visible_gpus(gpus: Gpus, settings: Mapping[str, str]) -> VisibleGpus:
    """Return the GPUs that CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER let a program see.

    CUDA ignores the first entry that names no GPU and all following ones, and sees no GPU if an entry is repeated
    (CUDA C++ programming guide; torch/cuda/__init__.py, _parse_visible_devices). If UUIDs could not be looked up, all
    GPUs are returned.
    """
    setting = settings.get(VISIBLE_DEVICES)
    if setting is None or not gpus.devices:
        return VisibleGpus(gpus, gpus.devices)
    entries = tuple(part.strip() for part in setting.split(","))
    if entries[0].startswith(("GPU-", "MIG-")) and gpus.by_uuid is None:
        return VisibleGpus(gpus, gpus.devices)
    visible = _visible(entries, gpus, settings)
    hidden = tuple(gpu for gpu in gpus.devices if gpu not in visible)
    if not hidden and is_guess(gpus.devices, settings):
        return VisibleGpus(gpus, gpus.devices)  # the order is guessed, but every GPU is visible in any order
    renumbered = tuple(replace(gpu, index=number) for number, gpu in enumerate(visible))
    notes = []
    if hidden:
        notes.append(rule_text("gpus-hidden", value=setting or '""', gpus=gpu_names(hidden)))
    if visible and is_guess(gpus.devices, settings):
        notes.append(rule_text("gpu-order-guessed", value=setting, gpus=gpu_names(visible)))
    return VisibleGpus(replace(gpus, devices=renumbered), visible, tuple(notes))


def is_guess(devices: Sequence[Gpu], settings: Mapping[str, str]) -> bool:
    """Return whether CUDA_VISIBLE_DEVICES has numbers in CUDA's own order, which can only be guessed.

    NVML orders by the PCI bus; CUDA orders the fastest GPU first unless CUDA_DEVICE_ORDER is set. Equal GPUs keep the
    order of the bus.
    """
    first = settings.get(VISIBLE_DEVICES, "").split(",")[0].strip()
    models = {(gpu.name, gpu.compute_capability) for gpu in devices}
    return first.isdecimal() and settings.get(DEVICE_ORDER) != BUS_ORDER and len(models) > 1


def as_counted(gpus: Gpus, settings: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables with which CUDA numbers the GPUs as `find_visible_gpus` does.

    A CUDA_VISIBLE_DEVICES in CUDA's own order is removed if it hides no GPU. If it hides one, it stays, and the numbers
    are a guess.
    """
    if not gpus.devices:
        return dict(settings)
    hides_none = find_visible_gpus(gpus, settings).devices == gpus.devices
    drop = hides_none and is_guess(gpus.devices, settings)
    kept = {name: value for name, value in settings.items() if name != VISIBLE_DEVICES or not drop}
    return kept if VISIBLE_DEVICES in kept else {**kept, DEVICE_ORDER: BUS_ORDER}


def _visible(entries: Sequence[str], gpus: Gpus, settings: Mapping[str, str]) -> tuple[Gpu, ...]:
    if entries[0].startswith("MIG-"):
        entries = entries[:1]  # a process uses only one MIG instance
    visible = tuple(_until_unknown(entries, _by_entry(gpus, settings)))
    return visible if len(set(visible)) == len(visible) else ()


def _by_entry(gpus: Gpus, settings: Mapping[str, str]) -> dict[str, Gpu]:
    """Return the GPUs by every entry that can name them: the number and the UUID."""
    by_index = {gpu.index: gpu for gpu in gpus.devices}
    by_entry = {str(index): gpu for index, gpu in by_index.items()}
    if is_guess(gpus.devices, settings):
        by_entry = {str(number): gpu for number, gpu in enumerate(sorted(gpus.devices, key=_speed_key))}
    return by_entry | {uuid: by_index[index] for uuid, index in (gpus.by_uuid or {}).items()}


def _speed_key(gpu: Gpu) -> tuple[list[int], int, int]:
    """Return a sort key that approximates CUDA's order by speed, which NVIDIA does not document."""
    return [-part for part in numbers(gpu.compute_capability)], -gpu.memory_total_mb, gpu.index


def _until_unknown(entries: Sequence[str], by_entry: Mapping[str, Gpu]) -> Iterator[Gpu]:
    """Yield the GPUs up to the first entry that names none, or whose form (number, UUID) is not that of the first."""
    prefix = entries[0][:4] if not entries[0].isdecimal() else ""
    for entry in entries:
        if entry not in by_entry or not entry.startswith(prefix) or entry.isdecimal() == bool(prefix):
            return
        yield by_entry[entry]


def gpu_names(gpus: Sequence[Gpu]) -> str:
    """Return the numbers and names of GPUs for a message."""
    return ", ".join(f"gpu:{gpu.index} ({gpu.name})" for gpu in gpus)
