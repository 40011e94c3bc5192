"""Starts the workers of the native engine, which run a PaddleOCR pipeline in the target's Python."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

from paddlevl_doctor.facts.run_probes import PROBES
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.parsing.engines.fallbacks import Strategy
from paddlevl_doctor.parsing.workers.json_lines_process import JsonLinesProcess
from paddlevl_doctor.parsing.workers.watchdog import GpuProbe, Limits
from paddlevl_doctor.system.processes import module_command

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
"""Prefixes, in upper case, of the variables that influence a worker: a warm worker must have the same values."""


@dataclass(frozen=True)
class WarmWorkers:
    """The folder of the warm worker daemons, and the minutes for which a daemon keeps a worker without a client."""

    folder: Path
    minutes: float
    state: str
    """The versions in the target: a warm worker must have imported the same versions."""

    def command(self, argv: Sequence[str], env: Mapping[str, str]) -> tuple[str, ...]:
        """Return the command that connects to a warm worker with this command and environment, or starts one."""
        relevant = sorted(
            (name, value) for name, value in env.items() if name.upper().startswith(RELEVANT_ENV_PREFIXES)
        )
        key = hashlib.sha256(repr((argv, relevant, self.state)).encode()).hexdigest()[:16]
        folder = self.folder / key
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        proxy = module_command("paddlevl_doctor.parsing.workers.warm_daemon")
        return (*proxy, str(folder), f"{self.minutes:g}", "--", *argv)


@dataclass(frozen=True)
class NativeSetup:
    """The settings of a worker."""

    python: str
    device: str
    env: Mapping[str, str]
    folder: Path
    """The folder for the worker's log; its name is the name of the worker."""
    incident_folder: Path | None = None
    """The folder for the stacks of stalled workers and the stderr of crashed workers; None: they are not saved."""
    pipeline: str = "PaddleOCR-VL"
    options: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the pipeline's constructor."""
    strategies: tuple[Strategy, ...] = ()
    """The strategies to use instead of `strategies_for` the device and the pipeline."""
    gpu: GpuProbe = lambda _pids: None
    """Measures the use of the device if it is a GPU."""
    warm: WarmWorkers | None = None
    """The warm workers to use; None: workers end with the run."""
    stall: float | None = None
    """Seconds without processor use after which a worker is ended; None: the default of each stage."""
    limits: Mapping[str, Limits] = field(default_factory=dict)
    """Limits by stage that replace those of the device."""
    fresh_cache: Callable[[], Path | None] = lambda: None
    """Returns an empty model cache for models that must be downloaded again; None if no hub can be reached."""


def start_worker(setup: NativeSetup, strategy: Strategy, cache: Path | None = None) -> JsonLinesProcess:
    """Start a worker, which loads its models from `cache` or the default cache; raises OSError."""
    setup.folder.mkdir(parents=True, exist_ok=True)
    # The variables of the user override those of a strategy, unless the strategy consists of changing them.
    layers = (setup.env, strategy.env) if strategy.name == "allocator" else (strategy.env, setup.env)
    env = {**layers[0], **layers[1]}
    if cache is not None:
        env["PADDLE_PDX_CACHE_HOME"] = str(cache)
    argv = (setup.python, "-X", "utf8", str(PROBES / "native_worker.py"), "--pipeline", setup.pipeline)
    command: Sequence[str] = (
        *argv,
        "--device",
        strategy.device,
        "--options",
        json.dumps(dict(setup.options)),
    )
    command = setup.warm.command(command, env) if setup.warm else command
    return JsonLinesProcess(command, env, setup.folder / "worker.log")
