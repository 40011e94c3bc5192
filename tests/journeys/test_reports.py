"""The diagnosis of a real environment in every format that it can be written in."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from doctor import doctor
from environments import environment, python_in

FORMATS = ("markdown", "junit", "github", "html")


@pytest.fixture(scope="module")
def sick() -> Path:
    return python_in(environment("broken"))


def problems(sick: Path, folder: Path) -> dict[str, str]:
    return doctor("check", "--python", sick, "--format", "json", cwd=folder).problems()


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_names_every_problem_and_keeps_the_exit_code(
    name: str, lang: str, sick: Path, tmp_path: Path
) -> None:
    answer = doctor("check", "--python", sick, "--format", name, "--lang", lang, cwd=tmp_path)
    assert (answer.code, answer.stderr) == (1, "")
    assert [found for found in problems(sick, tmp_path) if found not in answer.stdout] == []
    assert "\x1b" not in answer.stdout


def test_the_suffix_of_the_output_chooses_the_format(sick: Path, tmp_path: Path) -> None:
    for name in ("r.json", "r.md", "r.xml", "r.html", "r.txt"):
        answer = doctor("check", "--python", sick, "--output", name, cwd=tmp_path)
        assert (answer.code, answer.stdout) == (1, "")
    assert (
        json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["schema"] == "paddlevl-doctor/check/1"
    )
    assert (tmp_path / "r.md").read_text(encoding="utf-8").startswith("#")
    assert ElementTree.parse(tmp_path / "r.xml").getroot().tag == "testsuites"  # noqa: S314 - our own file
    assert (tmp_path / "r.html").read_text(encoding="utf-8").lower().startswith("<!doctype html>")
    words = (tmp_path / "r.txt").read_text(encoding="utf-8")
    assert "numpy-2-4-scalar" in words
    assert "\x1b" not in words
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.html", "r.json", "r.md", "r.txt", "r.xml"]


def test_annotations_are_commands_that_github_understands(sick: Path, tmp_path: Path) -> None:
    lines = doctor("check", "--python", sick, "--format", "github", cwd=tmp_path).stdout.splitlines()
    assert lines
    assert [line for line in lines if not re.match(r"::(?:error|warning|notice) title=[^:]+::\S", line)] == []


def test_an_output_that_cannot_be_written_is_one_sentence(sick: Path, tmp_path: Path) -> None:
    answer = doctor("check", "--python", sick, "--output", "nowhere/r.html", cwd=tmp_path)
    assert (answer.code, answer.stdout) == (2, "")
    assert answer.stderr.splitlines() == [
        "nowhere/r.html cannot be written: No such file or directory. Choose another path with --output."
    ]


def test_everything_that_is_known_is_listed_with_where_it_is_seen(tmp_path: Path) -> None:
    rows = doctor("check", "--list", "--format", "json", cwd=tmp_path).document["checks"]
    failures = sorted(
        path.stem for path in (Path(__file__).parents[2] / "matrix" / "failures").glob("*.toml")
    )
    assert sorted(row["id"] for row in rows) == failures
    assert {row["seen"] for row in rows} == {"quick", "deep", "server", "log"}
