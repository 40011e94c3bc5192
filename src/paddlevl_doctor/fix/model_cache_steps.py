"""Plans the steps that repair the model cache. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import PurePath

from paddlevl_doctor.checks.base import Context
from paddlevl_doctor.knowledge.failures import load_failure
from paddlevl_doctor.messages import message
from paddlevl_doctor.values.facts import CachedModel
from paddlevl_doctor.values.findings import Finding
from paddlevl_doctor.values.plan import EditConfig, SetModelsAside, ShareModels, Step


def cache_steps(context: Context, fixable: Sequence[Finding]) -> Iterator[Step]:
    """Yield the steps for the findings about cached models."""
    cached = context.facts.cache.models if context.facts.cache else ()
    for finding in fixable:
        models = tuple(model for model in cached if model.name in finding.subjects)
        kind = load_failure(finding.id).cure.kind
        if kind == "set-aside" and models:
            yield _set_aside(finding, models)
        elif kind == "share" and models:
            yield _share(finding, models)
        elif kind == "edit-config":
            yield from _generation_configs(finding, models)


def _set_aside(finding: Finding, models: Sequence[CachedModel]) -> Step:
    names = ", ".join(model.name for model in models)
    return SetModelsAside(
        id="set-models-aside",
        summary=message("step-set-aside", names=names),
        resolves=(finding.id,),
        diff="\n".join(f"- {model.path} ({model.size_mb} MB)" for model in models),
        precondition=message("step-set-aside-before"),
        undo=message("step-set-aside-undo"),
        folders=tuple(model.path for model in models),
    )


def _share(finding: Finding, models: Sequence[CachedModel]) -> Step:
    """Replace the files of a copy inside another model's folder by hard links to those in official_models."""
    pairs = tuple(
        (model.path, str(PurePath(model.path).parents[1] / PurePath(model.path).name)) for model in models
    )
    return ShareModels(
        id="share-models",
        summary=message("step-share", size_mb=sum(model.size_mb for model in models)),
        resolves=(finding.id,),
        diff="\n".join(f"~ {copy} = {original}" for copy, original in pairs),
        precondition=message("step-share-before"),
        undo=message("step-share-undo"),
        pairs=pairs,
    )


def _generation_configs(finding: Finding, models: Sequence[CachedModel]) -> Iterator[Step]:
    """Copy the special tokens of config.json into generation_config.json, the only file that PaddleX reads for them."""
    for model in models:
        if "eos_token_id" not in model.tokens:
            continue  # without an end token in config.json there is nothing to copy
        content = json.dumps(dict(model.tokens), indent=2, sort_keys=True) + "\n"
        path = str(PurePath(model.path) / "generation_config.json")
        yield EditConfig(
            id=f"stop-file-{model.name.replace('/', '-')}",
            summary=message("step-write", path=path),
            resolves=(finding.id,),
            diff="\n".join(f"+{line}" for line in content.splitlines()),
            precondition=message("step-write-before"),
            undo=message("step-write-undo"),
            path=path,
            content=content,
        )
