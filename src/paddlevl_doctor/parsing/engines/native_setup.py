"""How a worker of the native engine is started: one of PaddleOCR's own pipelines in the target's Python."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paddlevl_doctor.facts.run_probes import PROBES
from paddlevl_doctor.parsing.engines.fallbacks import Strategy
from paddlevl_doctor.parsing.workers.json_lines_process import JsonLinesProcess
from paddlevl_doctor.parsing.workers.watchdog import Gpu, Limits

RELEVANT_ENV_PREFIXES = (
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
"""Of the variables, in upper case, that decide how a worker runs: one started with other values is another worker."""


@dataclass(frozen=True)
class WarmWorkers:
    """Where the daemons of warm workers are, and how many minutes without a client each keeps its worker."""

    folder: Path
    minutes: float
    state: str
    """The versions in the target: a worker that has imported other versions is another worker."""

    def command(self, argv: Sequence[str], env: Mapping[str, str]) -> tuple[str, ...]:
        """Return the command that connects to a warm worker started as `argv` would be, or starts one."""
        relevant = sorted(
            (name, value) for name, value in env.items() if name.upper().startswith(RELEVANT_ENV_PREFIXES)
        )
        key = hashlib.sha256(repr((argv, relevant, self.state)).encode()).hexdigest()[:16]
        folder = self.folder / key
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        proxy = (sys.executable, "-X", "utf8", "-m", "paddlevl_doctor.parsing.workers.warm_daemon")
        return (*proxy, str(folder), f"{self.minutes:g}", "--", *argv)


@dataclass(frozen=True)
class NativeSetup:
    """What a worker is started with."""

    python: str
    device: str
    env: Mapping[str, str]
    folder: Path
    """For the worker's log; the folder's name is the worker's."""
    incident_folder: Path | None = None
    """For the stacks of stalled workers and the stderr of crashed ones; None where they are not kept."""
    pipeline: str = "PaddleOCR-VL"
    options: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the pipeline's constructor."""
    strategies: tuple[Strategy, ...] = ()
    """Instead of the usual ones for the device and the pipeline."""
    gpu: Gpu = lambda _pids: None
    """For the device, where it is a GPU."""
    warm: WarmWorkers | None = None
    """Where workers are kept between runs; None where they end with them."""
    stall: float | None = None
    """Seconds without any use of the processor that end a worker, instead of the usual ones."""
    limits: Mapping[str, Limits] = field(default_factory=dict)
    """Instead of the device's, by stage."""
    fresh_cache: Callable[[], Path | None] = lambda: None
    """Returns a model cache to download into, for models that cannot be loaded; None where no hub answers."""


def start(setup: NativeSetup, strategy: Strategy, cache: Path | None = None) -> JsonLinesProcess:
    """Start a worker that begins to load its models, from `cache` where there is one; raises OSError."""
    setup.folder.mkdir(parents=True, exist_ok=True)
    # The user's variables override the strategy's, except where the strategy is to change just those.
    own, usual = strategy.env, setup.env
    env = {**usual, **own} if strategy.name == "allocator" else {**own, **usual}
    if cache is not None:
        env["PADDLE_PDX_CACHE_HOME"] = str(cache)
    argv = (setup.python, "-X", "utf8", str(PROBES / "native_worker.py"), "--pipeline", setup.pipeline)
    command: tuple[str, ...] = (
        *argv,
        "--device",
        strategy.device,
        "--options",
        json.dumps(dict(setup.options)),
    )
    command = setup.warm.command(command, env) if setup.warm else command
    return JsonLinesProcess(command, env, setup.folder / "worker.log")
