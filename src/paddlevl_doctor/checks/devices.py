"""Checks of a paddlex release against the devices that it would run on."""

from __future__ import annotations

from packaging.version import Version

from paddlevl_doctor.checks.model import Check, Context, Diagnosis, bad, ok
from paddlevl_doctor.knowledge.failures import load_failure
from paddlevl_doctor.knowledge.versions import fits
from paddlevl_doctor.values import Status

_CAPABILITY = Version("8.0")
"""From here on GPUs have bfloat16 and FlashAttention 2."""
_FLASH_CUDA = Version("11.4")


def _capabilities(context: Context) -> list[Version]:
    """Return the compute capabilities that paddle would use: none with a CPU wheel."""
    if context.target.version_of("paddlepaddle-gpu") is None:
        return []
    return [Version(gpu.compute_capability) for gpu in context.gpus]


def _concerned(context: Context, failure_id: str) -> bool:
    wanted = load_failure(failure_id).applies.specifiers["paddlex"]
    return fits(context.target.version_of("paddlex") or "0", wanted)


def _bfloat16(context: Context) -> Diagnosis:
    paddlex, found = context.target.version_of("paddlex"), _capabilities(context)
    weak = not found or min(found) < _CAPABILITY
    device = f"compute capability {min(found)}" if found else "CPU"
    if weak and _concerned(context, "dtype-mismatch-bf16"):
        return bad(Status.ERROR, "paddlex", f"{paddlex} on {device}")
    return ok("paddlex", f"{paddlex} on {device}")


def _flash_attention(context: Context) -> Diagnosis:
    paddlex, found, build = (
        context.target.version_of("paddlex"),
        _capabilities(context),
        context.target.paddle,
    )
    cuda = Version(build.cuda) if build is not None and build.cuda else None
    absent = context.facts.host.system == "windows" or (cuda is not None and cuda < _FLASH_CUDA)
    asked = bool(found) and max(found) >= _CAPABILITY
    if asked and absent and _concerned(context, "flashattention2-unsupported"):
        return bad(Status.ERROR, "paddlex", f"{paddlex}, {context.facts.host.system}, CUDA {cuda}")
    return ok("paddlex", paddlex)


def _several_gpus(context: Context) -> Diagnosis:
    """A note: one pipeline hands a document of up to 64 pages to one GPU only."""
    count = len(_capabilities(context))
    if count > 1 and _concerned(context, "multi-device-batch-starvation"):
        return bad(Status.NOTE, "NVML", f"{count} GPUs", count=count)
    return ok("NVML", f"{count} GPUs")


_STACK = ("no-paddleocr-installed", "no-paddle-installed")

CHECKS = (
    Check("dtype-mismatch-bf16", _bfloat16, needs=_STACK),
    Check("flashattention2-unsupported", _flash_attention, needs=_STACK),
    Check("multi-device-batch-starvation", _several_gpus, needs=_STACK),
)
