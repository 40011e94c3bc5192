"""Checks of the installed distributions: which are there, in which versions, and do they fit together."""

from __future__ import annotations

import re

from packaging.version import Version

from paddlevl_doctor.checks.model import Check, Context, Diagnosis, bad, ok, skipped
from paddlevl_doctor.facts.model import Target
from paddlevl_doctor.knowledge.versions import fits
from paddlevl_doctor.values import Status

_PADDLES = ("paddlepaddle", "paddlepaddle-gpu")
# doc-parser of every paddleocr 3.3.0-3.7.0 stands for these two extras of paddlex (METADATA).
_DOC_PARSER = ("ocr", "genai-client")


def _paddle(target: Target) -> tuple[str, str] | None:
    """Return name and version of the installed paddle distribution."""
    return next(((name, v) for name in _PADDLES for v in target.versions_of(name)), None)


def _no_paddle(context: Context) -> Diagnosis:
    found = _paddle(context.target)
    if found is None:
        return bad(Status.ERROR, "distributions", "neither paddlepaddle nor paddlepaddle-gpu")
    return ok("distributions", "==".join(found))


def _both_paddles(context: Context) -> Diagnosis:
    cpu, gpu = (context.target.version_of(name) for name in _PADDLES)
    if cpu and gpu:
        return bad(
            Status.ERROR, "distributions", f"paddlepaddle=={cpu} paddlepaddle-gpu=={gpu}", cpu=cpu, gpu=gpu
        )
    return ok("distributions", cpu or gpu)


def _old_gpu_wheel(context: Context) -> Diagnosis:
    version = context.target.version_of("paddlepaddle-gpu")
    if version is None:
        return skipped("no paddlepaddle-gpu")
    if Version(version) < Version("3.0"):
        return bad(Status.ERROR, "paddlepaddle-gpu", version, version=version)
    return ok("paddlepaddle-gpu", version)


def _old_paddle(context: Context) -> Diagnosis:
    name, version = _paddle(context.target) or ("", "0")
    if Version(version) < Version("3.1.1"):  # 3.0.0 was tried and fails, 3.1.1 has the name
        return bad(Status.ERROR, name, version, version=version)
    return ok(name, version)


def _onednn(context: Context) -> Diagnosis:
    version = context.target.version_of("paddlepaddle")
    if version is None:
        return skipped("no CPU wheel")
    if Version(version).release[:2] != (3, 3):
        return ok("paddlepaddle", version)
    # The VL layout models are kept off oneDNN from these versions on; the other pipelines never were.
    paddlex = Version(context.target.version_of("paddlex") or "3.7.2")
    status = Status.WARNING if paddlex >= Version("3.3.9") else Status.ERROR
    return bad(status, "paddlepaddle", version, version=version)


def _setuptools(context: Context) -> Diagnosis:
    if context.target.version_of("setuptools") is None:
        return bad(
            Status.ERROR,
            "distributions",
            "no setuptools",
            paddle="".join((_paddle(context.target) or ("", ""))[1]),
        )
    return ok("setuptools", context.target.version_of("setuptools"))


def _no_paddleocr(context: Context) -> Diagnosis:
    version = context.target.version_of("paddleocr")
    if version is None or context.target.version_of("paddlex") is None:
        missing = [n for n in ("paddleocr", "paddlex") if context.target.version_of(n) is None]
        return bad(Status.ERROR, "distributions", f"no {' and no '.join(missing)}")
    return ok("paddleocr", version)


def _old_paddleocr(context: Context) -> Diagnosis:
    version = context.target.version_of("paddleocr") or "0"
    if Version(version) < Version("3.3.0"):
        return bad(Status.ERROR, "paddleocr", version, version=version)
    return ok("paddleocr", version)


def _paddlex_range(target: Target) -> str:
    """Return the paddlex range that the installed paddleocr declares."""
    lines = next((d.requires for d in target.distributions if d.name == "paddleocr"), ())
    plain = (line for line in lines if "extra ==" not in line)
    matches = (re.match(r"paddlex(?:\[[^]]*\])?\s*\(?([^);]*)", line) for line in plain)
    return next((match[1].strip() for match in matches if match), "")


def _skew(context: Context) -> Diagnosis:
    paddleocr, paddlex = (context.target.version_of(n) or "0" for n in ("paddleocr", "paddlex"))
    wanted = _paddlex_range(context.target)
    if not fits(paddlex, wanted):
        return bad(Status.ERROR, "paddlex", paddlex, paddleocr=paddleocr, paddlex=paddlex, range=wanted)
    return ok("paddlex", f"{paddlex} in {wanted}")


