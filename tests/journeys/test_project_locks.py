"""The lock of a project that would revert a repair is named, with the command that changes the project; run as printed.

uv, poetry and pdm are real. pixi is imitated by its lock file and its folders, as pixi 0.41 and later write them.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from uv import find_uv_bin

from broken_server import broken_server
from doctor import doctor, environment, fingerprint
from environments import interpreter, python_in
from printed import run_printed
from small_stack import small_stack
from wheels import index, wheel

pytestmark = pytest.mark.xdist_group("project-locks")
WHEELS = (
    wheel("paddlex", "3.3.6", ["numpy>=1"]),
    wheel("paddleocr", "3.3.1", ["paddlex<3.4,>=3.3"]),
    wheel("paddlepaddle", "3.2.0"),
    wheel("setuptools", "99.0"),
    wheel("numpy", "2.3.5"),
    wheel("numpy", "2.4.6"),
)
TOOLS = {"poetry": "poetry==2.5.1", "pdm": "pdm==2.29.4 --with 'hishel<2'"}
"""What is run with `uv tool run`; pdm 2.29.4 does not start with hishel 2."""
PYPROJECT = """
[project]
name = "my-project"
version = "1"
requires-python = ">=3.11,<3.12"
dependencies = ["paddleocr==3.3.1", "paddlepaddle==3.2.0", "setuptools==99.0", "numpy>=2"]

