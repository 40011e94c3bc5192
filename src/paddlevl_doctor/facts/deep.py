"""Runs a probe in the target's Python. Whatever the probe does, the answer is a value: crash, hang and garbage too."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paddlevl_doctor.system import Completed, System

PROBES = Path(__file__).parents[1] / "probes"


@dataclass(frozen=True)
class ProbeResult:
    """What became of a probe. `data` is its answer; `detail` says what happened where there is none."""

    status: str
    """answered, crashed, timed-out, garbage or not-started."""
    data: dict[str, Any] | None
    detail: str
    seconds: float


def run_probe(
    system: System,
    target_python: str,
    name: str,
    args: Sequence[str],
    timeout: float,
    env: Mapping[str, str] | None = None,
) -> ProbeResult:
    """Run the probe `name` (a file or folder in probes/) for at most `timeout` seconds.

    Without `env` the doctor's environment is used and no bytecode is written, so that looking leaves no trace.
    """
    folder = PROBES / name
    program = folder if folder.is_dir() else PROBES / f"{name}.py"
    environment = env if env is not None else {**system.env, "PYTHONDONTWRITEBYTECODE": "1"}
    argv = (target_python, "-X", "utf8", str(program), *args)
    return _judge(system.run(argv, timeout=timeout, env=environment), timeout)


def _judge(done: Completed, timeout: float) -> ProbeResult:
    if done.returncode is None:
        return ProbeResult("not-started", None, done.stderr.strip(), done.seconds)
    if done.timed_out:
        return ProbeResult("timed-out", None, f"no answer within {timeout:.0f} s", done.seconds)
    data = _answer(done.stdout)
    if data is not None:
        return ProbeResult("answered", data, "", done.seconds)
    if done.returncode == 0:
        return ProbeResult("garbage", None, _last_line(done.stdout) or "no output", done.seconds)
    return ProbeResult("crashed", None, _crash(done), done.seconds)


def _answer(stdout: str) -> dict[str, Any] | None:
    try:
        answer = json.loads(_last_line(stdout))
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _last_line(output: str) -> str:
    return output.strip().rpartition("\n")[2].strip()


def _crash(done: Completed) -> str:
    """Name the signal (SIGILL: no AVX; SIGSEGV: a broken library) or give the last words on stderr."""
    code = done.returncode or 0
    if code < 0:
        try:
            return signal.Signals(-code).name
        except ValueError:
            return f"signal {-code}"
    return f"exit status {code}: {_last_line(done.stderr)}"
