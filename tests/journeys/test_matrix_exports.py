"""`matrix --export` writes what a described machine needs, and says where."""

from __future__ import annotations

from pathlib import Path

import pytest

from doctor import doctor
from paddlevl_doctor import __version__


@pytest.mark.parametrize(
    ("kind", "files"),
    [
        ("requirements", ["requirements.txt"]),
        ("dockerfile", ["Dockerfile", "requirements.txt"]),
        ("notebook", ["paddleocr-vl.ipynb", f"paddlevl_doctor-{__version__}-py3-none-any.whl"]),
    ],
)
def test_the_files_for_a_described_machine_are_written_and_named(
    kind: str, files: list[str], tmp_path: Path
) -> None:
    words = ("matrix", "--for", "kaggle", "--gpu", "T4", "--export", kind, "out", "--format", "json")
    answer = doctor(*words, cwd=tmp_path)

    assert answer.code == 0, answer.stderr
    assert sorted(Path(path).name for path in answer.document["files"]) == sorted(files)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(files)
    texts = (path for path in (tmp_path / "out").iterdir() if path.suffix != ".whl")
    words_of = "".join(path.read_text("utf-8") for path in texts)
    assert ("paddlevl-doctor" if kind == "notebook" else "paddlepaddle-gpu") in words_of


def test_a_machine_that_nothing_fits_gets_no_files(tmp_path: Path) -> None:
    answer = doctor(
        "matrix", "--for", "linux", "--python", "3.8", "--export", "requirements", "out", cwd=tmp_path
    )

    assert answer.code == 1
    assert not (tmp_path / "out").exists()


def test_a_kind_that_is_none_is_refused(tmp_path: Path) -> None:
    answer = doctor("matrix", "--export", "floppy", "out", cwd=tmp_path)

    assert (answer.code, answer.stdout) == (2, "")
    assert "floppy" in answer.stderr
    assert "wheelhouse" in answer.stderr
