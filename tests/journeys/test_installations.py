"""Installations by the real uv: a cut connection, a damaged cache, a cache without files, and a goal in one run."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from uv import find_uv_bin

from broken_server import Broken, Manners, broken_server
from doctor import doctor
from environments import python_in
from paddlevl_doctor.fix.preconditions import refuse_tight
from paddlevl_doctor.packages.uv import UvError, install, resolve
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.errors import DoctorError
from paddlevl_doctor.values.plan import CreateEnvironment, InstallPackages, Plan
from wheels import index, wheel

pytestmark = pytest.mark.xdist_group("installations")
VERSIONS = tuple(wheel("demo", f"1.{minor}", padding=300_000) for minor in range(9))
PATIENCE = 25.0
"""Seconds; uv itself asks four times for a file, with pauses, and would need 40 for the nine versions."""


@pytest.fixture
def venv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty environment; uv has a cache of this test's own."""
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_LINK_MODE", "hardlink")
    subprocess.run(
        [find_uv_bin(), "venv", "-q", "--python", sys.executable, str(tmp_path / "venv")], check=True
    )
    return tmp_path / "venv"


@pytest.fixture
def cutting() -> Iterator[Broken]:
    """Serve pages well, and cut every wheel after a third."""
    with broken_server(index(*VERSIONS), Manners(cut_after=100_000), only_files=True) as server:
        yield server


def words(venv: Path, *more: str) -> tuple[str, ...]:
    return ("uv", "pip", "install", "--python", str(python_in(venv)), *more)


def installed(venv: Path) -> list[str]:
    return sorted(path.name for path in venv.glob("lib/*/site-packages/demo-*.dist-info"))


@pytest.mark.parametrize("planning", [True, False])
def test_a_cut_connection_is_said_in_seconds_and_no_older_version_is_tried(
    planning: bool, cutting: Broken, venv: Path
) -> None:
    command = words(venv, "--default-index", cutting.url("simple"), "demo<2")
    started = time.monotonic()
    with pytest.raises(UvError, match="Run the same command again") as raised:
        resolve(RealSystem(), command) if planning else install(RealSystem(), command, ["demo==1.8"])
    assert time.monotonic() - started < PATIENCE
    assert "demo==1.8" in str(raised.value)
    asked = {path for path, _ in cutting.asked if path.endswith(".whl")}
    assert len(asked) <= 2, (
        "the version that was cut, and perhaps the one that uv began with before it was ended"
    )
    assert installed(venv) == []
    cutting.manners = Manners()
    install(RealSystem(), command, ["demo==1.8"])
    assert installed(venv) == ["demo-1.8.dist-info"]


def test_the_versions_of_the_plan_are_installed_though_the_index_has_newer_ones(
    venv: Path, tmp_path: Path
) -> None:
    folder = served(tmp_path, VERSIONS[:3])
    command = words(venv, "--no-index", "--find-links", str(folder), "demo<2")
    (change,) = resolve(RealSystem(), command)
    served(tmp_path, VERSIONS)
    install(RealSystem(), command, [f"demo=={change.after}"])
    assert installed(venv) == ["demo-1.2.dist-info"]


def served(tmp_path: Path, wheels: Sequence[tuple[str, bytes]]) -> Path:
    folder = tmp_path / "wheels"
    folder.mkdir(exist_ok=True)
    for name, data in wheels:
        (folder / name).write_bytes(data)
    return folder


def test_a_reinstallation_from_a_folder_does_not_take_the_damaged_copy_of_the_cache(
    venv: Path, tmp_path: Path
) -> None:
    """uv would, even with `--refresh-package`: it compares the wheel in the folder, not what it has extracted."""
    folder = served(tmp_path, VERSIONS[:1])
    command = words(venv, "--no-index", "--find-links", str(folder))
    install(RealSystem(), (*command, "demo"))
    (module,) = venv.glob("lib/*/site-packages/demo/__init__.py")
    published = module.read_bytes()
    with module.open("ab") as file:  # a hard link: the copy in the cache is edited, too
        file.write(b"edited in place\n")
    install(RealSystem(), (*command, "--reinstall-package", "demo", "demo==1.0"))
    assert module.read_bytes() == published


