"""Checks of the installed distributions: which are there, in which versions, and do they fit together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

from packaging.version import Version

from paddlevl_doctor.checks.base import Check, Context, Diagnosis, ok, problem, skipped
from paddlevl_doctor.checks.sources import is_cured
from paddlevl_doctor.knowledge.failures import load_failure
from paddlevl_doctor.knowledge.version_sets import fits
from paddlevl_doctor.messages import Message, message
from paddlevl_doctor.values.facts import Distribution, Host, Target
from paddlevl_doctor.values.findings import Evidence, Status

_PADDLES = ("paddlepaddle", "paddlepaddle-gpu")
# doc-parser of every paddleocr 3.3.0-3.7.0 stands for these two extras of paddlex (METADATA).
_DOC_PARSER = ("ocr", "genai-client")


def _paddle(target: Target) -> tuple[str, str] | None:
    """Return name and version of the installed paddle distribution."""
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
    if Version(version) < Version("3.1.1"):  # 3.0.0 was tried and fails, 3.1.1 has the name
        return problem(Status.ERROR, name, version, version=version)
    return ok(name, version)


def _onednn(context: Context) -> Diagnosis:
    version = context.target.version_of("paddlepaddle")
    if version is None:
        return skipped(message("evidence-no-cpu-wheel"))
    if Version(version).release[:2] != (3, 3):
        return ok("paddlepaddle", version)
    # The VL layout models are kept off oneDNN from these versions on; the other pipelines never were.
    paddlex = Version(context.target.version_of("paddlex") or "3.7.2")
    status = Status.WARNING if paddlex >= Version("3.3.9") else Status.ERROR
    return problem(status, "paddlepaddle", version, version=version)


def _setuptools(context: Context) -> Diagnosis:
    if context.target.version_of("setuptools") is None:
        return problem(
            Status.ERROR,
            "distributions",
            message("evidence-no-setuptools"),
            paddle="".join((_paddle(context.target) or ("", ""))[1]),
        )
    return ok("setuptools", context.target.version_of("setuptools"))


def _no_paddleocr(context: Context) -> Diagnosis:
    version = context.target.version_of("paddleocr")
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
    # The paddlex range that the installed paddleocr declares.
    lines = next((d.requires for d in context.target.distributions if d.name == "paddleocr"), ())
    plain = (line for line in lines if "extra ==" not in line)
    matches = (re.match(r"paddlex(?:\[[^]]*\])?\s*\(?([^);]*)", line) for line in plain)
    wanted = next((match[1].strip() for match in matches if match), "")
    if not fits(paddlex, wanted):
        return problem(Status.ERROR, "paddlex", paddlex, paddleocr=paddleocr, paddlex=paddlex, range=wanted)
    return ok("paddlex", message("evidence-in-range", version=paddlex, range=wanted))


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
    # What the extras of paddlex for documents ask for and is not installed.
    installed = {d.name for d in context.target.distributions}
    lines = next((d.requires for d in context.target.distributions if d.name == "paddlex"), ())
    missing = sorted(
        {name for line in lines for name in _wanted(line, context.target) if name not in installed}
    )
    if missing:
        names = ", ".join(missing)
        return problem(
            Status.ERROR, "paddlex[ocr,genai-client]", message("evidence-missing", names=names), missing=names
        )
    return ok("paddlex[ocr,genai-client]", message("evidence-complete"))


def _safetensors(context: Context) -> Diagnosis:
    version = context.target.version_of("safetensors")
    if version is None:
        return skipped(message("evidence-not-installed"))
    # 0.6.2.dev0 is the build that Paddle published itself before 0.7.0 (matrix.md, 2).
    if Version(version) < Version("0.7.0") and version != "0.6.2.dev0":
        return problem(Status.ERROR, "safetensors", version, version=version)
    return ok("safetensors", version)


def _dev_safetensors(context: Context) -> Diagnosis:
    """A note: Paddle's own build works, but nothing updates it and no other platform has it."""
    version = context.target.version_of("safetensors")
    if version is None:
        return skipped(message("evidence-not-installed"))
    if version == "0.6.2.dev0":
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
    shown = " ".join(f"{name}=={version}" for name, version in installed.items() if version)
    followed, found = context.followed, _paddle(context.target)
    if followed is None or found is None:
        return skipped(message("evidence-not-followed", versions=shown))
    if found[1] not in followed.paddle_versions(found[0]):
        return problem(Status.NOTE, "distributions", shown, set=followed.name, differences="==".join(found))
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


