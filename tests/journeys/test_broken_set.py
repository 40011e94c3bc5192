"""The set of November 2025 with today's numpy and an old safetensors: diagnosed, cured, proved, and undone."""

from __future__ import annotations

from pathlib import Path

import pytest

from doctor import doctor, fingerprint
from environments import fresh_copy

pytestmark = pytest.mark.xdist_group("broken-set")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the broken environment in .venv, where a user would work."""
    folder = tmp_path_factory.mktemp("project")
    fresh_copy("broken", folder / ".venv")
    return folder


def test_the_whole_journey_from_broken_to_cured_and_back(project: Path) -> None:
    venv = project / ".venv"
    before = fingerprint(venv)

    diagnosis = doctor("check", "--format", "json", cwd=project)
    assert diagnosis.code == 1
    assert diagnosis.problems() == {
        "safetensors-framework-paddle": "error",
        "numpy-2-4-scalar": "error",
        "use-doc-preprocessor": "warning",
    }

    plan = doctor("fix", "--format", "json", cwd=project)
    steps = plan.document["plan"]["steps"]
    assert plan.code == 1
    assert [step["id"] for step in steps] == [
        "install-packages",
        "patch-doc-preprocessor-defaults",
        "patch-queue-threads-end",
        "link-pipelines",
    ]
    assert {line.split()[1] for line in steps[0]["diff"].splitlines()} == {"numpy", "safetensors"}
    assert fingerprint(venv) == before, "a plan changes nothing"
    assert not (project / "pipelines").exists()

    cure = doctor("fix", "--apply", "--format", "json", cwd=project)
    assert cure.code == 0, cure.stderr
    assert [(o["step"], o["status"]) for o in cure.document["outcome"]] == [
        (s["id"], "applied") for s in steps
    ]
    assert (project / "pipelines" / "PaddleOCR-VL.yaml").is_file()

    healthy = doctor("check", "--format", "json", cwd=project)
    assert (healthy.code, healthy.problems()) == (0, {})
    after = fingerprint(venv)

    again = doctor("fix", "--apply", "--format", "json", cwd=project)
    assert (again.code, again.document["plan"]["steps"]) == (0, [])
    assert "outcome" not in again.document
    assert fingerprint(venv) == after, "a second run has nothing to do"

    deep = doctor("check", "--deep", "--format", "json", cwd=project)
    assert (deep.code, deep.problems()) == (0, {})
    assert deep.statuses("import-stack", "self-test") == {"import-stack": "ok", "self-test": "ok"}
    altered = next(f["title"] for f in deep.document["findings"] if f["id"] == "altered-files")
    assert altered == "Modified files: 2, of these by patches of paddlevl-doctor: 2"
    assert fingerprint(venv) == after, "a deep check changes nothing either"

    undone = doctor("undo", "--format", "json", cwd=project)
    assert (undone.code, undone.document["undone"]) == (0, [1])
    assert fingerprint(venv) == before, "undo brings the exact former state back"
    assert not (project / "pipelines").is_symlink()
