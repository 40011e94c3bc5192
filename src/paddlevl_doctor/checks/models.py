"""Checks of PaddleX's model cache and of the disk space for model downloads."""

from __future__ import annotations

from dataclasses import replace

from paddlevl_doctor.checks.base import Check, Context, Diagnosis, ok, problem, skipped
from paddlevl_doctor.knowledge.tables import numbers
from paddlevl_doctor.messages import Text, message
from paddlevl_doctor.values.facts import CachedModel
from paddlevl_doctor.values.findings import Evidence, Status

_STOP_FILE = "generation_config.json"
_FONT = "PingFang-SC-Regular.ttf"
"""The font that every paddlex 3.3.0-3.7.2 loads to draw the layout of a page (layout_analysis/result.py)."""
_LOCAL_FONT = "PADDLE_PDX_LOCAL_FONT_FILE_PATH"
_AMPLE_MB = 4_000
"""Enough for the models of any pipeline. Only with less free space are the sizes of the models looked up."""


def _models(context: Context) -> tuple[CachedModel, ...]:
    return context.facts.cache.models if context.facts.cache else ()


def _flaws(model: CachedModel) -> list[str]:
    """Return the missing and damaged files of a model, except _STOP_FILE, which generation-config-missing reports."""
    damaged = [f"{d.file} ({d.seen or d.why})" for d in model.damaged if d.file != _STOP_FILE]
    return [*(name for name in model.missing if name != _STOP_FILE), *damaged]


def _partial(context: Context) -> Diagnosis:
    if not _models(context):
        return skipped(message("evidence-no-models"))
    flawed = [(model, ", ".join(flaws)) for model in _models(context) if (flaws := _flaws(model))]
    if not flawed:
        return ok("model cache", ", ".join(model.name for model in _models(context)))
    evidence = tuple(Evidence(model.path, flaws) for model, flaws in flawed)
    names = tuple(model.name for model, _ in flawed)
    missing = "; ".join(flaws for _, flaws in flawed)
    params: dict[str, object] = {"model": ", ".join(names), "missing": missing}
    return Diagnosis(Status.ERROR, evidence, params, names)


def _generation_config(context: Context) -> Diagnosis:
    language_models = [m for m in _models(context) if m.name.rpartition("/")[2].startswith("PaddleOCR-VL")]
    if not language_models:
        return skipped(message("evidence-no-paddleocr-vl-model"))
    for model in language_models:
        flaw = _stop_file_flaw(model)
        if flaw and not _flaws(model):
            diagnosis = problem(Status.ERROR, model.path, flaw, model=model.name)
            return replace(diagnosis, subjects=(model.name,))
    return ok("model cache", ", ".join(model.name for model in language_models))


def _stop_file_flaw(model: CachedModel) -> Text | None:
    if _STOP_FILE in model.missing:
        return message("evidence-missing", names=_STOP_FILE)
    damage = next((d for d in model.damaged if d.file == _STOP_FILE), None)
    return f"{damage.why}: {damage.seen or damage.file}" if damage else None


def _duplicate_layout(context: Context) -> Diagnosis:
    copies = [m for m in _models(context) if m.name.rpartition("/")[2] == "PP-DocLayoutV2"]
    nested = [m for m in copies if m.name != "PP-DocLayoutV2" and not m.linked]
    if len(copies) > 1 and not nested:
        return ok("model cache", message("evidence-one-copy"))
    if not nested or len(nested) == len(copies):  # paddlex loads the copy directly in official_models
        return skipped(message("evidence-stored-once"))
    paths, size_mb = ", ".join(model.name for model in copies), sum(model.size_mb for model in nested)
    diagnosis = problem(Status.NOTE, "model cache", paths, size_mb=size_mb, paths=paths)
    return replace(diagnosis, subjects=tuple(model.name for model in nested))


def _ascii_path(context: Context) -> Diagnosis:
    if context.facts.host.system != "windows" or context.facts.cache is None:
        return skipped(context.facts.host.system)
    root = context.facts.cache.root
    if root.isascii():
        return ok("model cache", root)
    return problem(Status.WARNING, "model cache", root, path=root)


def _font(context: Context) -> Diagnosis:
    settings, cache = context.facts.settings, context.facts.cache
    fonts = cache.fonts if cache else ()
    usable = next((font for font in (_FONT, settings.get(_LOCAL_FONT)) if font in fonts), None)
    if usable is not None:
        return ok("fonts", usable)
    if settings.get("HF_HUB_OFFLINE", "").upper() not in ("1", "ON", "YES", "TRUE"):
        return skipped(message("evidence-font-downloaded"))
    folder = f"{cache.root}/fonts" if cache else "fonts"
    return problem(
        Status.NOTE, folder, ", ".join(fonts) or message("evidence-empty"), font=_FONT, path=folder
    )


def _download_space(context: Context) -> Diagnosis:
    """Compare the free space of the temporary folder, which every download uses, with the largest missing model."""
    free = context.facts.free_disk_mb.get("temp")
    if free is None or free >= _AMPLE_MB:
        return skipped(message("evidence-unknown")) if free is None else ok("temporary files", f"{free} MB")
    missing = _missing_models(context)
    needed = max(missing.values(), default=0)
    if free >= needed:  # paddlex downloads one model at a time
        return ok("temporary files", f"{free} MB")
    names = ", ".join(missing)
    return problem(
        Status.WARNING, "temporary files", f"{free} MB", free_mb=free, needed_mb=needed, models=names
    )


def _missing_models(context: Context) -> dict[str, int]:
    """Return the models of the newest supported pipeline that are not in the cache, with their sizes in MiB."""
    from paddlevl_doctor.knowledge.catalogue import load_models, load_pipelines  # noqa: PLC0415 - rarely needed

    paddlex = numbers(context.target.version_of("paddlex") or "0")
    pipelines = [p for p in load_pipelines() if p.language_model and numbers(p.since) <= paddlex]
    required = {pipelines[-1].language_model, pipelines[-1].layout_model} if pipelines else set()
    cached = {model.name for model in _models(context)}
    return {
        model.name: (model.bytes or 0) >> 20
        for model in load_models()
        if model.name in required and not {model.folder, f"{model.folder}/{model.name}"} & cached
    }


_STACK = ("no-paddleocr-installed", "paddleocr-too-old-for-vl")

CHECKS = (
    Check("partial-model-cache", _partial),
    Check("generation-config-missing", _generation_config),
    Check("duplicate-doclayoutv2", _duplicate_layout),
    Check("windows-nonascii-model-path", _ascii_path),
    Check("font-download-offline", _font, needs=_STACK),
    Check("tmp-disk-full-on-download", _download_space, needs=_STACK),
)
