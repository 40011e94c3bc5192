"""Nothing that nobody asked for is downgraded: the plan names it, and its step waits for a word."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from uv import find_uv_bin

from doctor import doctor, fingerprint
from environments import kept_bytecode


@pytest.fixture(autouse=True)
def _compiled(tmp_path: Path) -> Iterator[None]:
    """Use the bytecode that earlier tests made of the version set; three tests would compile the stack anew."""
    with kept_bytecode("current-3.11", tmp_path / ".venv"):
        yield


def test_a_downgrade_that_no_cure_names_needs_an_explicit_word(tmp_path: Path) -> None:
    venv, uv = tmp_path / ".venv", find_uv_bin()
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(venv)], check=True)
    # paddlex pins PyYAML 6.0.2 exactly
    subprocess.run([uv, "pip", "install", "-q", "--python", str(venv), "pyyaml==6.0.3"], check=True)
    before = fingerprint(venv)

    plan = doctor("fix", "--format", "json", cwd=tmp_path)
    refused = doctor("fix", "--apply", "--skip", "no-paddle-installed", cwd=tmp_path)
    assert (plan.code, refused.code, refused.stdout) == (1, 1, "")
    marks = [change for step in plan.document["plan"]["steps"] for change in step["needs_consent"]]
    for words in (marks[0], refused.stderr):
        assert re.search(r"pyyaml 6\.0\.3 -> 6\.0\.2 \(for [^)]*\bpaddlex\b", words)
    assert "--yes" in refused.stderr
    assert fingerprint(venv) == before

    agreed = doctor("fix", "--apply", "--yes", "--format", "json", cwd=tmp_path)
    assert agreed.code == 0, agreed.stderr
    assert doctor("undo", cwd=tmp_path).code == 0
    assert fingerprint(venv) == before


def test_undo_stops_where_packages_were_changed_since_and_goes_on_when_told(tmp_path: Path) -> None:
    assert doctor("fix", "--apply", cwd=tmp_path).code == 0
    venv = tmp_path / ".venv"
    subprocess.run([find_uv_bin(), "pip", "install", "-q", "--python", str(venv), "tabulate"], check=True)
    refused = doctor("undo", cwd=tmp_path)
    assert (refused.code, refused.stdout) == (1, "")
    assert "tabulate" in refused.stderr
    assert venv.is_dir()
    assert doctor("undo", "--yes", cwd=tmp_path).code == 0
    assert list(venv.glob("lib/*/site-packages/tabulate*/*")), "the user's package stays"
    assert not (venv / "bin" / "python").exists()
    assert not list(venv.glob("lib/*/site-packages/paddle*"))


def test_undo_lists_what_it_remembers_and_says_when_nothing_is_left(tmp_path: Path) -> None:
    assert doctor("fix", "--apply", cwd=tmp_path).code == 0
    undone = doctor("undo", "--list", "--format", "json", cwd=tmp_path)
    assert [row["transaction"] for row in undone.document["transactions"]] == [1]
    assert doctor("undo", "--to", "0", cwd=tmp_path).code == 0
    nothing = doctor("undo", cwd=tmp_path)
    assert (nothing.code, "Nothing to undo" in nothing.stderr) == (2, True)
