"""Finds the paths of the chosen target without running its checks."""

from __future__ import annotations

from pathlib import Path

from paddlevl_doctor.commands.diagnose import TargetOptions
from paddlevl_doctor.facts.target import choose_target, collect_target, python_of
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.facts import Target


@dataclass(frozen=True)
class TargetPaths:
    """The path of a target's interpreter, which may not exist yet, and the folder that contains the doctor's state."""

    python: Path
    state: Path


def target_paths(system: System, options: TargetOptions) -> TargetPaths:
    """Find the target; without a virtual environment the state is in site-packages."""
    choice = choose_target(system, options.python, options.venv)
    if choice.python is None:
        prefix = system.cwd() / choice.planned
        return TargetPaths(python_of(prefix, system.platform), prefix)
    folder = choice.python.parent.parent
    if system.exists(folder / "pyvenv.cfg"):
        return TargetPaths(choice.python, folder)
    target = collect_target(system, choice)
    state = (
        Path(target.prefix if target.is_virtual else target.purelib) if isinstance(target, Target) else folder
    )
    return TargetPaths(choice.python, state)
