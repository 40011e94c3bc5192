"""Each example of CONTRIBUTING.md is put into a copy of the source tree, where the command line uses it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from doctor import environment

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(r"^`([\w./-]+)`:\n\n```\w+\n(.*?)^```", re.MULTILINE | re.DOTALL)
APPENDED = re.compile(r"^Append to `([\w./-]+)`:\n\n```\w+\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the source tree, with every example of the page in it."""
    for name in ("src", "matrix", "patches"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in EXAMPLE.findall(PAGE):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    for name, text in APPENDED.findall(PAGE):
        with (tmp_path / name).open("a", encoding="utf-8") as file:
            file.write("\n" + text)
    return tmp_path


def run(copy: Path, *words: str, said: str = "") -> dict[str, Any]:
    """Run the command line of the copy and return its JSON document."""
    env = {**environment(copy), "PYTHONPATH": str(copy / "src")}
    done = subprocess.run(
        [sys.executable, "-m", "paddlevl_doctor", *words, "--format", "json"],
        cwd=copy,
        env=env,
        input=said,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_the_example_of_a_failure_is_recognised_in_a_log(copy: Path) -> None:
    log = "Traceback (most recent call last):\nscan.ScannerBusyError: device usb0 is in use\n"
    assert [match["id"] for match in run(copy, "explain", "-", said=log)["matches"]] == [
        "example-scanner-busy"
    ]


def test_the_example_of_a_check_is_a_check(copy: Path) -> None:
    checks = copy / "src/paddlevl_doctor/checks/__init__.py"
    source = checks.read_text(encoding="utf-8")
    source = source.replace("    *models.CHECKS,\n)", "    *models.CHECKS,\n    *example.CHECKS,\n)")
    checks.write_text(source.replace("checks import (", "checks import (\n    example,", 1), encoding="utf-8")

    findings = {f["id"]: f for f in run(copy, "check", "--python", sys.executable)["findings"]}
    found = findings["example-crowded"]
    assert (found["status"], found["title_message"]["id"]) == ("note", "failure:example-crowded:title.bad")
    assert re.fullmatch(r"\d+ distributions are installed", found["title"])


def test_the_example_of_a_version_set_is_one_that_can_be_followed(copy: Path) -> None:
    assert "There is no version set 'nothing'" in run(copy, "check", "--set", "nothing")["error"]["message"]
    assert run(copy, "check", "--set", "example")["summary"]["error"] == 1  # no environment yet


def test_the_example_of_a_patch_is_listed(copy: Path) -> None:
    patches = {patch["id"]: patch for patch in run(copy, "patches", "list")["patches"]}
    assert (patches["example-greeting"]["title"], patches["example-greeting"]["default"]) == (
        "PaddleX greets its user",
        "offered",
    )


def test_the_tasks_that_the_page_names_are_there() -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "nox", "-l"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert set(re.findall(r"^[*-] (\w+) ->", listed.stdout, re.MULTILINE)) == {
        *("lint", "types", "quick", "tests", "docs", "benchmarks")
    }


def test_every_hook_runs_a_module_of_the_development_environment() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0][
        "hooks"
    ]
    assert [hook["id"] for hook in hooks] == ["ruff-format", "ruff-check", "mypy", "quick-tests"]
    for hook in hooks:
        program, flag, module, *_ = hook["entry"].split()
        assert (program, flag) == ("python", "-m")
        subprocess.run([sys.executable, "-m", module, "--version"], check=True, capture_output=True)
