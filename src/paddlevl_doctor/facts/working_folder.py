"""Finds modules in the working folder that Python imports instead of an installed package or a standard module.

Python looks into the folder of a script, or into the working folder, before all others.
"""

from __future__ import annotations

import sys

from paddlevl_doctor.system.machine import System

_STACK = frozenset({"paddle", "paddlex", "paddleocr", "numpy", "cv2", "safetensors", "PIL", "pandas", "yaml"})
_NEVER = ("test", "this", "antigravity", "idlelib", "lib2to3", "turtle", "turtledemo")
_EARLY = ("abc", "codecs", "encodings", "genericpath", "io", "ntpath", "os", "posixpath", "site", "stat")
_HARMLESS = frozenset((*_NEVER, *_EARLY))
"""Standard modules that are imported before Python looks into the working folder, or never by the stack."""


def hiding_modules(system: System) -> tuple[str, ...]:
    """Return the files and packages (with a slash at the end) in the working folder that hide other modules."""
    hidden = (_STACK | set(sys.stdlib_module_names)) - set(sys.builtin_module_names) - _HARMLESS
    found = []
    for name in system.names(system.cwd()):
        module, dot, suffix = name.partition(".")
        if module in hidden and (dot, suffix) == (".", "py"):
            found.append(name)
        elif name in hidden and system.exists(system.cwd() / name / "__init__.py"):
            found.append(f"{name}/")
    return tuple(found)
