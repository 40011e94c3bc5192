"""Finds paddlepaddle-gpu in a plan, and the CUDA variant of its wheel."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from paddlevl_doctor.facts.target import BUILD_FILE, build_of
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import Text
from paddlevl_doctor.values.plan import InstallPackages, Plan, Step

if TYPE_CHECKING:  # it loads the HTTP client, which a plan without a GPU does not need
    from paddlevl_doctor.packages.server_rates import ServerRate

PACKAGE = "paddlepaddle-gpu"


class Lease(Protocol):
    """A claim on a file of the cache."""

    def end(self) -> None:
        """Release the file."""


@dataclass(frozen=True)
class Prefetched:
    """A plan that installs the downloaded wheel, and the wheel; None if uv has to download it itself."""

    plan: Plan
    wheel: Path | None = None
    trouble: Text | None = None
    measured: tuple[ServerRate, ...] = ()
    """The rates of the servers, the fastest first."""
    lease: Lease | None = None
    """Keeps the wheel in the cache until it ends."""


def needs_gpu_wheel(plan: Plan) -> bool:
    """Return whether a plan installs paddlepaddle-gpu from Paddle's page, and not from a wheelhouse."""
    return any(gpu_wheel_position(step) is not None for step in plan.steps)


def gpu_wheel_position(step: Step) -> int | None:
    """Return the index of paddlepaddle-gpu in the command of a step, None if it is not there or needs no page."""
    words = step.commands[0] if isinstance(step, InstallPackages) else ()
    if "--find-links" not in words or "--no-index" in words:
        return None
    return next((n for n, word in enumerate(words) if word.startswith(f"{PACKAGE}==")), None)


def cuda_tag(cuda: str | None) -> str | None:
    """Return the tag of a CUDA version: cu126 for 12.6 or 12.6.3; None for a build without CUDA."""
    return "cu" + "".join(cuda.split(".")[:2]) if cuda else None


def cuda_tag_of(wheel: Path) -> str | None:
    """Return the tag of the CUDA version that a wheel was built with, read from its build file; None without one."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            build = archive.read(BUILD_FILE).decode("utf-8", errors="replace")
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return None
    return cuda_tag(build_of(build).cuda)
