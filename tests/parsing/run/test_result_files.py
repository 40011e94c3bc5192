"""Results take the place of what an earlier run wrote, and of no other file."""

from __future__ import annotations

from pathlib import Path

import pytest

from paddlevl_doctor.parsing.run.result_files import refuse_to_replace
from paddlevl_doctor.values.errors import UsageError


def files(folder: Path, **contents: str) -> None:
    for name, words in contents.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(words)


def refused(output: Path, *needed: Path) -> str:
    """Return why the results of a document `a` may not be written into a folder, empty where they may."""
    try:
        refuse_to_replace(["a"], [output.parent / "another", output], needed)
    except UsageError as error:
        return str(error.message)
    return ""


OURS = '{"schema": "paddlevl-doctor/reading/1", "pages": []}'


@pytest.mark.parametrize(
    "there",
    [
        {},
        {"a_png": "", "a_txt": "", "b_md": "", "a_pages__notes_txt": ""},
        {"a_md": "", "a_json": "", "a_tables_xlsx": "", "a_pages__0001__page_jpg": ""},
        {"a_md": "", "a_layout_pdf": "", "a_json": OURS},
    ],
    ids=["nothing", "others", "pages", "without pages"],
)
def test_a_run_may_replace_what_an_earlier_one_wrote(there: dict[str, str], tmp_path: Path) -> None:
    files(tmp_path / "out", **there)

    assert refused(tmp_path / "out") == ""


@pytest.mark.parametrize(
    "there",
    [
        {"a_md": "# Mine"},
        {"a_md": "# Mine", "a_pages": "a document of another program"},
        {"a_json": '{"label": 3}'},
        {"a_json": "[1]"},
        {"a_order_pdf": ""},
        {"a_tables_xlsx": "", "a_pages__cover_png": ""},
    ],
    ids=str,
)
def test_a_file_of_the_user_is_not_replaced(there: dict[str, str], tmp_path: Path) -> None:
    files(tmp_path / "out", **there)
    name = next(iter(there)).replace("_", ".")

    assert refused(tmp_path / "out") == (
        f"The results would replace {tmp_path}/out/{name}, which was not written by `parse`. Move it, "
        "or choose another folder with --output."
    )


def test_what_the_run_itself_reads_is_not_replaced_whoever_wrote_it(tmp_path: Path) -> None:
    files(tmp_path / "out", a_md="", a_json=OURS, a_pages__0001__page_json="")
    (tmp_path / "texts").symlink_to(tmp_path / "out")

    assert refused(tmp_path / "out", tmp_path / "texts" / "a.md") == (
        f"The results would replace {tmp_path}/out/a.md, which is an input of this run. Choose "
        "another folder with --output."
    )