[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
"""
SOURCES = {
    "uv": '[tool.uv]\npackage = false\n[[tool.uv.index]]\nurl = "{url}"\ndefault = true\n',
    "poetry": '[tool.poetry]\npackage-mode = false\n[[tool.poetry.source]]\nname = "local"\nurl = "{url}"\n',
    "pdm": '[tool.pdm]\ndistribution = false\n[[tool.pdm.source]]\nname = "pypi"\nurl = "{url}"\n',
}


@dataclass(frozen=True)
class Project:
    """A project of one of the tools, with numpy 2.4.6 in its lock and in its environment."""

    folder: Path
    tool: str
    mirror: str
    programs: Path

    def run(self, command: str) -> None:
        """Run a command of the tool as a user types it."""
        env = {**environment(self.folder, self.variables()), **self.path()}
        argv = ("sh", "-c", command)
        done = subprocess.run(argv, cwd=self.folder, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def path(self) -> dict[str, str]:
        """Return a PATH that begins with the tool."""
        return {"PATH": f"{self.programs}{os.pathsep}{os.environ['PATH']}"}

    def variables(self) -> Mapping[str, str]:
        """Caches of their own: poetry keeps the checksum of a release by name and version, whatever the index."""
        caches = {f"{tool.upper()}_CACHE_DIR": str(self.folder.parent / f"{tool}-cache") for tool in TOOLS}
        return {
            **caches,
            "POETRY_VIRTUALENVS_IN_PROJECT": "true",
            "PDM_CHECK_UPDATE": "false",
            "UV_PYTHON": str(interpreter("3.11")),
        }

    def numpy(self) -> str:
        (info,) = (self.folder / ".venv").glob("lib/*/site-packages/numpy-*.dist-info")
        return info.name

    def locked(self) -> list[str]:
        words = (self.folder / f"{self.tool}.lock").read_text(encoding="utf-8")
        return re.findall(r'name = "numpy"\nversion = "([^"]+)"', words)


@pytest.fixture
def mirror() -> Iterator[str]:
    with broken_server(index(*WHEELS)) as server:
        yield server.url("simple")


@pytest.fixture(params=SOURCES)
def project(request: pytest.FixtureRequest, mirror: str, tmp_path: Path) -> Project:
    return make(request.param, mirror, tmp_path)


def make(tool: str, mirror: str, tmp_path: Path) -> Project:
    programs, folder = tmp_path / "programs", tmp_path / "project"
    folder.mkdir()
    programs.mkdir()
    of_tool = f"tool run --quiet --from {TOOLS[tool]} {tool}" if tool in TOOLS else ""
    (programs / tool).write_text(f'#!/bin/sh\nexec {find_uv_bin()} {of_tool} "$@"\n', encoding="utf-8")
    (programs / tool).chmod(0o755)
    words = PYPROJECT + SOURCES[tool].format(url=mirror)
    (folder / "pyproject.toml").write_text(words, encoding="utf-8")
    made = Project(folder, tool, mirror, programs)
    made.run(
        {"uv": "uv sync --quiet", "poetry": "poetry install --quiet", "pdm": "pdm install --quiet"}[tool]
    )
    assert (made.numpy(), made.locked()) == ("numpy-2.4.6.dist-info", ["2.4.6"])
    return made


def test_the_lock_is_named_and_the_printed_command_keeps_the_repair(project: Project) -> None:
    words = ("--only", "numpy-2-4-scalar", "--mirror", project.mirror, "--format", "json")
    (step,) = doctor("fix", *words, cwd=project.folder, env=project.path()).document["plan"]["steps"]
    (note,) = step["notes"]
    assert f"{project.tool}.lock contains numpy 2.4.6" in note
    (command,) = re.findall("`([^`]+)`", note)
    assert shlex.split(command) == [project.tool, "add", "numpy<2.4"]

    cured = doctor("fix", "--apply", *words, cwd=project.folder)
    assert (cured.code, project.numpy()) == (0, "numpy-2.3.5.dist-info"), cured.stderr
    project.run(command)
    assert (project.numpy(), project.locked()) == ("numpy-2.3.5.dist-info", ["2.3.5"])
    again = doctor("check", "--format", "json", cwd=project.folder)
    assert again.statuses("numpy-2-4-scalar") == {"numpy-2-4-scalar": "ok"}


@pytest.mark.parametrize("place", ["in the project", "above the project"])
def test_without_uv_on_path_the_printed_command_starts_the_uv_of_the_doctor(
    place: str, mirror: str, tmp_path: Path
) -> None:
    """`python -m uv` sets VIRTUAL_ENV to the doctor's environment, and the user may have activated another one."""
    project = make("uv", mirror, tmp_path)
    inside = place == "in the project"
    folder, option = (project.folder, []) if inside else (tmp_path, ["--project", str(project.folder)])
    env = {"PATH": os.pathsep.join(one for one in os.get_exec_path() if not Path(one, "uv").exists())}
    words = ("--only", "numpy-2-4-scalar", "--mirror", mirror, "--venv", project.folder / ".venv")
    planned = doctor("fix", *words, cwd=folder, env={**env, "COLUMNS": "40"}).stdout
    cured = doctor("fix", "--apply", *words, "--format", "json", cwd=folder, env=env)
    (note,) = cured.document["plan"]["steps"][0]["notes"]
    (command,) = re.findall("`([^`]+)`", note)
    assert shlex.split(command) == [sys.executable, "-m", "uv", "add", *option, "numpy<2.4"]
    assert f"`{command}`" in planned

    other = small_stack(tmp_path / "other")
    before = fingerprint(other)
    done = run_printed(command, folder, {**env, **project.variables(), "VIRTUAL_ENV": str(other)})
    assert done.code == 0, done.stderr
    assert (project.numpy(), project.locked()) == ("numpy-2.3.5.dist-info", ["2.3.5"])
    assert fingerprint(other) == before


PIXI_LOCK = """version: 6
environments:
  default:
    packages:
      linux-64:
      - conda: https://conda.anaconda.org/conda-forge/noarch/numpy-9.9-pyh.conda
      - pypi: https://files.example/numpy-2.4.6-py3-none-any.whl
packages:
- conda: https://conda.anaconda.org/conda-forge/noarch/numpy-9.9-pyh.conda
  sha256: 00
  name: numpy
  version: '9.9'
- pypi: https://files.example/numpy-2.4.6-py3-none-any.whl
  name: numpy
  version: 2.4.6
  sha256: 00
"""


def test_the_lock_of_pixi_is_found_above_its_environments(mirror: str, tmp_path: Path) -> None:
    venv = tmp_path / ".pixi" / "envs" / "default"
    uv = find_uv_bin()
    subprocess.run([uv, "venv", "-q", "--python", str(interpreter("3.11")), str(venv)], check=True)
    packages = ("paddleocr==3.3.1", "paddlepaddle", "setuptools", "numpy==2.4.6")
    install = [uv, "pip", "install", "-q", "--python", str(venv), "--default-index", mirror]
    subprocess.run([*install, *packages], check=True)
    (tmp_path / "pixi.lock").write_text(PIXI_LOCK, encoding="utf-8")
    words = (
        "--only",
        "numpy-2-4-scalar",
        "--mirror",
        mirror,
        "--python",
        python_in(venv),
        "--format",
        "json",
    )
    (step,) = doctor("fix", *words, cwd=tmp_path).document["plan"]["steps"]
    (note,) = step["notes"]
    assert note.endswith(": `pixi add --pypi 'numpy<2.4'`")
    assert "pixi.lock contains numpy 2.4.6, so" in note
