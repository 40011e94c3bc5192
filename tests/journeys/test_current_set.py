"""From nothing to the set `current`, on every Python that is here, and the whole main job on a bare folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from doctor import doctor
from environments import environment, interpreter, kept_bytecode, python_in
from paddlevl_doctor.facts.target import python_of

FINDINGS_OF_NOTHING = {"target-environment": "error"}
VERSIONS = ["3.10", *(pytest.param(name, marks=pytest.mark.on_demand) for name in ("3.11", "3.12")), "3.13"]
"""Other journeys look at both sets on 3.11, and 3.12 lies between two Pythons that are looked at."""


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["current", "2025-11"])
def test_a_set_from_nothing_leaves_no_error_and_no_warning(name: str, version: str, tmp_path: Path) -> None:
    bare = doctor("check", "--format", "json", cwd=tmp_path)
    assert (bare.code, bare.problems()) == (1, FINDINGS_OF_NOTHING)

    python = interpreter(version)
    made = doctor(
        *("fix", "--apply", "--set", name, "--base-python", python, "--format", "json"), cwd=tmp_path
    )
    assert made.code == 0, made.stderr
    assert made.document["recheck"]["target"]["version"].startswith(version)

    shown = ("version-set", "pipelines-link", "use-doc-preprocessor", "unowned-code", "self-test")
    with kept_bytecode(f"{name}-{version}", tmp_path / ".venv"):
        healthy = doctor("check", "--deep", "--format", "json", cwd=tmp_path)
    assert (healthy.code, healthy.problems()) == (0, {})
    assert healthy.statuses(*shown) == dict.fromkeys(shown, "ok")


def test_torch_beside_the_stack_is_no_reason_for_an_error_or_a_warning(tmp_path: Path) -> None:
    python = python_in(environment("torch-beside-311"))
    healthy = doctor("check", "--deep", "--python", python, "--format", "json", cwd=tmp_path)
    assert (healthy.code, healthy.problems()) == (0, {})


def test_the_main_job_on_a_bare_folder_reads_the_demo_page(tmp_path: Path) -> None:
    answer = doctor("parse", "demo.png", "--fix", "--output", "out", "--format", "json", cwd=tmp_path)
    assert answer.code == 0, answer.stderr
    document = answer.document
    assert (document["engine"], document["device"], document["requested_engine"]) == ("reader", "cpu", "auto")
    assert document["verdict"]["passed"]
    assert {"create-environment", "install-packages", "self-test", "read"} <= set(document["seconds"])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "demo.json",
        "demo.md",
        "demo.order.pdf",
        "demo.pages",
        "report.html",
    ]
    assert python_of(tmp_path / ".venv", "linux").exists()

    healthy = doctor("check", "--format", "json", cwd=tmp_path)
    assert (healthy.code, healthy.problems()) == (0, {})

    undone = doctor("undo", "--format", "json", cwd=tmp_path)
    assert undone.code == 0, undone.stderr
    assert not (tmp_path / ".venv").exists()
    assert not (tmp_path / "pipelines").is_symlink()
