"""`patches` on real environments: what there is, what each file is to it, and a wheel with patches in it."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from uv import find_uv_bin

from doctor import doctor, fingerprint
from environments import environment, fresh_copy, python_in

PIPELINE = "paddlex/inference/pipelines/layout_parsing/pipeline_v2.py"
PATCH = "doc-preprocessor-defaults"


def states(folder: Path, python: Path) -> dict[str, str]:
    document = doctor("patches", "status", "--python", python, "--format", "json", cwd=folder).document
    return {row["path"]: row["state"] for row in document["status"]}


def replace(path: Path, data: bytes) -> None:
    """Put new bytes in place of a file without writing into what it may share with others."""
    path.with_name("new").write_bytes(data)
    path.with_name("new").replace(path)


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    return fresh_copy("set-2025-11", tmp_path / ".venv")


def test_every_patch_is_listed_and_shown_with_its_change(tmp_path: Path) -> None:
    rows = doctor("patches", "list", "--format", "json", cwd=tmp_path).document["patches"]
    assert PATCH in [row["id"] for row in rows]
    for row in rows:
        shown = doctor("patches", "show", row["id"], cwd=tmp_path)
        assert (shown.code, row["id"] in shown.stdout, "+++" in shown.stdout) == (0, True, True)


def test_an_unknown_patch_is_a_sentence_that_names_those_there_are(tmp_path: Path) -> None:
    answer = doctor("patches", "show", "magic", cwd=tmp_path)
    assert (answer.code, answer.stdout) == (2, "")
    assert answer.stderr.startswith("There is no patch magic.")
    assert PATCH in answer.stderr


def test_status_tells_published_patched_altered_missing_and_other_versions_apart(
    venv: Path, tmp_path: Path
) -> None:
    python = python_in(venv)
    site = next(venv.glob("lib/*/site-packages"))
    assert states(tmp_path, python)[PIPELINE] == "pristine"

    assert doctor("fix", "--apply", cwd=tmp_path).code == 0
    assert states(tmp_path, python)[PIPELINE] == "patched"

    replace(site / PIPELINE, b"# mine\n")
    assert states(tmp_path, python)[PIPELINE] == "altered"
    (site / PIPELINE).unlink()
    assert states(tmp_path, python)[PIPELINE] == "missing"


def test_a_published_file_of_another_version_is_not_taken_for_pristine(venv: Path, tmp_path: Path) -> None:
    site = next(venv.glob("lib/*/site-packages"))
    newer = next(environment("current-311").glob("lib/*/site-packages")) / PIPELINE
    replace(site / PIPELINE, newer.read_bytes())
    assert states(tmp_path, python_in(venv))[PIPELINE] == "altered"


def test_a_patched_wheel_is_the_same_bytes_every_time_and_takes_the_place_of_the_published_one(
    venv: Path, tmp_path: Path
) -> None:
    python = python_in(venv)
    first = doctor("patches", "build", "--output", "a", "--format", "json", cwd=tmp_path).document
    assert doctor("fix", "--apply", "--only", "use-doc-preprocessor", cwd=tmp_path).code == 0
    second = doctor("patches", "build", "--output", "b", "--format", "json", cwd=tmp_path).document
    wheels = [tmp_path / document["wheel"] for document in (first, second)]
    assert [wheel.name for wheel in wheels] == ["paddlex-3.3.6+paddlevl.1-py3-none-any.whl"] * 2
    assert wheels[0].read_bytes() == wheels[1].read_bytes(), (
        "patched in place or not: the same source, the same wheel"
    )
    assert doctor("undo", cwd=tmp_path).code == 0

    before = fingerprint(venv)
    uv = (find_uv_bin(), "pip", "install", "-q", "--python", str(python), "--no-deps")
    subprocess.run([*uv, str(wheels[0])], check=True)
    assert states(tmp_path, python)[PIPELINE] == "patched"
    healthy = doctor("check", "--format", "json", cwd=tmp_path)
    assert (healthy.code, healthy.problems()) == (0, {})
    subprocess.run([*uv, "paddlex==3.3.6"], check=True)
    assert states(tmp_path, python)[PIPELINE] == "patched", "the patched wheel fulfils ==3.3.6"

    subprocess.run([*uv, "--reinstall-package", "paddlex", "paddlex==3.3.6"], check=True)
    after = fingerprint(venv)
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert {path for path in changed if "REQUESTED" not in path and "uv_cache.json" not in path} == set()


@pytest.mark.usefixtures("venv")
def test_the_wheel_keeps_what_its_record_promises(tmp_path: Path) -> None:
    wheel = tmp_path / doctor("patches", "build", "--format", "json", cwd=tmp_path).document["wheel"]
    subprocess.run([find_uv_bin(), "venv", "-q", str(tmp_path / "empty")], check=True)
    install = [
        find_uv_bin(),
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--python",
        str(tmp_path / "empty"),
        str(wheel),
    ]
    subprocess.run(install, check=True)
    with zipfile.ZipFile(wheel) as archive:
        record = archive.read("paddlex-3.3.6+paddlevl.1.dist-info/RECORD").decode()
        assert len(record.splitlines()) == len(archive.namelist())
        digest = hashlib.sha256(archive.read(PIPELINE)).hexdigest()
    assert digest == "7651ca3873f2a24e0de7ee2a2897687c093adc612cc748ba7bd462623758a35f"


def test_a_changed_source_makes_no_wheel(venv: Path, tmp_path: Path) -> None:
    site = next(venv.glob("lib/*/site-packages"))
    replace(site / "paddlex/version.py", b"altered = True\n")
    answer = doctor("patches", "build", "--output", "out", cwd=tmp_path)
    assert (answer.code, answer.stdout) == (2, "")
    assert "paddlex/version.py differs from the published paddlex 3.3.6" in answer.stderr
    assert not list(tmp_path.glob("out/*"))
    shutil.rmtree(venv)
    answer = doctor("patches", "status", cwd=tmp_path)
    assert (answer.code, "There is no environment to inspect." in answer.stderr) == (2, True)
