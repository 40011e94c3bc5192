"""The checks that are not about behaviour: formatting, lint, types, and that the pages agree with each other."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def run(*argv: str) -> str:
    """Run a tool of the development environment in the repository; return what it complained about."""
    done = subprocess.run(
        [sys.executable, "-m", *argv], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_the_code_is_formatted() -> None:
    assert run("ruff", "format", "--check", ".") == ""


def test_the_linter_is_content() -> None:
    assert run("ruff", "check", ".") == ""


def test_the_types_are_sound() -> None:
    assert run("mypy") == ""


def commands_of(page: str) -> list[str]:
    return [
        line
        for block in FENCE.findall((ROOT / page).read_text(encoding="utf-8"))
        for line in block.splitlines()
    ]


def test_ci_runs_the_test_command_of_the_readme() -> None:
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert commands_of("README.md")[1] == ci[-1]
    assert [line for line in ci if line.startswith(".dev/bin/")][-3:] == [
        ".dev/bin/ruff format --check .",
        ".dev/bin/ruff check .",
        ".dev/bin/mypy",
    ]
    assert "set -euo pipefail" in ci, "a command that fails ends it"


@pytest.mark.xdist_group("together")
def test_the_processes_of_a_run_know_the_groups_of_tests(request: pytest.FixtureRequest) -> None:
    """What a module builds once is else built by every process, and the run takes twice as long."""
    assert request.node.nodeid.endswith("@together") == ("PYTEST_XDIST_WORKER" in os.environ)


def test_no_page_names_a_machine_or_a_registry() -> None:
    from pip._internal.models.index import PyPI

    hosts = [PyPI.netloc, PyPI.file_storage_domain, str(Path.home()) + "/", str(ROOT) + "/"]
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    texts = {n: (ROOT / n).read_bytes() for n in tracked if (ROOT / n).is_file()}
    assert [name for name, data in texts.items() if any(h.encode() in data for h in hosts)] == []
