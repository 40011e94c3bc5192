"""Places that several machines share: what the documents in them are, and that nothing written there is lost."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from paddlevl_doctor.cluster.storage import RemotePath
from paddlevl_doctor.values.errors import DoctorError, UsageError


@pytest.fixture
def store() -> Iterator[RemotePath]:
    """An object store: files are written whole, and nothing can be added to one."""
    yield RemotePath("memory://bucket/results/documents.jsonl")
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


def files(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def documents(place: RemotePath, output: str | Path = "/nowhere/out") -> list[tuple[str, str]]:
    return [(found.place.name, found.folder) for found in place.documents(RemotePath(str(output)))]


def test_a_folder_is_its_documents_without_hidden_ones_and_without_results_of_this_run_or_another(
    tmp_path: Path,
) -> None:
    files(tmp_path, "b.png", "a/c.PDF", "notes.txt", ".hidden/x.png", "real.pages/photo.png")
    files(tmp_path, "out/b.png/b.pages/0001/layout.png", "out/b.png/other.png")
    files(tmp_path, "old/b.png/b.pages/0001/page.json", "old/b.png/b.pages/0001/imgs/1.png")
    files(tmp_path, "old/b.png/b.layout.pdf", "old/b.png/b.order.pdf", "old/b.png/c.layout.pdf")

    assert documents(RemotePath(str(tmp_path)), tmp_path / "out") == [
        ("c.PDF", "a"),
        ("b.png", "."),
        ("c.layout.pdf", "old/b.png"),
        ("photo.png", "real.pages"),
    ]


def test_a_folder_whose_results_go_into_itself_or_around_it_still_has_its_documents(tmp_path: Path) -> None:
    files(tmp_path, "in/1.png", "in/a/2.png")
    (tmp_path / "link").symlink_to(tmp_path / "in")

    found = [("1.png", "."), ("2.png", "a")]
    assert documents(RemotePath(str(tmp_path / "in")), tmp_path / "in") == found
    assert documents(RemotePath(str(tmp_path / "in")), tmp_path) == found
    assert documents(RemotePath(str(tmp_path / "link")), tmp_path / "in" / "a") == found[:1]


def test_a_single_file_is_a_document_whatever_it_is_called(tmp_path: Path) -> None:
    files(tmp_path, "scan")

    assert documents(RemotePath(str(tmp_path / "scan"))) == [("scan", "")]


def test_a_document_has_another_version_once_it_was_changed(tmp_path: Path) -> None:
    files(tmp_path, "1.png")
    (before,) = RemotePath(str(tmp_path)).documents(RemotePath("/nowhere"))
    (tmp_path / "1.png").write_text("another")
    (after,) = RemotePath(str(tmp_path)).documents(RemotePath("/nowhere"))

    assert (before.place, before.version == after.version) == (after.place, False)


def test_what_is_in_an_archive_is_named_so_that_another_machine_finds_it(tmp_path: Path) -> None:
    files(tmp_path, "a/1.png", "a/b/2.png")
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        for name in ("a/1.png", "a/b/2.png"):
            archive.write(tmp_path / name, name)

    for word in (f"zip://a::{tmp_path}/in.zip", f"zip://a::file://{tmp_path}/in.zip"):
        found = RemotePath.named(word).documents(RemotePath("/nowhere"))
        found[1].place.fetch(tmp_path / "fetched")
        assert [(one.place.name, one.folder) for one in found] == [("1.png", "."), ("2.png", "b")]
        assert (tmp_path / "fetched").read_text() == "a/b/2.png"


@pytest.mark.parametrize(
    ("url", "name", "inside"),
    [
        ("s3://bucket/in/1.png", "1.png", "s3://bucket/in/1.png/x"),
        ("https://host/in/1.png?sig=a/b", "1.png", "https://host/in/1.png?sig=a/b/x"),
        ("https://host/", "document", "https://host/x"),
        ("zip://::file:///in.zip", "document", "zip://x::file:///in.zip"),
        ("zip://a/1.png::s3://b/in.zip", "1.png", "zip://a/1.png/x::s3://b/in.zip"),
        ("simplecache::s3://bucket/1.png", "1.png", "simplecache::s3://bucket/1.png/x"),
        ("/data/what?.png", "what?.png", "/data/what?.png/x"),
    ],
)
def test_places_are_named_by_their_last_part_and_have_others_in_them(
    url: str, name: str, inside: str
) -> None:
    assert (RemotePath(url).name, RemotePath(url).inside("x").url) == (name, inside)


@pytest.mark.parametrize(
    ("word", "url"),
    [("in", "{cwd}/in"), ("s3://b/in", "s3://b/in"), ("zip://a::in.zip", "zip://a::{cwd}/in.zip")],
)
def test_a_path_becomes_a_whole_one(
    word: str, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert RemotePath.named(word).url == url.format(cwd=tmp_path)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("/nowhere/at/all", "/nowhere/at/all cannot be read: No such file or directory"),
        ("nosuch://x", "nosuch://x is not a location that can be read: Protocol not known: nosuch"),
    ],
)
def test_a_place_that_is_none_is_one_sentence(url: str, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        RemotePath(url).documents(RemotePath("/nowhere"))

    assert str(caught.value.message) == sentence


def test_what_a_file_system_raises_of_its_own_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    class DeniedError(Exception):
        """Like botocore's and gcsfs's, which are no OSError."""

    def denied(*_arguments: object, **_more: object) -> None:
        raise DeniedError("no credentials")

    monkeypatch.setattr(MemoryFileSystem, "isfile", denied)
    with pytest.raises(UsageError, match=r"^memory://bucket cannot be read: no credentials$"):
        RemotePath("memory://bucket").documents(RemotePath("/nowhere"))


def test_what_was_added_in_a_store_that_cannot_append_is_there_with_the_rest_until_it_is_written_whole(
    store: RemotePath,
) -> None:
    fs = fsspec.filesystem("memory")
    store.write("one\n")
    store.append("two\n")
    store.append("three\n")
    added = len(fs.find("/bucket/results"))
    words = store.words()
    store.write(words)

    assert (added, words, store.words()) == (3, "one\ntwo\nthree\n", words)
    assert fs.find("/bucket/results") == ["/bucket/results/documents.jsonl"]


def test_a_file_here_is_replaced_whole_and_added_to(tmp_path: Path) -> None:
    place = RemotePath(str(tmp_path / "deep" / "documents.jsonl"))
    place.write("一\n")
    place.append("two\n")

    assert place.words() == "一\ntwo\n"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["documents.jsonl"]


def test_a_file_that_is_not_there_has_no_words_and_one_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    assert RemotePath(str(tmp_path / "documents.jsonl")).words() == ""
    with pytest.raises(DoctorError, match="cannot be read: Is a directory"):
        RemotePath(str(tmp_path)).words()
