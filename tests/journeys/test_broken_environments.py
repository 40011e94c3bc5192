"""An environment whose Python was removed: it is named with its versions, and nothing in it changes before a repair."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from doctor import doctor, fingerprint
from environments import interpreter
from small_stack import copy_paddlex, site_of, small_stack


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """Return an environment with a dangling link as its Python."""
    venv = small_stack(tmp_path / ".venv")
    python = venv / "bin" / "python"
    python.unlink()
    python.symlink_to("/opt/removed/bin/python3.11")
    return venv


@pytest.mark.parametrize("words", [(), ("--venv", ".venv")], ids=["found", "named"])
def test_an_environment_whose_python_is_gone_is_a_finding(words: tuple[str, ...], broken: Path) -> None:
    before = fingerprint(broken)
    found = doctor("check", *words, "--format", "json", cwd=broken.parent)
    assert found.statuses("base-python-missing", "target-environment", "no-paddleocr-installed") == {
        "base-python-missing": "error",
        "target-environment": "blocked",
        "no-paddleocr-installed": "blocked",
    }
    facts = found.document["facts"]["broken_environment"]
    assert facts["folder"] == str(broken)
    assert facts["version"].startswith("3.11")
    assert facts["packages"] == {"paddlepaddle": "3.2.0", "paddleocr": "3.3.1", "paddlex": "3.3.6"}
    (finding,) = [f for f in found.document["findings"] if f["id"] == "base-python-missing"]
    assert f"Python {facts['version']} of {facts['home']}" in finding["cause"]
    assert "paddleocr 3.3.1, paddlex 3.3.6" in finding["cause"]

    shown = doctor("check", *words, cwd=broken.parent).stdout
    assert ".venv, whose Python no longer exists" in " ".join(shown.split())
    plan = doctor("fix", *words, "--format", "json", cwd=broken.parent)
    aside, create, install = plan.document["plan"]["steps"][:3]
    assert (create["kind"], create["resolves"]) == ("create-environment", ["base-python-missing"])
    assert aside["kind"] == "set-environment-aside"
    assert f"- Python {facts['version']}" in aside["diff"]
    assert "- paddlex 3.3.6" in aside["diff"]
    assert "paddleocr[doc-parser]==3.3.1" in install["summary"], "the nearest set, not the newest"
    assert fingerprint(broken) == before


def test_a_working_environment_comes_before_a_broken_one(broken: Path, tmp_path: Path) -> None:
    active = small_stack(tmp_path / "active")
    found = doctor("check", "--format", "json", cwd=broken.parent, env={"VIRTUAL_ENV": str(active)})
    assert found.document["target"]["prefix"] == str(active)
    assert found.statuses("base-python-missing") == {"base-python-missing": "ok"}

    (active / "bin" / "python").unlink()
    (active / "bin" / "python").symlink_to("/opt/removed/python")
    found = doctor("check", "--format", "json", cwd=broken.parent, env={"VIRTUAL_ENV": str(active)})
    assert found.document["facts"]["broken_environment"]["folder"] == str(active)


# --- without pyvenv.cfg -----------------------------------------------------------------------------------


@pytest.fixture
def without_settings(tmp_path: Path) -> Path:
    """Return an environment with a repair in its journal whose pyvenv.cfg was deleted since."""
    project = tmp_path / "project"
    venv = small_stack(project / ".venv")
    copy_paddlex(site_of(venv), "3.3.6", record=False)
    (project / "pipelines").symlink_to("nowhere")
    applied = doctor("fix", "--apply", "--only", "pipelines-link", cwd=project)
    assert applied.stdout.count("applied") == 1, applied.stderr
    (venv / "pyvenv.cfg").unlink()
    return venv


NAMED = pytest.mark.parametrize(
    ("words", "env"),
    [((), {}), (("--venv", ".venv"), {}), ((), {"VIRTUAL_ENV": ".venv"})],
    ids=["found", "named", "active"],
)


@NAMED
def test_an_environment_without_pyvenv_cfg_is_a_finding_and_never_another_python(
    words: tuple[str, ...], env: dict[str, str], without_settings: Path
) -> None:
    """Its Python is a link, which without that file uses the packages of the Python that it points to."""
    before, project = fingerprint(without_settings), without_settings.parent
    found = doctor("check", *words, "--format", "json", cwd=project, env=env)
    assert found.code == 1
    assert found.statuses("environment-without-settings", "base-python-missing", "target-environment") == {
        "environment-without-settings": "error",
        "base-python-missing": "ok",
        "target-environment": "blocked",
    }
    base = (without_settings / "bin" / "python").resolve()
    assert (found.document["target"], str(base.parent) in found.stdout) == (None, True)
    shown = " ".join(doctor("check", *words, cwd=project, env=env).stdout.split())
    assert ".venv, which has no pyvenv.cfg" in shown
    assert "paddleocr 3.3.1, paddlex 3.3.6" in shown

    aside, create, install = doctor("fix", *words, "--format", "json", cwd=project, env=env).document["plan"][
        "steps"
    ][:3]
    assert (aside["kind"], create["resolves"]) == ("set-environment-aside", ["environment-without-settings"])
    assert str(without_settings) in install["commands"][0][install["commands"][0].index("--python") + 1]
    assert fingerprint(without_settings) == before


@NAMED
def test_undo_finds_the_transactions_of_an_environment_without_pyvenv_cfg(
    words: tuple[str, ...], env: dict[str, str], without_settings: Path
) -> None:
    project = without_settings.parent
    listed = doctor("undo", "--list", *words, "--format", "json", cwd=project, env=env).document
    assert [row["state"] for row in listed["transactions"]] == ["committed"]
    done = doctor("undo", *words, cwd=project, env=env)
    assert (done.code, str((project / "pipelines").readlink())) == (0, "nowhere"), done.stderr


def test_an_interpreter_that_was_named_is_taken_with_its_real_prefix_and_that_is_said(
    without_settings: Path,
) -> None:
    words = ("--python", ".venv/bin/python")
    found = doctor("check", *words, "--format", "json", cwd=without_settings.parent)
    base = (without_settings / "bin" / "python").resolve().parents[1]
    assert found.document["target"]["prefix"] == str(base)
    (finding,) = (f for f in found.document["findings"] if f["id"] == "environment-without-settings")
    assert (finding["status"], str(without_settings) in finding["title"]) == ("note", True)
    assert str(base) in finding["cause"]
    (command,) = finding["remedy"]["commands"]
    assert command[-2:] == ["--venv", str(without_settings)]
    assert "--python" not in command


def test_system_is_not_the_python_of_an_environment_without_pyvenv_cfg(without_settings: Path) -> None:
    path = f"{without_settings / 'bin'}{os.pathsep}{os.environ['PATH']}"
    found = doctor("check", "--system", "--format", "json", cwd=without_settings.parent, env={"PATH": path})
    assert not found.document["target"]["python"].startswith(str(without_settings))


def test_a_folder_that_only_has_a_link_to_python_is_no_environment_that_is_set_aside(tmp_path: Path) -> None:
    """For example `~/.local`, where uv links the interpreters that it installs."""
    (tmp_path / "local" / "bin").mkdir(parents=True)
    (tmp_path / "local" / "bin" / "python").symlink_to(interpreter("3.11"))
    for words, env in (("--venv", "local"), {}), ((), {"VIRTUAL_ENV": "local"}):
        answer = doctor("fix", *words, cwd=tmp_path, env=env)
        assert (answer.code, answer.stdout) == (2, "")
        assert "local has no pyvenv.cfg" in answer.stderr
        assert Path(interpreter("3.11")).resolve().name in answer.stderr
