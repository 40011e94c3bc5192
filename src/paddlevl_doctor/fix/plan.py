"""Findings to a plan: which steps cure them, in which order, and what is left alone and why. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from packaging.version import InvalidVersion, Version

from paddlevl_doctor.checks.base import Context
from paddlevl_doctor.checks.packages import unusable
from paddlevl_doctor.checks.runner import AUTOMATIC
from paddlevl_doctor.fix.model_cache_steps import cache_steps
from paddlevl_doctor.fix.patch_steps import is_only_offered, patch_steps
from paddlevl_doctor.fix.start_variables import FILES, content_of, script, variables_of
from paddlevl_doctor.knowledge.failures import Cure, load_failure
from paddlevl_doctor.knowledge.version_sets import resolved_list
from paddlevl_doctor.messages import Text, message
from paddlevl_doctor.packages.gpu_wheel import PACKAGE, cuda_tag
from paddlevl_doctor.packages.request import Request
from paddlevl_doctor.packages.uv import index_words
from paddlevl_doctor.shells import shell_of
from paddlevl_doctor.values.errors import DoctorError
from paddlevl_doctor.values.findings import Finding, Plan, SkippedFix, Status, Step

_PADDLES = ("paddlepaddle", PACKAGE)


def removal_steps(context: Context, python: str, cured: Iterable[str], wanted: Sequence[str]) -> list[Step]:
    """Remove the paddle distribution that the wanted one would collide with: both own the folder paddle/.

    `python` is the target's interpreter, `cured` what the plan cures, `wanted` what it installs.
    """
    target = context.facts.target
    chosen = next((n for r in wanted for n in _PADDLES if re.match(rf"{n}(?![\w-])", r)), None)
    if target is None or chosen is None:
        return []
    both = all(target.version_of(name) for name in _PADDLES)
    doomed = [n for n in _PADDLES if target.version_of(n) and (both or n != chosen)]
    if not doomed:
        return []
    names = " ".join(f"{n} {target.version_of(n)}" for n in doomed)
    return [
        Step(
            id="remove-packages",
            kind="remove-packages",
            summary=message("step-remove", names=names),
            resolves=tuple(i for i in cured if i == "both-paddle-dists"),
            commands=(("uv", "pip", "uninstall", "--python", python, *doomed),),
            diff="\n".join(f"- {n} {target.version_of(n)}" for n in doomed),
            precondition=message("step-remove-before", names=names),
            undo=message("step-packages-undo"),
            arguments={"names": doomed, "versions": [target.version_of(n) for n in doomed]},
        )
    ]


def of_other_line(context: Context, kinds: Iterable[str]) -> tuple[str, ...]:
    """Name paddlepaddle-gpu where a cure is to bring it for another CUDA line than the installed one.

    `kinds` are those of the cures. The wheels of all lines have the same version, so that an installer, unless it is
    told to install it again, takes the wrong one for the right one.
    """
    target, asked = context.facts.target, {"paddle", "reinstall-paddle"} & set(kinds)
    if not asked or target is None or target.paddle is None or target.version_of(PACKAGE) is None:
        return ()
    installed = cuda_tag(target.paddle.cuda)
    return (
        (PACKAGE,) if context.wheel.package == PACKAGE and installed not in (None, context.wheel.tag) else ()
    )


def damaged(context: Context, findings: Iterable[Finding]) -> dict[str, str]:
    """Return the version to install again of every distribution that the findings name, by its name."""
    target = context.facts.target
    names = dict.fromkeys(name for finding in findings for name in finding.subjects)
    return {name: _version(context, name) for name in names if target and target.versions_of(name)}


def _version(context: Context, name: str) -> str:
    """Choose among the versions that the records name: the set's own one, else the newest.

    A killed upgrade leaves two records, and the newer one is where it was going.
    """
    versions = context.target.versions_of(name)
    wanted = {
        "paddlex": context.version_set.paddlex,
        "paddleocr": context.version_set.paddleocr,
        context.wheel.package: context.wheel.version,
    }.get(name)
    return wanted if wanted in versions else max(versions, key=_order)


def _order(version: str) -> tuple[bool, Version]:
    try:
        return True, Version(version)
    except InvalidVersion:  # the name of a folder, which anything can be
        return False, Version("0")


def with_damaged(requirements: Sequence[str], again: Mapping[str, str]) -> tuple[str, ...]:
    """Add what has to be installed again, where no other cure asks for that distribution anyway."""
    there = {re.split(r"[\[<>=!~ @]", r, maxsplit=1)[0] for r in requirements}
    return (*requirements, *(f"{name}=={version}" for name, version in again.items() if name not in there))


def clearing_steps(context: Context, cured: tuple[str, ...]) -> list[Step]:
    """Move away the records that no installer can make sense of: uv would install beside them."""
    target = context.facts.target
    doomed = unusable(target) if target is not None and cured else ()
    if target is None or not doomed:
        return []
    return [
        Step(
            id="clear-leftovers",
            kind="clear-leftovers",
            summary=message("step-clear", count=len(doomed)),
            resolves=cured,
            diff="\n".join(f"- {name}" for name in doomed),
            precondition=message("step-clear-before", names=", ".join(doomed)),
            undo=message("step-clear-undo"),
            arguments={"names": list(doomed), "site": target.purelib},
        )
    ]


def activation_steps(
    context: Context, prefix: str, curable: Sequence[Finding], paddlex: str | None, *, installs: bool
) -> list[Step]:
    """Return the step where a finding asks for it, or where packages are installed and there is something to set.

    `paddlex` is the version that will be there. An interpreter without an environment has no place for the file.
    """
    target = context.facts.target
    asking = tuple(f.id for f in curable if load_failure(f.id).cure.kind == "environment")
    package = context.wheel.package if installs else _installed(context)
    wanted = variables_of(context.facts, package, paddlex)
    found = tuple(v for v in wanted if v.prepends or v.name not in context.facts.settings)
    if not found or not (asking or installs) or (target is not None and not target.is_virtual):
        return []
    shell = shell_of(context.facts.host.system)
    path = str(PurePath(prefix) / FILES[shell])
    return [
        Step(
            id="set-environment",
            kind="set-environment",
            summary=message("step-environment", path=path),
            resolves=asking,
            diff="\n".join(f"+{line}" for line in script(found, shell).splitlines()),
            precondition=message("step-write-before"),
            undo=message("step-write-undo"),
            arguments={"path": path, "content": content_of(found, shell)},
        )
    ]


def _installed(context: Context) -> str | None:
    target = context.facts.target
    names = ("paddlepaddle-gpu", "paddlepaddle")
    return next((name for name in names if target and target.version_of(name)), None)


_TO_CURE = (Status.ERROR, Status.WARNING)
_LINKABLE = ("absent", "dangling")
_INSTALLING = ("packages", "set", "paddle", "reinstall-paddle", "reinstall")


@dataclass(frozen=True)
class Site:
    """The environment that the steps work on."""

    prefix: str
    python: str
    exists: bool


def build_plan(findings: Sequence[Finding], context: Context, site: Site, request: Request) -> Plan:
    """Return the steps that cure `findings` in this environment, in the order they have to be taken.

    Raises DoctorError where a set that was asked for needs a removal that nobody agreed to.
    """
    wanted = [f for f in findings if _is_wanted(f, request)]
    hopeless = _unfixable(f for f in findings if f.id not in request.skip)
    if hopeless is not None:
        return Plan(skipped=tuple(_skipped(f) for f in findings if f.status in _TO_CURE))
    automatic = [
        f
        for f in wanted
        if load_failure(f.id).cure.kind in AUTOMATIC and not is_only_offered(f.id, request.only)
    ]
    removals = {f.id: names for f in automatic if (names := _needs_consent(context, site, f, request))}
    curable = [f for f in automatic if f.id not in removals]
    packages = _package_steps(context, site, curable, request)
    coming = _paddlex_to_come(packages)
    steps = [
        *cache_steps(context, curable),
        *_environment_steps(site, curable, request),
        *packages,
        *patch_steps(context, findings, curable, coming, only=request.only, skip=request.skip),
        *_activation_steps(context, site, curable, coming, installs=bool(packages)),
        *_link_steps(context, site, request, installs=bool(packages)),
    ]
    resolved = {finding for step in steps for finding in step.resolves}
    noted = {f.id for f in wanted if f.status is Status.NOTE}
    left = [f for f in findings if (f.status in _TO_CURE or f.id in noted) and f.id not in resolved]
    return Plan(tuple(steps), tuple(_skipped(f, request, removals.get(f.id)) for f in left))


def _needs_consent(context: Context, site: Site, finding: Finding, request: Request) -> str | None:
    """Name what a cure would remove, unless the user agreed: by --yes, or by naming this finding with --only."""
    cure = load_failure(finding.id).cure
    if request.yes or finding.id in request.only:
        return None
    if cure.kind == "set-aside":
        return ", ".join(finding.subjects)
    if cure.kind not in _INSTALLING:
        return None
    requirements = _requirements(context, [cure], whole=False)
    removal = removal_steps(context, site.python, (finding.id,), requirements)
    return ", ".join(removal[0].arguments["names"]) if removal else None


def _is_wanted(finding: Finding, request: Request) -> bool:
    if finding.id in request.skip or (request.only and finding.id not in request.only):
        return False
    return finding.status in _TO_CURE or (finding.id in request.only and finding.status is Status.NOTE)


# What makes every installation pointless: nothing would run afterwards.
_UNFIXABLE = (
    "python-version-unsupported",
    "glibc-too-old",
    "musl-libc",
    "no-avx-illegal-instruction",
    "macos-intel",
    "disk-space",
)


def _unfixable(findings: Iterable[Finding]) -> Finding | None:
    return next((f for f in findings if f.id in _UNFIXABLE and f.status is Status.ERROR), None)


def _skipped(finding: Finding, request: Request | None = None, removes: str | None = None) -> SkippedFix:
    if removes is not None:
        return SkippedFix(finding.id, message("skip-removal", names=removes, id=finding.id))
    if request is not None and finding.id in request.skip:
        return SkippedFix(finding.id, message("skip-asked"))
    if request is not None and request.only and finding.id not in request.only:
        return SkippedFix(finding.id, message("skip-not-in-only"))
    if request is not None and is_only_offered(finding.id, request.only):
        return SkippedFix(finding.id, message("skip-offered", id=finding.id))
    if load_failure(finding.id).cure.patch is not None:
        return SkippedFix(finding.id, message("skip-unfit"))
    remedy = finding.remedy.text if finding.remedy else ""
    return SkippedFix(finding.id, message("skip-manual", remedy=remedy))


def _environment_steps(site: Site, curable: Sequence[Finding], request: Request) -> list[Step]:
    if site.exists or not any(f.id == "target-environment" for f in curable):
        return []
    python = request.interpreter or request.python_version
    offline = ("--offline",) if request.wheelhouse else ()
    command = ("uv", "venv", *offline, "--no-project", "--allow-existing", "--python", python, site.prefix)
    return [
        Step(
            id="create-environment",
            kind="create-environment",
            summary=message("step-create", path=site.prefix, python=PurePath(python).name),
            resolves=("target-environment",),
            commands=(command,),
            precondition=message("step-create-before", path=site.prefix),
            undo=message("step-create-undo", path=site.prefix),
            arguments={"prefix": site.prefix},
        )
    ]


# --- packages ---------------------------------------------------------------------------------------------


def _package_steps(context: Context, site: Site, curable: Sequence[Finding], request: Request) -> list[Step]:
    cures = {f.id: load_failure(f.id).cure for f in curable}
    concerned = {i: c for i, c in cures.items() if c.kind in _INSTALLING}
    switching = request.set_name is not None and context.followed != context.version_set
    if not concerned and not switching:
        return []
    again = damaged(context, (f for f in curable if cures[f.id].kind == "reinstall"))
    requirements = _requirements(context, concerned.values(), whole=switching or not site.exists)
    requirements = with_damaged(requirements, again)
    other_line = of_other_line(context, (cure.kind for cure in concerned.values()))
    if request.dev_safetensors:
        requirements = _with_dev_safetensors(context, requirements)
    removal = removal_steps(context, site.python, concerned, requirements)
    if removal and not request.yes and not set(concerned) & set(request.only):
        raise DoctorError(message("collateral", changes=removal[0].diff.replace("\n", "; ")))
    clearing = clearing_steps(context, tuple(i for i, c in concerned.items() if c.kind == "reinstall"))
    if not requirements:  # nothing but what a killed pip left behind
        return clearing
    return [
        *removal,
        *clearing,
        _install_step(context, site, tuple(concerned), requirements, request, (*again, *other_line)),
    ]


def _requirements(context: Context, cures: Iterable[Cure], *, whole: bool) -> tuple[str, ...]:
    """Collect what has to be installed; a whole set replaces single cures, and names stay unique."""
    version_set, wheel = context.version_set, context.wheel
    paddle = wheel.requirement
    chosen = tuple(cures)
    kinds = {cure.kind for cure in chosen}
    if whole or "set" in kinds:
        return (paddle, *version_set.stack(), *_bounds(context))
    single = [requirement for cure in chosen for requirement in cure.requirements]
    if kinds & {"paddle", "reinstall-paddle"}:
        single = [paddle, *(r for r in single if not r.startswith("paddlepaddle"))]
    return tuple(dict.fromkeys(_with_installed_version(r, context) for r in single))


def _with_dev_safetensors(context: Context, requirements: Sequence[str]) -> tuple[str, ...]:
    url = dev_safetensors(context)
    return tuple(f"safetensors @ {url}" if url and r.startswith("safetensors") else r for r in requirements)


def dev_safetensors(context: Context) -> str | None:
    """Return the URL of the safetensors wheel that Paddle published for this set and machine, None without one."""
    host = context.facts.host
    wheels = (w for w in context.version_set.optional_wheels if w.name == "safetensors")
    return next((w.url for w in wheels if (w.system, w.machine) == (host.system, host.machine)), None)


def _bounds(context: Context) -> tuple[str, ...]:
    """Return the set's bounds on packages that it does not install itself, where they are there."""
    target = context.facts.target
    bounds = context.version_set.constraints if target else ()
    return tuple(b for b in bounds if target and target.version_of(re.split(r"[<>=!~]", b, maxsplit=1)[0]))