def _missing_of_extras(target: Target) -> list[str]:
    """Name what paddlex's extras for documents ask for and nobody installed."""
    installed = {d.name for d in target.distributions}
    lines = next((d.requires for d in target.distributions if d.name == "paddlex"), ())
    return sorted({name for line in lines for name in _wanted(line, target) if name not in installed})


def _wanted(line: str, target: Target) -> list[str]:
    if not any(f'extra == "{extra}"' in line or f"extra == '{extra}'" in line for extra in _DOC_PARSER):
        return []
    match = re.match(r"[A-Za-z0-9._-]+", line)
    name = re.sub(r"[-_.]+", "-", match[0]).lower() if match else ""
    return [name] if name and _marker_holds(line, target) else []


def _marker_holds(line: str, target: Target) -> bool:
    """Evaluate what else the marker asks, for the target's Python rather than the doctor's."""
    marker = line.partition(";")[2]
    if "python_version" not in marker:
        return True
    from packaging.markers import Marker  # noqa: PLC0415 - costs 20 ms, hardly ever needed

    environment = {"python_version": target.version.rpartition(".")[0], "python_full_version": target.version}
    return any(Marker(marker).evaluate({**environment, "extra": extra}) for extra in _DOC_PARSER)


def _doc_parser(context: Context) -> Diagnosis:
    missing = _missing_of_extras(context.target)
    if missing:
        names = ", ".join(missing)
        return bad(Status.ERROR, "paddlex[ocr,genai-client]", f"missing: {names}", missing=names)
    return ok("paddlex[ocr,genai-client]", "complete")


def _safetensors(context: Context) -> Diagnosis:
    version = context.target.version_of("safetensors")
    if version is None:
        return skipped("not installed")
    # 0.6.2.dev0 is the build that Paddle published itself before 0.7.0 (matrix.md, 2).
    if Version(version) < Version("0.7.0") and version != "0.6.2.dev0":
        return bad(Status.ERROR, "safetensors", version, version=version)
    return ok("safetensors", version)


def _dev_safetensors(context: Context) -> Diagnosis:
    """A note: Paddle's own build works, but nothing updates it and no other platform has it."""
    version = context.target.version_of("safetensors")
    if version is None:
        return skipped("not installed")
    if version == "0.6.2.dev0":
        return bad(Status.NOTE, "safetensors", version)
    return ok("safetensors", version)


def _numpy(context: Context) -> Diagnosis:
    numpy, paddlex = (context.target.version_of(n) for n in ("numpy", "paddlex"))
    if numpy is None or paddlex is None:
        return skipped("not installed")
    if Version(numpy) >= Version("2.4") and Version(paddlex) < Version("3.4.3"):
        return bad(Status.ERROR, "numpy", numpy, numpy=numpy, paddlex=paddlex)
    return ok("numpy", numpy)


def _version_set(context: Context) -> Diagnosis:
    installed = {name: context.target.version_of(name) for name in ("paddleocr", "paddlex", *_PADDLES)}
    shown = " ".join(f"{name}=={version}" for name, version in installed.items() if version)
    followed, found = context.followed, _paddle(context.target)
    if followed is None or found is None:
        return skipped(f"follows no tested set: {shown}")
    if found[1] not in followed.paddle_versions(found[0]):
        return bad(Status.NOTE, "distributions", shown, set=followed.name, differences="==".join(found))
    return ok("distributions", followed.name)


_STACK = ("no-paddleocr-installed",)
_PADDLE = ("no-paddle-installed",)

CHECKS = (
    Check("no-paddle-installed", _no_paddle, needs=("target-environment", "python-version-unsupported")),
    Check("both-paddle-dists", _both_paddles, needs=_PADDLE),
    Check("gpu-wheel-2-6-2", _old_gpu_wheel, needs=_PADDLE),
    Check("paddle-too-old-fused-import", _old_paddle, needs=(*_PADDLE, "gpu-wheel-2-6-2")),
    Check("onednn-pir-doubleattribute", _onednn, needs=_PADDLE),
    Check("setuptools-missing", _setuptools, needs=_PADDLE),
    Check(
        "no-paddleocr-installed", _no_paddleocr, needs=("target-environment", "python-version-unsupported")
    ),
    Check("paddleocr-too-old-for-vl", _old_paddleocr, needs=_STACK),
    Check("paddleocr-paddlex-skew", _skew, needs=_STACK),
    Check("missing-doc-parser-extra", _doc_parser, needs=_STACK),
    Check("safetensors-framework-paddle", _safetensors, needs=_STACK),
    Check("safetensors-dev-wheel-platform", _dev_safetensors, needs=_STACK),
    Check("numpy-2-4-scalar", _numpy, needs=_STACK),
    Check("version-set", _version_set, needs=(*_STACK, *_PADDLE)),
)
