"""Wheels for Windows hold text files whose lines end in CRLF: `check` and `fix` read them like any other."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import pytest
from uv import find_uv_bin

from doctor import doctor
from environments import interpreter, python_in
from paddlevl_doctor.facts.target import BUILD_FILE
from paddlevl_doctor.packages.gpu_wheel import cuda_tag_of
from wheels import wheel

PINS = "cuda_version = {cuda!r}\ncudnn_version = {cudnn!r}\ncompiled_cuda_archs = {archs}\n"
BUILDS = {
    "paddlepaddle": PINS.format(cuda="False", cudnn="False", archs=[]),
    "paddlepaddle-gpu": PINS.format(cuda="12.6", cudnn="9.5.1", archs=[80, 90]),
}


def installed(folder: Path, package: str) -> Path:
    """Install a wheel of paddle without content; return the file that says how it was built."""
    name, data = wheel(package, "3.2.2", cuda="")
    (folder / name).write_bytes(data)
    venv = folder / ".venv"
    for words in (
        ("venv", "--python", interpreter("3.11"), venv),
        ("pip", "install", "--no-deps", folder / name),
    ):
        target = ("--python", python_in(venv)) if words[0] == "pip" else ()
        subprocess.run([find_uv_bin(), *map(str, (*words, *target)), "--quiet"], check=True)
    (file,) = venv.glob(f"lib/*/site-packages/{BUILD_FILE}")
    file.unlink()  # uv's cache may hold the same file
    return file


def told(folder: Path) -> tuple[int, object, object, object]:
    """What `check` and the plan of `fix` say; times and free space change from run to run."""
    check = doctor("check", "--ignore", "disk-space", "--format", "json", cwd=folder)
    fix = doctor("fix", "--format", "json", cwd=folder)
    findings = [{**finding, "duration_ms": 0} for finding in check.document["findings"]]
    return check.code, check.document["facts"]["target"]["paddle"], findings, fix.document.get("plan")


@pytest.mark.parametrize("package", sorted(BUILDS))
def test_a_wheel_with_line_ends_of_windows_is_read_like_any_other(package: str, tmp_path: Path) -> None:
    file = installed(tmp_path, package)
    words = f"full_version = '3.2.2'\n{BUILDS[package]}"
    file.write_bytes(words.encode())
    usual = told(tmp_path)
    file.write_bytes(words.replace("\n", "\r\n").encode())
    assert told(tmp_path) == usual


def test_the_cuda_version_in_a_wheel_file_with_line_ends_of_windows_is_known(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "paddle.whl", "w") as archive:
        archive.writestr(BUILD_FILE, BUILDS["paddlepaddle-gpu"].replace("\n", "\r\n"))
    assert cuda_tag_of(tmp_path / "paddle.whl") == "cu126"
