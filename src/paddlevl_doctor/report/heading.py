"""The head of every report: machine, GPUs, target and stack, one line each."""

from __future__ import annotations

from paddlevl_doctor.facts.model import Facts, Gpus, Target
from paddlevl_doctor.messages import text

_STACK = ("paddlepaddle", "paddlepaddle-gpu", "paddleocr", "paddlex", "safetensors", "numpy")


def describe_facts(facts: Facts) -> list[tuple[str, str]]:
    """Return the head of a report: machine, GPUs, target and stack in one line each."""
    host = facts.host
    place = f"WSL {host.wsl}" if host.wsl else host.container or host.notebook
    parts = [
        host.distribution or host.system,
        host.machine,
        place,
        f"{host.cpu_count} CPU",
        f"{host.memory_total_mb >> 10} GB",
    ]
    rows = [
        (text("machine"), ", ".join(part for part in parts if part)),
        (text("gpu"), _gpus(facts.gpus)),
        (text("target"), _target(facts)),
    ]
    if facts.target is not None:
        rows.append((text("stack"), _stack(facts.target)))
    return rows


def _gpus(gpus: Gpus) -> str:
    if not gpus.devices:
        return text("no-gpu", reason=text(f"gpu-{gpus.reason}", detail=gpus.detail))
    names = [f"{g.name} ({g.compute_capability}, {g.memory_total_mb >> 10} GB)" for g in gpus.devices]
    return f"{', '.join(names)}; driver {gpus.driver}, CUDA {gpus.cuda}"


def _target(facts: Facts) -> str:
    if facts.target_problem:
        return text("no-target-problem", problem=facts.target_problem)
    if facts.target is None:
        return text("no-target", path=facts.planned_target)
    return f"{facts.target.prefix} (Python {facts.target.version})"


def _stack(target: Target) -> str:
    found = [f"{name} {version}" for name in _STACK for version in target.versions_of(name)]
    return ", ".join(found) or "-"
