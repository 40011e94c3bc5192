"""Distributions that contain the same files, and what is left when one of them is removed: named and cured."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from test_repaired_distributions import is_as_recorded
from uv import find_uv_bin

from doctor import doctor, fingerprint
from environments import fresh_copy, python_in, variables

UNPATCHED = {"use-doc-preprocessor": "warning"}
CONTRIB = "opencv_contrib_python-4.10.0.84.dist-info"
PADDLE = "paddlepaddle-3.2.2.dist-info"


def pip(venv: Path, *words: str) -> None:
    argv = [find_uv_bin(), "pip", words[0], "-q", "--python", str(python_in(venv)), *words[1:]]
    subprocess.run(argv, check=True)


def works(venv: Path, program: str) -> bool:
    argv = [str(python_in(venv)), "-c", program]
    return subprocess.run(argv, env=variables(venv), capture_output=True, check=False).returncode == 0


def copy_records(venv: Path) -> None:
    """Make paddlepaddle-gpu own the files of paddlepaddle, as after an installation of both."""
    (site,) = venv.glob("lib/*/site-packages")
    copy = site / "paddlepaddle_gpu-3.2.2.dist-info"
    shutil.copytree(site / PADDLE, copy)
    for name, old, new in (
        ("METADATA", "Name: paddlepaddle\n", "Name: paddlepaddle-gpu\n"),
        ("RECORD", "paddlepaddle-3.2.2.dist-info/", "paddlepaddle_gpu-3.2.2.dist-info/"),
    ):
        text = (copy / name).read_text(encoding="utf-8").replace(old, new)
        (copy / name).unlink()
        (copy / name).write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("foreign", "status", "program", "record"),
    [
        ("paddle==1.1.10", "error", "import paddle; paddle.to_tensor(1)", PADDLE),
        ("opencv-python-headless==4.10.0.84", "warning", "import cv2; cv2.ximgproc.thinning", CONTRIB),
    ],
    ids=["paddle", "opencv"],
)
def test_distributions_that_share_files_are_named_separated_and_taken_back(
    foreign: str, status: str, program: str, record: str, tmp_path: Path
) -> None:
    venv = fresh_copy("current-311", tmp_path / ".venv")
    (site,) = venv.glob("lib/*/site-packages")
    pip(venv, "install", "--no-deps", foreign)
    assert not works(venv, program)
    broken = fingerprint(venv)

    found = doctor("check", "--format", "json", cwd=tmp_path)
    assert found.problems() == {**UNPATCHED, "overlapping-dists": status}
    held = doctor("fix", "--format", "json", cwd=tmp_path).document
    assert "install-packages" not in [step["id"] for step in held["plan"]["steps"]]

    cure = doctor("fix", "--apply", "--only", "overlapping-dists", "--format", "json", cwd=tmp_path)
    assert cure.code == 0, cure.stderr
    assert [step["step"] for step in cure.document["outcome"]] == ["remove-packages", "install-packages"]
    assert not list(site.glob(f"{foreign.partition('==')[0].replace('-', '_')}-*.dist-info"))
    assert is_as_recorded(site, site / record / "RECORD")
    assert works(venv, program)
    whole = doctor("check", "--integrity", "--format", "json", cwd=tmp_path)
    assert whole.problems() == UNPATCHED

    assert doctor("undo", cwd=tmp_path).code == 0
    assert fingerprint(venv) == broken


@pytest.mark.parametrize(
    ("rival", "program", "name"),
    [
        ("paddlepaddle-gpu", "import paddle; paddle.to_tensor(1)", "paddlepaddle"),
        ("opencv-python-headless==4.10.0.84", "import cv2; cv2.imread", "opencv-contrib-python"),
    ],
    ids=["paddle", "opencv"],
)
def test_what_is_left_after_one_of_two_was_removed_is_installed_again(
    rival: str, program: str, name: str, tmp_path: Path
) -> None:
    venv = fresh_copy("current-311", tmp_path / ".venv")
    if "==" in rival:
        pip(venv, "install", "--no-deps", rival)
    else:
        copy_records(venv)
    pip(venv, "uninstall", rival.partition("==")[0])
    assert not works(venv, program)
    broken = fingerprint(venv)

    found = doctor("check", "--format", "json", cwd=tmp_path)
    assert (found.code, found.problems()) == (1, {**UNPATCHED, "half-installed-dist": "error"})
    (finding,) = [f for f in found.document["findings"] if f["id"] == "half-installed-dist"]
    assert finding["subjects"] == [name]

    assert doctor("fix", "--apply", cwd=tmp_path).code == 0
    assert works(venv, program)
    assert doctor("check", "--format", "json", cwd=tmp_path).problems() == {}

    assert doctor("undo", cwd=tmp_path).code == 0
    assert fingerprint(venv) == broken
