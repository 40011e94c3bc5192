"""Checks of the installed distributions: whether they are complete, and whether their versions fit together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import PurePath

from packaging.version import Version

from paddlevl_doctor.checks.base import Check, Context, Diagnosis, ok, problem, skipped
from paddlevl_doctor.checks.requirements import (
    DOC_PARSER_EXTRAS,
    ROOTS,
    holds,
    marker_environment,
    normalised,
    parse,
    requirements,
)
from paddlevl_doctor.checks.sources import is_cured
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.knowledge.failures import load_failure
from paddlevl_doctor.knowledge.version_sets import fits
from paddlevl_doctor.messages import Message, message
from paddlevl_doctor.values.facts import Distribution, Host, SuspectFile, Target
from paddlevl_doctor.values.findings import Evidence, Status

_PADDLES = ("paddlepaddle", "paddlepaddle-gpu")


def _paddle(target: Target) -> tuple[str, str] | None:
    """Return the name and version of the installed paddle distribution."""
    return next(((name, v) for name in _PADDLES for v in target.versions_of(name)), None)


def _no_paddle(context: Context) -> Diagnosis:
    found = _paddle(context.target)
    if found is None:
        return problem(Status.ERROR, "distributions", message("evidence-neither-paddle"))
    return ok("distributions", "==".join(found))


def _both_paddles(context: Context) -> Diagnosis:
    cpu, gpu = (context.target.version_of(name) for name in _PADDLES)
    if cpu and gpu:
        return problem(
            Status.ERROR, "distributions", f"paddlepaddle=={cpu} paddlepaddle-gpu=={gpu}", cpu=cpu, gpu=gpu
        )
    return ok("distributions", cpu or gpu)


def _old_gpu_wheel(context: Context) -> Diagnosis:
    version = context.target.version_of("paddlepaddle-gpu")
    if version is None:
        return skipped(message("evidence-no-names", names="paddlepaddle-gpu"))
    if Version(version) < Version("3.0"):
        return problem(Status.ERROR, "paddlepaddle-gpu", version, version=version)
    return ok("paddlepaddle-gpu", version)


def _old_paddle(context: Context) -> Diagnosis:
    name, version = _paddle(context.target) or ("", "0")
    if Version(version) < Version(
        "3.1.1"
    ):  # the import fails with 3.0.0 (tested); 3.1.1 has the imported name
        return problem(Status.ERROR, name, version, version=version)
    return ok(name, version)


def _onednn(context: Context) -> Diagnosis:
    version = context.target.version_of("paddlepaddle")
    if version is None:
        return skipped(message("evidence-no-cpu-wheel"))
    if Version(version).release[:2] != (3, 3):
        return ok("paddlepaddle", version)
    # From 3.3.9 on paddlex runs the VL layout models without oneDNN; the other pipelines still use it.
    paddlex = Version(context.target.version_of("paddlex") or "3.7.2")
    status = Status.WARNING if paddlex >= Version("3.3.9") else Status.ERROR
    return problem(status, "paddlepaddle", version, version=version)


def _setuptools(context: Context) -> Diagnosis:
    version = context.target.version_of("setuptools")
    if version is None:
        _, paddle = _paddle(context.target) or ("", "")
        return problem(Status.ERROR, "distributions", message("evidence-no-setuptools"), paddle=paddle)
    return ok("setuptools", version)


def _no_paddleocr(context: Context) -> Diagnosis:
    version = context.target.version_of("paddleocr")
    if version is not None and Version(version) < Version("3"):  # it needs no paddlex, and is another finding
        return ok("paddleocr", version)
    if version is None or context.target.version_of("paddlex") is None:
        missing = [n for n in ("paddleocr", "paddlex") if context.target.version_of(n) is None]
        return problem(Status.ERROR, "distributions", message("evidence-no-names", names=missing))
    return ok("paddleocr", version)


def _old_paddleocr(context: Context) -> Diagnosis:
    version = context.target.version_of("paddleocr") or "0"
    if Version(version) < Version("3.3.0"):
        return problem(Status.ERROR, "paddleocr", version, version=version)
    return ok("paddleocr", version)


def _skew(context: Context) -> Diagnosis:
    paddleocr, paddlex = (context.target.version_of(n) or "0" for n in ("paddleocr", "paddlex"))
    unconditional = (line for line in _requirements(context.target, "paddleocr") if "extra ==" not in line)
    matches = (re.match(r"paddlex(?:\[[^]]*\])?\s*\(?([^);]*)", line) for line in unconditional)
    declared = next((match[1].strip() for match in matches if match), "")
    if not fits(paddlex, declared):
        return problem(Status.ERROR, "paddlex", paddlex, paddleocr=paddleocr, paddlex=paddlex, range=declared)
    return ok("paddlex", message("evidence-in-range", version=paddlex, range=declared))


def _requirements(target: Target, name: str) -> tuple[str, ...]:
    """Return the Requires-Dist lines of an installed distribution, nothing if it is not installed."""
    return next((d.requires for d in target.distributions if d.name == name), ())


def _doc_parser(context: Context) -> Diagnosis:
    target, source = context.target, "paddlex[ocr,genai-client]"
    environment = marker_environment(context.facts.host, target)
    lines = map(parse, _requirements(target, "paddlex"))
    required = {
        one.name
        for one in lines
        if "extra" in one.marker and holds(one.marker, environment, DOC_PARSER_EXTRAS)
    }
    missing = sorted(required - {distribution.name for distribution in target.distributions})
    if missing:
        names = ", ".join(missing)
        return problem(Status.ERROR, source, message("evidence-missing", names=names), missing=names)
    return ok(source, message("evidence-complete"))


_PADDLE_SAFETENSORS = "0.6.2.dev0"
"""The build that Paddle nvidia_pins before safetensors 0.7.0 (matrix.md, 2)."""


def _safetensors(context: Context) -> Diagnosis:
    version = context.target.version_of("safetensors")
    if version is None:
        return skipped(message("evidence-not-installed"))
    if Version(version) < Version("0.7.0") and version != _PADDLE_SAFETENSORS:
        return problem(Status.ERROR, "safetensors", version, version=version)
    return ok("safetensors", version)


def _dev_safetensors(context: Context) -> Diagnosis:
    """Report a note: Paddle's own build works, but it gets no updates and exists for one platform only."""
    version = context.target.version_of("safetensors")
    if version is None:
        return skipped(message("evidence-not-installed"))
    if version == _PADDLE_SAFETENSORS:
        return problem(Status.NOTE, "safetensors", version)
    return ok("safetensors", version)


