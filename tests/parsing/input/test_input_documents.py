"""Files and folders become a list of documents, each with a name of its own for its results."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from paddlevl_doctor.parsing.input.documents import check_input, find_documents
from paddlevl_doctor.parsing.run.page_store import PageRead, PageStore
from paddlevl_doctor.values.errors import UsageError
from paddlevl_doctor.values.pages import Page
from samples import ordinary_user


def files(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def named(folder: Path, *words: str, output: str = "output") -> list[tuple[str, str]]:
    found = find_documents([folder / word for word in words], folder / output)
    return [(str(item.path.relative_to(folder)), item.name) for item in found]


def test_a_folder_is_its_documents_in_order_without_hidden_files_and_without_the_results(
    tmp_path: Path,
) -> None:
    files(tmp_path, "in/b.pdf", "in/a.PNG", "in/notes.txt", "in/.hidden.png", "in/sub/c.tif", "in/.git/d.png")
    files(tmp_path, "in/output/a.pages/0001/layout.png")

    assert named(tmp_path, "in", output="in/output") == [
        ("in/a.PNG", "a"),
        ("in/b.pdf", "b"),
        ("in/sub/c.tif", "sub/c"),
    ]


def test_documents_of_one_name_keep_their_results_apart_whatever_the_case(tmp_path: Path) -> None:
    files(tmp_path, "x/page.png", "x/page.pdf", "x/PAGE.jpg", "y/page.png")

    assert named(tmp_path, "y/page.png", "x") == [
        ("y/page.png", "page"),
        ("x/PAGE.jpg", "PAGE.jpg"),
        ("x/page.pdf", "page.pdf"),
        ("x/page.png", "page.png"),
    ]


def test_what_is_left_of_a_page_that_was_never_read_is_no_document(tmp_path: Path) -> None:
    files(tmp_path, "in/a.png", "in/old/bad.pages/0001/page.jpg", "in/old/bad.layout.pdf")
    files(tmp_path, "in/old/bad.pages/0002.lying/imgs/1.jpg", "in/my.pages/cover.png")

    assert named(tmp_path, "in") == [("in/a.png", "a"), ("in/my.pages/cover.png", "my.pages/cover")]


def read_before(folder: Path, name: str, document: str) -> None:
    store = PageStore(folder / f"{name}.pages", "key", document)
    store.save(PageRead(Page(1, 1, 1, (), 0)))


def test_a_document_keeps_the_name_of_its_results_whatever_comes_beside_it_or_goes(tmp_path: Path) -> None:
    files(tmp_path, "in/a.jpg", "in/a.png", "in/b.png", "in/c.jpg", "in/c.png")
    read_before(tmp_path / "output", "a", "a.png")
    read_before(tmp_path / "output", "b", "b.jpg")
    read_before(tmp_path / "output", "b.png", "b.png")
    (tmp_path / "output/c.pages/0001").mkdir(parents=True)
    (tmp_path / "output/c.pages/0001/page.json").write_text("[]")

    assert named(tmp_path, "in") == [
        ("in/a.jpg", "a.jpg"),
        ("in/a.png", "a"),
        ("in/b.png", "b.png"),
        ("in/c.jpg", "c"),
        ("in/c.png", "c.png"),
    ]


def test_a_document_named_twice_is_read_once(tmp_path: Path) -> None:
    files(tmp_path, "in/a.png", "in/b.png")

    assert named(tmp_path, "in/b.png", "in", "in/b.png") == [("in/b.png", "b"), ("in/a.png", "a")]


def test_a_file_without_a_known_suffix_is_taken_where_it_is_named(tmp_path: Path) -> None:
    files(tmp_path, "scan")

    assert named(tmp_path, "scan") == [("scan", "scan")]


def test_a_name_too_long_for_its_suffixes_is_shortened_and_stays_unique(tmp_path: Path) -> None:
    long = ["页" * 83 + f"{n}.png" for n in (1, 2)]
    files(tmp_path, *long)
    names = [name for _, name in named(tmp_path, *long)]

    assert len(set(names)) == 2
    assert all(len(os.fsencode(name)) <= 210 for name in names)


def test_a_folder_without_documents_is_refused(tmp_path: Path) -> None:
    files(tmp_path, "in/notes.txt")

    with pytest.raises(UsageError, match="There is no image and no PDF in"):
        named(tmp_path, "in")


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    files(tmp_path, "in/a.png")
    (tmp_path / "in/loop").symlink_to(tmp_path / "in")

    assert named(tmp_path, "in") == [("in/a.png", "a")]


def test_a_folder_that_nobody_may_look_into_is_reported_like_a_document_that_cannot_be_opened(
    tmp_path: Path,
) -> None:
    files(tmp_path, "in/a.png", "in/closed/b.png")
    for folder in (tmp_path, *tmp_path.parents):  # pytest's own folders are for their owner alone
        if "pytest" in str(folder):
            folder.chmod(0o755)
    (tmp_path / "in/closed").chmod(0)
    with ordinary_user():
        found = named(tmp_path, "in")
        with pytest.raises(UsageError) as caught:
            check_input(tmp_path / "in/closed")
    (tmp_path / "in/closed").chmod(0o755)

    assert found == [("in/a.png", "a"), ("in/closed", "closed")]
    assert str(caught.value.message) == (
        f"{tmp_path}/in/closed cannot be opened: Permission denied. Check its permissions."
    )