def _with_installed_version(requirement: str, context: Context) -> str:
    """Pin `paddleocr[doc-parser]` to the paddleocr that is there: an extra must not move its package."""
    target = context.facts.target
    name = re.split(r"[\[<>=!~ ]", requirement, maxsplit=1)[0]
    version = target.version_of(name) if target else None
    return f"{requirement}=={version}" if requirement.endswith("]") and version else requirement


def _install_step(
    context: Context,
    site: Site,
    cured: Sequence[str],
    requirements: Sequence[str],
    request: Request,
    again: Sequence[str] = (),
) -> Step:
    words = ["uv", "pip", "install", "--python", site.python, "--only-binary", ":all:"]
    words += _from_wheelhouse(site, request) or _from_index(context, site, requirements, request)
    for name in dict.fromkeys(again):  # uv then downloads it afresh, whatever its cache holds
        words += ["--reinstall-package", name]
    target = context.facts.target
    return Step(
        id="install-packages",
        kind="install-packages",
        summary=message("step-install", names=", ".join(requirements)),
        resolves=tuple(cured),
        commands=((*words, *requirements),),
        precondition=message("step-install-before", count=len(target.distributions) if target else 0),
        undo=message("step-packages-undo"),
        arguments={
            "requirements": list(requirements),
            "reasons": _reasons(context, requirements),
        },
    )


