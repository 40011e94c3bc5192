"""However uv put the files there: its cache and every other environment keep their bytes."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest
from uv import find_uv_bin

from environments import interpreter, python_in
from kills import Tree, Trees, difference
from paddlevl_doctor.fix import journal, steps
from paddlevl_doctor.fix.lock import locked
from paddlevl_doctor.fix.transaction import apply_plan
from paddlevl_doctor.fix.undo import undo
from paddlevl_doctor.knowledge.patches import find_patch
from paddlevl_doctor.patching.proof import Proof
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.plan import ApplyPatch, InstallPackages, LinkPipelines, Plan, Step

PATCHES = ("doc-preprocessor-defaults", "fuse-rms-norm")
TAGS = ("cpython-311", "cpython-311.opt-1", "cpython-312.opt-2", "pypy311")


@dataclass(frozen=True)
class Shared:
    """One cache of uv and the environments that were made from it."""

    folder: Path

    @property
    def target(self) -> Path:
        return self.folder / "target"

    @property
    def site(self) -> Path:
        return self.target / "lib" / "python3.11" / "site-packages"

    def others(self) -> Tree:
        """The published files in the cache, and the other environments."""
        trees = {name: Trees().of(self.folder / name) for name in ("cache/archive-v0", "other", "newer")}
        return {f"{name}/{path}": what for name, tree in trees.items() for path, what in tree.items()}


@pytest.fixture(params=["clone", "hardlink", "symlink", "copy"])
def shared(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shared:
    """Return environments with the real paddlex: two of 3.3.6, and one of the version that comes next."""
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_LINK_MODE", request.param)
    left_out = Proof(True, "left out: only paddlex is here")
    monkeypatch.setattr(steps, "prove_all", lambda _, names, __: dict.fromkeys(names, left_out))
    versions = {"target": "3.3.6", "other": "3.3.6", "newer": "3.7.2"}
    for name, version in versions.items():
        uv("venv", "--python", interpreter("3.11"), tmp_path / name)
        uv("pip", "install", "--no-deps", "--python", python_in(tmp_path / name), f"paddlex=={version}")
    return Shared(tmp_path)


def uv(*words: str | Path) -> None:
    subprocess.run([find_uv_bin(), *words, "--quiet"], check=True, stderr=subprocess.DEVNULL)


def patch(name: str) -> Step:
    return ApplyPatch(id=f"patch-{name}", summary=name, patch=name)


def install(shared: Shared) -> Step:
    words = ("uv", "pip", "install", "--offline", "--no-deps", "--python", str(python_in(shared.target)))
    return InstallPackages(id="install-packages", summary="install", commands=((*words, "paddlex==3.7.2"),))


def link(shared: Shared) -> Step:
    arguments = {"path": str(shared.folder / "pipelines")}
    return LinkPipelines(id="link-pipelines", summary="link", **arguments)


def patches_alone(_: Shared) -> tuple[Step, ...]:
    return tuple(patch(name) for name in PATCHES)


def everything(shared: Shared) -> tuple[Step, ...]:
    return (install(shared), *patches_alone(shared), link(shared))


def bytecode(shared: Shared) -> list[Path]:
    """The places of bytecode of the files that are patched, of every Python and optimisation level."""
    sources = [shared.site / file.path for name in PATCHES for file in find_patch(name).files]
    return [s.parent / "__pycache__" / f"{s.stem}.{tag}.pyc" for s in sources for tag in TAGS]


def compiled(shared: Shared) -> None:
    for path in bytecode(shared):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"bytecode of what was there before")


def without_bytecode(tree: Tree) -> Tree:
    """Bytecode is made anew by every Python."""
    return {path: what for path, what in tree.items() if "__pycache__" not in path}


@pytest.mark.parametrize("plan", [patches_alone, everything])
def test_the_cache_and_other_environments_keep_their_bytes(
    plan: Callable[[Shared], tuple[Step, ...]], shared: Shared
) -> None:
    compiled(shared)
    others, former = shared.others(), Trees().of(shared.target)
    system, venv = RealSystem(), shared.target
    with locked(venv):
        done = apply_plan(system, Plan(plan(shared)), venv, python_in(venv), lambda _: nullcontext())
    assert {outcome.status for outcome in done.outcomes} == {"applied"}
    assert difference(others, shared.others()) == {}
    assert [path for path in bytecode(shared) if path.exists()] == []
    compiled(shared)
    with locked(venv):
        undo(system, journal.Transaction(venv, 1), yes=False)
    assert difference(others, shared.others()) == {}
    assert difference(without_bytecode(former), without_bytecode(Trees().of(venv))) == {}
    stale = [p for p in bytecode(shared) if p.exists() and plan is patches_alone]
    assert stale == []
    assert not (shared.folder / "pipelines").is_symlink()
