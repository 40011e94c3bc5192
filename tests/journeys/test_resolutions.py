"""Every set is resolved for real with uv, for every platform and Python that it promises.

What the default index has is real; paddlepaddle-gpu and the NVIDIA wheels come from an index of the tests that
behaves like Paddle's (paddle_index.py).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.version import Version
from uv import find_uv_bin

from checks_machines import T4, with_gpu
from fake_system import FakeSystem
from paddle_index import PaddleIndex, nvidia_pins, paddle_index
from paddlevl_doctor.checks import ALL
from paddlevl_doctor.checks.runner import run_checks
from paddlevl_doctor.commands.judge_facts import context_of
from paddlevl_doctor.commands.matrix import MatrixRequest, matrix
from paddlevl_doctor.data_files import data_folder
from paddlevl_doctor.fix.plan import build_plan
from paddlevl_doctor.fix.plan_input import PlanInput, Site
from paddlevl_doctor.knowledge.install_options import InstallOption
from paddlevl_doctor.knowledge.version_sets import find_set
from paddlevl_doctor.packages.request import Request
from paddlevl_doctor.packages.resolve import TargetPlatform, lock
from paddlevl_doctor.system.machine import RealSystem

pytestmark = pytest.mark.xdist_group("resolutions")
UV = find_uv_bin()
PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13")
SETS = ("current", "2025-11")
# platform and processor of the machine, and what uv calls them
PLATFORMS = {
    ("linux", "x86_64"): "x86_64-unknown-linux-gnu",
    ("linux", "aarch64"): "aarch64-unknown-linux-gnu",
    ("windows", "x86_64"): "x86_64-pc-windows-msvc",
    ("macos", "aarch64"): "aarch64-apple-darwin",
}
# a GPU and a driver with which each index is chosen
GPUS = {
    ("linux", "cu118"): ("RTX 3090", "470.199.02"),
    ("linux", "cu126"): ("T4", "560.35.03"),
    ("linux", "cu129"): ("RTX 5090", "580.95.05"),
    ("windows", "cu118"): ("RTX 3060", "522.06"),
    ("windows", "cu126"): ("RTX 4090", "566.36"),
    ("windows", "cu129"): ("RTX 5070 Ti", "576.02"),
}


@pytest.fixture(scope="module")
def index() -> Iterator[PaddleIndex]:
    with paddle_index() as running:
        yield running


def uv(*words: str, wanted: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Resolve requirements; settings of the developer's shell must not reach uv."""
    folder.mkdir(exist_ok=True)
    (folder / "wanted.in").write_text("\n".join(wanted), encoding="utf-8")
    env = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "UV_FIND_LINKS")}
    # Nothing is built, so any Python will do: uv would look for one of that very version.
    shape = ("--no-header", "--no-annotate", "--quiet", "--no-python-downloads", "--python", sys.executable)
    argv = (UV, "pip", "compile", "wanted.in", *shape, *words)
    return subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False)