def _numpy(context: Context) -> Diagnosis:
    numpy, paddlex = (context.target.version_of(n) for n in ("numpy", "paddlex"))
    if numpy is None or paddlex is None:
        return skipped(message("evidence-not-installed"))
    if Version(numpy) >= Version("2.4") and Version(paddlex) < Version("3.4.3"):
        return problem(Status.ERROR, "numpy", numpy, numpy=numpy, paddlex=paddlex)
    return ok("numpy", numpy)


def _version_set(context: Context) -> Diagnosis:
    installed = {name: context.target.version_of(name) for name in ("paddleocr", "paddlex", *_PADDLES)}
    versions = " ".join(f"{name}=={version}" for name, version in installed.items() if version)
    followed, paddle = context.followed, _paddle(context.target)
    if followed is None or paddle is None:
        return skipped(message("evidence-not-followed", versions=versions))
    if paddle[1] not in followed.paddle_versions(paddle[0]):
        difference = "==".join(paddle)
        return problem(Status.NOTE, "distributions", versions, set=followed.name, differences=difference)
    return ok("distributions", followed.name)


_MAX_PATHS = 4
"""The missing paths that are named for a distribution."""
_LEFTOVERS = ("~addle", "~afetensors", "~umpy")
"""pip replaces the first letter of a folder that it is removing with a tilde."""