_OTHERS = ("safetensors", "numpy")
_LEFTOVERS = ("~addle", "~afetensors", "~umpy")
"""pip puts the tilde in the place of the first letter of what it is about to remove."""


def _is_ours(name: str) -> bool:
    return name.startswith("paddle") or name in _OTHERS


def _half_installed(context: Context) -> Diagnosis:
    found = tuple(_damage(context.target))
    if not found:
        return ok("distributions", message("evidence-distributions", count=len(context.target.distributions)))
    names = tuple(dict.fromkeys(name for name, _ in found))
    evidence = tuple(Evidence(name, what) for name, what in found)
    return Diagnosis(Status.ERROR, evidence, {"names": ", ".join(names)}, names)


def unusable(target: Target) -> tuple[str, ...]:
    """Return the folders in site-packages that no installer can make sense of: records of which a part is missing,
    and what a killed pip left behind of the stack. An installation over them would leave them there.
    """
    ours = (d for d in target.distributions if _is_ours(d.name) and d.path.endswith(".dist-info"))
    broken = (PurePath(d.path).name for d in ours if any(_incomplete(d)))
    return (*broken, *(name for name in target.leftovers if name.startswith(_LEFTOVERS)))


def _damage(target: Target) -> Iterator[tuple[str, Message]]:
    """Yield (distribution, what is wrong with its record)."""
    ours = [d for d in target.distributions if _is_ours(d.name) and d.path.endswith(".dist-info")]
    for (name, _), count in Counter((d.name, str(PurePath(d.path).parent)) for d in ours).items():
        if count > 1:
            versions = ", ".join(d.version for d in ours if d.name == name)
            yield name, message("evidence-dist-info-folders", count=count, versions=versions)
    for distribution in ours:
        yield from _incomplete(distribution)
    for left in target.leftovers:
        if left.startswith(_LEFTOVERS):
            yield left, message("evidence-left-by-pip")


def _incomplete(distribution: Distribution) -> Iterator[tuple[str, Message]]:
    if not distribution.has_record and not distribution.editable:
        yield distribution.name, message("evidence-no-record")
    if not distribution.has_metadata:
        yield distribution.name, message("evidence-no-metadata")


DISTRIBUTIONS_CHECKS = (Check("half-installed-dist", _half_installed, needs=("target-environment",)),)


_LINE = re.compile(r"(nvidia-[A-Za-z0-9._-]+)\s*\(?\s*([=<>!~][^;)]*)?")
_MARKER = re.compile(r"""(platform_system|platform_machine|sys_platform)\s*==\s*['"](\w+)['"]""")
_LINE_OF_CUDA = re.compile(r"-cu\d+$")
_NAMES = {"windows": ("windows", "win32"), "macos": ("darwin",), "linux": ("linux",)}
# `Host` folds the names that systems give to one processor; a marker has whichever its system uses.
_MACHINES = {"x86_64": ("x86_64", "amd64"), "aarch64": ("aarch64", "arm64")}


@dataclass(frozen=True)
class Pin:
    """One requirement on an NVIDIA package, and the version that is installed (None: absent)."""

    name: str
    specifier: str
    installed: str | None

    @property
    def exact(self) -> str | None:
        """The one version that is asked for, None where several would do."""
        return self.specifier[2:].strip() if re.fullmatch(r"==[^=,*]+", self.specifier) else None

    @property
    def broken(self) -> bool:
        """Whether the package is there in a version that is not asked for."""
        return self.installed is not None and not fits(self.installed, self.specifier)


def pins(target: Target, distribution: str, host: Host) -> tuple[Pin, ...]:
    """Return what the METADATA of a distribution asks for on this system and processor."""
    lines = next((d.requires for d in target.distributions if d.name == distribution), ())
    found = [match for line in lines if _is_for(line, host) and (match := _LINE.match(line))]
    return tuple(_pin(target, match[1], (match[2] or "").strip()) for match in found)


def published(lines: Sequence[str]) -> tuple[Pin, ...]:
    """Return what lines of a published METADATA ask for, without looking at an environment."""
    found = [match for line in lines if (match := _LINE.match(line))]
    return tuple(Pin(_normal(match[1]), (match[2] or "").strip(), None) for match in found)


