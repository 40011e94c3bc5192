"""Whether a patch works in this target: its own proof runs there, on the files as they are now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from paddlevl_doctor.facts.run_probes import PROBES, probe_environment, run_concurrently, run_program
from paddlevl_doctor.knowledge.patches import proof_of
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.facts import Target

_TIMEOUT = 180.0
"""Seconds; the slowest one imports paddle, which takes seven from cold on a small machine."""


@dataclass(frozen=True)
class Proof:
    """What a proof found. `cured` is None where it could not tell; `saw` says what it saw, or why it could not."""

    cured: bool | None
    saw: str


def prove(system: System, patch_id: str, target: Target) -> Proof:
    """Run the proof of a patch in the target's Python; it writes nothing there and never raises for what it does."""
    return _proven(system, patch_id, target, probe_environment(system, target, fill=False))


def prove_all(system: System, patch_ids: Sequence[str], target: Target) -> dict[str, Proof]:
    """Run the proofs of patches that have all been written, as many at a time as there are processors."""
    environment = probe_environment(system, target, fill=False)
    jobs = {name: partial(_proven, system, name, target, environment) for name in patch_ids}
    return run_concurrently(jobs, system.cpu_count())


def _proven(system: System, patch_id: str, target: Target, environment: Mapping[str, str]) -> Proof:
    words = (str(PROBES),)
    result = run_program(system, target.python, proof_of(patch_id), "proof", words, _TIMEOUT, environment)
    document = result.data or {"error": {"root": f"{result.status}: {result.detail}"}}
    if document.get("error"):
        return Proof(None, str(document["error"]["root"]))
    return Proof(bool(document.get("cured")), str(document.get("saw")))
