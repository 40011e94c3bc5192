"""Refuses, before the first change, plans for environments and packages that the user must not change."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from paddlevl_doctor.checks.base import Context
from paddlevl_doctor.fix.installs import recorded_paths
from paddlevl_doctor.knowledge.installed_sizes import InstalledSize, cuda_libraries, total_of
from paddlevl_doctor.knowledge.patches import find_patch
from paddlevl_doctor.messages import message
from paddlevl_doctor.packages.gpu_wheel import PACKAGE
from paddlevl_doctor.packages.request import Request
from paddlevl_doctor.packages.resolve import TargetPlatform
from paddlevl_doctor.packages.uv import is_cached, listed_requirements, pinned_versions
from paddlevl_doctor.packages.wheelhouse import Wheelhouse
from paddlevl_doctor.system.files import is_junction, is_same_disk
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.errors import DoctorError, UsageError
from paddlevl_doctor.values.facts import Distribution, Target
from paddlevl_doctor.values.plan import (
    ApplyPatch,
    ClearLeftovers,
    CreateEnvironment,
    InstallPackages,
    PackageStep,
    Plan,
    RemovePackages,
    Step,
)


def refuse_untouchable(system: System, target: Target | None, plan: Plan) -> None:
    """Raise UsageError, with a solution, if the plan changes an environment or package that is not the user's."""
    if target is None or not any(
        isinstance(step, (PackageStep, ClearLeftovers, ApplyPatch)) for step in plan.steps
    ):
        return
    if target.externally_managed:
        raise UsageError(message("externally-managed", path=target.python))
    owner = system.foreign_owner(Path(target.prefix if target.is_virtual else target.purelib))
    if owner is not None:
        raise UsageError(message("other-owner", path=target.prefix, owner=owner))
    for folder in dict.fromkeys((target.purelib, target.platlib)):
        if not system.can_write(Path(folder)):
            raise UsageError(message("site-read-only", path=folder))
    refuse_owned(system, target, plan)


def refuse_owned(system: System, target: Target | None, plan: Plan) -> None:
    """Raise UsageError if a step changes a package that conda or an editable installation owns.

    A resolved step is judged by all distributions that it changes, not only by those that it names.
    """
    if target is None:
        return
    for distribution in _touched(target, plan.steps):
        if distribution.origin == "shadowing":
            names = {"name": distribution.name, "folder": distribution.imported_from, "path": target.prefix}
            raise UsageError(message("package-shadowed", **names))
        if not distribution.in_target:  # an installation into the target does not change it
            continue
        if distribution.editable:
            raise UsageError(message("editable-install", name=distribution.name, path=target.prefix))
        if (system.read_text(Path(distribution.path) / "INSTALLER") or "").strip() == "conda":
            raise UsageError(message("conda-owned", name=distribution.name, path=target.prefix))
        if (link := _folder_link(target, distribution)) is not None:
            raise UsageError(message("package-behind-link", name=distribution.name, path=link))


def _folder_link(target: Target, distribution: Distribution) -> Path | None:
    """Return a link on the way to a file of a distribution. An installer would follow it, and leave the target."""
    info = Path(distribution.path)
    root = Path(target.prefix) if target.is_virtual else info.parent
    folders = {Path(path).parent for path in recorded_paths(info)} if info.is_dir() else set[Path]()
    below = {folder for one in folders for folder in (one, *one.parents) if root in folder.parents}
    return min((folder for folder in below if folder.is_symlink() or is_junction(folder)), default=None)


def _touched(target: Target, steps: Iterable[Step]) -> list[Distribution]:
    """Return the installed distributions that the steps would replace, remove or patch."""
    names = {name for step in steps for name in _names(step)}
    return [d for d in target.distributions if d.name in names]


def _names(step: Step) -> list[str]:
    if isinstance(step, ApplyPatch):
        return [find_patch(step.patch).distribution]
    named: tuple[str, ...] = ()
    if isinstance(step, InstallPackages):
        named = step.requirements
    elif isinstance(step, (RemovePackages, ClearLeftovers)):
        named = step.names
    wanted = (*named, *changed_names(step))
    return [re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~ ;@]", r, maxsplit=1)[0]).lower() for r in wanted]


_CHANGED = re.compile(r"^[-~] ([A-Za-z0-9._-]+) ", re.MULTILINE)


