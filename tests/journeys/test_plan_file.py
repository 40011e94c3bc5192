"""A plan as a file: what was read is what is done, and only where nothing has moved since."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from uv import find_uv_bin

from doctor import doctor, fingerprint
from environments import fresh_copy, python_in

PIPELINE = "paddlex/inference/pipelines/layout_parsing/pipeline_v2.py"


pytestmark = pytest.mark.xdist_group("plan-file")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a broken environment and the plan that cures it; tests bring back what they change."""
    folder = tmp_path_factory.mktemp("plan")
    fresh_copy("broken", folder / ".venv")
    answer = doctor("fix", "--output", "plan.json", cwd=folder)
    assert (answer.code, answer.stdout) == (1, "")
    shutil.copyfile(folder / "plan.json", folder / "kept.json")
    return folder


@pytest.fixture
def project(kept: Path) -> Path:
    """Return that folder with the plan as it was made."""
    shutil.copyfile(kept / "kept.json", kept / "plan.json")
    return kept


def refused(project: Path, *words: str) -> str:
    """Apply the plan, see that nothing happens, and return the sentence that says why."""
    before = fingerprint(project / ".venv")
    answer = doctor("fix", "--apply", "plan.json", *words, "--format", "json", cwd=project)
    assert (answer.code, answer.document["error"]["exit_code"]) in ((1, 1), (2, 2))
    assert fingerprint(project / ".venv") == before
    return answer.stderr


def edit(project: Path, change: dict[str, Any]) -> None:
    path = project / "plan.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**document, **change}), encoding="utf-8")


def test_a_saved_plan_is_carried_out_once_as_it_was_shown(project: Path) -> None:
    before = fingerprint(project / ".venv")
    shown = json.loads((project / "plan.json").read_text(encoding="utf-8"))["plan"]["steps"]
    cured = doctor("fix", "--apply", "plan.json", "--lang", "zh", "--format", "json", cwd=project)
    assert cured.code == 0, cured.stderr
    assert [step["id"] for step in cured.document["plan"]["steps"]] == [step["id"] for step in shown]
    assert {outcome["status"] for outcome in cured.document["outcome"]} == {"applied"}
    assert "safetensors: was 0.6.2" in refused(project)
    assert doctor("undo", cwd=project).code == 0
    assert fingerprint(project / ".venv") == before


def test_a_plan_that_is_carried_out_from_another_folder_shows_the_difference(project: Path) -> None:
    other = project / "elsewhere"
    other.mkdir()
    (other / "pipelines").mkdir()
    answer = doctor("fix", "--apply", project / "plan.json", "--lang", "zh", cwd=other)
    assert (answer.code, "未做任何更改" in answer.stderr) == (1, True)


def test_a_package_that_changed_meanwhile_stops_it(project: Path) -> None:
    uv = (find_uv_bin(), "pip", "install", "-q", "--python", str(python_in(project / ".venv")))
    subprocess.run([*uv, "safetensors==0.5.3"], check=True)
    words = refused(project)
    subprocess.run([*uv, "safetensors==0.6.2"], check=True)
    assert words.startswith("Nothing was changed: 1 facts have changed since the plan was made.")
    assert "safetensors: was 0.6.2, is now 0.5.3" in words


def test_a_file_that_changed_meanwhile_stops_it(project: Path) -> None:
    path = next((project / ".venv").glob(f"lib/*/site-packages/{PIPELINE}"))
    kept, changed = path.with_name("kept"), path.with_name("new")
    kept.hardlink_to(path)
    changed.write_bytes(path.read_bytes() + b"\n")
    changed.replace(path)
    words = refused(project)
    kept.replace(path)
    assert f"{PIPELINE}: " in words


def test_a_link_that_appeared_meanwhile_stops_it(project: Path) -> None:
    (project / "pipelines").mkdir()
    words = refused(project)
    (project / "pipelines").rmdir()
    assert "pipelines: was absent, is now not-a-link" in words


def test_commands_in_a_file_are_never_run(project: Path) -> None:
    steps = json.loads((project / "plan.json").read_text(encoding="utf-8"))["plan"]["steps"]
    evil = [{**step, "commands": [["uv", "pip", "install", "evil"]]} for step in steps]
    edit(project, {"plan": {"steps": evil}})
    assert "step install-packages: is now different, or no longer needed" in refused(project)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"schema": "paddlevl-doctor/check/1"}, "its schema is not paddlevl-doctor/fix/1"),
        ({"request": {"only": "all"}}, "is not a plan"),
        ({"state": None}, "is not a plan"),
        ({"plan": []}, "is not a plan"),
    ],
)
def test_another_document_is_refused(change: dict[str, Any], reason: str, project: Path) -> None:
    edit(project, change)
    assert reason in refused(project)


def test_a_plan_goes_without_other_choices(project: Path) -> None:
    assert "with --apply and without other options" in refused(project, "--only", "numpy-2-4-scalar")
    assert "A plan file names its target" in refused(project, "--venv", "other")
    answer = doctor("fix", "plan.json", cwd=project)
    assert (answer.code, "Use a plan file with --apply" in answer.stderr) == (2, True)
    answer = doctor("fix", "--apply", "absent.json", cwd=project)
    assert (answer.code, answer.stderr.count("\n")) == (2, 1)
