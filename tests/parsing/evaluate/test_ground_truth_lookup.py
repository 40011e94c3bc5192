"""Ground truths are found and read before the documents, and missing ones are reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from paddlevl_doctor.commands.parse import ASSETS
from paddlevl_doctor.parsing.evaluate.ground_truth import GroundTruths, find_ground_truths
from paddlevl_doctor.parsing.input.documents import Input, find_documents
from paddlevl_doctor.values.errors import UsageError


def files(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"This is {name}.")
    return folder


def found(documents: Path, expect: Path | None) -> GroundTruths:
    return find_ground_truths(expect, find_documents([documents], documents / "output"), ASSETS)


def words(known: GroundTruths) -> dict[str, str]:
    return {"/".join(path.parts[-2:]): truth.pages[0].blocks[0].text for path, truth in known.truths.items()}


def test_a_folder_of_ground_truths_mirrors_the_folder_of_documents(tmp_path: Path) -> None:
    documents = files(tmp_path / "in", "top.png", "a/1.png", "b/1.png", "b/page.jpg", "b/page.png")
    texts = files(tmp_path / "truths", "top.txt", "a/1.md", "b/1.md", "b/page.jpg.txt", "b/page.md")

    assert words(found(documents, texts)) == {
        "in/top.png": "This is top.txt.",
        "a/1.png": "This is a/1.md.",
        "b/1.png": "This is b/1.md.",
        "b/page.jpg": "This is b/page.jpg.txt.",
        "b/page.png": "This is b/page.md.",
    }


def test_documents_named_one_by_one_have_their_ground_truths_in_one_folder(tmp_path: Path) -> None:
    documents = files(tmp_path / "in", "a/1.png", "b/2.png")
    texts = files(tmp_path / "truths", "1.md", "2.md")
    named = find_documents([documents / "a/1.png", documents / "b/2.png"], tmp_path / "output")

    assert words(find_ground_truths(texts, named, ASSETS)) == {
        "a/1.png": "This is 1.md.",
        "b/2.png": "This is 2.md.",
    }


def test_the_files_of_the_ground_truths_are_listed(tmp_path: Path) -> None:
    documents = files(tmp_path / "in", "a/1.png", "b/1.png")
    texts = files(tmp_path / "truths", "a/1.md", "a/2.md")

    assert found(documents, texts).files == (texts / "a/1.md",)
    assert found(documents / "a/1.png", texts / "a/2.md").files == (texts / "a/2.md",)
    assert found(documents, None).files == ()


def test_a_document_without_its_expected_ground_truth_is_named(tmp_path: Path) -> None:
    documents = files(tmp_path / "in", "a/1.png", "b/1.png")
    texts = files(tmp_path / "truths", "a/1.md")
    known = found(documents, texts)

    assert str(known.why_missing(documents / "a/1.png")) == ""
    assert str(known.why_missing(documents / "b/1.png")) == (
        f"No ground truth: {texts / 'b/1.md'} (or .json, .txt) does not exist. Add it, or leave the document out."
    )
    assert str(found(documents, None).why_missing(documents / "b/1.png")) == "", (
        "no ground truth was expected"
    )


def test_a_folder_without_any_ground_truth_is_a_usage_error(tmp_path: Path) -> None:
    documents, texts = files(tmp_path / "in", "a/1.png", "a/2.png"), files(tmp_path / "truths", "1.md")

    with pytest.raises(UsageError) as caught:
        found(documents, texts)
    assert str(caught.value.message).startswith(
        f"{texts} has no ground truth for any of the documents (2): {texts / 'a/1.md'} and similar names were tried."
    )


def test_one_ground_truth_for_several_documents_is_a_usage_error(tmp_path: Path) -> None:
    documents, one = files(tmp_path / "in", "1.png", "2.png"), files(tmp_path, "one.md") / "one.md"

    with pytest.raises(UsageError) as caught:
        found(documents, one)
    assert str(caught.value.message).startswith(f"--expect names one text, {one}, for 2 documents.")
    (documents / "2.png").unlink()
    assert words(found(documents, one)) == {"in/1.png": "This is one.md."}


@pytest.mark.parametrize("broken", ["missing", "empty"])
def test_a_missing_or_empty_ground_truth_is_a_usage_error(broken: str, tmp_path: Path) -> None:
    documents = files(tmp_path / "in", "1.png")
    (tmp_path / "empty").write_text(" \n")

    with pytest.raises(UsageError, match=broken):
        found(documents, tmp_path / broken)


def test_the_demo_page_has_its_ground_truth_under_any_name(tmp_path: Path) -> None:
    (tmp_path / "copy.png").write_bytes((ASSETS / "demo.png").read_bytes())
    (tmp_path / "other.png").write_bytes(b"other")
    inputs = [Input(tmp_path / name, name) for name in ("copy.png", "other.png", "none.png")]
    known = find_ground_truths(None, inputs, ASSETS)

    assert {path.name: truth.name for path, truth in known.truths.items()} == {"copy.png": "demo.json"}
