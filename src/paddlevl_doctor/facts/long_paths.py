"""Whether the paths of an installation fit into what Windows allows."""

from __future__ import annotations

from paddlevl_doctor.facts.model import Target
from paddlevl_doctor.system import System

LIMIT = 260
"""Characters of a path with its end mark, where Windows does not allow long ones (MAX_PATH)."""
LONGEST_INSIDE = 134
"""The longest path below site-packages of paddlepaddle 3.2.2 with paddleocr 3.7.0, measured; it is modelscope's."""
_COMMAND = (
    "reg",
    "query",
    r"HKLM\SYSTEM\CurrentControlSet\Control\FileSystem",
    "/v",
    "LongPathsEnabled",
)


def longest_path(purelib: str) -> int:
    """Return how long the longest path of the stack is in this site-packages folder, with its end mark."""
    return len(purelib) + 1 + LONGEST_INSIDE + 1


def long_paths_allowed(system: System, target: Target | None) -> bool | None:
    """Ask the registry whether long paths are on; None elsewhere than on Windows, and where none is long.

    Only an installation deep in the file system makes this run a command, so that others pay nothing.
    """
    if system.platform != "win32" or target is None or longest_path(target.purelib) <= LIMIT:
        return None
    answer = system.run(_COMMAND, timeout=10.0)
    words = answer.stdout.split()
    return int(words[-1], 16) == 1 if answer.ok and words and words[-1].startswith("0x") else None
