"""Which environment is treated."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from uv import find_uv_bin

from fake_system import FakeSystem
from paddlevl_doctor.facts.collect import pipelines_link
from paddlevl_doctor.facts.target import SYSTEM, Choice, choose_target, collect_broken, collect_target
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.errors import UsageError
from paddlevl_doctor.values.facts import BrokenEnvironment

OWN = "/opt/doctor"


def choose(
    files: tuple[str, ...] = (), python: str | None = None, venv: str | None = None, **system: object
) -> Choice:
    fake = FakeSystem(files=dict.fromkeys(files, b""), folder=Path("/srv/project"), **system)  # type: ignore[arg-type]
    return choose_target(fake, python, venv, own_prefix=OWN)


def test_the_folders_own_environment_is_taken() -> None:
    assert choose(("/srv/project/.venv/bin/python",)).python == Path("/srv/project/.venv/bin/python")


def test_the_active_environment_comes_before_the_folders_own() -> None:
    files = ("/srv/project/.venv/bin/python", "/srv/other/bin/python")
    assert choose(files, env={"VIRTUAL_ENV": "/srv/other"}).python == Path("/srv/other/bin/python")


def test_the_doctors_own_environment_is_never_the_target() -> None:
    files = (f"{OWN}/bin/python", "/srv/project/.venv/bin/python")
    assert choose(files, env={"VIRTUAL_ENV": OWN}).python == Path("/srv/project/.venv/bin/python")


def test_an_activated_environment_of_conda_is_taken_unless_it_is_the_base() -> None:
    files = ("/srv/project/.venv/bin/python", "/opt/conda/envs/ocr/bin/python", "/opt/conda/bin/python")
    active = {"CONDA_PREFIX": "/opt/conda/envs/ocr", "CONDA_DEFAULT_ENV": "ocr"}
    assert choose(files, env=active).python == Path("/opt/conda/envs/ocr/bin/python")
    base = {"CONDA_PREFIX": "/opt/conda", "CONDA_DEFAULT_ENV": "base"}
    assert choose(files, env=base).python == Path("/srv/project/.venv/bin/python")


def test_the_active_environment_is_named_if_it_is_the_doctors_own_and_there_is_no_other() -> None:
    assert choose((f"{OWN}/bin/python",), env={"VIRTUAL_ENV": OWN}).own == OWN
    assert choose((f"{OWN}/bin/python",)).own is None


def test_where_dot_venv_is_the_doctors_own_another_name_is_planned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    choice = choose_target(RealSystem(), None, None, own_prefix=str(tmp_path / ".venv"))
    assert choice == Choice(None, ".venv-paddlevl", explicit=False)


def test_what_was_named_comes_first() -> None:
    files = ("/srv/project/.venv/bin/python", "/usr/bin/python3.11", "/srv/env/bin/python")
    assert choose(files, python="/usr/bin/python3.11") == Choice(
        Path("/usr/bin/python3.11"), ".venv", explicit=True
    )
    assert choose(files, venv="/srv/env") == Choice(Path("/srv/env/bin/python"), "/srv/env", explicit=True)
    assert choose(files, venv="new") == Choice(None, "new", explicit=True)


def test_on_a_notebook_the_notebooks_python_is_taken() -> None:
    env = {"KAGGLE_KERNEL_RUN_TYPE": "Batch"}
    assert choose(env=env, programs={"python3": "/usr/bin/python3"}).python == Path("/usr/bin/python3")
    assert choose(env=env, programs={"python3": f"{OWN}/bin/python3"}).python is None
    assert choose(programs={"python3": "/usr/bin/python3"}).python is None


USUAL = {"PATH": "/srv/env/bin:/opt/doctor/bin:/usr/local/bin:/usr/bin"}
USUAL_FILES = (
    *("/srv/env/pyvenv.cfg", "/srv/env/bin/python3", "/srv/project/.venv/bin/python"),
    *("/opt/doctor/bin/python3", "/usr/bin/python3"),
)


def test_the_system_is_the_first_python_on_path_that_is_in_no_environment() -> None:
    chosen = choose(USUAL_FILES, python=SYSTEM, env={**USUAL, "VIRTUAL_ENV": "/srv/env"})
    assert chosen == Choice(Path("/usr/bin/python3"), ".venv", explicit=True)
    on_windows = choose(("/py/python.exe",), python=SYSTEM, env={"PATH": "/none;/py"}, platform="win32")
    assert on_windows.python == Path("/py/python.exe")


def test_the_variable_of_uv_asks_for_the_system_as_well_unless_something_is_named() -> None:
    env = {**USUAL, "UV_SYSTEM_PYTHON": "True"}
    assert choose(USUAL_FILES, env=env).python == Path("/usr/bin/python3")
    assert choose(USUAL_FILES, env=env, venv="/srv/project/.venv").python == Path(
        "/srv/project/.venv/bin/python"
    )
    assert choose(USUAL_FILES, env={**env, "UV_SYSTEM_PYTHON": "0"}).python == Path(
        "/srv/project/.venv/bin/python"
    )


def test_where_path_has_environments_only_that_is_said() -> None:
    with pytest.raises(UsageError, match="no Python on PATH"):
        choose(USUAL_FILES[:3], python=SYSTEM, env=USUAL)


def test_on_windows_the_interpreter_lies_elsewhere() -> None:
    files = ("/srv/project/.venv/Scripts/python.exe",)
    assert choose(files, platform="win32").python == Path("/srv/project/.venv/Scripts/python.exe")


@pytest.mark.parametrize("named", ["photos", "photos/cat.jpg"])
def test_a_folder_of_something_else_is_refused(named: str) -> None:
    with pytest.raises(UsageError, match="is not a virtual environment"):
        choose(("/srv/project/photos/cat.jpg",), venv=named)


def test_a_real_environment_describes_itself(tmp_path: Path) -> None:
    venv = tmp_path / "env"
    uv = find_uv_bin()
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(venv)], check=True)
    subprocess.run([uv, "pip", "install", "-q", "--python", str(venv), "setuptools"], check=True)
    target = collect_target(RealSystem(), Choice(venv / "bin" / "python", str(venv), explicit=True))
    assert target is not None
    assert not isinstance(target, str)
    assert [(d.name, d.has_record, d.editable) for d in target.distributions] == [("setuptools", True, False)]
    assert (target.prefix, target.is_virtual, target.bits) == (str(venv), True, 64)
    assert target.version == ".".join(map(str, sys.version_info[:3]))
    assert (target.paddle, target.externally_managed) == (None, False)


@pytest.mark.parametrize(
    ("make", "state"),
    [
        (lambda p, w: None, "absent"),
        (lambda p, w: p.symlink_to(w), "right"),
        (lambda p, w: p.symlink_to(p.parent / "nowhere"), "dangling"),
        (lambda p, w: p.symlink_to(p.parent), "other-link"),
        (lambda p, w: p.mkdir(), "not-a-link"),
    ],
)
def test_the_link_called_pipelines_is_told_apart(
    make, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # type: ignore[no-untyped-def]
    from dataclasses import replace

    from checks_machines import CURRENT, target

    monkeypatch.chdir(tmp_path)
    site = tmp_path / "site"
    wanted = site / "paddlex" / "configs" / "pipelines"
    wanted.mkdir(parents=True)
    make(tmp_path / "pipelines", wanted)
    link = pipelines_link(RealSystem(), replace(target(CURRENT), purelib=str(site)))
    assert (link.state, link.wanted) == (state, str(wanted))


def test_on_windows_an_environment_is_broken_when_the_folder_of_its_python_is_gone() -> None:
    """The python.exe in Scripts is a copy, which stays."""
    files = {
        "C:/p/.venv/Scripts/python.exe": b"",
        "C:/p/.venv/pyvenv.cfg": b"home = C:/Python311\nversion = 3.11.7\n",
        "C:/p/.venv/Lib/site-packages/paddlex-3.7.2.dist-info/METADATA": b"",
    }
    system = FakeSystem(files=files, folder=Path("C:/p"), platform="win32")
    choice = choose_target(system, None, None, own_prefix=OWN)
    assert choice == Choice(None, ".venv", explicit=False, broken=True)
    assert collect_broken(system, choice) == BrokenEnvironment(
        "C:/p/.venv", "3.11.7", "C:/Python311", {"paddlex": "3.7.2"}
    )
    system.files["C:/Python311/python.exe"] = b""
    assert choose_target(system, None, None, own_prefix=OWN).python is not None
