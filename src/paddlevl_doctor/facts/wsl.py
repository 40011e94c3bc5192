"""Whether the loader of a WSL finds the libraries of the Windows driver, which lie in a folder of their own. Pure."""

from __future__ import annotations

from paddlevl_doctor.facts.model import Facts
from paddlevl_doctor.facts.settings import WSL_LIBRARIES

_CUDA = "libcuda.so"
"""What paddle asks for (dynamic_loader.cc); the loader's list often has libcuda.so.1 only (microsoft/WSL#8587)."""
_HIDDEN = ("library-not-on-path", "driver-of-linux-in-wsl")


def hidden_driver(facts: Facts) -> str | None:
    """Return what shows that the driver's libraries are not found, None where they are, or where this is no WSL."""
    gpus, target = facts.gpus, facts.target
    if not facts.host.wsl:
        return None
    if gpus.reason in _HIDDEN and WSL_LIBRARIES in gpus.detail:
        return gpus.detail
    if gpus.devices and target is not None and _CUDA in target.missing_libraries:
        return f"{_CUDA} is not found"
    return None
