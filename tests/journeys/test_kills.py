"""A kill at any moment of a repair, of its recovery or of its undo leaves what one `fix --apply` puts right.

The transaction is the real one from paddlex 3.3.6 to 3.7.2: uv, the patch, and the link. Every case starts from the
former environment and ends there, so that what a case left behind would be found by those after it. After each kill
the user adds files, replaces one and installs a package. The recovery, the repair and the undo must keep all of them.
`pytest tests/journeys/test_kills.py --all` runs all 250 kills; without it, an eighth of them are run.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uv

from doctor import doctor
from environments import environment, python_in
from kills import PROPERTY, Forks, Run, Tree, Trees, difference, small_environment
from wheels import wheel

FIX = ("fix", "--set", "current", "--apply")
UNDO = ("undo",)
PARTS = 16
LEAST = 200
"""Kills that have to hit in all parts together."""
REAL = 24
"""One recovery in so many is done by a process of its own, which also lets the patch prove itself."""

REPLACED = "lib/python3.11/site-packages/safetensors/numpy.py"
"""A file of a package that the repair does not install; the user replaces it after each kill."""
ALONE = 6
"""One row of kills in so many is not ended by one at some time while uv is at work."""
Kills = tuple[tuple[tuple[str, ...], dict[str, Any]], ...]
"""Kills in a row: each command is killed as its second part says (see `forkserver`)."""


@dataclass(frozen=True)
class Case:
    """Kills on the way from the former state to the goal, and then perhaps others on the way back."""

    kills: Kills
    back: Kills = ()


class UserChanges:
    """Changes that a user makes in the environment between a kill and the next command."""

    def __init__(self, venv: Path, cache: str) -> None:
        self.venv = venv
        self.replaced = venv / REPLACED
        self.original = venv.parent.with_name("replaced.py")
        os.link(self.replaced, self.original)
        name, content = wheel("users-package", "1.0")
        self.wheel = venv.parent.with_name(name)
        self.wheel.write_bytes(content)
        self.cache = cache
        self.written: dict[Path, bytes] = {}
        self.count = 0

    def make(self) -> None:
        """Add two files and replace one; install a package if this is the first kill of the case."""
        if not self.written:
            self.install()
        self.count += 1
        words = f"# change {self.count}\n".encode()
        site = self.replaced.parents[1]
        self.write(self.venv / f"users_{self.count}.txt", words)
        self.write(site / "paddlex" / f"users_{self.count}.py", words)
        self.write(self.replaced.with_name("numpy.py.part"), self.original.read_bytes() + words)
        self.written[self.replaced] = self.written.pop(self.replaced.with_name("numpy.py.part"))
        self.replaced.with_name("numpy.py.part").replace(self.replaced)

    def write(self, path: Path, content: bytes) -> None:
        path.write_bytes(content)
        self.written[path] = content

    def install(self) -> None:
        argv = (uv.find_uv_bin(), "pip", "install", "--quiet", "--offline", "--no-index", "--python")
        env = {**os.environ, "UV_CACHE_DIR": self.cache}
        subprocess.run((*argv, python_in(self.venv), self.wheel), check=True, env=env, timeout=120)
        files = (path for path in self.replaced.parents[1].glob("users_package*/**/*") if path.is_file())
        self.written.update((path, path.read_bytes()) for path in files)

    def lost(self) -> list[Path]:
        """Return the files that do not have their last content."""
        return [
            path for path, data in self.written.items() if not path.is_file() or path.read_bytes() != data
        ]

    def remove(self) -> None:
        """Take all changes back, for the next case."""
        for path in (*self.written, self.replaced):
            path.unlink(missing_ok=True)
        for folder in self.replaced.parents[1].glob("users_package*"):
            shutil.rmtree(folder)
        os.link(self.original, self.replaced)
        self.written.clear()


@dataclass
class Range:
    """The environment that is shot at, and what undisturbed runs made of it."""

    folder: Path
    run: Forks
    trees: Trees
    former: Tree
    goal: Tree
    user: UserChanges
    hits: Counter[str] = field(default_factory=Counter)

    def tree(self) -> Tree:
        return self.trees.of(self.folder)

    def changes_from(self, tree: Tree) -> dict[str, object]:
        """Return the differences from a tree without those that the user made.

        The list of the folders before a step (before.json) contains the folders of the user's package.
        """
        return {
            path: both
            for path, both in difference(tree, self.tree()).items()
            if self.folder / path not in self.user.written
            and "site-packages/users_package" not in path
            and not path.endswith("/before.json")
        }

    def traced(self, words: tuple[str, ...]) -> Run:
        """Run to the end, and tell every change on the way."""
        run = self.run(*words, trace=True)
        assert run.code == 0, run.output
        return run

    def killed(self, words: tuple[str, ...], how: dict[str, Any], *, surely: bool) -> None:
        """Kill a run, then let the user work; `surely` where it is known what the run does, and the kill is aimed."""
        run = self.run(*words, **how)
        if run.code == -9:
            self.hits[phase(words, how, run)] += 1
            self.user.make()
        else:
            done = run.code == 2 and words == UNDO  # the one before was killed when nothing was left to undo
            assert run.code == 0 or done, run.output  # it was faster than the kill
            assert not (surely and {"change", "torn"} & set(how)), (words, how)


def phase(words: tuple[str, ...], how: dict[str, Any], run: Run) -> str:
    """Name what was going on when a run was killed."""
    if "seconds" in how:
        return f"{words[0]}: at any time"
    if "torn" in how:
        return f"{words[0]}: half a line in the journal"
    functions = (run.places or ("?",))[-1]
    part = "recovery" if "recover" in functions.split() else words[0]
    shown = re.sub(r"^(locked|recover|apply_plan|undo)( roll_back| all)?( do)? ?", "", functions) or functions
    return f"{part}: {' '.join(shown.split()[:2])}"


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Range]:
    """Return the environment with things in it that are the user's own; see that its source kept its bytes."""
    folder = quick_place(tmp_path_factory) / "project"
    source = environment("set-2025-11") / "lib" / "python3.11" / "site-packages"
    bytes_of = {name: Trees().of(source / name) for name in ("paddlex", "paddleocr")}
    site = small_environment(folder / ".venv") / "lib" / "python3.11" / "site-packages"
    own_files(folder, site)
    cache = str(folder.with_name("cache"))  # its own: uv is killed, too
    warm = Forks(folder, UV_CACHE_DIR=cache)
    trees = Trees()
    former = trees.of(folder)
    first = warm(*FIX)
    assert first.code == 0, first.output
    goal = trees.of(folder)
    assert warm(*UNDO).code == 0
    warm.close()
    assert difference(former, trees.of(folder)) == {}
    run = Forks(folder, UV_CACHE_DIR=cache, UV_OFFLINE="1")
    yield Range(folder, run, trees, former, goal, UserChanges(folder / ".venv", cache))
    run.close()
    shutil.rmtree(folder.parent)
    assert {name: Trees().of(source / name) for name in bytes_of} == bytes_of


