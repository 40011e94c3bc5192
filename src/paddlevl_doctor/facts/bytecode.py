"""Where probes keep compiled Python, so that a second look is three times as fast and none leaves a trace."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from paddlevl_doctor.facts.model import Target
from paddlevl_doctor.system import System

_WITNESSES = ("paddle", "paddlex", "paddleocr", "pandas", "scipy", "sklearn")
"""Packages that `import paddleocr` and paddle load; uv installs none of them with bytecode, pip all."""
_NEEDED_MB = 500
"""An import of the stack compiles to some 90 MB."""
OWNER = "environment.txt"
"""Names the environment whose bytecode a folder holds."""


def user_cache(system: System) -> Path:
    """Return this program's folder among the user's caches, as each system keeps them."""
    named = system.env.get("LOCALAPPDATA" if system.platform == "win32" else "XDG_CACHE_HOME")
    if system.platform == "darwin":
        return system.home() / "Library" / "Caches" / "paddlevl-doctor"
    return (Path(named) if named else system.home() / ".cache") / "paddlevl-doctor"


def probe_environment(system: System, target: Target, *, fill: bool = True) -> dict[str, str]:
    """Return the environment variables for probes of this target; without `fill`, for one that loads hardly anything.

    Python reads bytecode either beside the sources or below PYTHONPYCACHEPREFIX, never both. A target that was
    compiled is therefore used as it is, without writing; for any other, bytecode goes to the user's cache
    folder. Python itself checks there, as everywhere, that it belongs to the source. Where nothing is there yet, a
    small probe would compile the standard library only to keep it: that takes longer than all else it does.
    """
    environment = dict(system.env)
    if environment.get("PYTHONPYCACHEPREFIX"):  # the user's own choice, for all Pythons
        return environment
    folder = probe_bytecode(user_cache(system), target.prefix)
    if _is_compiled(system, target) or not _usable(system, folder, target.prefix, fill=fill):
        return {**environment, "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return {**environment, "PYTHONPYCACHEPREFIX": str(folder)}


def probe_bytecode(cache: Path, prefix: str) -> Path:
    """Return the folder for the bytecode of an environment in the user's cache."""
    return cache / "bytecode" / hashlib.sha256(prefix.encode()).hexdigest()[:16]


def _usable(system: System, folder: Path, prefix: str, *, fill: bool) -> bool:
    if not fill and not system.exists(folder):
        return False
    return (system.free_disk_mb(folder) or 0) >= _NEEDED_MB and _prepare(folder, prefix)


def _prepare(folder: Path, prefix: str) -> bool:
    """Make the folder and write down whose bytecode it holds; remove that of one environment that is gone.

    Of one only, because thousands of files take seconds that nobody asked for; the next look removes the next one.
    Says whether the folder can be used.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / OWNER).write_text(prefix, encoding="utf-8")
        others = [
            (path.parent, path.read_text(encoding="utf-8")) for path in folder.parent.glob(f"*/{OWNER}")
        ]
    except OSError:
        return False
    gone = next((other for other, owner in others if not Path(owner).exists()), None)
    if gone is not None:
        shutil.rmtree(gone, ignore_errors=True)
    return True


def _is_compiled(system: System, target: Target) -> bool:
    tag = "".join(target.version.split(".")[:2])
    site = Path(target.purelib)
    present = [name for name in _WITNESSES if system.exists(site / name)]
    caches = [site / name / "__pycache__" / f"__init__.cpython-{tag}.pyc" for name in present]
    return bool(caches) and all(map(system.exists, caches))
