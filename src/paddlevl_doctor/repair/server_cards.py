"""Whether a server runs here, on which of the cards that the user left visible, and on how much of it; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from paddlevl_doctor.facts.model import Facts, Gpu, Gpus, Host
from paddlevl_doctor.knowledge.selection import driver_system, required_driver
from paddlevl_doctor.knowledge.servers import Backend, ServerMemory
from paddlevl_doctor.knowledge.tables import numbers
from paddlevl_doctor.knowledge.visible import BUS, LIST, ORDER, visible
from paddlevl_doctor.messages import language, text

_NO_GPU = ("no-library", "no-devices")
"""Reasons that mean that there is no NVIDIA GPU; every other one means that nobody could look."""


@dataclass(frozen=True)
class Share:
    """How much of the GPU the server reserves. All sizes in MiB."""

    fraction: float
    reserved_mb: int
    needed_mb: int
    free_mb: int
    total_mb: int

    @property
    def enough(self) -> bool:
        """Whether one request of the greatest length can be served, and the card has that much free."""
        return self.needed_mb <= self.reserved_mb <= self.free_mb


def refusal(backend: Backend, facts: Facts) -> str | None:
    """Return why a server cannot run on this machine, None where it can, or where nobody could look."""
    host = facts.host
    if host.system not in backend.systems:
        way = text("serve-wsl") if host.system == "windows" else ""
        systems = ", ".join(backend.systems)
        return " ".join(filter(None, (text("serve-system", systems=systems, system=host.system), way)))
    if host.machine not in backend.machines:
        return text("serve-machine", machines=", ".join(backend.machines), machine=host.machine)
    library = "musl" if host.musl else host.glibc
    if backend.glibc and library and numbers(library) < numbers(backend.glibc):
        return text("serve-glibc", needed=backend.glibc, library=library)
    if not backend.minimum or unseen(backend, facts):
        return None
    return _no_card(backend, facts) or _old_driver(backend, facts.gpus, host)


def _no_card(backend: Backend, facts: Facts) -> str | None:
    """Return why no card serves: there is none, the user hides it, or the server has no code for it."""
    if not facts.gpus.devices:
        return text("serve-no-gpu", minimum=backend.minimum)
    seen = visible(facts.gpus, facts.settings)
    if not seen.devices:
        return " ".join((text("serve-hidden"), *(one.text(language()) for one in seen.said)))
    if usable(backend, seen.devices):
        return None
    gpus = _names(seen.devices)
    if backend.pairs:
        return text("serve-pages", capabilities=", ".join(capabilities(backend)), gpus=gpus)
    below = text("serve-below", below=backend.below) if backend.below else ""
    return text("serve-capability", minimum=backend.minimum, below=below, gpus=gpus)


def _old_driver(backend: Backend, gpus: Gpus, host: Host) -> str | None:
    """Return that the driver is older than any that runs the server's CUDA; one that nobody knows passes."""
    needed = required_driver(backend.cuda, driver_system(host)) if backend.cuda else None
    if not needed or not gpus.driver or numbers(gpus.driver) >= numbers(needed):
        return None
    return text("serve-driver", cuda=backend.cuda, needed=needed, driver=gpus.driver)


def unseen(backend: Backend, facts: Facts) -> bool:
    """Say whether a GPU is needed and nobody could look whether there is one."""
    gpus = facts.gpus
    return bool(backend.minimum) and not gpus.devices and gpus.reason not in (None, *_NO_GPU)


def usable(backend: Backend, devices: Sequence[Gpu]) -> tuple[Gpu, ...]:
    """Return the GPUs that a server runs on."""
    return tuple(gpu for gpu in devices if _fits(backend, gpu.compute_capability))


def _fits(backend: Backend, capability: str) -> bool:
    if backend.pairs:  # a wheel for each, and no others
        return capability in capabilities(backend)
    enough = not backend.minimum or numbers(capability) >= numbers(backend.minimum)
    return enough and (not backend.below or numbers(capability) < numbers(backend.below))


def capabilities(backend: Backend) -> tuple[str, ...]:
    """Return the compute capabilities that a server's pages of wheels were built for, in order."""
    words = (word for pair in backend.pairs for word in pair.split("_"))
    return tuple(sorted(f"{word[:-1]}.{word[-1]}" for word in words))


def _names(devices: Sequence[Gpu]) -> str:
    return ", ".join(f"{gpu.name} ({gpu.compute_capability})" for gpu in devices)


def card_of(backend: Backend, facts: Facts) -> Gpu | None:
    """Return the card that a server gets: of the visible ones that it runs on, the one with most free memory.

    Where the user named cards by UUIDs that nobody could look up, the one with least stands for them.
    """
    fitting = usable(backend, visible(facts.gpus, facts.settings).devices)
    choose = min if _is_riddle(facts) else max
    return choose(fitting, key=lambda one: one.memory_free_mb, default=None)


def card_environment(gpu: Gpu | None, facts: Facts) -> Mapping[str, str]:
    """Return the variables that leave one card to the server, by its number as NVML counts.

    Nothing changes where there is none, for a MIG instance, which has no number, and for UUIDs as in `card_of`.
    """
    if gpu is None or facts.settings.get(LIST, "").startswith("MIG-") or _is_riddle(facts):
        return {}
    return {ORDER: BUS, LIST: str(gpu.index)}


def _is_riddle(facts: Facts) -> bool:
    """Say whether the user named cards by UUIDs that nobody could look up."""
    by_uuid = facts.settings.get(LIST, "").startswith(("GPU-", "MIG-"))
    return by_uuid and facts.gpus.by_uuid is None


def share_of(gpu: Gpu | None, memory: ServerMemory, asked: float | None) -> Share | None:
    """Return what to reserve: PaddleX's half, more on a small card, less where others use it; None: not known.

    A server counts its share from the card's whole memory and refuses to start where less than that is free.
    """
    if gpu is None or not gpu.memory_total_mb:
        return None
    total, free = gpu.memory_total_mb, gpu.memory_free_mb
    wanted = max(memory.share, memory.needed_mb / total + 0.01)
    fraction = asked or max(0.01, int(100 * min(wanted, (free - memory.spare_mb) / total)) / 100)
    return Share(fraction, int(fraction * total), memory.needed_mb, free, total)
