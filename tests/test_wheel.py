"""What is installed from the wheel is complete: data, schemas, the demo page, and a command that runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from uv import find_uv_bin

ROOT = Path(__file__).parents[1]


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