def changed_names(step: Step) -> tuple[str, ...]:
    """Return the installed distributions that a resolved package step replaces or removes."""
    return tuple(_CHANGED.findall(step.diff)) if isinstance(step, InstallPackages) else ()


_ADDED = re.compile(r"^[+~] ([A-Za-z0-9._-]+) ", re.MULTILINE)
_OWN_MB = 20
"""The journal, the space that is reserved for a rollback, and the links to 25,000 former files."""
_OWN_FILES = 2_000
"""The folders that hold the links to the former files."""


def needed_room(system: System, plan: Plan) -> InstalledSize:
    """Estimate the room that a plan needs: all new packages, because the removed ones are kept for undo."""
    installing = [step for step in plan.steps if isinstance(step, InstallPackages)]
    new = total_of({name for step in installing for name in _installed_by(system, step)})
    return InstalledSize(new.kib + (_OWN_MB << 10), new.files + _OWN_FILES)


def _installed_by(system: System, step: Step) -> set[str]:
    """Return what a step installs: what uv planned, or for a new environment the list of the tested versions."""
    if step.diff:
        return set(_ADDED.findall(step.diff))
    words = step.commands[0] if step.commands else ()
    tested = set(pinned_versions(listed_requirements(system, words)))
    variant = re.search(rf"/(cu\d+)/{PACKAGE}/", " ".join(words))
    return tested | set(_names(step)) | (cuda_libraries(variant[1]) if variant else set())


def refuse_tight(system: System, places: Mapping[str, Path], plan: Plan) -> None:
    """Raise DoctorError if a disk (`target`, `uv-cache`) has less room than the plan needs.

    Nothing is refused if uv has all wheels in its cache and can link them from there.
    """
    needed = needed_room(system, plan)
    for name, path in places.items():
        place, free, inodes = message(f"room-{name}"), system.free_disk_mb(path), system.inodes(path)
        if free is not None and free << 10 < needed.kib:
            error = message("disk-too-tight", needed=needed.kib >> 10, free=free, place=place)
        elif inodes is not None and inodes[0] < needed.files:
            error = message("inodes-too-tight", needed=needed.files, free=inodes[0], place=place)
        else:
            continue
        if not _needs_links_only(system, places, plan):
            raise DoctorError(error)


def _needs_links_only(system: System, places: Mapping[str, Path], plan: Plan) -> bool:
    """Return whether every new file is a link to uv's cache. uv is asked, so this is for a tight disk only."""
    copies = system.env.get("UV_LINK_MODE") == "copy"
    if copies or not {"target", "uv-cache"} <= set(places) or not is_same_disk(*places.values()):
        return False
    creating = next((step.commands[0] for step in plan.steps if isinstance(step, CreateEnvironment)), None)
    python = creating[creating.index("--python") + 1] if creating else None
    installing = (step.commands[0] for step in plan.steps if isinstance(step, InstallPackages))
    return all(is_cached(system, command, python) for command in installing)


def verify_wheelhouse(request: Request) -> Wheelhouse | None:
    """Return the requested wheelhouse with every file verified; None if none was requested.

    Raises DoctorError for a damaged wheelhouse, UsageError for options that need a network.
    """
    if request.wheelhouse is None:
        return None
    if request.index or request.dev_safetensors:
        raise UsageError(message("house-alone"))
    return Wheelhouse.check(Path(request.wheelhouse))


def refuse_unfit(wheelhouse: Wheelhouse | None, context: Context, plan: Plan, python_version: str) -> None:
    """Raise DoctorError if the wheelhouse lacks wheels of the plan, or is for another machine or CUDA variant."""
    steps = [step for step in plan.steps if isinstance(step, InstallPackages)]
    if wheelhouse is None or not steps:
        return
    facts = context.facts
    version = facts.target.version if facts.target else python_version
    minor = ".".join(version.split(".")[:2])
    wheelhouse.refuse_other(TargetPlatform(facts.host.system, facts.host.machine, minor, facts.host.glibc))
    needed = [r for step in steps for r in step.requirements]
    wheelhouse.refuse_missing(needed)
    if any(r.startswith(f"{PACKAGE}==") for r in needed):
        wheelhouse.refuse_other_variant(context.wheel.tag)
