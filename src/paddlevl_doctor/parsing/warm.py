"""Where warm workers are kept, and how one is asked for in the place of a new one."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_TELLING = (
    "ALL_PROXY",
    "CUDA",
    "FLAGS_",
    "GLOG_",
    "HF_",
    "HTTP",
    "LD_",
    "MKL_",
    "NO_PROXY",
    "OMP_",
    "PADDLE",
    "PATH",
    "PYTHON",
    "HOME",
    "TMP",
)
"""Beginnings of the variables, proxies in either spelling, that a worker may have been started with in another way."""


@dataclass(frozen=True)
class Warm:
    """A folder for one user's keepers, and after how many minutes without anybody each ends its worker."""

    folder: Path
    minutes: float
    state: str
    """The versions in the target: a worker that has imported others is another one."""

    def command(self, argv: Sequence[str], env: Mapping[str, str]) -> tuple[str, ...]:
        """Return the command that stands for `argv` and goes to a worker like it that is warm."""
        telling = sorted((name, value) for name, value in env.items() if name.upper().startswith(_TELLING))
        key = hashlib.sha256(repr((argv, telling, self.state)).encode()).hexdigest()[:16]
        place = self.folder / key
        place.mkdir(parents=True, exist_ok=True)
        place.chmod(0o700)
        relay = (sys.executable, "-X", "utf8", "-m", "paddlevl_doctor.parsing.keeper")
        return (*relay, str(place), f"{self.minutes:g}", "--", *argv)