def _from_wheelhouse(site: Site, request: Request) -> list[str]:
    """Return the words for an installation without a network; a new environment gets exactly what is in the house."""
    if request.wheelhouse is None:
        return []
    exact = [] if site.exists else ["--requirements", str(PurePath(request.wheelhouse, "requirements.txt"))]
    return ["--offline", "--no-index", "--find-links", request.wheelhouse, *exact]


def _from_index(context: Context, site: Site, requirements: Sequence[str], request: Request) -> list[str]:
    words: list[str] = []
    if context.wheel.find_links and any(r.startswith("paddlepaddle-gpu") for r in requirements):
        words += ["--find-links", context.wheel.find_links]
    version_set, host = context.version_set, context.facts.host
    as_tested = not site.exists and not request.dev_safetensors
    tested = resolved_list(version_set, host, request.python_version) if as_tested else None
    if tested is not None:
        words += ["--requirements", str(tested)]
    return [*words, *index_words(request.index, request.extra_indexes)]


def _reasons(context: Context, requirements: Sequence[str]) -> list[Text]:
    """Return why this paddle wheel, where one is installed."""
    if context.wheel.requirement not in requirements:
        return []
    wheel = context.wheel
    return [sentence.message for sentence in (*wheel.reasons, *wheel.refusals)]


