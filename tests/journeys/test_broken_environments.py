"""An environment whose Python was removed: it is named with its versions, and nothing in it changes before a repair."""

from __future__ import annotations

from pathlib import Path

import pytest

from doctor import doctor, fingerprint
from small_stack import small_stack


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