def quick_place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a new folder in memory where there is room: a kill is the same there, and disks are slow."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 1 << 29
    return Path(tempfile.mkdtemp(dir=memory)) if roomy else tmp_path_factory.mktemp("kills")


def own_files(folder: Path, site: Path) -> None:
    """Put a user's own things where an installer and the doctor work."""
    for path, mode in ((folder / ".venv/notes.txt", 0o600), (site / "paddlex/mine.py", 0o444)):
        path.write_text("mine\n", encoding="utf-8")
        path.chmod(mode)
    (site / "paddlex" / "my_folder").mkdir()
    (folder / "pipelines").symlink_to("no/such/folder")


# --- where the kills are aimed ----------------------------------------------------------------------------


def aimed(run: Run, most: int, chance: random.Random, only: str = "") -> list[int]:
    """Return numbers of changes: some of every place that a traced run went through, its first and last among them."""
    places: dict[str, list[int]] = {}
    for number, place in enumerate(run.places):
        if only in place:
            places.setdefault(place, []).append(number)
    return [number for numbers in places.values() for number in some(numbers, most, chance)]


def some(numbers: Sequence[int], most: int, chance: random.Random) -> list[int]:
    if len(numbers) <= most:
        return list(numbers)
    return sorted({numbers[0], numbers[-1], *chance.sample(numbers[1:-1], most - 2)})


