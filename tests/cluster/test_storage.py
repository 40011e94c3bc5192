"""Remote files: which documents a location has, and that written text is not lost."""

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
    """A file in an object store, which cannot append to files."""
    yield RemotePath("memory://bucket/results/documents.jsonl")
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


def files(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def documents(place: RemotePath, output: str | Path = "/nowhere/out") -> list[tuple[str, str]]:
    return [(found.path.name, found.folder) for found in place.documents(RemotePath(str(output)))]


def test_hidden_files_and_results_of_runs_are_no_documents(
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


def test_an_output_that_is_or_contains_the_input_folder_hides_no_documents(tmp_path: Path) -> None:
    files(tmp_path, "in/1.png", "in/a/2.png")
    (tmp_path / "link").symlink_to(tmp_path / "in")

    found = [("1.png", "."), ("2.png", "a")]
    assert documents(RemotePath(str(tmp_path / "in")), tmp_path / "in") == found
    assert documents(RemotePath(str(tmp_path / "in")), tmp_path) == found
    assert documents(RemotePath(str(tmp_path / "link")), tmp_path / "in" / "a") == found[:1]


def test_a_single_file_is_a_document_without_a_suffix(tmp_path: Path) -> None:
    files(tmp_path, "scan")

    assert documents(RemotePath(str(tmp_path / "scan"))) == [("scan", "")]


def test_a_changed_document_has_another_version(tmp_path: Path) -> None:
    files(tmp_path, "1.png")
    (before,) = RemotePath(str(tmp_path)).documents(RemotePath("/nowhere"))
    (tmp_path / "1.png").write_text("another")
    (after,) = RemotePath(str(tmp_path)).documents(RemotePath("/nowhere"))

    assert (before.path, before.version == after.version) == (after.path, False)


def test_files_in_an_archive_have_urls_that_another_machine_can_read(tmp_path: Path) -> None:
    files(tmp_path, "a/1.png", "a/b/2.png")
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        for name in ("a/1.png", "a/b/2.png"):
            archive.write(tmp_path / name, name)

    for url in (f"zip://a::{tmp_path}/in.zip", f"zip://a::file://{tmp_path}/in.zip"):
        found = RemotePath.from_argument(url).documents(RemotePath("/nowhere"))
        found[1].path.download(tmp_path / "fetched")
        assert [(one.path.name, one.folder) for one in found] == [("1.png", "."), ("2.png", "b")]
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
def test_a_url_has_a_name_and_children(url: str, name: str, inside: str) -> None:
    assert (RemotePath(url).name, RemotePath(url).child("x").url) == (name, inside)


@pytest.mark.parametrize(
    ("argument", "url"),
    [("in", "{cwd}/in"), ("s3://b/in", "s3://b/in"), ("zip://a::in.zip", "zip://a::{cwd}/in.zip")],
)
def test_relative_paths_become_absolute(
    argument: str, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert RemotePath.from_argument(argument).url == url.format(cwd=tmp_path)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("/nowhere/at/all", "/nowhere/at/all cannot be read: No such file or directory"),
        ("nosuch://x", "nosuch://x is not a location that can be read: Protocol not known: nosuch"),
    ],
)
def test_a_location_that_does_not_exist_is_a_usage_error(url: str, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        RemotePath(url).documents(RemotePath("/nowhere"))

    assert str(caught.value.message) == sentence


def test_any_exception_of_a_file_system_becomes_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class DeniedError(Exception):
        """Like the exceptions of botocore and gcsfs: not an OSError."""

    def denied(*_arguments: object, **_more: object) -> None:
        raise DeniedError("no credentials")

    monkeypatch.setattr(MemoryFileSystem, "isfile", denied)
    with pytest.raises(UsageError, match=r"^memory://bucket cannot be read: no credentials$"):
        RemotePath("memory://bucket").documents(RemotePath("/nowhere"))


def test_a_store_that_cannot_append_keeps_parts_until_the_file_is_written(
    store: RemotePath,
) -> None:
    fs = fsspec.filesystem("memory")
    store.write_text("one\n")
    store.append_text("two\n")
    store.append_text("three\n")
    added = len(fs.find("/bucket/results"))
    text = store.read_text()
    store.write_text(text)

    assert (added, text, store.read_text()) == (3, "one\ntwo\nthree\n", text)
    assert fs.find("/bucket/results") == ["/bucket/results/documents.jsonl"]


def test_a_local_file_is_replaced_atomically_and_appended_to(tmp_path: Path) -> None:
    place = RemotePath(str(tmp_path / "deep" / "documents.jsonl"))
    place.write_text("一\n")
    place.append_text("two\n")

    assert place.read_text() == "一\ntwo\n"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["documents.jsonl"]


def test_a_missing_file_is_empty_and_an_unreadable_one_is_an_error(tmp_path: Path) -> None:
    assert RemotePath(str(tmp_path / "documents.jsonl")).read_text() == ""
    with pytest.raises(DoctorError, match="cannot be read: Is a directory"):
        RemotePath(str(tmp_path)).read_text()
