"""Every command that README and the pages show is run, in the order of the page, where a newcomer would run it."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

import documents
import paddlevl_doctor
from doctor import doctor
from environments import fresh_copy

ROOT = Path(__file__).parents[2]
DEMO = Path(paddlevl_doctor.__file__).parent / "assets" / "demo.png"
SAMPLE = ROOT / "tests" / "knowledge" / "samples" / "numpy-2-4-scalar.txt"
# Not an example to run as it stands: the main job has a journey of its own, the others are forms, not commands.
SHOWN = re.compile(r"(?:^|`)paddlevl-doctor ([^`\n|]+?)(?:`|$)", re.MULTILINE)
PAGES = (
    "README.md",
    "docs/commands.md",
    "docs/matrix.md",
    "docs/parse.md",
    "docs/reports.md",
    "docs/serve.md",
)
CHANGES = re.compile(r"^(fix|undo|pipelines link)|--record|--output plan")
"""What such a command leaves behind, later ones of its page need."""
CODES = {"explain": (1,), "check": (0, 1), "serve": (0, 1)}
"""Exit codes other than 0: there is a failure in the log, and a machine may have one or lack the GPU of a server."""


def commands(page: str) -> list[str]:
    """Return the commands in code blocks and in code spans of a page, the first mention of each."""
    found = SHOWN.findall((ROOT / page).read_text(encoding="utf-8"))
    return [words for words in dict.fromkeys(found) if "COMMAND" not in words]


def to_run(page: str) -> list[str]:
    """Return the commands of a page, but those that an earlier page has shown and that change nothing."""
    earlier = {words for before in PAGES[: PAGES.index(page)] for words in commands(before)}
    return [words for words in commands(page) if words not in earlier or CHANGES.search(words)]


def test_the_pages_show_commands_at_all() -> None:
    assert {"check", "fix --apply", "undo", "parse page.png", "pipelines list"} <= set(commands("README.md"))
    assert len(commands("docs/commands.md")) > 10


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_works_as_shown(page: str, tmp_path: Path) -> None:
    fresh_copy("current-311", tmp_path / ".venv")
    shutil.copyfile(DEMO.with_suffix(".json"), tmp_path / "truth.json")
    shutil.copyfile(SAMPLE, tmp_path / "log.txt")
    for words in to_run(page):
        if "truth.json" in words:
            shutil.copyfile(DEMO, tmp_path / "page.png")
        else:
            documents.page().save(tmp_path / "page.png")
        answer = doctor(*shlex.split(words), cwd=tmp_path)
        assert answer.code in CODES.get(words.split()[0], (0,)), f"{words}: {answer.stderr}"
        assert answer.stdout or "--output" in words, words
        assert "Traceback" not in answer.stderr, words
