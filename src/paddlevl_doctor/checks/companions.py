"""Checks of what else is in the environment: torch and inference servers, which want NVIDIA's packages their way."""

from __future__ import annotations

from collections.abc import Sequence

from packaging.version import Version

from paddlevl_doctor.checks.model import Check, Context, Diagnosis, bad, ok, skipped
from paddlevl_doctor.checks.pins import Pin, conflicts, pins, rivals
from paddlevl_doctor.checks.sources import is_cured
from paddlevl_doctor.facts.model import Target
from paddlevl_doctor.knowledge.failures import load_failure
from paddlevl_doctor.values import Evidence, Status

_SERVERS = ("vllm", "sglang")
_CAPABILITY = Version("8.0")


def _nvidia(context: Context) -> Diagnosis:
    version = context.target.version_of("paddlepaddle-gpu")
    if version is None:
        return skipped("no paddlepaddle-gpu")
    wanted = pins(context.target, "paddlepaddle-gpu", context.facts.host)
    broken = [pin for pin in wanted if pin.broken and not _is_the_one_it_was_built_with(context, pin)]
    replaced = rivals(context.target, wanted)
    if not broken and not replaced:
        return ok("paddlepaddle-gpu", version)
    names = ", ".join(dict.fromkeys(pin.name for pin in (*broken, *(pin for pin, _ in replaced))))
    shared = (Evidence(d.name, f"{d.version}, same files as {pin.name}") for pin, d in replaced)
    return Diagnosis(Status.WARNING, (*_shown(broken), *shared), {"names": names})


def _is_the_one_it_was_built_with(context: Context, pin: Pin) -> bool:
    """Some wheels are built with cuDNN 9.9 and ask for 9.5: who installed what it was built with is right."""
    build = context.target.paddle
    compiled = build.cudnn if build is not None and pin.name.startswith("nvidia-cudnn") else None
    return bool(compiled and pin.installed and pin.installed.split(".")[:2] == compiled.split(".")[:2])


def _torch_on_linux(context: Context) -> Diagnosis:
    system, version = context.facts.host.system, context.target.version_of("torch")
    if version is None or system != "linux":
        return skipped(f"{system}, {'torch' if version else 'no torch'}")
    if is_cured(load_failure("linux-torch-import-breaks-paddlex"), context):
        return ok("torch", f"{version}, patched")
    wanted = pins(context.target, "torch", context.facts.host)
    broken = [pin for pin in wanted if pin.broken or pin.installed is None]
    return Diagnosis(Status.WARNING, _shown(broken)) if broken else ok("torch", version)


def _shown(broken: Sequence[Pin]) -> tuple[Evidence, ...]:
    return tuple(Evidence(pin.name, f"{pin.installed or 'absent'}, wanted {pin.specifier}") for pin in broken)


def _torch_on_windows(context: Context) -> Diagnosis:
    target, system = context.target, context.facts.host.system
    torch, paddle = target.version_of("torch"), target.version_of("paddlepaddle-gpu")
    if system != "windows" or torch is None or paddle is None:
        return skipped(f"{system}, torch {torch or 'absent'}, paddlepaddle-gpu {paddle or 'absent'}")
    # A torch for the CPU has no cuDNN: it fails only in programs that import paddle before paddlex does torch.
    status = Status.NOTE if torch.endswith("+cpu") else Status.WARNING
    return bad(status, "distributions", f"torch {torch}, paddlepaddle-gpu {paddle}")


def _installed_servers(target: Target) -> dict[str, str]:
    versions = {name: target.version_of(name) for name in _SERVERS}
    return {name: version for name, version in versions.items() if version is not None}


def _server_beside(context: Context) -> Diagnosis:
    """A warning where METADATA proves that paddle and a server, or its torch, want different versions."""
    target, host = context.target, context.facts.host
    servers, paddle = _installed_servers(target), target.version_of("paddlepaddle-gpu")
    if not servers or paddle is None:
        return skipped("no inference server beside paddlepaddle-gpu")
    theirs = [pin for name in (*servers, "torch") for pin in pins(target, name, host)]
    clashes = conflicts(pins(target, "paddlepaddle-gpu", host), theirs)
    shown = ", ".join(f"{name} {version}" for name, version in servers.items())
    if not clashes:
        return ok("distributions", f"{shown}, paddlepaddle-gpu {paddle}")
    evidence = (Evidence(mine.name, f"{mine.exact}, or {_label(mine, other)}") for mine, other in clashes)
    return Diagnosis(Status.WARNING, tuple(dict.fromkeys(evidence)), {"names": shown})


def _label(mine: Pin, other: Pin) -> str:
    return str(other.exact) if mine.name == other.name else f"{other.name} {other.exact}"


def _server_here(context: Context) -> Diagnosis:
    servers, host = _installed_servers(context.target), context.facts.host
    if not servers:
        return skipped("no inference server")
    names = ", ".join(servers)
    if host.system != "linux":
        return bad(Status.WARNING, "system", host.system, names=names, why=host.system)
    if not context.gpus:
        return skipped("no NVIDIA GPU")
    weak = [g for g in context.gpus if Version(g.compute_capability) < _CAPABILITY]
    if weak and len(weak) == len(context.gpus):
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