def conflicts(mine: Sequence[Pin], others: Sequence[Pin]) -> tuple[tuple[Pin, Pin], ...]:
    """Return what both ask for in exact versions that exclude each other, as (mine, the other's)."""
    pairs = ((one, other) for one in mine for other in others if one.exact and other.exact)
    return tuple((one, other) for one, other in pairs if _exclude(one, other))


def _exclude(one: Pin, other: Pin) -> bool:
    if one.name == other.name:
        return Version(one.exact or "") != Version(other.exact or "")
    return _same_files((one.name, one.exact or ""), (other.name, other.exact or ""))


def rivals(target: Target, wanted: Sequence[Pin]) -> tuple[tuple[Pin, Distribution], ...]:
    """Return the installed packages of another CUDA line whose files lie where those of a pin belong."""
    nvidia = [d for d in target.distributions if d.name.startswith("nvidia-")]
    pairs = ((pin, d) for pin in wanted if pin.installed for d in nvidia)
    return tuple(
        (pin, d) for pin, d in pairs if _same_files((pin.name, pin.installed or ""), (d.name, d.version))
    )


def _same_files(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Compare (name, version): nvidia-nccl-cu12 and nvidia-nccl-cu13 both hold nvidia/nccl/lib/libnccl.so.2.

    All lines of a library share one folder, and the major version stands in the names of its files (seen in
    RECORD of nvidia-nccl-cu12 2.27.3, nvidia-nccl-cu13 2.32.3, nvidia-nvtx-cu11 11.8 and nvidia-nvtx-cu12 12.9).
    """
    libraries = {_LINE_OF_CUDA.sub("", name) for name, _ in (one, other)}
    majors = {version.partition(".")[0] for _, version in (one, other)}
    return one[0] != other[0] and len(libraries) == 1 and len(majors) == 1


def _pin(target: Target, name: str, specifier: str) -> Pin:
    normal = _normal(name)
    return Pin(normal, specifier, target.version_of(normal))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _is_for(line: str, host: Host) -> bool:
    """Read the only markers that such lines have: the system and the machine (METADATA of torch and of Paddle)."""
    marker = line.partition(";")[2]
    system = _NAMES.get(host.system, (host.system,))
    here = {"platform_machine": _MACHINES.get(host.machine, (host.machine,))}
    named = _MARKER.findall(marker)
    return "extra ==" not in marker and all(value.lower() in here.get(key, system) for key, value in named)


_SERVERS = ("vllm", "sglang")
_CAPABILITY = Version("8.0")


def _nvidia(context: Context) -> Diagnosis:
    version = context.target.version_of("paddlepaddle-gpu")
    if version is None:
        return skipped(message("evidence-no-names", names="paddlepaddle-gpu"))
    wanted = pins(context.target, "paddlepaddle-gpu", context.facts.host)
    broken = [pin for pin in wanted if pin.broken and not _is_the_one_it_was_built_with(context, pin)]
    replaced = rivals(context.target, wanted)
    if not broken and not replaced:
        return ok("paddlepaddle-gpu", version)
    names = ", ".join(dict.fromkeys(pin.name for pin in (*broken, *(pin for pin, _ in replaced))))
    shared = (
        Evidence(d.name, message("evidence-same-files", version=d.version, name=pin.name))
        for pin, d in replaced
    )
    return Diagnosis(Status.WARNING, (*_shown(broken), *shared), {"names": names})


def _is_the_one_it_was_built_with(context: Context, pin: Pin) -> bool:
    """Some wheels are built with cuDNN 9.9 and ask for 9.5: who installed what it was built with is right."""
    build = context.target.paddle
    compiled = build.cudnn if build is not None and pin.name.startswith("nvidia-cudnn") else None
    return bool(compiled and pin.installed and pin.installed.split(".")[:2] == compiled.split(".")[:2])


def _torch_on_linux(context: Context) -> Diagnosis:
    system, version = context.facts.host.system, context.target.version_of("torch")
    if version is None or system != "linux":
        return skipped(
            message("evidence-no-torch-here", system=system) if version is None else f"{system}, torch"
        )
    if is_cured(load_failure("linux-torch-import-breaks-paddlex"), context):
        return ok("torch", message("evidence-patched", version=version))
    wanted = pins(context.target, "torch", context.facts.host)
    broken = [pin for pin in wanted if pin.broken or pin.installed is None]
    return Diagnosis(Status.WARNING, _shown(broken)) if broken else ok("torch", version)


def _shown(broken: Sequence[Pin]) -> tuple[Evidence, ...]:
    return tuple(Evidence(pin.name, _wanted_version(pin)) for pin in broken)


def _wanted_version(pin: Pin) -> Message:
    if pin.installed is None:
        return message("evidence-absent-wanted", wanted=pin.specifier)
    return message("evidence-wanted", version=pin.installed, wanted=pin.specifier)


def _torch_on_windows(context: Context) -> Diagnosis:
    target, system = context.target, context.facts.host.system
    torch, paddle = target.version_of("torch"), target.version_of("paddlepaddle-gpu")
    if system != "windows" or torch is None or paddle is None:
        absent = message("evidence-absent")
        return skipped(
            message(
                "evidence-torch-and-paddle", system=system, torch=torch or absent, paddle=paddle or absent
            )
        )
    # A torch for the CPU has no cuDNN: it fails only in programs that import paddle before paddlex does torch.
    cudnn = _cudnn_of_torch(context)
    plain = torch.endswith("+cpu") if cudnn is None else not cudnn
    found = problem(
        Status.NOTE if plain else Status.WARNING, "distributions", f"torch {torch}, paddlepaddle-gpu {paddle}"
    )
    return replace(found, evidence=(*found.evidence, *(Evidence("torch\\lib", name) for name in cudnn or ())))


def _cudnn_of_torch(context: Context) -> tuple[str, ...] | None:
    """Name the cuDNN that lies in torch's own folder, None where that was not looked at.

    The versions that the default index has for Windows are for the CPU, and do not say so in their metadata.
    """
    if context.facts.dlls is None:
        return None
    names = (name for folder in context.facts.dlls if folder.role == "torch" for name in folder.names)
    return tuple(name for name in names if name.lower().startswith("cudnn64_"))


def _installed_servers(target: Target) -> dict[str, str]:
    versions = {name: target.version_of(name) for name in _SERVERS}
    return {name: version for name, version in versions.items() if version is not None}


def _server_beside(context: Context) -> Diagnosis:
    """A warning where METADATA proves that paddle and a server, or its torch, want different versions."""
    target, host = context.target, context.facts.host
    servers, paddle = _installed_servers(target), target.version_of("paddlepaddle-gpu")
    if not servers or paddle is None:
        return skipped(message("evidence-no-server-beside-paddle"))
    theirs = [pin for name in (*servers, "torch") for pin in pins(target, name, host)]
    clashes = conflicts(pins(target, "paddlepaddle-gpu", host), theirs)
    shown = ", ".join(f"{name} {version}" for name, version in servers.items())
    if not clashes:
        return ok("distributions", f"{shown}, paddlepaddle-gpu {paddle}")
    evidence = (
        Evidence(mine.name, message("evidence-or", one=mine.exact, other=_label(mine, other)))
        for mine, other in clashes
    )
    return Diagnosis(Status.WARNING, tuple(dict.fromkeys(evidence)), {"names": shown})


def _label(mine: Pin, other: Pin) -> str:
    return str(other.exact) if mine.name == other.name else f"{other.name} {other.exact}"


def _server_here(context: Context) -> Diagnosis:
    servers, host = _installed_servers(context.target), context.facts.host
    if not servers:
        return skipped(message("evidence-no-server"))
    names = ", ".join(servers)
    if host.system != "linux":
        return problem(Status.WARNING, "system", host.system, names=names, why=host.system)
    if not context.gpus:
        return skipped(message("evidence-no-nvidia-gpu"))
    weak = [g for g in context.gpus if Version(g.compute_capability) < _CAPABILITY]
    if weak and len(weak) == len(context.gpus):
        why = f"{weak[0].name} ({weak[0].compute_capability})"
        return problem(Status.WARNING, "NVML", why, names=names, why=why)
    return ok("distributions", names)


_COMPANIONS_STACK = ("target-environment",)

COMPANIONS_CHECKS = (
    Check("nvidia-wheel-mismatch", _nvidia, needs=_COMPANIONS_STACK),
    Check("linux-torch-import-breaks-paddlex", _torch_on_linux, needs=_COMPANIONS_STACK),
    Check("windows-torch-dll-clash", _torch_on_windows, needs=_COMPANIONS_STACK),
    Check("vllm-same-env-conflict", _server_beside, needs=_COMPANIONS_STACK),
    Check("vllm-platform-and-cc", _server_here, needs=_COMPANIONS_STACK),
)
