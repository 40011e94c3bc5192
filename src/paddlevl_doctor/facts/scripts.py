"""Reads which Python the programs of an environment start."""

from __future__ import annotations

import re
from pathlib import Path

from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.facts import Target

_PROGRAMS = ("paddleocr", "paddlex", "uv", "pip", "f2py", "tqdm")
_INTERPRETER = re.compile(
    rb"""#!(?:/bin/sh\n'''exec'\s)?['"]?(/[^'"\n]+)/bin/(?:python|pypy)[\w.]*['"]?(?:\s|$)"""
)
"""The first line of a script, or the first two, if the path is too long for one or contains a space (distlib, uv)."""
_HEAD_BYTES = 1000


def scripts_of_other(system: System, target: Target) -> str | None:
    """Return the environment whose Python the programs in `bin` start, if it is not the one that they lie in.

    Windows has no such scripts. Of an environment whose programs find their Python beside them, None is returned.
    """
    if not target.is_virtual or system.platform == "win32":
        return None
    for name in _PROGRAMS:
        head = system.read_head(Path(target.prefix, "bin", name), _HEAD_BYTES)
        found = _INTERPRETER.match(head or b"")
        if found:
            other = Path(found[1].decode(errors="replace"))
            return None if other.resolve() == Path(target.prefix).resolve() else str(other)
    return None