def resolved(answer: InstallOption, platform: str, index: PaddleIndex, folder: Path) -> dict[str, str]:
    """Resolve what an answer installs, with the options that it gives uv; return every version by name."""
    words = index.local(answer.commands[1])
    wanted = [answer.wheel.requirement, *answer.version_set.stack()]
    options = words[5 : -len(wanted)]
    assert words[:5] == ["uv", "pip", "install", "--python", ".venv"]
    assert words[-len(wanted) :] == wanted
    if answer.wheel.find_links:
        options += ["--find-links", index.nvidia]
    for_python = ("--python-platform", platform, "--python-version", answer.machine.python)
    done = uv(*options, *for_python, wanted=wanted, folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    return dict(re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==(\S+)$", done.stdout, re.MULTILINE))


def holds(answer: InstallOption, found: dict[str, str]) -> None:
    """Check what holds for every resolution: the exact pins, and the bounds that keep PaddleOCR-VL running."""
    chosen, wheel = answer.version_set, answer.wheel
    assert (found["paddleocr"], found["paddlex"]) == (chosen.paddleocr, chosen.paddlex)
    assert found[wheel.package] == wheel.version
    assert {"paddlepaddle", "paddlepaddle-gpu"} & set(found) == {wheel.package}
    assert Version(found["safetensors"]) >= Version("0.7.0")
    assert Version(found["paddlex"]) >= Version("3.3.6")
    assert Version(found["numpy"]) < Version("2.4")
    assert "setuptools" in found


def for_every_python(resolve: Callable[[str], None], pythons: Sequence[str] = PYTHONS) -> None:
    """Resolve for all Pythons side by side, because uv mostly waits for the index; raises what the first one raised."""
    with ThreadPoolExecutor(len(pythons)) as pool:
        list(pool.map(resolve, pythons))


@pytest.mark.parametrize(("system", "machine"), PLATFORMS)
@pytest.mark.parametrize("name", SETS)
def test_a_set_for_the_cpu_resolves_for_every_python(
    name: str, system: str, machine: str, index: PaddleIndex, tmp_path: Path
) -> None:
    def resolve(python: str) -> None:
        request = MatrixRequest(platform=system, machine=machine, python=python, set_name=name)
        answer = matrix(FakeSystem(), request)
        found = resolved(answer, PLATFORMS[system, machine], index, tmp_path / python)
        holds(answer, found)
        assert [package for package in found if package.startswith("nvidia-")] == []

    for_every_python(resolve)


@pytest.mark.parametrize(("system", "tag"), GPUS)
@pytest.mark.parametrize("name", SETS)
def test_a_set_for_a_gpu_resolves_for_every_python_with_the_libraries_of_its_own_wheel(
    name: str, system: str, tag: str, index: PaddleIndex, tmp_path: Path
) -> None:
    """Each line of CUDA has its share of the Pythons: the libraries of a wheel do not depend on them."""
    tags = [line for of, line in GPUS if of == system]
    gpu, driver = GPUS[system, tag]
    pins = nvidia_pins(tag, system)

    def resolve(python: str) -> None:
        request = MatrixRequest(platform=system, gpus=(gpu,), driver=driver, python=python, set_name=name)
        answer = matrix(FakeSystem(), request)
        assert answer.wheel.tag == tag
        found = resolved(answer, PLATFORMS[system, "x86_64"], index, tmp_path / python)
        holds(answer, found)
        nvidia = {f"{package}=={version}" for package, version in found.items() if package[:7] == "nvidia-"}
        assert nvidia >= pins
        brought_along = {pin.partition("==")[0] for pin in nvidia - pins}
        assert brought_along <= {"nvidia-nvjitlink-cu12", "nvidia-cuda-nvrtc-cu11"}

    for_every_python(resolve, PYTHONS[tags.index(tag) :: len(tags)])


@pytest.mark.parametrize("python", ["3.8", "3.14"])
def test_outside_of_the_promised_pythons_nothing_resolves(python: str, tmp_path: Path) -> None:
    answer = matrix(FakeSystem(), MatrixRequest(platform="linux"))
    wanted = [answer.wheel.requirement, *answer.version_set.stack()]
    options = ("--only-binary", ":all:", "--python-platform", "linux", "--python-version", python)
    done = uv(*options, wanted=wanted, folder=tmp_path)
    assert done.returncode == 1
    assert f"cp{python.replace('.', '')}" in done.stderr or "Python" in done.stderr
    assert not matrix(FakeSystem(), MatrixRequest(platform="linux", python=python)).possible


# --- the lists of what was tested


@pytest.mark.parametrize("name", SETS)
def test_every_list_of_tested_versions_fits_the_first_release_of_its_python_as_the_last(
    name: str, tmp_path: Path
) -> None:
    """Wheelhouses and `fix` take these versions for X.Y of any patch release; X.Y stands for X.Y.0."""

    def resolve(path: Path) -> None:
        python = path.stem.rpartition("-")[2]
        chosen = find_set(name)
        assert chosen is not None
        wanted = [f"paddlepaddle=={chosen.paddle_cpu}", *chosen.stack()]
        (tmp_path / python).mkdir()
        options = ("--constraints", str(path))
        found = lock(
            RealSystem(), wanted, TargetPlatform("linux", "x86_64", python), tmp_path / python, options
        )
        listed = re.findall(r"^([\w.-]+)==(\S+)$", path.read_text("utf-8"), re.MULTILINE)
        of_the_set = ("paddlepaddle", "paddleocr", "paddlex")
        assert {(w.name, w.version) for w in found if w.name not in of_the_set} == set(listed)

    lists = sorted((data_folder("matrix") / "resolved").glob(f"{name}-*.txt"))
    assert [path.stem for path in lists] == [f"{name}-{python}" for python in PYTHONS[1:]]
    with ThreadPoolExecutor(len(lists)) as pool:
        list(pool.map(resolve, lists))


@pytest.mark.parametrize("name", SETS)
def test_the_command_of_fix_for_a_gpu_resolves_with_the_tested_versions(
    name: str, index: PaddleIndex, tmp_path: Path
) -> None:
    """uv is asked with the very words of the plan; only where to and for which machine is added."""
    new = Site("/new/.venv", "/new/.venv/bin/python", exists=False)
    known = context_of(replace(with_gpu({}, T4), target=None), name)
    pins = nvidia_pins("cu126", "linux")

    def resolve(python: str) -> None:
        made = build_plan(PlanInput(known, run_checks(known, ALL), new, Request(python_version=python)))
        (words,) = [step.commands[0] for step in made.steps if step.kind == "install-packages"]
        tested = Path(words[words.index("--requirements") + 1])
        found = would_install(index.local(words), python, index, tmp_path / python)
        assert tested.name == f"{name}-{python}.txt"
        assert set(tested.read_text("utf-8").split("\n")[1:-1]) | pins <= found
        assert known.wheel.requirement in found

    with ThreadPoolExecutor(len(PYTHONS)) as pool:
        list(pool.map(resolve, PYTHONS[1:]))


def would_install(words: list[str], python: str, index: PaddleIndex, folder: Path) -> set[str]:
    """Return what an installation command would bring into an empty folder on Linux."""
    at = words.index("--python")
    where = (
        "--target",
        str(folder),
        "--python-version",
        python,
        "--python-platform",
        "x86_64-manylinux_2_28",
    )
    more = ("--find-links", index.nvidia, "--dry-run", "--no-python-downloads", *where)
    argv = (UV, *words[1:at], "--python", sys.executable, *more, *words[at + 2 :])
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(re.findall(r"^ \+ (\S+==\S+)$", done.stderr, re.MULTILINE))


# --- why uv is called as it is


def test_an_unknown_project_of_the_index_is_an_empty_page_which_find_links_survives(
    index: PaddleIndex, tmp_path: Path
) -> None:
    wanted = ["paddlepaddle-gpu==3.2.1", "idna==3.10"]
    shape = ("--no-deps", "--python-platform", "linux", "--python-version", "3.12")
    as_index = uv("--index", f"{index.url}/packages/stable/cu126/", *shape, wanted=wanted, folder=tmp_path)
    assert as_index.returncode == 1
    assert "idna" in as_index.stderr
    as_links = uv("--find-links", index.page("cu126"), *shape, wanted=wanted, folder=tmp_path)
    assert (as_links.returncode, as_links.stdout.split()) == (0, ["idna==3.10", "paddlepaddle-gpu==3.2.1"])
    assert "/packages/stable/cu126/idna/" in index.asked


def test_a_universal_resolution_would_lose_the_libraries_of_windows(
    index: PaddleIndex, tmp_path: Path
) -> None:
    wanted = ["paddlepaddle-gpu==3.2.1"]
    links = ("--find-links", index.page("cu126"), "--find-links", index.nvidia, "--only-binary", ":all:")
    universal = uv(*links, "--universal", "--python-version", "3.12", wanted=wanted, folder=tmp_path)
    assert universal.returncode == 0
    cudnn = next(line for line in universal.stdout.splitlines() if line.startswith("nvidia-cudnn-cu12"))
    assert "sys_platform == 'win32'" not in cudnn
    assert "linux" in cudnn
    for_windows = uv(
        *links, *("--python-platform", "windows"), "--python-version", "3.12", wanted=wanted, folder=tmp_path
    )
    assert "nvidia-cudnn-cu12==9.5.1.17" in for_windows.stdout.splitlines()


def test_the_pages_carry_no_hashes_as_paddles_do_not(index: PaddleIndex) -> None:
    assert [name for names in index.pages.values() for name in names if "#" in name] == []