@pytest.fixture(scope="module")
def cases(target: Range) -> list[Case]:
    """Aim at every place of a repair, of its recovery and of its undo; the same ones in every part.

    What one kill leaves is put right at once; kills at any time come after others, and those on the way back after a
    repair that had been killed itself: a case costs a whole repair.
    """
    chance = random.Random(20261123)  # noqa: S311 - no secret
    repair, back = target.traced(FIX), target.traced(UNDO)
    untrimmed = {"change": next(n for n, place in enumerate(repair.places) if "discard_unchanged" in place)}
    patched = {"change": next(n for n, place in enumerate(repair.places) if "make_link" in place)}
    assert target.run(*FIX, **untrimmed).code == -9
    recovery = target.traced(FIX)
    assert target.run(*UNDO).code == 0
    moments = [uv_time(n, chance) for n in range(46)]  # some come when nothing is left to do
    moments += [{"seconds": chance.uniform(0, repair.seconds)} for _ in range(12)]
    times = iter(moments)
    single: list[Kills] = [((FIX, {"change": n}),) for n in aimed(repair, 5, chance)]
    single += [((FIX, {"torn": n}),) for n in range(5)]
    backward = [twice(UNDO, pair) for pair in paired(aimed(back, 6, chance), chance)]
    backward += [((UNDO, {"torn": n}),) for n in range(2)]
    forward: list[Kills] = [
        ((FIX, untrimmed), *twice(FIX, pair))
        for pair in paired(aimed(recovery, 6, chance, "recover"), chance)
    ]
    forward += [((FIX, patched), (UNDO, {"change": n})) for n in range(0, 40, 4)]
    timed(backward, forward, times=times)
    single += [((FIX, how),) for how in times]  # what is left
    shared = dict(zip(chance.sample(range(len(single)), len(backward)), backward, strict=True))
    found = [Case(kills, shared.get(n, ())) for n, kills in enumerate(single)] + list(map(Case, forward))
    return sorted(found, key=lambda case: len(case.kills) + len(case.back))  # so that each part gets as many


def timed(*rows: list[Kills], times: Iterator[dict[str, Any]]) -> None:
    """Let the rows of kills be ended by a kill at these times, but for some."""
    number = 0
    for row in rows:
        for at, kills in enumerate(row):
            number += 1
            if number % ALONE and (how := next(times, None)):
                row[at] = (*kills, (FIX, how))


def paired(numbers: list[int], chance: random.Random) -> list[tuple[int, ...]]:
    """Put two and two together: what was killed once is killed again on its way back."""
    mixed = chance.sample(numbers, len(numbers))
    return [tuple(mixed[start : start + 2]) for start in range(0, len(mixed), 2)]


def twice(words: tuple[str, ...], numbers: tuple[int, ...]) -> Kills:
    return tuple((words, {"change": number}) for number in numbers)


def uv_time(number: int, chance: random.Random) -> dict[str, Any]:
    """A moment while uv is at work; every second time uv is killed as well."""
    return {"after_uv": chance.uniform(0, 0.3), "group": number % 2 == 0}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run an eighth of the parts, which takes a minute, or all of them with `--all`."""
    if "part" in metafunc.fixturenames:
        metafunc.parametrize("part", range(0, PARTS, 1 if metafunc.config.option.all else 8))


@pytest.mark.xdist_group("kills")
def test_one_repair_reaches_the_goal_after_a_kill_anywhere_and_undo_the_former_state(
    part: int, target: Range, cases: list[Case], record_property: Callable[[str, object], None]
) -> None:
    target.hits.clear()
    for number, case in enumerate(cases[part::PARTS]):
        survive(target, case, real=number % REAL == part)
    record_property(PROPERTY, dict(target.hits))
    assert target.hits.total() >= LEAST / PARTS


def survive(target: Range, case: Case, *, real: bool) -> None:
    """Kill as the case says; then one repair reaches the goal, and undoing it the former state."""
    for kills in filter(None, (case.kills, case.back)):
        for number, (words, how) in enumerate(kills):
            target.killed(words, how, surely=number == 0)
        if real:
            cure = doctor(*FIX, cwd=target.folder, env=target.run.extra)
            assert cure.code == 0, (case, cure.stderr)
        else:
            cured = target.run(*FIX)
            assert cured.code == 0, (case, cured.output)
        assert target.changes_from(target.goal) == {}, case
        assert target.user.lost() == [], case
    undone = target.run(*UNDO)
    assert undone.code == 0, (case, undone.output)
    assert target.changes_from(target.former) == {}, case
    assert target.user.lost() == [], case
    target.user.remove()
    assert difference(target.former, target.tree()) == {}, case
