"""Checks that need no code of their own: versions tell where the failure occurs, its entry says how bad it is."""

from __future__ import annotations

from functools import partial

from paddlevl_doctor.checks.applicability import applicability
from paddlevl_doctor.checks.model import Check, Context, Diagnosis, bad, ok, skipped
from paddlevl_doctor.checks.sources import is_cured
from paddlevl_doctor.knowledge.failures import load_failure
from paddlevl_doctor.values import Status

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
        return skipped(f"no {', '.join(missing)}")
    source, version = next(iter(found.items()))
    if is_cured(failure, context):
        return ok(source, f"{version}, patched")
    answer = applicability(failure, context.facts).answer
    if answer == "yes" and failure.quick is not None:
        return bad(Status(failure.quick), source, version, version=version)
    return ok(source, version)


CHECKS = tuple(Check(name, partial(_look, name), needs=("no-paddleocr-installed",)) for name in IDS)
