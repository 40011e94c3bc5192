"""Runs the probes that import the stack, in the target's Python, and turns whatever happens into a value."""

from __future__ import annotations

import json
import signal
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from paddlevl_doctor.system import Completed, System

PROBES = Path(__file__).parents[1] / "probes"

Status = Literal["answered", "crashed", "timed-out", "garbage", "not-started"]

_SHOWN = 300
"""Characters of a foreign text that a detail shows."""

# NTSTATUS codes that end a Windows process, as Python reports them.
# Source: [MS-ERREF] 2.3.1, "NTSTATUS Values".
_WINDOWS_DEATHS = {
    0xC0000005: "ACCESS_VIOLATION",
    0xC000001D: "ILLEGAL_INSTRUCTION",
    0xC0000135: "DLL_NOT_FOUND",
    0xC0000142: "DLL_INIT_FAILED",
    0xC0000409: "STACK_BUFFER_OVERRUN",
}


@dataclass(frozen=True)
class ProbeResult:
    """What one run of a probe gave.

    `data` is its document where it answered, else None, and `detail` says what happened instead: the signal
    that killed it and its last words, or what it printed in place of a document. `seconds` is wall-clock time.
    """

    status: Status
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
    """Run the probe `name` in the target's Python for at most `timeout` seconds; never raises for what it does.

    `env` replaces the whole environment of the probe. The default is the doctor's own, without bytecode being
    written, because a look at an installation leaves no trace in it. Temporary files go to a folder that is
    removed afterwards, even when the probe was killed.
    """
    return run_program(system, target_python, probe_path(name), name, args, timeout, env)


def run_program(
    system: System,
    target_python: str,
    program: Path,
    name: str,
    args: Sequence[str],
    timeout: float,
    env: Mapping[str, str] | None = None,
) -> ProbeResult:
    """Run a program that answers as a probe does, wherever it lies; `name` is what its document calls itself."""
    environment = {**system.env, "PYTHONDONTWRITEBYTECODE": "1"} if env is None else dict(env)
    argv = (target_python, "-X", "utf8", str(program), *args)
    with tempfile.TemporaryDirectory(prefix="paddlevl-doctor-probe-", ignore_cleanup_errors=True) as folder:
        environment.update(TMPDIR=folder, TEMP=folder, TMP=folder)
        done = system.run(argv, timeout=timeout, env=environment)
    return _result(done, name, timeout)


def probe_path(name: str) -> Path:
    """Return where a probe lies in this package: a folder with a __main__.py, or one file."""
    folder = PROBES / name
    return folder if folder.is_dir() else PROBES / f"{name}.py"


def _result(done: Completed, name: str, timeout: float) -> ProbeResult:
    if done.timed_out:
        return _silent("timed-out", done, f"no answer in {timeout:.0f} s", done.stderr)
    if done.returncode is None:
        return _silent("not-started", done, "", done.stderr)
    if done.returncode != 0:
        return _silent("crashed", done, death_of(done.returncode), done.stderr)
    data = _document(done.stdout, name)
    if data is None:
        return _silent("garbage", done, "no document at the end of the output", done.stdout)
    return ProbeResult("answered", data, "", done.seconds)


def _silent(status: Status, done: Completed, what: str, words: str) -> ProbeResult:
    detail = ": ".join(part for part in (what, _last_line(words)) if part)
    return ProbeResult(status, None, detail, done.seconds)


def _document(stdout: str, name: str) -> dict[str, Any] | None:
    """Return the JSON object on the last line, None where it is none or another program's."""
    try:
        data = json.loads(stdout.strip().rpartition("\n")[2])
    except ValueError:
        return None
    return data if isinstance(data, dict) and data.get("probe") == name else None


def death_of(returncode: int) -> str:
    """Name what ended a process: a signal, a Windows status, or its own exit status."""
    if returncode < 0:
        names = {member.value: member.name for member in signal.Signals}
        return names.get(-returncode, f"signal {-returncode}")
    return _WINDOWS_DEATHS.get(returncode, f"exit status {returncode}")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:_SHOWN] if lines else ""
