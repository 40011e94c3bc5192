"""What is installed from the wheel is complete: data, schemas, the demo page, and a command that runs."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

from uv import find_uv_bin

ROOT = Path(__file__).parents[1]


AGAIN = """\
import pathlib, sys
from paddlevl_doctor.packages.collect_wheels import own_wheel
from paddlevl_doctor.system.machine import RealSystem
own_wheel(RealSystem(), pathlib.Path(sys.argv[1]))
"""
"""What an installed doctor does for a wheelhouse: it puts itself together as it was published."""


def contents(wheel: Path) -> dict[str, bytes]:
    """Return every file of a wheel; RECORD, whose order may differ, as its sorted lines."""
    with zipfile.ZipFile(wheel) as archive:
        found = {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}
    return {
        name: b"\n".join(sorted(data.splitlines())) if name.endswith("/RECORD") else data
        for name, data in found.items()
    }


def names(folder: Path, pattern: str) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob(pattern) if path.is_file()}


def test_the_wheel_carries_all_data_and_its_command_runs_without_the_checkout(tmp_path: Path) -> None:
    uv, venv = find_uv_bin(), tmp_path / "env"
    subprocess.run([uv, "build", "-q", "--wheel", "--out-dir", str(tmp_path), str(ROOT)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(venv)], check=True)
    subprocess.run([uv, "pip", "install", "-q", "--python", str(venv), str(wheel)], check=True)

    (package,) = venv.glob("lib/*/site-packages/paddlevl_doctor")
    for data in ("matrix", "patches"):
        assert names(package / "data" / data, "*") == names(ROOT / data, "*")
    source = ROOT / "src" / "paddlevl_doctor"
    for shipped in ("schemas", "assets", "probes"):
        assert names(package / shipped, "*.*") - names(source / shipped, "*.pyc") == names(
            source / shipped, "*.*"
        ) - names(source / shipped, "*.pyc")

    argv = [str(venv / "bin" / "paddlevl-doctor"), "check", "--format", "json"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, json.loads(done.stdout)["target"]) == (1, None)

    (tmp_path / "again").mkdir()
    subprocess.run([str(venv / "bin" / "python"), "-c", AGAIN, str(tmp_path / "again")], check=True)
    assert contents(tmp_path / "again" / wheel.name) == contents(wheel)
