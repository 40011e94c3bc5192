"""Turns findings into a plan: the ordered steps that fix them, and the findings without a step, with reasons. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath

from packaging.version import InvalidVersion, Version

from paddlevl_doctor.checks import requirements as stack_requirements
from paddlevl_doctor.checks.base import Context
from paddlevl_doctor.checks.overlaps import FINDING as OVERLAP
from paddlevl_doctor.checks.overlaps import Separation, cure_of
from paddlevl_doctor.checks.packages import unusable
from paddlevl_doctor.checks.runner import AUTOMATIC
from paddlevl_doctor.fix.model_cache_steps import cache_steps
from paddlevl_doctor.fix.patch_steps import is_only_offered, patch_steps
from paddlevl_doctor.fix.plan_input import PlanInput
from paddlevl_doctor.fix.start_variables import FILES, content_of, script, variables_of
from paddlevl_doctor.knowledge.failures import Cure, load_failure
from paddlevl_doctor.knowledge.version_sets import resolved_list
from paddlevl_doctor.messages import Message, message
from paddlevl_doctor.packages.gpu_wheel import PACKAGE, cuda_tag
from paddlevl_doctor.packages.request import Request
from paddlevl_doctor.packages.uv import index_options
from paddlevl_doctor.shells import shell_of
from paddlevl_doctor.values.facts import Target
from paddlevl_doctor.values.findings import Finding, Status
from paddlevl_doctor.values.plan import (
    ClearLeftovers,
    CreateEnvironment,
    InstallPackages,
    LinkPipelines,
    Plan,
    RemovePackages,
    SetEnvironment,
    SetEnvironmentAside,
    SkippedFix,
    Step,
)

_PADDLES = ("paddlepaddle", PACKAGE)
_TO_FIX = (Status.ERROR, Status.WARNING)
_LINKABLE = ("absent", "dangling")
_INSTALLING = (
    "packages",
    "requirements",
    "separate",
    "set",
    "recreate",
    "paddle",
    "reinstall-paddle",
    "reinstall",
)
"""The kinds of fixes that install packages."""
_UNFIXABLE = (
    "python-version-unsupported",
    "glibc-too-old",
    "musl-libc",
    "no-avx-illegal-instruction",
    "macos-intel",
    "disk-space",
)
"""Errors that make every installation pointless: PaddlePaddle would not run afterwards."""


def build_plan(given: PlanInput) -> Plan:
    """Return the steps that fix the findings in this environment, in the order of their execution."""
    request = given.request
    if any(
        f.id in _UNFIXABLE and f.status is Status.ERROR and f.id not in request.skip for f in given.findings
    ):
        return Plan(skipped=tuple(_skipped_fix(f) for f in given.findings if f.status in _TO_FIX))
    wanted = [f for f in given.findings if _is_wanted(f, request)]
    automatic = [f for f in wanted if _is_automatic(given, f)]
    unapproved = {f.id: reason for f in automatic if (reason := _unapproved(given, f))}
    fixable = [f for f in automatic if f.id not in unapproved]
    packages = _package_steps(given, fixable)
    new_paddlex = _installed_paddlex(packages)
    steps = [
        *cache_steps(given.context, fixable),
        *_environment_steps(given, fixable),
        *packages,
        *patch_steps(given, fixable, new_paddlex),
        *_variable_steps(given, fixable, new_paddlex, installs=bool(packages)),
        *_link_steps(given, installs=new_paddlex is not None),
    ]
    resolved = {finding for step in steps for finding in step.resolves}
    noted = {f.id for f in wanted if f.status is Status.NOTE}
    left = [f for f in given.findings if (f.status in _TO_FIX or f.id in noted) and f.id not in resolved]
    return Plan(
        tuple(steps), tuple(_skipped_fix(f, request, unapproved.get(f.id), given.target) for f in left)
    )


def _is_automatic(given: PlanInput, finding: Finding) -> bool:
    """Return whether `fix` can fix a finding; an environment is not created again beside another target."""
    kind = load_failure(finding.id).cure.kind
    if kind == "recreate" and given.site.exists:
        return False
    return kind in AUTOMATIC and not is_only_offered(finding.id, given.request.only)


def _unapproved(given: PlanInput, finding: Finding) -> Message | None:
    """Return what a fix would remove or only downgrade, None if nothing, or if --yes or --only allows it."""
    cure = load_failure(finding.id).cure
    if given.request.yes or finding.id in given.request.only:
        return None
    if cure.kind == "requirements" and not _stack_requirements(given, [finding]):
        return message("skip-downgrade", names=", ".join(finding.subjects), id=finding.id)
    if cure.kind == "set-aside":
        return message("skip-removal", names=", ".join(finding.subjects), id=finding.id)
    if cure.kind not in _INSTALLING:
        return None
    requirements = _requirements(given.context, [cure], whole=False)
    removal = _removal_steps(given, (finding.id,), requirements, _separated(given, [finding]).removed)
    return message("skip-removal", names=", ".join(removal[0].names), id=finding.id) if removal else None


def _is_wanted(finding: Finding, request: Request) -> bool:
    if finding.id in request.skip or (request.only and finding.id not in request.only):
        return False
    return finding.status in _TO_FIX or (finding.id in request.only and finding.status is Status.NOTE)


def _skipped_fix(
    finding: Finding,
    request: Request | None = None,
    unapproved: Message | None = None,
    target: Target | None = None,
) -> SkippedFix:
    if unapproved is not None:
        return SkippedFix(finding.id, unapproved)
    if request is not None and finding.id in request.skip:
        return SkippedFix(finding.id, message("skip-asked"))
    if request is not None and request.only and finding.id not in request.only:
        return SkippedFix(finding.id, message("skip-not-in-only"))
    if request is not None and is_only_offered(finding.id, request.only):
        return SkippedFix(finding.id, message("skip-offered", id=finding.id))
    return SkippedFix(finding.id, _reason_of_cure(finding, target))


def _reason_of_cure(finding: Finding, target: Target | None) -> Message:
    """Return why the cure of a finding is not a step of the plan."""
    cure = load_failure(finding.id).cure
    if cure.kind in ("patch", "link") and target is not None and not target.can_change("paddlex"):
        return message("skip-elsewhere", path=target.folder_of("paddlex"))
    if cure.kind in ("patch", "roll-back"):
        return message("skip-unfit" if cure.patch else "skip-roll-back")
    return message("skip-manual", remedy=finding.remedy.text if finding.remedy else "")


_WITHOUT_TARGET = ("target-environment", "base-python-missing", "environment-without-settings")
"""The findings that a new environment fixes."""


def _environment_steps(given: PlanInput, fixable: Sequence[Finding]) -> list[Step]:
    site, request = given.site, given.request
    resolved = tuple(f.id for f in fixable if f.id in _WITHOUT_TARGET)
    if site.exists or not resolved:
        return []
    python = request.interpreter or request.python_version
    offline = ("--offline",) if request.wheelhouse else ()
    command = ("uv", "venv", *offline, "--no-project", "--allow-existing", "--python", python, site.prefix)
    return [
        *_set_aside_steps(given),
        CreateEnvironment(
            id="create-environment",
            summary=message("step-create", path=site.prefix, python=PurePath(python).name),
            resolves=resolved,
            commands=(command,),
            precondition=message("step-create-before", path=site.prefix),
            undo=message("step-create-undo", path=site.prefix),
            prefix=site.prefix,
        ),
    ]


def _set_aside_steps(given: PlanInput) -> list[Step]:
    """Keep the whole content of an environment that does not work; undo brings it back."""
    broken = given.context.facts.broken_environment
    if broken is None:
        return []
    former = {f"Python {broken.version or '?'}": f"({broken.home or '?'})", **broken.packages}
    return [
        SetEnvironmentAside(
            id="set-environment-aside",
            summary=message("step-environment-aside", path=broken.folder),
            diff="\n".join(f"- {name} {version}" for name, version in former.items()),
            precondition=message("step-recreate-before", path=broken.folder),
            undo=message("step-environment-aside-undo", path=broken.folder),
        )
    ]


# --- packages ---------------------------------------------------------------------------------------------


def _package_steps(given: PlanInput, fixable: Sequence[Finding]) -> list[Step]:
    context, request = given.context, given.request
    cures = {f.id: load_failure(f.id).cure for f in fixable}
    installing = {i: c for i, c in cures.items() if c.kind in _INSTALLING}
    switches_set = request.set_name is not None and context.followed != context.version_set
    if not installing and not switches_set:
        return []
    separated = _separated(given, fixable)
    damaged = _damaged_versions(
        given, (n for f in fixable if cures[f.id].kind == "reinstall" for n in f.subjects), separated
    )
    requirements = _requirements(context, installing.values(), whole=switches_set or not given.site.exists)
    if not switches_set and "set" not in {cure.kind for cure in installing.values()}:
        requirements = (*requirements, *_stack_requirements(given, fixable))
    requirements = _with_damaged(requirements, damaged)
    if request.dev_safetensors:
        requirements = _with_dev_safetensors(context, requirements)
    removal = _removal_steps(given, installing, requirements, separated.removed)
    clearing = _clearing_steps(given, tuple(i for i, c in installing.items() if c.kind == "reinstall"))
    if not requirements:  # an interrupted pip left only records without a version
        return clearing
    reinstalled = (*damaged, *_changes_cuda_variant(given, (cure.kind for cure in installing.values())))
    install = _install_step(given, tuple(installing), requirements, reinstalled)
    if removal and not request.yes and not set(installing) & set(request.only):
        removes = tuple(removal[0].diff.splitlines())
        removal, install = (
            [replace(removal[0], needs_consent=removes)],
            replace(install, needs_consent=removes),
        )
    return [*removal, *clearing, install]


def _removal_steps(
    given: PlanInput, resolved: Iterable[str], requirements: Sequence[str], overlapping: Sequence[str]
) -> list[RemovePackages]:
    """Remove the paddle distribution that would collide with the required one, and what overlaps with the stack.

    Both paddle distributions own the folder paddle/.
    """
    required = next((n for r in requirements for n in _PADDLES if re.match(rf"{n}(?![\w-])", r)), None)
    paddles = [name for name in _PADDLES if given.installed(name)]
    removed = [name for name in paddles if required and (len(paddles) > 1 or name != required)]
    present = {name: given.installed(name) or "" for name in (*removed, *overlapping)}
    removed = list(present)
    if not removed:
        return []
    names = " ".join(f"{name} {present[name]}" for name in removed)
    return [
        RemovePackages(
            id="remove-packages",
            summary=message("step-remove", names=names),
            resolves=tuple(i for i in resolved if i in ("both-paddle-dists", OVERLAP)),
            commands=(("uv", "pip", "uninstall", "--python", given.site.python, *removed),),
            diff="\n".join(f"- {name} {present[name]}" for name in removed),
            precondition=message("step-remove-before", names=names),
            undo=message("step-packages-undo"),
            names=tuple(removed),
            versions=tuple(present[name] for name in removed),
        )
    ]


def _changes_cuda_variant(given: PlanInput, kinds: Iterable[str]) -> tuple[str, ...]:
    """Return paddlepaddle-gpu if a fix of one of these kinds replaces it by the wheel of another CUDA variant.

    The wheels of all variants have the same version, so uv keeps the installed one unless it must reinstall it.
    """
    wheel, target = given.context.wheel, given.target
    if not {"paddle", "reinstall-paddle"} & set(kinds) or wheel.package != PACKAGE:
        return ()
    if target is None or target.paddle is None or given.installed(PACKAGE) is None:
        return ()
    return (PACKAGE,) if cuda_tag(target.paddle.cuda) not in (None, wheel.tag) else ()


def _separated(given: PlanInput, findings: Iterable[Finding]) -> Separation:
    """Return what is removed and what is installed again because distributions share files."""
    names = dict.fromkeys(
        n
        for f in findings
        if load_failure(f.id).cure.kind == "separate"
        for n in f.subjects
        if given.installed(n)
    )
    return cure_of(given.context.facts, tuple(names)) if names else Separation((), ())


def _damaged_versions(given: PlanInput, damaged: Iterable[str], separated: Separation) -> dict[str, str]:
    """Return the version to reinstall of every damaged distribution that is not removed, by its name."""
    names = [name for name in dict.fromkeys((*damaged, *separated.kept)) if name not in separated.removed]
    installed = {name: given.target.versions_of(name) for name in names} if given.target else {}
    return {
        name: _version_to_reinstall(given.context, name, found) for name, found in installed.items() if found
    }


def _version_to_reinstall(context: Context, name: str, versions: Sequence[str]) -> str:
    """Choose among the versions of the records: the one of the version set, else the newest.

    A killed upgrade leaves two records; the newer one is its goal.
    """
    of_set = {
        "paddlex": context.version_set.paddlex,
        "paddleocr": context.version_set.paddleocr,
        context.wheel.package: context.wheel.version,
    }.get(name)
    return of_set if of_set is not None and of_set in versions else max(versions, key=_version_key)


def _version_key(version: str) -> tuple[bool, Version]:
    try:
        return True, Version(version)
    except InvalidVersion:  # it comes from the name of a folder, which can be any text
        return False, Version("0")


def _stack_requirements(given: PlanInput, findings: Iterable[Finding]) -> tuple[str, ...]:
    """Return what the findings about unmet requirements install; downgrades only if --yes or --only allows them."""
    names = {n for f in findings if load_failure(f.id).cure.kind == "requirements" for n in f.subjects}
    host, target, request = given.context.facts.host, given.target, given.request
    if target is None or not names:
        return ()
    if not request.yes and stack_requirements.FINDING not in request.only:
        names -= set(stack_requirements.too_new(host, target))
    return stack_requirements.allowed(host, target, sorted(names))


def _with_damaged(requirements: Sequence[str], damaged: Mapping[str, str]) -> tuple[str, ...]:
    """Add the distributions to reinstall, unless another fix requires them already."""
    required = {re.split(r"[\[<>=!~ @]", r, maxsplit=1)[0] for r in requirements}
    return (*requirements, *(f"{name}=={v}" for name, v in damaged.items() if name not in required))


def _clearing_steps(given: PlanInput, resolved: tuple[str, ...]) -> list[Step]:
    """Move broken records out of site-packages: uv cannot read them and would install beside them."""
    names = unusable(given.target) if given.target is not None and resolved else ()
    if given.target is None or not names:
        return []
    return [
        ClearLeftovers(
            id="clear-leftovers",
            summary=message("step-clear", count=len(names)),
            resolves=resolved,
            diff="\n".join(f"- {name}" for name in names),
            precondition=message("step-clear-before", names=", ".join(names)),
            undo=message("step-clear-undo"),
            names=tuple(names),
            site=given.target.purelib,
        )
    ]


def _requirements(context: Context, cures: Iterable[Cure], *, whole: bool) -> tuple[str, ...]:
    """Return the requirements to install, without duplicates; `whole` takes the whole version set."""
    paddle, chosen = context.wheel.requirement, tuple(cures)
    kinds = {cure.kind for cure in chosen}
    if whole or "set" in kinds:
        target = context.facts.target
        # The set's constraints on installed packages that the set itself does not install.
        bounds = [
            bound
            for bound in context.version_set.constraints
            if target and target.version_of(re.split(r"[<>=!~]", bound, maxsplit=1)[0])
        ]
        return (paddle, *context.version_set.stack(), *bounds)
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


def _with_installed_version(requirement: str, context: Context) -> str:
    """Pin `paddleocr[doc-parser]` to the installed paddleocr: adding an extra must not change the package."""
    target = context.facts.target
    name = re.split(r"[\[<>=!~ ]", requirement, maxsplit=1)[0]
    version = target.version_of(name) if target else None
    return f"{requirement}=={version}" if requirement.endswith("]") and version else requirement


def _install_step(
    given: PlanInput, resolved: Sequence[str], requirements: Sequence[str], reinstalled: Sequence[str]
) -> Step:
    arguments = ["uv", "pip", "install", "--python", given.site.python, "--only-binary", ":all:"]
    arguments += _wheelhouse_options(given) or _index_options(given, requirements)
    for name in dict.fromkeys(reinstalled):  # uv then ignores its cache and downloads the wheel again
        arguments += ["--reinstall-package", name]
    wheel, target = given.context.wheel, given.target
    rules = (*wheel.reasons, *wheel.refusals) if wheel.requirement in requirements else ()
    return InstallPackages(
        id="install-packages",
        summary=message("step-install", names=", ".join(requirements)),
        resolves=tuple(resolved),
        commands=((*arguments, *requirements),),
        precondition=message("step-install-before", count=len(target.distributions) if target else 0),
        undo=message("step-packages-undo"),
        requirements=tuple(requirements),
        reasons=tuple(rule.message for rule in rules),
    )


def _wheelhouse_options(given: PlanInput) -> list[str]:
    """Return uv's options for an offline installation; a new environment gets exactly the wheelhouse's versions."""
    folder = given.request.wheelhouse
    if folder is None:
        return []
    exact = [] if given.site.exists else ["--requirements", str(PurePath(folder, "requirements.txt"))]
    return ["--offline", "--no-index", "--find-links", folder, *exact]


def _index_options(given: PlanInput, requirements: Sequence[str]) -> list[str]:
    context, request = given.context, given.request
    options: list[str] = []
    if context.wheel.find_links and any(r.startswith("paddlepaddle-gpu") for r in requirements):
        options += ["--find-links", context.wheel.find_links]
    as_tested = not given.site.exists and not request.dev_safetensors
    tested = (
        resolved_list(context.version_set, context.facts.host, request.python_version) if as_tested else None
    )
    if tested is not None:
        options += ["--requirements", str(tested)]
    return [*options, *index_options(request.index, request.extra_indexes)]


# --- the steps after the packages ---------------------------------------------------------------------------------


def _installed_paddlex(packages: Sequence[Step]) -> str | None:
    """Return the version of paddlex that the steps install, with its published files; None if they install none."""
    wanted = (r for step in packages if isinstance(step, InstallPackages) for r in step.requirements)
    found = (re.fullmatch(r"paddlex(?:\[[^]]*\])?==([0-9.]+)", r) for r in wanted)
    return next((match[1] for match in found if match), None)


def _variable_steps(
    given: PlanInput, fixable: Sequence[Finding], new_paddlex: str | None, *, installs: bool
) -> list[Step]:
    """Write the file with the environment variables, if a finding needs it or if packages are installed.

    An interpreter without a virtual environment has no folder for that file.
    """
    facts = given.context.facts
    resolved = tuple(f.id for f in fixable if load_failure(f.id).cure.kind == "environment")
    installed = next((name for name in reversed(_PADDLES) if given.installed(name)), None)
    package = given.context.wheel.package if installs else installed
    variables = variables_of(facts, package, new_paddlex or given.installed("paddlex"))
    unset = tuple(v for v in variables if v.prepends or v.name not in facts.settings)
    if not unset or not (resolved or installs) or (given.target is not None and not given.target.is_virtual):
        return []
    shell = shell_of(facts.host.system)
    path = str(PurePath(given.site.prefix) / FILES[shell])
    return [
        SetEnvironment(
            id="set-environment",
            summary=message("step-environment", path=path),
            resolves=resolved,
            diff="\n".join(f"+{line}" for line in script(unset, shell).splitlines()),
            precondition=message("step-write-before"),
            undo=message("step-write-undo"),
            path=path,
            content=content_of(unset, shell),
        )
    ]


def _link_steps(given: PlanInput, *, installs: bool) -> list[Step]:
    link, request = given.context.facts.pipelines, given.request
    wanted = "pipelines-link" not in request.skip and (not request.only or "pipelines-link" in request.only)
    if link is None or link.state not in _LINKABLE or not wanted or not (link.wanted is not None or installs):
        return []
    if given.target is not None and not given.target.can_change("paddlex") and not installs:
        return []
    return [
        LinkPipelines(
            id="link-pipelines",
            summary=message("step-link", path=link.path),
            resolves=("pipelines-link",),
            precondition=message("step-link-before", path=link.path),
            undo=message("step-link-undo", path=link.path),
            path=link.path,
            prefix=given.site.prefix,
        )
    ]
