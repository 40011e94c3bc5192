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


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a folder with a broken environment and the plan that cures it."""
    fresh_copy("broken", tmp_path / ".venv")
    answer = doctor("fix", "--output", "plan.json", cwd=tmp_path)
    assert (answer.code, answer.stdout) == (1, "")
    return tmp_path


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


def test_a_saved_plan_is_carried_out_as_it_was_shown(project: Path) -> None:
    before = fingerprint(project / ".venv")
    shown = json.loads((project / "plan.json").read_text(encoding="utf-8"))["plan"]["steps"]
    cured = doctor("fix", "--apply", "plan.json", "--format", "json", cwd=project)
    assert cured.code == 0, cured.stderr
    assert [step["id"] for step in cured.document["plan"]["steps"]] == [step["id"] for step in shown]
    assert {outcome["status"] for outcome in cured.document["outcome"]} == {"applied"}
    assert doctor("undo", cwd=project).code == 0
    assert fingerprint(project / ".venv") == before


def test_a_plan_made_elsewhere_in_another_language_is_the_same_plan(project: Path) -> None:
    other = project / "elsewhere"
    other.mkdir()
    shutil.copyfile(project / "plan.json", other / "plan.json")
    # Another folder has no `pipelines` to link: that is a difference, and it is shown.
    answer = doctor("fix", "--apply", "plan.json", "--lang", "zh", cwd=other)
    assert (answer.code, "没有做任何更改" in answer.stderr) == (1, True)
    assert doctor("fix", "--apply", "plan.json", "--lang", "zh", cwd=project).code == 0


def test_a_package_that_changed_meanwhile_stops_it(project: Path) -> None:
    uv = (
        find_uv_bin(),
        "pip",
        "install",
        "-q",
        "--python",
        str(python_in(project / ".venv")),
        "safetensors==0.5.3",
    )
    subprocess.run(uv, check=True)
    words = refused(project)
    assert words.startswith("Nothing was changed: 1 things are not what they were when the plan was made.")
    assert "safetensors: 0.6.2 then, 0.5.3 now" in words


def test_a_file_that_changed_meanwhile_stops_it(project: Path) -> None:
    path = next((project / ".venv").glob(f"lib/*/site-packages/{PIPELINE}"))
    path.with_name("new").write_bytes(path.read_bytes() + b"\n")
    path.with_name("new").replace(path)
    assert f"{PIPELINE}: " in refused(project)


def test_a_link_that_appeared_meanwhile_stops_it(project: Path) -> None:
    (project / "pipelines").mkdir()
    assert "pipelines: absent then, not-a-link now" in refused(project)


def test_a_plan_that_was_carried_out_is_not_carried_out_twice(project: Path) -> None:
    assert doctor("fix", "--apply", "plan.json", cwd=project).code == 0
    assert "safetensors: 0.6.2 then" in refused(project)


def test_commands_in_a_file_are_never_run(project: Path) -> None:
    steps = json.loads((project / "plan.json").read_text(encoding="utf-8"))["plan"]["steps"]
    evil = [{**step, "commands": [["uv", "pip", "install", "evil"]]} for step in steps]
    edit(project, {"plan": {"steps": evil}})
    assert "step install-packages: would be another one now" in refused(project)


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
    assert "goes with --apply and without other choices" in refused(project, "--only", "numpy-2-4-scalar")
    assert "A plan file names its target" in refused(project, "--venv", "other")
    answer = doctor("fix", "plan.json", cwd=project)
    assert (answer.code, "goes with --apply" in answer.stderr) == (2, True)
    answer = doctor("fix", "--apply", "absent.json", cwd=project)
    assert (answer.code, answer.stderr.count("\n")) == (2, 1)