# --- what follows the packages ---------------------------------------------------------------------------------


def _paddlex_to_come(packages: Sequence[Step]) -> str | None:
    """Return the version of paddlex that the steps install, published files and all, None where they do not."""
    wanted = (r for step in packages for r in step.arguments.get("requirements", ()))
    found = (re.fullmatch(r"paddlex(?:\[[^]]*\])?==([0-9.]+)", r) for r in wanted)
    return next((match[1] for match in found if match), None)


def _activation_steps(
    context: Context, site: Site, curable: Sequence[Finding], coming: str | None, *, installs: bool
) -> list[Step]:
    target = context.facts.target
    there = target.version_of("paddlex") if target else None
    return activation_steps(context, site.prefix, curable, coming or there, installs=installs)


def _link_steps(context: Context, site: Site, request: Request, *, installs: bool) -> list[Step]:
    link = context.facts.pipelines
    possible = link is not None and (link.wanted is not None or installs)
    if link is None or not possible or link.state not in _LINKABLE or not _link_is_wanted(request):
        return []
    return [
        Step(
            id="link-pipelines",
            kind="link-pipelines",
            summary=message("step-link", path=link.path),
            resolves=("pipelines-link",),
            precondition=message("step-link-before", path=link.path),
            undo=message("step-link-undo", path=link.path),
            arguments={"path": link.path, "prefix": site.prefix},
        )
    ]


def _link_is_wanted(request: Request) -> bool:
    return "pipelines-link" not in request.skip and (not request.only or "pipelines-link" in request.only)