def _half_installed(context: Context) -> Diagnosis:
    damage = [*_damage(context.target), *_damaged_files(context.facts.suspect_files)]
    damage += _missing_code(context)
    if damage:  # alone, what pip left does no harm: see pip-leftovers
        damage += _leftovers(context.target)
    if not damage:
        return ok("distributions", message("evidence-distributions", count=len(context.target.distributions)))
    names = tuple(dict.fromkeys(name for name, _ in damage))
    evidence = tuple(Evidence(name, reason) for name, reason in damage)
    return Diagnosis(Status.ERROR, evidence, {"names": ", ".join(names)}, names)


def unusable(target: Target) -> tuple[str, ...]:
    """Return the folders in site-packages that an installation would not replace.

    These are dist-info folders without RECORD or METADATA, and folders that a killed pip left behind.
    """
    stack = (d for d in _stack_distributions(target) if d.in_target)
    broken = (PurePath(d.path).name for d in stack if any(_incomplete(d)))
    return (*broken, *(name for name in target.leftovers if name.startswith(_LEFTOVERS)))


def _stack_distributions(target: Target) -> list[Distribution]:
    """Return the distributions of the PaddleOCR-VL stack that have a dist-info folder."""
    return [
        d
        for d in target.distributions
        if (d.name.startswith("paddle") or d.name in ("safetensors", "numpy"))
        and d.path.endswith(".dist-info")
    ]


def _damage(target: Target) -> Iterator[tuple[str, Message]]:
    """Yield the name of each damaged distribution, and the reason."""
    distributions = _stack_distributions(target)
    for (name, _), count in Counter((d.name, str(PurePath(d.path).parent)) for d in distributions).items():
        if count > 1:
            versions = ", ".join(d.version for d in distributions if d.name == name)
            yield name, message("evidence-dist-info-folders", count=count, versions=versions)
    for distribution in distributions:
        yield from _incomplete(distribution)


def _leftovers(target: Target) -> Iterator[tuple[str, Message]]:
    for leftover in target.leftovers:
        if leftover.startswith(_LEFTOVERS):
            yield leftover, message("evidence-left-by-pip")


def _damaged_files(files: Sequence[SuspectFile]) -> Iterator[tuple[str, Message]]:
    """Yield the owner of each deciding file that is missing or cut, and the reason; several owners overlap."""
    for file in files:
        owners = tuple(file.claims)
        if len(owners) == 1 and file.size is None:
            yield owners[0], message("evidence-missing", names=file.path)
        elif len(owners) == 1:
            sizes = {"size": file.size, "recorded": file.claims[owners[0]]}
            yield owners[0], message("evidence-cut", path=file.path, **sizes)


def _missing_code(context: Context) -> list[tuple[str, Message]]:
    """Return each distribution that the stack requires and that lacks modules, packages or libraries, and which."""
    missing = context.target.missing_code
    if not missing:
        return []
    named = {file.path for file in context.facts.suspect_files}
    required = {one.name for _, one in requirements(context.facts.host, context.target)}
    needed = {name for name, _ in ROOTS} | required
    lacking: dict[str, list[str]] = {}
    for code in missing:
        if code.distribution in needed and not any(f"{path}/".startswith(f"{code.path}/") for path in named):
            lacking.setdefault(code.distribution, []).append(code.path)
    return [(name, message("evidence-missing", names=_shortened(paths))) for name, paths in lacking.items()]


def _shortened(paths: Sequence[str]) -> str:
    return ", ".join(paths[:_MAX_PATHS]) + (" …" if len(paths) > _MAX_PATHS else "")


def _incomplete(distribution: Distribution) -> Iterator[tuple[str, Message]]:
    if not distribution.has_record and not distribution.editable:
        yield distribution.name, message("evidence-no-record")
    if not distribution.has_metadata:
        yield distribution.name, message("evidence-no-metadata")


_STACK = ("no-paddleocr-installed", "paddleocr-too-old-for-vl")
_PADDLE = ("no-paddle-installed",)
_TARGET = ("target-environment",)

