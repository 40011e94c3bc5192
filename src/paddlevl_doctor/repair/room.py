"""Whether there is room for a plan: said before the first change, where it is clear that there is not."""

from __future__ import annotations

import re
from collections.abc import Mapping

from paddlevl_doctor.errors import DoctorError
from paddlevl_doctor.messages import text
from paddlevl_doctor.values import Plan

_ADDED = re.compile(r"^[+~] ([A-Za-z0-9._-]+) ", re.MULTILINE)
_MB = {"paddlepaddle": 650, "paddlepaddle-gpu": 2_200, "torch": 1_200, "opencv-contrib-python": 170}
"""What the big ones take when they are installed; the libraries of CUDA are the others."""
_MB_OF_CUDA = 300
_MB_OF_OTHERS = 8
_OWN_MB = 20
"""The journal, the room that is reserved for undo, and the links to 25,000 former files."""


def needed_mb(plan: Plan) -> int:
    """Estimate what a plan takes: every package that comes, since those that go are kept for undo."""
    names = {
        name for step in plan.steps for name in _ADDED.findall(step.diff) if step.kind == "install-packages"
    }
    return sum(map(_size, names)) + _OWN_MB


def _size(name: str) -> int:
    return _MB.get(name, _MB_OF_CUDA if name.startswith("nvidia-") else _MB_OF_OTHERS)


def refuse_tight(free_mb: Mapping[str, int], plan: Plan) -> None:
    """Raise DoctorError where the target's disk, or the one of uv's cache, has less room than the plan takes."""
    needed = needed_mb(plan)
    for name in ("target", "uv-cache"):
        free = free_mb.get(name)
        if free is not None and free < needed:
            raise DoctorError(text("disk-too-tight", needed=needed, free=free, place=text(f"room-{name}")))
