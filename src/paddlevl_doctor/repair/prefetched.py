"""A plan and the CUDA wheel that was fetched for it; whether one is needed is asked on machines without GPUs too."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from paddlevl_doctor.values import Plan, Step

if TYPE_CHECKING:
    from paddlevl_doctor.facts.rates import Measured
    from paddlevl_doctor.repair.wheel_use import Use


@dataclass(frozen=True)
class Prefetched:
    """A plan whose installation takes the wheel from here, and the wheel; None where uv has to fetch it itself."""

    plan: Plan
    wheel: Path | None = None
    trouble: str | None = None
    measured: tuple[Measured, ...] = ()
    """What the servers gave, the fastest first."""
    use: Use | None = None
    """Keeps the wheel there until it is ended."""


def needs_gpu_wheel(plan: Plan) -> bool:
    """Say whether a plan installs paddlepaddle-gpu from Paddle's page, and not from a wheelhouse."""
    return any(position_of_gpu_wheel(step) is not None for step in plan.steps)


def position_of_gpu_wheel(step: Step) -> int | None:
    """Return where the command of a step names paddlepaddle-gpu, None where it does not, or needs no page for it."""
    words = step.commands[0] if step.kind == "install-packages" else ()
    if "--find-links" not in words or "--no-index" in words:
        return None
    return next((n for n, word in enumerate(words) if word.startswith("paddlepaddle-gpu==")), None)
