"""Which rung of the ladder helped in an environment, so that the next runs begin there, for some days."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paddlevl_doctor.facts.bytecode import user_cache
from paddlevl_doctor.system import System

_DAY = 86400.0
_DAYS = {True: 7, False: 1}
"""How long a rung is remembered, by whether it lasts: after that a run begins with the first one again."""


@dataclass(frozen=True)
class Memory:
    """What is known of one device of one target with one pipeline."""

    system: System
    target: str
    """Which environment, and which versions are in it: others may need no help."""
    device: str
    pipeline: str
    now: Callable[[], float] = time.time

    def rung(self) -> str | None:
        """Return the name of the rung that helped last time, None where none was needed or that was long ago."""
        kept = self._known().get(f"{self.device} {self.pipeline}", {})
        try:
            return str(kept["rung"]) if self.now() < float(kept["until"]) else None
        except (TypeError, KeyError, ValueError):
            return None

    def keep(self, rung: str | None, *, lasting: bool = True) -> None:
        """Remember a rung, or forget it; a cache folder that cannot be written costs only the memory."""
        path, name = self._path(), f"{self.device} {self.pipeline}"
        known = {key: kept for key, kept in self._known().items() if key != name}
        if rung is not None:
            known[name] = {"rung": rung, "until": self.now() + _DAYS[lasting] * _DAY}
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_suffix(".new")
            new.write_text(json.dumps(known), encoding="utf-8")
            new.replace(path)

    def _known(self) -> dict[str, Any]:
        try:
            known = json.loads(self._path().read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}

    def _path(self) -> Path:
        key = hashlib.sha256(self.target.encode()).hexdigest()[:16]
        return user_cache(self.system) / "rungs" / f"{key}.json"
