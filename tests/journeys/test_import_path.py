"""What Python imports instead of the installed packages, what stops it at its start, and what paddlex cannot write."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from doctor import doctor
from environments import environment, fresh_copy, python_in

pytestmark = pytest.mark.xdist_group("current-311")


def imports(python: Path, folder: Path, module: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Import a module as `python -c` does in a folder."""
    argv = [str(python), "-c", f"import {module}"]
    return subprocess.run(
        argv, cwd=folder, env={**os.environ, **env}, capture_output=True, text=True, check=False
    )


@pytest.fixture
def venv() -> Path:
    return environment("cured-current-311")


def test_a_package_on_pythonpath_that_hides_the_target_is_an_error(venv: Path, tmp_path: Path) -> None:
    for name in ("numpy", "paddlex"):
        (tmp_path / "old" / name).mkdir(parents=True)
        (tmp_path / "old" / name / "__init__.py").write_text("raise ImportError('another one')\n")
    env = {"PYTHONPATH": str(tmp_path / "old")}
    assert "another one" in imports(python_in(venv), tmp_path, "paddlex", **env).stderr
    found = doctor("check", "--venv", venv, "--format", "json", cwd=tmp_path, env=env)
    assert (found.code, found.problems()) == (1, {"package-shadowed": "error"})
    (title,) = (f["title"] for f in found.document["findings"] if f["id"] == "package-shadowed")
    assert title == f"numpy, paddlex: Python imports other code, from {tmp_path / 'old'}"


@pytest.mark.parametrize("name", ["paddle.py", "numpy.cpython-311-x86_64-linux-gnu.so"])
def test_a_file_on_pythonpath_that_hides_a_package_of_the_stack_is_an_error(
    name: str, venv: Path, tmp_path: Path
) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / name).write_text("raise ImportError('another one')\n")
    env = {"PYTHONPATH": str(tmp_path / "old")}
    assert imports(python_in(venv), tmp_path, name.partition(".")[0], **env).returncode == 1
    found = doctor("check", "--venv", venv, "--format", "json", cwd=tmp_path, env=env)
    assert (found.code, found.problems()) == (1, {"package-shadowed": "error"})


def test_files_that_python_does_not_load_hide_nothing(venv: Path, tmp_path: Path) -> None:
    (tmp_path / "numpy.cpython-312-x86_64-linux-gnu.so").write_text("")  # of another Python
    (tmp_path / "cv2.pyd").write_text("")  # of Windows
    (tmp_path / "random.py").mkdir()
    (tmp_path / "typing.py").symlink_to("nothing")
    library = Path(os.__file__).resolve().parent
    for folder in (tmp_path, library, library / "lib-dynload"):
        assert imports(python_in(venv), folder, "numpy", PYTHONDONTWRITEBYTECODE="1").returncode == 0
        found = doctor("check", "--venv", venv, "--format", "json", cwd=folder)
        assert found.statuses("modules-hidden") == {"modules-hidden": "ok"}, folder


def test_files_that_hide_modules_are_a_warning_and_really_break_the_import(
    venv: Path, tmp_path: Path
) -> None:
    (tmp_path / "logging.py").write_text("")
    (tmp_path / "notes.py").write_text("")
    (tmp_path / "paddlex").mkdir()  # without __init__.py it hides nothing
    assert imports(python_in(venv), tmp_path, "paddle").returncode == 1
    found = doctor("check", "--venv", venv, "--format", "json", cwd=tmp_path)
    assert (found.code, found.problems()) == (0, {"modules-hidden": "warning"})
    (tmp_path / "paddlex" / "__init__.py").write_text("")
    titles = doctor("check", "--venv", venv, cwd=tmp_path).stdout
    assert "Python imports logging.py, paddlex/ instead of" in " ".join(titles.split())


def test_what_hides_a_requirement_of_the_stack_breaks_the_import_and_is_named(
    venv: Path, tmp_path: Path
) -> None:
    hides = {
        "requests.py": "paddleocr",
        "cv2.cpython-311-x86_64-linux-gnu.so": "paddlex",
        "numpy.abi3.so": "numpy",
        "certifi.pyc": "paddlex",
        "yaml/__init__.cpython-311-x86_64-linux-gnu.so": "paddlex",
        "google/__init__.py": "paddle",
    }
    for name, module in hides.items():
        folder = tmp_path / name.partition(".")[0].replace("/", "-")
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("x = 1\n")
        assert imports(python_in(venv), folder, module).returncode == 1, name
        found = doctor("check", "--venv", venv, "--format", "json", cwd=folder)
        assert (found.code, found.problems()) == (0, {"modules-hidden": "warning"}), name