CHECKS = (
    Check("half-installed-dist", _half_installed, needs=_TARGET),
    Check("no-paddle-installed", _no_paddle, needs=(*_TARGET, "python-version-unsupported")),
    Check("both-paddle-dists", _both_paddles, needs=_PADDLE),
    Check("gpu-wheel-2-6-2", _old_gpu_wheel, needs=_PADDLE),
    Check("paddle-too-old-fused-import", _old_paddle, needs=(*_PADDLE, "gpu-wheel-2-6-2")),
    Check("onednn-pir-doubleattribute", _onednn, needs=_PADDLE),
    Check("setuptools-missing", _setuptools, needs=_PADDLE),
    Check("no-paddleocr-installed", _no_paddleocr, needs=(*_TARGET, "python-version-unsupported")),
    Check("paddleocr-too-old-for-vl", _old_paddleocr, needs=_STACK[:1]),
    Check("paddleocr-paddlex-skew", _skew, needs=_STACK),
    Check("missing-doc-parser-extra", _doc_parser, needs=_STACK),
    Check("safetensors-framework-paddle", _safetensors, needs=_STACK),
    Check("safetensors-dev-wheel-platform", _dev_safetensors, needs=_STACK),
    Check("numpy-2-4-scalar", _numpy, needs=_STACK),
    Check("version-set", _version_set, needs=(*_STACK, *_PADDLE)),
)


# --- packages that are installed beside paddle: NVIDIA's libraries, torch, servers -------------------------

_NVIDIA_REQUIREMENT = re.compile(r"(nvidia-[A-Za-z0-9._-]+)\s*\(?\s*([=<>!~][^;)]*)?")
_MARKER = re.compile(r"""(platform_system|platform_machine|sys_platform)\s*==\s*['"](\w+)['"]""")
_CUDA_SUFFIX = re.compile(r"-cu\d+$")
# The names in markers for the normalised names in `Host`: markers use the name that the system itself reports.
_SYSTEMS = {"windows": ("windows", "win32"), "macos": ("darwin",), "linux": ("linux",)}
_MACHINES = {"x86_64": ("x86_64", "amd64"), "aarch64": ("aarch64", "arm64")}


@dataclass(frozen=True)
class Pin:
    """One requirement on an NVIDIA package, and the installed version (None: not installed)."""

    name: str
    specifier: str
    installed: str | None

    @property
    def exact(self) -> str | None:
        """The required version if the specifier allows exactly one, else None."""
        return self.specifier[2:].strip() if re.fullmatch(r"==[^=,*]+", self.specifier) else None

    @property
    def broken(self) -> bool:
        """Whether an installed version is outside the specifier."""
        return self.installed is not None and not fits(self.installed, self.specifier)


def pins(target: Target, distribution: str, host: Host) -> tuple[Pin, ...]:
    """Return the NVIDIA packages that an installed distribution requires on this system and processor."""
    lines = [line for line in _requirements(target, distribution) if _marker_applies(line, host)]
    return tuple(replace(pin, installed=target.version_of(pin.name)) for pin in nvidia_pins(lines))


def nvidia_pins(lines: Sequence[str]) -> tuple[Pin, ...]:
    """Return the NVIDIA packages that Requires-Dist lines name, all of them as not installed."""
    matches = [match for line in lines if (match := _NVIDIA_REQUIREMENT.match(line))]
    return tuple(Pin(normalised(match[1]), (match[2] or "").strip(), None) for match in matches)


def conflicts(pins: Sequence[Pin], others: Sequence[Pin]) -> tuple[tuple[Pin, Pin], ...]:
    """Return the pairs of exact pins that cannot both be installed."""
    pairs = ((pin, other) for pin in pins for other in others if pin.exact and other.exact)
    return tuple((pin, other) for pin, other in pairs if _exclude(pin, other))


def _exclude(pin: Pin, other: Pin) -> bool:
    if pin.name == other.name:
        return Version(pin.exact or "") != Version(other.exact or "")
    return _same_files((pin.name, pin.exact or ""), (other.name, other.exact or ""))


