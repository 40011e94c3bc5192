"""Checks of paddlex's own source files and of the pipeline files: defects that a patch cures."""

from __future__ import annotations

from functools import partial

from packaging.version import Version

from paddlevl_doctor.checks.base import Check, Context, Diagnosis, applicability, ok, problem, skipped
from paddlevl_doctor.knowledge.failures import Failure, load_failure
from paddlevl_doctor.knowledge.patches import PatchState, find_patch, load_patches, state_of
from paddlevl_doctor.messages import Message, message
from paddlevl_doctor.values.facts import PatchedFile
from paddlevl_doctor.values.findings import Evidence, Status


def patch_states(context: Context, patch_id: str) -> dict[PatchedFile, PatchState]:
    """Return the state of every file of a patch in this target."""
    patch = find_patch(patch_id)
    files = {file.path: file for file in patch.files}
    version = context.target.version_of("paddlex") or ""
    seen = (f for f in context.facts.patched_files if f.patch == patch_id)
    return {f: state_of(files[f.path], f.sha256, version) for f in seen}


def is_cured(failure: Failure, context: Context) -> bool:
    """Say whether the patch that cures a failure is in place, which no version tells."""
    patch = failure.cure.patch
    states = set(patch_states(context, patch).values()) if patch is not None else set()
    return states == {PatchState.PATCHED}


def _by_patch(context: Context, patch_id: str, when_pristine: Status) -> Diagnosis:
    """Judge a defect by the state of the files that its patch changes."""
    paddlex = context.target.version_of("paddlex")
    states = patch_states(context, patch_id)
    shown = tuple(Evidence(f.path, state.value) for f, state in states.items())
    found = set(states.values())
    if PatchState.PRISTINE in found:
        return Diagnosis(when_pristine, shown, {"paddlex": paddlex})
    if found <= {PatchState.PATCHED}:
        return Diagnosis(Status.OK, shown)
    return Diagnosis(Status.NOTE, shown, {"paddlex": paddlex})


def _doc_preprocessor(context: Context) -> Diagnosis:
    return _by_patch(context, "doc-preprocessor-defaults", Status.WARNING)


def _doc_preprocessor_wrapper(context: Context) -> Diagnosis:
    version = context.target.version_of("paddleocr") or "0"
    if Version(version) == Version("3.3.0"):
        return problem(Status.WARNING, "paddleocr", version, version=version)
    return ok("paddleocr", version)


def _cuda_major(context: Context) -> int:
    build = context.target.paddle
    return int(build.cuda.partition(".")[0]) if build is not None and build.cuda else 0


def _cuda(context: Context) -> int | Message:
    return _cuda_major(context) or message("evidence-none")


def _windows_kernel(context: Context) -> Diagnosis:
    host = context.facts.host
    if host.system != "windows" or _cuda_major(context) < 12 or not context.gpus:  # noqa: PLR2004
        return skipped(message("evidence-system-cuda", system=host.system, cuda=_cuda(context)))
    # One thread reports it and nobody could reproduce it yet: a warning, not an error.
    return _by_patch(context, "fuse-rms-norm", Status.WARNING)


def _cpu_kernel(context: Context) -> Diagnosis:
    paddlex = Version(context.target.version_of("paddlex") or "0")
    if _cuda_major(context) < 12 or context.gpus:  # noqa: PLR2004
        return skipped(message("evidence-cuda-gpus", cuda=_cuda(context), count=len(context.gpus)))
    if paddlex >= Version("3.3.6"):  # from here on the device is asked, not the wheel alone
        return ok("paddlex", paddlex)
    return _by_patch(context, "fuse-rms-norm", Status.ERROR)


def _patch_lost(context: Context) -> Diagnosis:
    """A note: what a missing patch means is said by the finding that it cures."""
    known = {patch.id for patch in load_patches()}
    applied = [name for name in context.facts.applied_patches if name in known]
    if not applied:
        return skipped(message("evidence-no-patch-applied"))
    states = {name: set(patch_states(context, name).values()) for name in applied}
    lost = [name for name in applied if not states[name] <= {PatchState.PATCHED, PatchState.OLDER}]
    if not lost:
        return ok("journal", ", ".join(applied))
    evidence = tuple(Evidence(name, ", ".join(sorted(s.value for s in states[name]))) for name in lost)
    return Diagnosis(Status.NOTE, evidence, {"names": ", ".join(lost)})


def _pipelines_link(context: Context) -> Diagnosis:
    link = context.facts.pipelines
    if link is None or link.wanted is None:
        return skipped(message("evidence-paddlex-not-installed"))
    if link.state == "right":
        return ok(link.path, link.points_to)
    params = {"path": link.path, "wanted": link.wanted, "state": link.state}
    return problem(Status.NOTE, link.path, link.points_to or link.state, **params)


_STACK = ("no-paddleocr-installed",)
_BOTH = ("no-paddle-installed", *_STACK)

CHECKS = (
    Check("use-doc-preprocessor", _doc_preprocessor, needs=_STACK),
    Check("use-doc-preprocessor-wrapper", _doc_preprocessor_wrapper, needs=_STACK),
    Check("windows-fused-rms-norm-kernel", _windows_kernel, needs=_BOTH),
    Check("gpu-wheel-cpu-device-fused-kernel", _cpu_kernel, needs=_BOTH),
    Check("patch-lost", _patch_lost, needs=_STACK),
    Check("pipelines-link", _pipelines_link, needs=_STACK),
)


IDS = (
    "vl-official-name-3-3-2",
    "langchain-docstore",
    "aistudio-sdk-conflict",
    "vllm-transformers-5",
    "chart-model-loaded-needlessly",
    "vl-rec-max-concurrency-ignored",
    "native-bgr-swap",
    "queue-deadlock-on-error",
    "pipeline-close-leak",
)
"""The entries with `quick`; reading all entries to find them would cost every check a tenth of its time."""


def _look(failure_id: str, context: Context) -> Diagnosis:
    """Say what the entry says where all distributions that it names are installed in its versions."""
    failure, target = load_failure(failure_id), context.target
    found = {name: target.version_of(name) for name in failure.applies.specifiers}
    missing = [name for name, version in found.items() if version is None]
    if missing:
        return skipped(message("evidence-no-names", names=missing))
    source, version = next(iter(found.items()))
    if is_cured(failure, context):
        return ok(source, message("evidence-patched", version=version))
    answer = applicability(failure, context.facts).answer
    if answer == "yes" and failure.quick is not None:
        return problem(Status(failure.quick), source, version, version=version)
    return ok(source, version)


BY_ENTRY_CHECKS = tuple(Check(name, partial(_look, name), needs=("no-paddleocr-installed",)) for name in IDS)
