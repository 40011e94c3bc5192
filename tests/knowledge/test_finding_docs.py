"""docs/findings is generated from the data and says the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from paddlevl_doctor.knowledge.failures import all_ids, load_all, load_failure
from paddlevl_doctor.report.finding_docs import COMMAND, main, render

PAGES = Path(__file__).parents[2] / "docs" / "findings"


def test_the_pages_in_the_repository_are_those_of_the_data() -> None:
    written = {path.name: path.read_text(encoding="utf-8") for path in PAGES.iterdir()}
    wanted = render(load_all())
    stale = sorted(name for name in wanted if written.get(name) != wanted[name])
    extra = sorted(set(written) - set(wanted))
    assert (stale, extra) == ([], []), f"regenerate with: {COMMAND}, and delete the extra pages"


def test_every_failure_has_a_page_and_a_row_that_leads_to_it() -> None:
    pages = render(load_all())
    assert sorted(pages) == sorted(["README.md", *(f"{failure_id}.md" for failure_id in all_ids())])
    assert [i for i in all_ids() if f"| [`{i}`]({i}.md) |" not in pages["README.md"]] == []


def test_a_page_tells_everything_that_the_data_knows() -> None:
    failure = replace(
        load_failure("numpy-2-4-scalar"), evidence="reproduced", reproduced_by="tests/t.py::test_t"
    )
    page = render([failure])["numpy-2-4-scalar.md"]
    assert page == "\n".join(
        [
            f"<!-- Generated from matrix/failures by `{COMMAND}`. -->",
            "# numpy 2.4 with a paddlex that fails with it",
            "",
            "| | |",
            "| --- | --- |",
            "| id | `numpy-2-4-scalar` |",
            "| what `check` tests | whether numpy 2.4 is installed with a paddlex that fails with it |",
            "| can occur | paddlex `>=3.3.0,<3.4.3` with numpy `>=2.4` |",
            "| corrected in | paddlex 3.4.3 |",
            "| `fix` | installs `numpy<2.4` |",
            "| evidence | a test of this repository reproduces it (`tests/t.py::test_t`) |",
            "",
            "If there is a problem, `check` reports:",
            "",
            "> paddlex … fails at the first page with numpy …",
            "",
            "## Cause",
            "",
            failure.general("cause", "en"),
            "",
            "## What to do",
            "",
            failure.general("remedy", "en"),
            "",
            "## In a log",
            "",
            "`explain` recognizes it by these regular expressions:",
            "",
            "```text",
            "only 0-dimensional arrays can be converted to Python scalars",
            "```",
            "",
            "## Links",
            "",
            *(f"- <{link}>" for link in failure.links),
            "",
        ]
    )


def test_the_command_writes_the_pages_and_leaves_other_files_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").write_text("kept", encoding="utf-8")
    assert main([str(tmp_path)]) == 0
    pages = render(load_all())
    assert {p.name: p.read_text(encoding="utf-8") for p in tmp_path.iterdir()} == {
        **pages,
        "mine.txt": "kept",
    }
    assert capsys.readouterr().out == f"{len(pages)} pages written to {tmp_path}\n"


def test_the_command_without_a_folder_says_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert capsys.readouterr().err == f"usage: {COMMAND}\n"