@pytest.mark.parametrize("exact", [("demo==1.0",), ()])
def test_a_cache_that_lost_the_files_of_wheels_is_repaired_and_the_installation_goes_on(
    exact: tuple[str, ...], venv: Path, tmp_path: Path
) -> None:
    both = (wheel("demo", "1.0", ["other"]), wheel("other", "2.0"))
    command = words(venv, "--no-index", "--find-links", str(served(tmp_path, both)), "demo")
    install(RealSystem(), command)
    for archive in (tmp_path / "cache").glob("archive-v*/*"):
        shutil.rmtree(archive)
    pip = (find_uv_bin(), "pip", "uninstall", "-q", "--python", str(python_in(venv)))
    subprocess.run([*pip, "demo", "other"], check=True)
    install(RealSystem(), command, exact)
    assert installed(venv) == ["demo-1.0.dist-info"]


STACK = (
    wheel("paddle", "1.1.10"),
    wheel("paddlex", "3.3.4", ["numpy>=1", "safetensors", "setuptools"]),
    wheel("paddlex", "3.3.6", ["numpy>=1", "safetensors", "setuptools"]),
    wheel("paddleocr", "3.3.1", ["paddlex<3.4,>=3.3.0"]),
    wheel("paddleocr", "3.3.2", ["paddlex<3.4,>=3.3.0"]),
    wheel("paddlepaddle", "3.2.0"),
    *(wheel("numpy", version) for version in ("2.3.5", "2.4.6")),
    wheel("safetensors", "0.8.0"),
    wheel("setuptools", "84.0"),
)


def test_one_run_cures_what_the_first_fix_uncovers(tmp_path: Path) -> None:
    """The missing paddle blocks the check that finds paddlex 3.3.4 to be too old; tried with the real wheels, too."""
    uv, venv = find_uv_bin(), tmp_path / ".venv"
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(venv)], check=True)
    with broken_server(index(*STACK)) as server:
        mirror = server.url("simple")
        pip = (uv, "pip", "install", "-q", "--python", str(venv), "--default-index", mirror)
        subprocess.run([*pip, "paddle==1.1.10", "paddleocr==3.3.2", "paddlex==3.3.4"], check=True)
        before = doctor("check", "--format", "json", cwd=tmp_path)
        assert before.statuses("dtype-mismatch-bf16") == {"dtype-mismatch-bf16": "blocked"}
        left = [
            w
            for name in ("use-doc-preprocessor", "queue-deadlock-on-error", "pipelines-link")
            for w in ("--skip", name)
        ]
        words = ("fix", "--mirror", mirror, *left, "--format", "json")
        plan = doctor(*words, cwd=tmp_path).document["plan"]["steps"]
        cured = doctor(*words, "--apply", cwd=tmp_path)
    assert [step["id"] for step in plan] == ["install-packages"]
    assert "dtype-mismatch-bf16" in plan[0]["resolves"]
    assert cured.code == 0, cured.stdout + cured.stderr
    found = cured.document["recheck"]["findings"]
    # The foreign distribution `paddle` shares files with PaddlePaddle; it is not removed without --yes.
    assert [f["id"] for f in found if f["status"] in ("error", "warning")] == ["overlapping-dists"]


@pytest.mark.parametrize("new", [False, True])
def test_a_tight_disk_is_no_reason_where_the_cache_has_everything(
    new: bool, venv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RealSystem, "free_disk_mb", lambda *_: 30)
    target = tmp_path / "new" if new else venv
    command = words(target, "--no-index", "--find-links", str(served(tmp_path, VERSIONS[:1])), "demo==1.0")
    creating = ("uv", "venv", "--python", sys.executable, str(target))
    made = CreateEnvironment(id="create", summary="", commands=(creating,), prefix=str(target))
    step = InstallPackages(id="install", summary="", commands=(command,), requirements=("scipy",))
    plan, places = Plan((made, step) if new else (step,)), {"target": target, "uv-cache": tmp_path / "cache"}
    with pytest.raises(DoctorError, match="30 MB are free"):
        refuse_tight(RealSystem(), places, plan)
    install(RealSystem(), words(venv, *command[5:]))
    subprocess.run(
        [find_uv_bin(), "pip", "uninstall", "-q", "--python", str(python_in(venv)), "demo"], check=True
    )
    refuse_tight(RealSystem(), places, plan)
    with pytest.raises(DoctorError, match="30 MB are free"):
        refuse_tight(RealSystem(), {**places, "uv-cache": Path("/dev/shm")}, plan)
