"""Runs the proof of a patch in the target: a program that shows whether the patched defect is gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from paddlevl_doctor.facts.run_probes import PROBES, probe_environment, run_concurrently, run_program
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.knowledge.patches import proof_of
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.facts import Target

_TIMEOUT = 180.0
"""Seconds; the slowest proof imports paddle, which takes 7 s at the first import on a small machine."""


@dataclass(frozen=True)
class Proof:
    """The result of a proof. `cured` is None without a result; `saw` has the observation, or the reason for None."""

    cured: bool | None
    saw: str


def prove(system: System, patch_id: str, target: Target) -> Proof:
    """Run the proof of a patch in the target's Python. It writes nothing there; a failure is a result."""
    return _run_proof(system, patch_id, target, probe_environment(system, target, fill=False))


def prove_all(system: System, patch_ids: Sequence[str], target: Target) -> dict[str, Proof]:
    """Run the proofs of applied patches, one process per processor at a time; return them by patch id."""
    environment = probe_environment(system, target, fill=False)
    jobs = {name: partial(_run_proof, system, name, target, environment) for name in patch_ids}
    return run_concurrently(jobs, system.cpu_count())


def _run_proof(system: System, patch_id: str, target: Target, environment: Mapping[str, str]) -> Proof:
    words = (str(PROBES),)
    result = run_program(system, target.python, proof_of(patch_id), "proof", words, _TIMEOUT, environment)
    document = result.data or {"error": {"root": f"{result.status}: {result.detail}"}}
    if document.get("error"):
        return Proof(None, str(document["error"]["root"]))
    return Proof(bool(document.get("cured")), str(document.get("saw")))