def _same_files(package: tuple[str, str], other: tuple[str, str]) -> bool:
    """Return whether two packages, given as (name, version), contain files with the same paths.

    nvidia-nccl-cu12 and nvidia-nccl-cu13 both contain nvidia/nccl/lib/libnccl.so.2: the packages of a library share
    one folder, and the file names contain the major version (RECORD of nvidia-nccl-cu12 2.27.3, nvidia-nccl-cu13
    2.32.3, nvidia-nvtx-cu11 11.8 and nvidia-nvtx-cu12 12.9).
    """
    libraries = {_CUDA_SUFFIX.sub("", name) for name, _ in (package, other)}
    majors = {version.partition(".")[0] for _, version in (package, other)}
    return package[0] != other[0] and len(libraries) == 1 and len(majors) == 1


def _marker_applies(line: str, host: Host) -> bool:
    """Evaluate the markers for system and machine; METADATA of torch and Paddle has no others on NVIDIA packages."""
    marker = line.partition(";")[2]
    system = _SYSTEMS.get(host.system, (host.system,))
    values = {"platform_machine": _MACHINES.get(host.machine, (host.machine,))}
    conditions = _MARKER.findall(marker)
    return "extra ==" not in marker and all(
        value.lower() in values.get(name, system) for name, value in conditions
    )


_SERVERS = ("vllm", "sglang")
_SERVER_CAPABILITY = Version("8.0")


def _nvidia(context: Context) -> Diagnosis:
    version = context.target.version_of("paddlepaddle-gpu")
    if version is None:
        return skipped(message("evidence-no-names", names="paddlepaddle-gpu"))
    required = pins(context.target, "paddlepaddle-gpu", context.facts.host)
    broken = [pin for pin in required if pin.broken and not _is_build_cudnn(context, pin)]
    nvidia = [d for d in context.target.distributions if d.name.startswith("nvidia-")]
    pairs = ((pin, d) for pin in required if pin.installed for d in nvidia)
    overwriting = tuple(
        (pin, d) for pin, d in pairs if _same_files((pin.name, pin.installed or ""), (d.name, d.version))
    )
    if not broken and not overwriting:
        return ok("paddlepaddle-gpu", version)
    names = ", ".join(dict.fromkeys(pin.name for pin in (*broken, *(pin for pin, _ in overwriting))))
    shared = (
        Evidence(d.name, message("evidence-same-files", version=d.version, name=pin.name))
        for pin, d in overwriting
    )
    return Diagnosis(Status.WARNING, (*_pin_evidence(broken), *shared), {"names": names})


def _is_build_cudnn(context: Context, pin: Pin) -> bool:
    """Return whether the cuDNN that paddle was built with is installed: some wheels use 9.9 but require 9.5."""
    build = context.target.paddle
    compiled = build.cudnn if build is not None and pin.name.startswith("nvidia-cudnn") else None
    return bool(compiled and pin.installed and pin.installed.split(".")[:2] == compiled.split(".")[:2])


def _torch_on_linux(context: Context) -> Diagnosis:
    system, version = context.facts.host.system, context.target.version_of("torch")
    if version is None or system != "linux":
        no_torch = message("evidence-no-torch-here", system=system)
        return skipped(no_torch if version is None else f"{system}, torch")
    if is_cured(load_failure("linux-torch-import-breaks-paddlex"), context):
        return ok("torch", message("evidence-patched", version=version))
    required = pins(context.target, "torch", context.facts.host)
    broken = [pin for pin in required if pin.broken or pin.installed is None]
    return Diagnosis(Status.WARNING, _pin_evidence(broken)) if broken else ok("torch", version)


def _pin_evidence(broken: Sequence[Pin]) -> tuple[Evidence, ...]:
    return tuple(
        Evidence(
            pin.name,
            message("evidence-absent-wanted", wanted=pin.specifier)
            if pin.installed is None
            else message("evidence-wanted", version=pin.installed, wanted=pin.specifier),
        )
        for pin in broken
    )


