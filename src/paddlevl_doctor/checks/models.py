"""Checks of PaddleX's model cache."""

from __future__ import annotations

from paddlevl_doctor.checks.model import Check, Context, Diagnosis, bad, ok, skipped
from paddlevl_doctor.facts.model import CachedModel
from paddlevl_doctor.values import Status

_STOP_FILE = "generation_config.json"


def _models(context: Context) -> tuple[CachedModel, ...]:
    return context.facts.cache.models if context.facts.cache else ()


def _partial(context: Context) -> Diagnosis:
    if not _models(context):
        return skipped("no models in the cache")
    for model in _models(context):
        missing = [name for name in model.missing if name != _STOP_FILE]
        if missing:
            names = ", ".join(missing)
            return bad(Status.ERROR, model.path, f"missing: {names}", model=model.name, missing=names)
    return ok("model cache", ", ".join(model.name for model in _models(context)))


def _generation_config(context: Context) -> Diagnosis:
    language_models = [m for m in _models(context) if m.name.rpartition("/")[2].startswith("PaddleOCR-VL")]
    if not language_models:
        return skipped("no PaddleOCR-VL model in the cache")
    for model in language_models:
        if model.missing == (_STOP_FILE,):
            return bad(Status.ERROR, model.path, f"missing: {_STOP_FILE}", model=model.name)
    return ok("model cache", ", ".join(model.name for model in language_models))


def _duplicate_layout(context: Context) -> Diagnosis:
    copies = [m for m in _models(context) if m.name.rpartition("/")[2] == "PP-DocLayoutV2"]
    if len(copies) < 2:  # noqa: PLR2004 - one is right, two are one too many
        return skipped("stored at most once")
    paths = ", ".join(model.name for model in copies)
    wasted = sum(model.size_mb for model in copies[1:])
    return bad(Status.NOTE, "model cache", paths, size_mb=wasted, paths=paths)


CHECKS = (
    Check("partial-model-cache", _partial),
    Check("generation-config-missing", _generation_config),
    Check("duplicate-doclayoutv2", _duplicate_layout),
)
