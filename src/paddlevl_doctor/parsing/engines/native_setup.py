"""Starts a worker: one of PaddleOCR's own pipelines in the target's Python, for one rung of the ladder."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paddlevl_doctor.facts.run_probes import PROBES
from paddlevl_doctor.parsing.engines.fallbacks import Rung
from paddlevl_doctor.parsing.workers.json_lines_process import LinesChild
from paddlevl_doctor.parsing.workers.watchdog import Gpu, Limits

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
        relay = (sys.executable, "-X", "utf8", "-m", "paddlevl_doctor.parsing.workers.warm_daemon")
        return (*relay, str(place), f"{self.minutes:g}", "--", *argv)


@dataclass(frozen=True)
class NativeSetup:
    """What a worker is started with."""

    python: str
    device: str
    env: Mapping[str, str]
    folder: Path
    """For the worker's log; its name tells the worker from the others of the run."""
    kept: Path | None = None
    """Where the user finds what stalled and crashed workers leave behind; None where nobody looks."""
    pipeline: str = "PaddleOCR-VL"
    options: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the pipeline's constructor."""
    ladder: tuple[Rung, ...] = ()
    """Instead of the usual one for the device and the pipeline."""
    gpu: Gpu = lambda _pids: None
    """For the device, where it is a GPU."""
    warm: Warm | None = None
    """Where workers are kept between runs; None where they end with them."""
    stall: float | None = None
    """Seconds without any use of the processor that end a worker, instead of the usual ones."""
    limits: Mapping[str, Limits] = field(default_factory=dict)
    """Instead of the device's, by stage."""
    fresh_cache: Callable[[], Path | None] = lambda: None
    """Gives an empty model cache to download into, for models that cannot be loaded; None where no hub answers."""


def start(setup: NativeSetup, rung: Rung, cache: Path | None = None) -> LinesChild:
    """Start a worker that begins to load its models, from `cache` where there is one; raises OSError."""
    setup.folder.mkdir(parents=True, exist_ok=True)
    argv = (setup.python, "-X", "utf8", str(PROBES / "native_worker.py"), "--pipeline", setup.pipeline)
    words = ("--device", rung.device, "--options", json.dumps(dict(setup.options)))
    env = _env(setup, rung, cache)
    command: tuple[str, ...] = (*argv, *words)
    command = setup.warm.command(command, env) if setup.warm else command
    return LinesChild(command, env, setup.folder / "worker.log")


def _env(setup: NativeSetup, rung: Rung, cache: Path | None) -> dict[str, str]:
    """Return the variables of a worker: what the user has set counts more than what usually helps, at first."""
    env = {**setup.env, **rung.env} if rung.name == "allocator" else {**rung.env, **setup.env}
    return env if cache is None else {**env, "PADDLE_PDX_CACHE_HOME": str(cache)}