def _torch_on_windows(context: Context) -> Diagnosis:
    target, system = context.target, context.facts.host.system
    torch, paddle = target.version_of("torch"), target.version_of("paddlepaddle-gpu")
    if system != "windows" or torch is None or paddle is None:
        absent = message("evidence-absent")
        versions = {"torch": torch or absent, "paddle": paddle or absent}
        return skipped(message("evidence-torch-and-paddle", system=system, **versions))
    # A CPU build of torch has no cuDNN: it fails only if a program imports paddle before paddlex imports torch.
    cudnn = _torch_cudnn_dlls(context)
    is_cpu_build = torch.endswith("+cpu") if cudnn is None else not cudnn
    status = Status.NOTE if is_cpu_build else Status.WARNING
    versions_evidence = Evidence("distributions", f"torch {torch}, paddlepaddle-gpu {paddle}")
    return Diagnosis(status, (versions_evidence, *(Evidence("torch\\lib", name) for name in cudnn or ())))


def _torch_cudnn_dlls(context: Context) -> tuple[str, ...] | None:
    """Return the cuDNN DLLs in torch's folder, None if the DLL folders were not collected.

    The version string is not enough: the default index has CPU builds for Windows without the suffix +cpu.
    """
    if context.facts.dlls is None:
        return None
    names = (name for folder in context.facts.dlls if folder.role == "torch" for name in folder.names)
    return tuple(name for name in names if name.lower().startswith("cudnn64_"))


def _installed_servers(target: Target) -> dict[str, str]:
    versions = {name: target.version_of(name) for name in _SERVERS}
    return {name: version for name, version in versions.items() if version is not None}


def _server_beside(context: Context) -> Diagnosis:
    """Report a warning if METADATA of paddle and of a server or its torch require conflicting versions."""
    target, host = context.target, context.facts.host
    servers, paddle = _installed_servers(target), target.version_of("paddlepaddle-gpu")
    if not servers or paddle is None:
        return skipped(message("evidence-no-server-beside-paddle"))
    server_pins = [pin for name in (*servers, "torch") for pin in pins(target, name, host)]
    pairs = conflicts(pins(target, "paddlepaddle-gpu", host), server_pins)
    names = ", ".join(f"{name} {version}" for name, version in servers.items())
    if not pairs:
        return ok("distributions", f"{names}, paddlepaddle-gpu {paddle}")
    evidence = dict.fromkeys(_conflict_evidence(pin, other) for pin, other in pairs)
    return Diagnosis(Status.WARNING, tuple(evidence), {"names": names})


def _conflict_evidence(pin: Pin, other: Pin) -> Evidence:
    version = str(other.exact) if pin.name == other.name else f"{other.name} {other.exact}"
    return Evidence(pin.name, message("evidence-or", one=pin.exact, other=version))


def _server_platform(context: Context) -> Diagnosis:
    servers, host = _installed_servers(context.target), context.facts.host
    if not servers:
        return skipped(message("evidence-no-server"))
    names = ", ".join(servers)
    if host.system != "linux":
        return problem(Status.WARNING, "system", host.system, names=names, why=host.system)
    if not context.gpus:
        return skipped(message("evidence-no-nvidia-gpu"))
    weak = [g for g in context.gpus if Version(g.compute_capability) < _SERVER_CAPABILITY]
    if weak and len(weak) == len(context.gpus):
        why = f"{weak[0].name} ({weak[0].compute_capability})"
        return problem(Status.WARNING, "NVML", why, names=names, why=why)
    return ok("distributions", names)


COMPANION_CHECKS = (
    Check("nvidia-wheel-mismatch", _nvidia, needs=_TARGET),
    Check("linux-torch-import-breaks-paddlex", _torch_on_linux, needs=_TARGET),
    Check("windows-torch-dll-clash", _torch_on_windows, needs=_TARGET),
    Check("vllm-same-env-conflict", _server_beside, needs=_TARGET),
    Check("vllm-platform-and-cc", _server_platform, needs=_TARGET),
)
