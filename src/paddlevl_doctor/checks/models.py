"""Checks of PaddleX's model cache, and of what a download into it takes."""

from __future__ import annotations

from dataclasses import replace

from paddlevl_doctor.checks.base import Check, Context, Diagnosis, ok, problem, skipped
from paddlevl_doctor.knowledge.data_files import numbers
from paddlevl_doctor.messages import Text, message
from paddlevl_doctor.values.facts import CachedModel
from paddlevl_doctor.values.findings import Evidence, Status

_STOP_FILE = "generation_config.json"
_FONT = "PingFang-SC-Regular.ttf"
"""What drawing the layout of a page loads in every paddlex 3.3.0-3.7.2 (layout_analysis/result.py)."""
_LOCAL_FONT = "PADDLE_PDX_LOCAL_FONT_FILE_PATH"
_AMPLE_MB = 4_000
"""More than the models of any pipeline take; below it the sizes are looked up."""


def _models(context: Context) -> tuple[CachedModel, ...]:
    return context.facts.cache.models if context.facts.cache else ()


def _flaws(model: CachedModel) -> list[str]:
    """Name what is missing or damaged in a model, but for the file that has a finding of its own."""
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
        seen = _stop_file_flaw(model)
        if seen and not _flaws(model):
            found = problem(Status.ERROR, model.path, seen, model=model.name)
            return replace(found, subjects=(model.name,))
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
    if not nested or len(nested) == len(copies):  # the one that is loaded lies directly in official_models
        return skipped(message("evidence-stored-once"))
    paths = ", ".join(model.name for model in copies)
    found = problem(Status.NOTE, "model cache", paths, size_mb=sum(m.size_mb for m in nested), paths=paths)
    return replace(found, subjects=tuple(m.name for m in nested))


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


def _room_for_download(context: Context) -> Diagnosis:
    """Compare the folder for temporary files, through which a download goes, with what is still missing."""
    free = context.facts.free_disk_mb.get("temp")
    if free is None or free >= _AMPLE_MB:
        return skipped(message("evidence-unknown")) if free is None else ok("temporary files", f"{free} MB")
    missing = _missing_models(context)
    needed = max(missing.values(), default=0)
    if free >= needed:  # one model after the other goes through the folder
        return ok("temporary files", f"{free} MB")
    names = ", ".join(missing)
    return problem(
        Status.WARNING, "temporary files", f"{free} MB", free_mb=free, needed_mb=needed, models=names
    )


def _missing_models(context: Context) -> dict[str, int]:
    """Return the models of the newest pipeline that are not in the cache, with their sizes in MiB."""
    from paddlevl_doctor.knowledge.catalogue import load_models, load_pipelines  # noqa: PLC0415 - rarely needed

    paddlex = numbers(context.target.version_of("paddlex") or "0")
    pipelines = [p for p in load_pipelines() if p.language_model and numbers(p.since) <= paddlex]
    wanted = {pipelines[-1].language_model, pipelines[-1].layout_model} if pipelines else set()
    present = {model.name for model in _models(context)}
    return {
        model.name: (model.bytes or 0) >> 20
        for model in load_models()
        if model.name in wanted and not {model.folder, f"{model.folder}/{model.name}"} & present
    }


_STACK = ("no-paddleocr-installed",)

CHECKS = (
    Check("partial-model-cache", _partial),
    Check("generation-config-missing", _generation_config),
    Check("duplicate-doclayoutv2", _duplicate_layout),
    Check("windows-nonascii-model-path", _ascii_path),
    Check("font-download-offline", _font, needs=_STACK),
    Check("tmp-disk-full-on-download", _room_for_download, needs=_STACK),
)
