"""Whatever the plan and whatever was there: undo brings the former tree back, and a second repair changes nothing.

The target is a small virtual environment with the real files of paddlex that the patches know; packages are tiny
wheels, installed by the real uv. A further kind of step needs one more function in KINDS.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from environments import python_in
from kills import Tree, Trees, difference
from paddlevl_doctor.commands.diagnose import TargetOptions
from paddlevl_doctor.commands.undo import undo_command
from paddlevl_doctor.facts.target import STATE_FOLDER
from paddlevl_doctor.fix import steps
from paddlevl_doctor.fix.lock import locked
from paddlevl_doctor.fix.transaction import ApplyFailedError, apply_plan
from paddlevl_doctor.knowledge.patches import find_patch
from paddlevl_doctor.patching.proof import Proof
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.errors import DoctorError
from paddlevl_doctor.values.plan import ApplyPatch, InstallPackages, Plan, Step
from small_target import VERSIONS, Former, Where, activation, build, install, link, patch, write_wheel

RUNS = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


FORMERS = st.builds(
    Former,
    version=st.sampled_from(sorted(VERSIONS)),
    tiny=st.sampled_from([None, "1.0", "2.0"]),
    mode=st.sampled_from([0o644, 0o444, 0o600, 0o755]),
    form=st.sampled_from(["files", "files", "links", "crlf", "edited"]),
    pipelines=st.sampled_from(["absent", "absent", "dangling", "right"]),
)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two versions of a tiny package, each with a file that the other has not."""
    folder = tmp_path_factory.mktemp("wheels")
    for version in ("1.0", "2.0"):
        write_wheel(folder, version)
    return folder


KINDS: tuple[Callable[[Where], Step], ...] = (install, patch, patch, link, activation)
CHOICES = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(0, 5)), min_size=1, max_size=5, unique_by=lambda pair: pair
)


def fits(step: Step, former: Former) -> bool:
    return not isinstance(step, ApplyPatch) or find_patch(step.patch).fits(former.version)


def fails(step: Step, former: Former) -> bool:
    return isinstance(step, ApplyPatch) and not former.patchable


def unique(chosen: list[Step]) -> tuple[Step, ...]:
    """A plan has every step once."""
    return tuple({step.id: step for step in chosen}.values())


# --- running ----------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def no_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    """The files here are no whole paddlex; the proofs have tests of their own."""
    monkeypatch.setattr(
        steps, "prove_all", lambda _, names, __: dict.fromkeys(names, Proof(True, "left out"))
    )


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "project"


def apply(folder: Path, plan: tuple[Step, ...]) -> list[str]:
    venv = folder / ".venv"
    with locked(venv):
        done = apply_plan(RealSystem(), Plan(plan), venv, python_in(venv), lambda _: nullcontext())
    return [outcome.status for outcome in done.outcomes]


def take_back(folder: Path, to: int) -> tuple[int, ...]:
    options = TargetOptions(venv=str(folder / ".venv"))
    return undo_command(
        RealSystem(), options, lambda _: nullcontext(), listing=False, to=to, yes=False
    ).undone


def tree(folder: Path) -> Tree:
    """Everything but what the doctor remembers."""
    return {path: what for path, what in Trees().of(folder).items() if STATE_FOLDER not in path}


@RUNS
@given(former=FORMERS, choices=CHOICES)
def test_undo_after_apply_is_the_identity_and_apply_after_apply_is_apply(
    folder: Path, wheels: Path, former: Former, choices: list[tuple[Callable[[Where], Step], int]]
) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    build(folder, former, wheels)
    before = Trees().of(folder)
    plan = unique([s for kind, n in choices if fits(s := kind(Where(folder, wheels, n)), former)])
    if not plan:
        return
    if any(fails(step, former) for step in plan):
        with pytest.raises(ApplyFailedError):
            apply(folder, plan)
        assert difference(before, Trees().of(folder)) == {}
        return
    apply(folder, plan)
    goal = tree(folder)
    again = apply(folder, plan)
    assert difference(goal, tree(folder)) == {}
    assert {s for s, step in zip(again, plan, strict=True) if not isinstance(step, InstallPackages)} <= {
        "already"
    }
    assert take_back(folder, 0) == (2, 1)
    assert difference(before, Trees().of(folder)) == {}


@RUNS
@given(former=FORMERS.filter(lambda former: former.patchable), choices=CHOICES, to=st.integers(0, 5))
def test_undo_goes_back_to_any_transaction(
    folder: Path, wheels: Path, former: Former, choices: list[tuple[Callable[[Where], Step], int]], to: int
) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    build(folder, former, wheels)
    plan = unique([s for kind, n in choices if fits(s := kind(Where(folder, wheels, n)), former)])
    trees = [tree(folder)]
    for step in plan:
        apply(folder, (step,))
        trees.append(tree(folder))
    options = TargetOptions(venv=str(folder / ".venv"))
    listed = undo_command(RealSystem(), options, lambda _: nullcontext(), listing=True, to=None, yes=False)
    assert [row["transaction"] for row in listed.left] == list(range(1, len(plan) + 1))
    if to < len(plan):
        assert take_back(folder, to) == tuple(range(len(plan), to, -1))
    assert difference(trees[min(to, len(plan))], tree(folder)) == {}
    assert (folder / ".venv" / STATE_FOLDER).exists() == (to > 0 and bool(plan))


@RUNS
@given(former=FORMERS.filter(lambda former: former.patchable), choice=st.integers(0, 5))
def test_a_file_that_the_user_changed_meanwhile_is_kept_and_named(
    folder: Path, wheels: Path, former: Former, choice: int
) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    site = build(folder, former, wheels)
    step = patch(Where(folder, wheels, choice))
    if not fits(step, former):
        return
    apply(folder, (install(Where(folder, wheels, choice)), step))
    path = find_patch(step.patch).files[0].path
    (site / "mine").write_bytes((site / path).read_bytes() + b"# my own line\n")
    os.replace(site / "mine", site / path)  # noqa: PTH105 - as an editor does
    edited = Trees().of(folder)
    with pytest.raises(DoctorError, match=Path(path).name):
        take_back(folder, 0)
    assert difference(edited, Trees().of(folder)) == {}


def test_the_small_target_is_one_to_its_python(tmp_path: Path, wheels: Path) -> None:
    former = Former("3.7.2", "1.0", 0o644, "files", "absent")
    build(tmp_path, former, wheels)
    assert (
        apply(tmp_path, (install(Where(tmp_path, wheels, 1)), link(Where(tmp_path, wheels, 0))))
        == ["applied"] * 2
    )
    program = "import tiny, sys; sys.exit(tiny.version != '2.0')"
    done = RealSystem().run((str(python_in(tmp_path / ".venv")), "-B", "-c", program), timeout=60)
    assert (done.returncode, sys.platform) == (0, sys.platform), done.stderr
