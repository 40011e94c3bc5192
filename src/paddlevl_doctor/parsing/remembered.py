"""Which rung of the ladder helped in an environment, so that the next run begins there."""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from paddlevl_doctor.facts.bytecode import user_cache
from paddlevl_doctor.system import System


@dataclass(frozen=True)
class Memory:
    """What is known of one device of one target with one pipeline."""

    system: System
    target: str
    """Which environment, and which versions are in it: others may need no help."""
    device: str
    pipeline: str

    def rung(self) -> str | None:
        """Return the name of the rung that helped last time, None where none was needed."""
        try:
            known = json.loads(self._path().read_text(encoding="utf-8"))
            name = known.get(f"{self.device} {self.pipeline}")
        except (OSError, ValueError, AttributeError):
            return None
        return name if isinstance(name, str) else None

    def keep(self, rung: str | None) -> None:
        """Remember a rung, or forget it; a cache folder that cannot be written costs only the memory."""
        path = self._path()
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            known = {}
        known = {**known, f"{self.device} {self.pipeline}": rung} if isinstance(known, dict) else {}
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_suffix(".new")
            new.write_text(json.dumps(known), encoding="utf-8")
            new.replace(path)

    def _path(self) -> Path:
        key = hashlib.sha256(self.target.encode()).hexdigest()[:16]
        return user_cache(self.system) / "rungs" / f"{key}.json"