def test_what_hides_a_requirement_or_a_module_of_python_on_pythonpath_is_named_and_the_doctor_runs(
    venv: Path, tmp_path: Path
) -> None:
    """A distribution there is no file that hides: its version is judged as the version of any other."""
    hides = {"typing.py": "paddle", "json/__init__.py": "paddle", "google/protobuf/__init__.py": "paddle"}
    for name, module in hides.items():
        folder = tmp_path / name.partition(".")[0].replace("/", "-")
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("raise ImportError('another one')\n")
        env = {"PYTHONPATH": str(folder)}
        assert "another one" in imports(python_in(venv), tmp_path, module, **env).stderr, name
        found = doctor("check", "--venv", venv, "--format", "json", cwd=tmp_path, env=env)
        assert (found.code, found.problems()) == (0, {"modules-hidden": "warning"}), name
    beside = tmp_path / "beside"
    shutil.copytree(next(venv.glob("lib/*/site-packages/requests")), beside / "requests")
    info = next(venv.glob("lib/*/site-packages/requests-*.dist-info"))
    shutil.copytree(info, beside / info.name)
    library = Path(os.__file__).parent  # Python's own, which some programs put there
    env = {"PYTHONPATH": os.pathsep.join((str(beside), "", str(tmp_path / "absent"), str(library)))}
    for folder in (tmp_path, next(venv.glob("lib/*/site-packages"))):
        found = doctor("check", "--venv", venv, "--format", "json", cwd=folder, env=env)
        assert found.statuses("modules-hidden", "package-shadowed") == {
            "modules-hidden": "ok",
            "package-shadowed": "ok",
        }


@pytest.mark.parametrize("kind", ["a file", "below a file"])
def test_a_model_cache_that_cannot_be_made_is_an_error(venv: Path, tmp_path: Path, kind: str) -> None:
    (tmp_path / "cache").write_text("")
    root = tmp_path / "cache" if kind == "a file" else tmp_path / "cache" / "models"
    env = {"PADDLE_PDX_CACHE_HOME": str(root)}
    assert "NotADirectoryError" in imports(python_in(venv), tmp_path, "paddlex", **env).stderr
    found = doctor("check", "--venv", venv, "--format", "json", cwd=tmp_path, env=env)
    assert (found.code, found.problems()) == (1, {"model-cache-unusable": "error"})


STARTUPS = {
    "zz.pth": "import os; os._exit(3)\n",
    "slow.pth": "import time; print('text'); time.sleep(10**6)\n",
    "sitecustomize.py": "raise SystemExit(0)\n",
}


@pytest.mark.parametrize("name", [n for n in STARTUPS if n != "slow.pth"])
@pytest.mark.parametrize("named", [True, False])
def test_a_file_that_ends_python_at_its_start_is_named(name: str, named: bool, tmp_path: Path) -> None:
    site = next(fresh_copy("cured-current-311", tmp_path / ".venv").glob("lib/*/site-packages"))
    (site / name).write_text(STARTUPS[name])
    words = ("--venv", ".venv") if named else ()
    found = doctor("check", *words, "--format", "json", cwd=tmp_path)
    assert (found.code, found.problems()) == (1, {"startup-file": "error"})
    (finding,) = (f for f in found.document["findings"] if f["id"] == "startup-file")
    assert finding["title"].startswith(str(site / name))
    assert found.statuses("target-environment") == {"target-environment": "blocked"}
    (site / name).unlink()
    assert doctor("check", cwd=tmp_path).code == 0


def test_a_file_that_keeps_python_from_starting_is_named(tmp_path: Path) -> None:
    """It takes as long as the inventory may take, 30 seconds."""
    site = next(fresh_copy("cured-current-311", tmp_path / ".venv").glob("lib/*/site-packages"))
    (site / "slow.pth").write_text(STARTUPS["slow.pth"])
    found = doctor("check", "--format", "json", cwd=tmp_path)
    assert (found.code, found.problems()) == (1, {"startup-file": "error"})


def test_a_moved_or_copied_environment_is_a_warning(tmp_path: Path) -> None:
    venv = fresh_copy("cured-current-311", tmp_path / "first place" / ".venv")
    assert doctor("check", "--format", "json", cwd=venv.parent).problems() == {}
    moved = venv.parent.rename(tmp_path / "second place")
    program = str(moved / ".venv" / "bin" / "paddleocr")
    assert subprocess.run([program], capture_output=True, check=False).returncode != 0
    found = doctor("check", "--format", "json", cwd=moved)
    assert (found.code, found.problems()) == (0, {"moved-environment": "warning"})
    (title,) = (f["title"] for f in found.document["findings"] if f["id"] == "moved-environment")
    assert title == f"The programs of {moved / '.venv'} start the Python of {venv}"
    (tmp_path / "link").symlink_to(moved)
    moved.rename(venv.parent)
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to(venv.parent)  # another path of the same folder is no move
    assert (
        doctor("check", "--venv", tmp_path / "link/.venv", "--format", "json", cwd=tmp_path).problems() == {}
    )


def test_the_environment_of_the_doctor_itself_is_said_and_not_taken_unasked(tmp_path: Path) -> None:
    env = {"VIRTUAL_ENV": sys.prefix}
    found = doctor("check", "--format", "json", cwd=tmp_path, env=env)
    assert found.statuses("doctor-in-environment", "target-environment") == {
        "doctor-in-environment": "note",
        "target-environment": "error",
    }
    planned = doctor("fix", "--format", "json", cwd=tmp_path, env=env).document["plan"]["steps"]
    assert planned[0]["summary"].startswith("Create")
    assert str(tmp_path) in " ".join(planned[0]["commands"][0])
    named = doctor("check", "--venv", sys.prefix, "--format", "json", cwd=tmp_path, env=env)
    assert named.statuses("doctor-in-environment") == {"doctor-in-environment": "ok"}
