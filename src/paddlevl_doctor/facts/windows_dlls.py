r"""Lists the folders with CUDA DLLs that paddle can load on Windows, in the order of the search.

paddle/__init__.py (read in 3.2.0 and 3.2.2) adds paddle\libs and nvidia\<library>\bin of site-packages to the DLL
directories and loads every DLL there by its full path, with LOAD_LIBRARY_SEARCH_DEFAULT_DIRS: PATH is not searched.
Only after error 126 (module not found) it searches the folder of python.exe, System32, the Windows folder and PATH
(learn.microsoft.com, Dynamic-link library search order). A DLL that the wheel's folders lack is later loaded by its
name, from the first of these folders that has it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.facts import DllFolder, Target

LIBRARIES = (
    "cublas",
    "cuda_nvrtc",
    "cuda_runtime",
    "cudnn",
    "cufft",
    "curand",
    "cusolver",
    "cusparse",
    "nvjitlink",
)
"""The folders below `nvidia` that paddle adds (site_cuda_list)."""
_NAMES = re.compile(
    r"(?:cudnn|cublas|cufft|curand|cusolver|cusparse|nvjitlink|zlibwapi).*\.dll", re.IGNORECASE
)


def collect_dlls(system: System, target: Target | None) -> tuple[DllFolder, ...] | None:
    """Return the folders with CUDA DLLs; None except on Windows with a CUDA wheel.

    A folder that occurs twice in PATH is listed once; an unreadable folder is skipped.
    """
    if system.platform != "win32" or target is None or target.version_of("paddlepaddle-gpu") is None:
        return None
    found, seen = [], set[str]()
    for role, path in _places(system, target):
        key = path.as_posix().lower()
        names = tuple(name for name in system.names(path) if _NAMES.fullmatch(name))
        if names and key not in seen:
            found.append(DllFolder(role, str(path), names))
        seen.add(key)
    return tuple(found)


def _places(system: System, target: Target) -> Iterator[tuple[str, Path]]:
    site, windows = Path(target.folder_of("paddlepaddle-gpu")), Path(system.env.get("WINDIR") or "C:/Windows")
    for library in LIBRARIES:
        yield "wheel", site / "nvidia" / library / "bin"
    yield "torch", site / "torch" / "lib"
    yield "python", Path(target.base_prefix)
    yield "system", windows / "System32"
    yield "system", windows
    for part in system.env.get("PATH", "").split(";"):
        if folder := part.strip().strip('"'):
            yield "path", Path(folder)
