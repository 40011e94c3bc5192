"""Collects all facts of the quick check. NVML is queried while the target's Python answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from pathlib import Path

from paddlevl_doctor.facts.altered_files import altered_files
from paddlevl_doctor.facts.deciding_files import look_at_deciding_files
from paddlevl_doctor.facts.gpu import collect_gpus
from paddlevl_doctor.facts.host import collect_host, collect_settings, long_paths_allowed
from paddlevl_doctor.facts.model_cache import cache_root, collect_cache
from paddlevl_doctor.facts.record_hashes import record_hashes
from paddlevl_doctor.facts.scripts import scripts_of_other
from paddlevl_doctor.facts.state_folder import read_state_folder
from paddlevl_doctor.facts.target import Choice, Silent, collect_broken
from paddlevl_doctor.facts.windows_dlls import collect_dlls
from paddlevl_doctor.knowledge.patches import Patch, load_patches
from paddlevl_doctor.system.files import is_same_path
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.facts import Facts, Gpus, PatchedFile, PipelinesLink, Target

PIPELINES = Path("paddlex") / "configs" / "pipelines"


def collect_facts(system: System, choice: Choice, ask: Callable[[], Target | Silent | None]) -> Facts:
    """Collect the facts about the machine and the chosen target. `ask` waits for the answer of the target's Python.

    NVML is queried in a thread meanwhile. Raises what `ask` raises.
    """
    gpus: list[Gpus] = []
    thread = threading.Thread(target=lambda: gpus.append(collect_gpus(system)), daemon=True)
    thread.start()
    answer = ask()
    target = answer if isinstance(answer, Target) else None
    host, cache = collect_host(system), collect_cache(system)
    files, deciding = patched_files(system, target), look_at_deciding_files(system, target)
    link, disks = pipelines_link(system, target), free_disks(system, target, choice)
    state = read_state_folder(system, _state_prefix(system, target, choice))
    thread.join()
    return Facts(
        host=host,
        gpus=gpus[0] if gpus else Gpus(reason="nvml-error"),
        target=target,
        target_problem=answer.reason if isinstance(answer, Silent) else None,
        startup_file=answer.startup_file if isinstance(answer, Silent) else None,
        scripts_of=scripts_of_other(system, target) if target else None,
        own_environment=choice.own,
        planned_target=choice.planned,
        cache=cache,
        patched_files=files,
        suspect_files=deciding.suspect,
        altered_files=altered_files(system, target, deciding.recorded),
        applied_patches=state.applied_patches if target is not None else (),
        interrupted_transaction=state.interrupted,
        damaged_journals=state.damaged,
        broken_environment=collect_broken(system, choice),
        pipelines=link,
        free_disk_mb=disks,
        settings=collect_settings(system),
        long_paths=long_paths_allowed(system, target),
        dlls=collect_dlls(system, target),
    )


def patched_files(system: System, target: Target | None) -> tuple[PatchedFile, ...]:
    """Return the hash of every file of the target that a known patch changes."""
    if target is None or target.version_of("paddlex") is None:
        return ()
    files = [(patch, file.path) for patch in load_patches() for file in patch.files]
    recorded = record_hashes(system, target, "paddlex", [path for _, path in files])
    return tuple(_patched_file(system, target, patch, path, recorded[path]) for patch, path in files)


def _patched_file(
    system: System, target: Target, patch: Patch, path: str, recorded: Collection[str]
) -> PatchedFile:
    digest = system.digest(Path(target.folder_of(patch.distribution)) / path, "sha256")
    return PatchedFile(patch.id, path, digest, digest in recorded)


def _state_prefix(system: System, target: Target | None, choice: Choice) -> Path:
    """Return the folder that contains the state folder: the environment, or site-packages without one."""
    if target is not None:
        return Path(target.root)
    return choice.python.parent.parent if choice.python else system.cwd() / choice.planned


def pipelines_link(system: System, target: Target | None) -> PipelinesLink:
    """Return the state of `pipelines` in the working folder; `fix` makes it a link to the target's pipeline files."""
    path = system.cwd() / "pipelines"
    installed = target is not None and target.version_of("paddlex") is not None
    wanted = Path(target.folder_of("paddlex")) / PIPELINES if target and installed else None
    points_to = system.link_target(path)
    return PipelinesLink(
        path=str(path),
        state=_link_state(system, path, points_to, wanted),
        points_to=points_to,
        wanted=str(wanted) if wanted else None,
    )


def _link_state(system: System, path: Path, points_to: str | None, wanted: Path | None) -> str:
    if points_to is None:
        return "not-a-link" if system.exists(path) else "absent"
    if wanted is not None and is_same_path(path.parent / points_to, wanted):
        return "right" if system.exists(path) else "dangling"
    return "other-link" if system.exists(path) else "dangling"


def uv_cache(system: System) -> Path:
    """Return uv's cache folder (docs.astral.sh/uv/concepts/cache, cache directory)."""
    if system.env.get("UV_CACHE_DIR"):
        return Path(system.env["UV_CACHE_DIR"])
    if system.platform == "win32" and system.env.get("LOCALAPPDATA"):
        return Path(system.env["LOCALAPPDATA"]) / "uv" / "cache"
    return Path(system.env.get("XDG_CACHE_HOME") or system.home() / ".cache") / "uv"


def free_disks(system: System, target: Target | None, choice: Choice) -> dict[str, int]:
    """Return the free space in MB by purpose: target, uv-cache, model-cache, temp."""
    places = {
        "target": Path(target.prefix) if target else system.cwd() / choice.planned,
        "uv-cache": uv_cache(system),
        "model-cache": cache_root(system),
        "temp": Path(system.env.get("TMPDIR") or system.env.get("TEMP") or "/tmp"),  # noqa: S108 - only looked at
    }
    free = {name: system.free_disk_mb(path) for name, path in places.items()}
    return {name: mb for name, mb in free.items() if mb is not None}
