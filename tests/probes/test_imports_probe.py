"""The imports probe: one attempt in a fresh process, and the first exception."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from environments import probe
from paddlevl_doctor.facts.run_probes import probe_path, run_probe
from paddlevl_doctor.system.machine import RealSystem

GOOD = "__version__ = '1.0'\n"
REINITIALISED = """
try:
    raise OSError("[WinError 127] shm.dll")
except OSError:
    raise RuntimeError("PDX has already been initialized. Reinitialization is not supported.")
"""


def stack(folder: Path, **modules: str) -> dict[str, str]:
    """Write stand-ins for the three modules and return the environment in which they are found."""
    for name in ("paddle", "paddlex", "paddleocr"):
        (folder / f"{name}.py").write_text(modules.get(name, GOOD))
    return {"PYTHONPATH": str(folder), "PATH": ""}


def imports(environment: dict[str, str], *args: str) -> dict[str, Any]:
    result = run_probe(RealSystem(), sys.executable, "imports", args, 60, environment)
    assert result.status == "answered", result.detail
    assert result.data is not None
    return result.data


@pytest.mark.xdist_group("current-311")
def test_a_healthy_stack_imports_and_every_module_has_its_time_and_version() -> None:
    data = probe("current-311", "imports").data
    assert data is not None
    assert (data["error"], data["versions"]) == (
        None,
        {"paddle": "3.2.2", "paddlex": "3.7.2", "paddleocr": "3.7.0"},
    )
    assert set(data["seconds"]) == {"paddle", "paddlex", "paddleocr", "total"}


def test_the_first_module_that_fails_is_named_and_later_ones_are_not_tried(tmp_path: Path) -> None:
    data = imports(stack(tmp_path, paddlex="import libGL_missing\n", paddleocr="raise SystemExit('never')"))
    error = data["error"]
    assert error.pop("traceback")[-1] == "ModuleNotFoundError: No module named 'libGL_missing'"
    assert error == {
        "type": "ModuleNotFoundError",
        "message": "No module named 'libGL_missing'",
        "root": "ModuleNotFoundError: No module named 'libGL_missing'",
        "module": "paddlex",
        "raised": None,
    }
    assert data["versions"] == {"paddle": "1.0"}
    assert set(data["seconds"]) == {"paddle", "total"}


def test_the_complaint_about_a_second_initialisation_does_not_hide_the_cause(tmp_path: Path) -> None:
    error = imports(stack(tmp_path, paddlex=REINITIALISED))["error"]
    assert (error["type"], error["message"]) == ("OSError", "[WinError 127] shm.dll")
    assert (
        error["raised"]
        == "RuntimeError: PDX has already been initialized. Reinitialization is not supported."
    )


def test_a_module_that_ends_the_process_politely_is_still_reported(tmp_path: Path) -> None:
    error = imports(stack(tmp_path, paddle="import sys; sys.exit('no AVX')"))["error"]
    assert (error["module"], error["type"], error["message"]) == ("paddle", "SystemExit", "no AVX")


def test_one_module_can_be_looked_at_alone(tmp_path: Path) -> None:
    data = imports(stack(tmp_path, paddle="raise OSError"), "--only", "paddlex")
    assert (data["error"], data["versions"]) == (None, {"paddlex": "1.0"})


@pytest.mark.xdist_group("current-311")
def test_the_pipeline_of_a_healthy_stack_is_found() -> None:
    assert (data := probe("current-311", "imports", "--pipeline").data) is not None
    assert data["error"] is None


ENGINE = """
class PaddleOCRVL:
    def __init__(self, pipeline_version="{version}"):
        raise RuntimeError("nothing is created")

    @property
    def _paddlex_pipeline_name(self):
        return "PaddleOCR-VL-" + self.pipeline_version
"""


@pytest.mark.parametrize(
    ("engine", "cause"),
    [
        (ENGINE.format(version="2"), None),
        (ENGINE.format(version="3"), "Exception: PaddleOCR-VL-3"),
        ("class PaddleOCRVL: pass\n", "Exception: PaddleOCR-VL"),
        (GOOD, "AttributeError: module 'paddleocr' has no attribute 'PaddleOCRVL'"),
    ],
    ids=["found", "no configuration", "old engine", "no engine"],
)
def test_a_missing_pipeline_is_an_error(engine: str, cause: str | None, tmp_path: Path) -> None:
    environment = stack(tmp_path, paddleocr=engine)
    (tmp_path / "paddlex.py").unlink()
    (tmp_path / "paddlex").mkdir()
    (tmp_path / "paddlex" / "__init__.py").touch()
    loader = (
        "def load_pipeline_config(name):\n    if name != 'PaddleOCR-VL-2':\n        raise Exception(name)\n"
    )
    (tmp_path / "paddlex" / "inference.py").write_text(loader)
    error = imports(environment, "--pipeline")["error"]
    assert (error and error["root"]) == cause


def test_what_a_library_prints_does_not_disturb_the_document(tmp_path: Path) -> None:
    noise = GOOD + "import os, sys\nprint('noise')\nos.write(1, b'more noise')\nsys.__stdout__.write('{}')\n"
    assert imports(stack(tmp_path, paddle=noise))["error"] is None


def test_host_names_are_refused_at_once(tmp_path: Path) -> None:
    error = imports(stack(tmp_path, paddle="import socket; socket.create_connection(('localhost', 9))"))[
        "error"
    ]
    assert error["type"] == "gaierror"
    assert error["message"].endswith("a probe does not look up localhost")


def test_threads_that_never_end_do_not_keep_the_process_alive(tmp_path: Path) -> None:
    stuck = GOOD + "import threading\nthreading.Thread(target=threading.Event().wait).start()\n"
    assert imports(stack(tmp_path, paddle=stuck))["error"] is None


def test_a_probe_started_by_hand_leaves_no_file_behind(tmp_path: Path) -> None:
    cache = GOOD + (
        "import os\n"
        "os.makedirs(os.environ['PADDLE_PDX_CACHE_HOME'])\n"
        "os.makedirs(os.path.expanduser('~/.cache/paddle'))\n"
    )
    folders = {"TMPDIR": str(tmp_path), "HOME": str(tmp_path)}
    environment = {**stack(tmp_path, paddlex=cache), **folders, "PYTHONDONTWRITEBYTECODE": "1"}
    before = sorted(tmp_path.iterdir())
    argv = [sys.executable, str(probe_path("imports"))]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout)["error"] is None
    assert sorted(tmp_path.iterdir()) == before
