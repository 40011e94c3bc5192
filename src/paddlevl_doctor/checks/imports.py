"""Checks of modules that Python imports instead of the packages in the target, and of what it needs at import."""

from __future__ import annotations

from pathlib import Path

from paddlevl_doctor.checks.base import Check, Context, Diagnosis, ok, problem, skipped
from paddlevl_doctor.messages import message
from paddlevl_doctor.values.facts import Distribution
from paddlevl_doctor.values.findings import Evidence, Status


def _shadowed(context: Context) -> Diagnosis:
    first: dict[str, Distribution] = {}
    for one in context.target.distributions:
        first.setdefault(one.name, one)
    found = [one for one in first.values() if _is_shadowed(one)]
    if not found:
        return ok("import path", message("evidence-none"))
    evidence = tuple(Evidence(one.name, one.imported_from or "") for one in found)
    folders = list(dict.fromkeys(one.imported_from for one in found))
    names = [one.name for one in found]
    return Diagnosis(Status.ERROR, evidence, {"names": names, "folders": folders}, tuple(names))


def _is_shadowed(one: Distribution) -> bool:
    """Return whether a package is imported from a folder that comes before its own distribution's."""
    own = one.imported_from is None or Path(one.path).parent == Path(one.imported_from)
    return one.origin == "shadowing" and not one.editable and not own


def _hiding_modules(context: Context) -> Diagnosis:
    names, trouble = list(context.target.hiding_modules), context.target.ownership_problem
    if trouble is not None:
        return skipped(trouble)
    if not names:
        return ok("import path", message("evidence-none"))
    return problem(Status.WARNING, "import path", names, names=names)


def _cache_folder(context: Context) -> Diagnosis:
    cache = context.facts.cache
    if cache is None:
        return skipped(message("evidence-none"))
    if cache.problem is not None:
        return problem(Status.ERROR, cache.root, cache.problem, path=cache.root, reason=cache.problem)
    return ok(cache.root, message("evidence-writable"))


def _moved(context: Context) -> Diagnosis:
    other = context.facts.scripts_of
    prefix = context.target.prefix
    if other is None:
        return ok("bin", prefix)
    return problem(Status.WARNING, "bin", other, path=prefix, other=other)


def _own_environment(context: Context) -> Diagnosis:
    path = context.facts.own_environment
    if path is None:
        return ok("environment", message("evidence-none"))
    return problem(Status.NOTE, "environment", path, path=path)


CHECKS = (
    Check("package-shadowed", _shadowed, needs=("target-environment",)),
    Check("modules-hidden", _hiding_modules, needs=("target-environment",)),
    Check("moved-environment", _moved, needs=("target-environment",)),
    Check("model-cache-unusable", _cache_folder),
    Check("doctor-in-environment", _own_environment),
)
