"""A notebook's interpreter has no virtual environment: it is cured in place, and only its site-packages are touched."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from uv import find_uv_bin

from doctor import doctor, fingerprint
from environments import SPECS, interpreter, lend_bytecode


def own_interpreter(folder: Path) -> Path:
    """Return a complete Python installation of our own: hard links to one that is here, without its tests."""
    python = interpreter("3.11").resolve()
    leave_out = shutil.ignore_patterns("test", "tests", "idlelib", "site-packages", "__pycache__", "*.a")
    source = python.parent.parent
    for name in ("bin", "lib", "include"):
        if (source / name).is_dir():
            shutil.copytree(
                source / name, folder / name, symlinks=True, ignore=leave_out, copy_function=os.link
            )
    (folder / "lib" / "python3.11" / "site-packages").mkdir()
    return folder / "bin" / python.name


def test_a_bare_interpreter_is_cured_in_place_and_brought_back(tmp_path: Path) -> None:
    python = own_interpreter(tmp_path / "python")
    install = [find_uv_bin(), "pip", "install", "-q", "--python", str(python), *SPECS["broken"].packages]
    subprocess.run(install, check=True)
    lend_bytecode("broken", tmp_path / "python")
    site = tmp_path / "python" / "lib" / "python3.11" / "site-packages"
    before = fingerprint(site)

    sick = doctor("check", "--python", python, "--format", "json", cwd=tmp_path)
    system = {"PATH": f"{python.parent}:/usr/bin:/bin"}
    assert sick.document["target"]["prefix"] == str(tmp_path / "python")
    assert {"numpy-2-4-scalar", "safetensors-framework-paddle"} <= set(sick.problems())

    cure = doctor("fix", "--apply", "--system", "--format", "json", cwd=tmp_path, env=system)
    assert cure.code == 0, cure.stderr
    assert [path.name for path in tmp_path.rglob(".paddlevl-doctor")] == [".paddlevl-doctor"]
    assert (site / ".paddlevl-doctor").is_dir()
    assert doctor("check", "--python", python, "--format", "json", cwd=tmp_path).problems() == {}

    system["UV_SYSTEM_PYTHON"] = "1"  # what uv's own --system can be asked for with
    undone = doctor("undo", "--format", "json", cwd=tmp_path, env=system)
    assert undone.code == 0, undone.stderr
    assert fingerprint(site) == before


def test_the_systems_python_and_another_one_cannot_both_be_meant(tmp_path: Path) -> None:
    for words in (("check", "--venv", "x"), ("fix", "--python", "x"), ("patches", "status", "--venv", "x")):
        answer = doctor(*words, "--system", cwd=tmp_path)
        assert (answer.code, answer.stdout) == (2, "")
        assert answer.stderr.startswith("--system already names an interpreter."), answer.stderr
