"""Checks of what else is in the environment: torch and inference servers, which want NVIDIA's packages their way."""

from __future__ import annotations

from collections.abc import Sequence

from packaging.version import Version

from paddlevl_doctor.checks.model import Check, Context, Diagnosis, bad, ok, skipped
from paddlevl_doctor.checks.pins import Pin, pins
from paddlevl_doctor.facts.model import Target
from paddlevl_doctor.values import Evidence, Status

_SERVERS = ("vllm", "sglang")
_CAPABILITY = Version("8.0")


def _nvidia(context: Context) -> Diagnosis:
    version = context.target.version_of("paddlepaddle-gpu")
    if version is None:
        return skipped("no paddlepaddle-gpu")
    wanted = pins(context.target, "paddlepaddle-gpu", context.facts.host.system)
    broken = [pin for pin in wanted if pin.broken]
    if broken:
        names = ", ".join(pin.name for pin in broken)
        return Diagnosis(Status.WARNING, _shown(broken), {"names": names})
    return ok("paddlepaddle-gpu", version)


def _torch_on_linux(context: Context) -> Diagnosis:
    system, version = context.facts.host.system, context.target.version_of("torch")
    if version is None or system != "linux":
        return skipped(f"{system}, {'torch' if version else 'no torch'}")
    broken = [pin for pin in pins(context.target, "torch", system) if pin.broken or pin.installed is None]
    return Diagnosis(Status.WARNING, _shown(broken)) if broken else ok("torch", version)


def _shown(broken: Sequence[Pin]) -> tuple[Evidence, ...]:
    return tuple(Evidence(pin.name, f"{pin.installed or 'absent'}, wanted {pin.specifier}") for pin in broken)


def _torch_on_windows(context: Context) -> Diagnosis:
    target, system = context.target, context.facts.host.system
    torch, paddle = target.version_of("torch"), target.version_of("paddlepaddle-gpu")
    if system != "windows" or torch is None or paddle is None:
        return skipped(f"{system}, torch {torch or 'absent'}, paddlepaddle-gpu {paddle or 'absent'}")
    return bad(Status.WARNING, "distributions", f"torch {torch}, paddlepaddle-gpu {paddle}")


def _installed_servers(target: Target) -> dict[str, str]:
    versions = {name: target.version_of(name) for name in _SERVERS}
    return {name: version for name, version in versions.items() if version is not None}


def _server_beside(context: Context) -> Diagnosis:
    servers, paddle = _installed_servers(context.target), context.target.version_of("paddlepaddle-gpu")
    if not servers or paddle is None:
        return skipped("no inference server beside paddlepaddle-gpu")
    shown = ", ".join(f"{name} {version}" for name, version in servers.items())
    return bad(Status.WARNING, "distributions", f"{shown}, paddlepaddle-gpu {paddle}", names=shown)


def _server_here(context: Context) -> Diagnosis:
    servers, host = _installed_servers(context.target), context.facts.host
    if not servers:
        return skipped("no inference server")
    names = ", ".join(servers)
    if host.system != "linux":
        return bad(Status.WARNING, "system", host.system, names=names, why=host.system)
    weak = [g for g in context.facts.gpus.devices if Version(g.compute_capability) < _CAPABILITY]
    if weak and len(weak) == len(context.facts.gpus.devices):
        why = f"{weak[0].name} ({weak[0].compute_capability})"
        return bad(Status.WARNING, "NVML", why, names=names, why=why)
    return ok("distributions", names)


_STACK = ("target-environment",)

CHECKS = (
    Check("nvidia-wheel-mismatch", _nvidia, needs=_STACK),
    Check("linux-torch-import-breaks-paddlex", _torch_on_linux, needs=_STACK),
    Check("windows-torch-dll-clash", _torch_on_windows, needs=_STACK),
    Check("vllm-same-env-conflict", _server_beside, needs=_STACK),
    Check("vllm-platform-and-cc", _server_here, needs=_STACK),
)
