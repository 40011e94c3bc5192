"""Checks for known defects of PaddleX and PaddleOCR: by the state of patched files, and by installed versions."""

from __future__ import annotations

from functools import partial

from packaging.version import Version

from paddlevl_doctor.checks.base import Check, Context, Diagnosis, applicability, ok, problem, skipped
from paddlevl_doctor.knowledge.failures import Failure, load_failure
from paddlevl_doctor.knowledge.patches import PatchState, find_patch, load_patches, state_of
from paddlevl_doctor.messages import message
from paddlevl_doctor.values.facts import PatchedFile
from paddlevl_doctor.values.findings import Evidence, Status


def patch_states(context: Context, patch_id: str) -> dict[PatchedFile, PatchState]:
    """Return the state of every file of a patch in this target."""
    patch = find_patch(patch_id)
    files = {file.path: file for file in patch.files}
    version = context.target.version_of("paddlex") or ""
    facts = (fact for fact in context.facts.patched_files if fact.patch == patch_id)
    return {fact: state_of(files[fact.path], fact.sha256, version) for fact in facts}


_CURED = frozenset({PatchState.PATCHED, PatchState.EDITED})


def is_cured(failure: Failure, context: Context) -> bool:
    """Return whether all files of the patch that cures a failure have its effect."""
    patch = failure.cure.patch
    states = set(patch_states(context, patch).values()) if patch is not None else set()
    return bool(states) and states <= _CURED


def _by_patch(patch_id: str, status: Status, context: Context) -> Diagnosis:
    """Return `status` if a file of the patch is as published, ok if all have its effect, else a note."""
    states = patch_states(context, patch_id)
    evidence = tuple(Evidence(file.path, state.value) for file, state in states.items())
    if set(states.values()) <= _CURED:
        return Diagnosis(Status.OK, evidence)
    pristine = PatchState.PRISTINE in states.values()
    params: dict[str, object] = {"paddlex": context.target.version_of("paddlex")}
    return Diagnosis(status if pristine else Status.NOTE, evidence, params)


_doc_preprocessor = partial(_by_patch, "doc-preprocessor-defaults", Status.WARNING)


def _doc_preprocessor_wrapper(context: Context) -> Diagnosis:
    version = context.target.version_of("paddleocr") or "0"
    if Version(version) == Version("3.3.0"):
        return problem(Status.WARNING, "paddleocr", version, version=version)
    return ok("paddleocr", version)


_FUSED_CUDA = 12
"""The CUDA major version from which on paddlex uses the fused kernel."""


def _cuda_major(context: Context) -> int:
    build = context.target.paddle
    return int(build.cuda.partition(".")[0]) if build is not None and build.cuda else 0


def _windows_kernel(context: Context) -> Diagnosis:
    system, cuda = context.facts.host.system, _cuda_major(context)
    if system != "windows" or cuda < _FUSED_CUDA or not context.gpus:
        shown = cuda or message("evidence-none")
        return skipped(message("evidence-system-cuda", system=system, cuda=shown))
    # A warning and not an error: only one thread reports the failure, and it has not been reproduced.
    return _by_patch("fuse-rms-norm", Status.WARNING, context)


def _cpu_kernel(context: Context) -> Diagnosis:
    paddlex, cuda = Version(context.target.version_of("paddlex") or "0"), _cuda_major(context)
    if cuda < _FUSED_CUDA or context.gpus:
        shown = cuda or message("evidence-none")
        return skipped(message("evidence-cuda-gpus", cuda=shown, count=len(context.gpus)))
    if paddlex >= Version("3.3.6"):  # from 3.3.6 on paddlex looks at the device, not only at the wheel
        return ok("paddlex", paddlex)
    return _by_patch("fuse-rms-norm", Status.ERROR, context)


def _patch_lost(context: Context) -> Diagnosis:
    """Report a note if an applied patch is no longer in place; the finding that it cures has the consequence."""
    known = {patch.id for patch in load_patches()}
    applied = [name for name in context.facts.applied_patches if name in known]
    if not applied:
        return skipped(message("evidence-no-patch-applied"))
    states = {name: set(patch_states(context, name).values()) for name in applied}
    lost = [name for name in applied if not states[name] <= {*_CURED, PatchState.OLDER}]
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


_STACK = ("no-paddleocr-installed", "paddleocr-too-old-for-vl")
_BOTH = ("no-paddle-installed", *_STACK)

CHECKS = (
    Check("use-doc-preprocessor", _doc_preprocessor, needs=_STACK),
    Check("use-doc-preprocessor-wrapper", _doc_preprocessor_wrapper, needs=_STACK),
    Check("windows-fused-rms-norm-kernel", _windows_kernel, needs=_BOTH),
    Check("gpu-wheel-cpu-device-fused-kernel", _cpu_kernel, needs=_BOTH),
    Check("patch-lost", _patch_lost, needs=_STACK),
    Check("pipelines-link", _pipelines_link, needs=_STACK),
)


VERSION_FAILURES = (
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
"""The failures with the field `quick`. Reading all failure files to find them would take a tenth of a check's time."""


def _by_versions(failure_id: str, context: Context) -> Diagnosis:
    """Return the failure's `quick` status if all distributions that it names are installed in its ranges."""
    failure, target = load_failure(failure_id), context.target
    installed = {name: target.version_of(name) for name in failure.applies.specifiers}
    missing = [name for name, version in installed.items() if version is None]
    if missing:
        return skipped(message("evidence-no-names", names=missing))
    source, version = next(iter(installed.items()))
    if is_cured(failure, context):
        return ok(source, message("evidence-patched", version=version))
    answer = applicability(failure, context.facts).answer
    if answer == "yes" and failure.quick is not None:
        return problem(Status(failure.quick), source, version, version=version)
    return ok(source, version)


VERSION_CHECKS = tuple(Check(name, partial(_by_versions, name), needs=_STACK) for name in VERSION_FAILURES)
