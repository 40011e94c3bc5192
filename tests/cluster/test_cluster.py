"""`parse --ray` before anything runs on a node: what is read, where it goes, what is asked of Ray, and who is met."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from ray._private.utils import check_version_info

from doctor import doctor
from fake_servers import listening
from paddlevl_doctor.cluster import connect
from paddlevl_doctor.cluster.ledger import Ledger
from paddlevl_doctor.cluster.node import DocumentTask, LimitedSystem
from paddlevl_doctor.cluster.parse import Share, jobs_of
from paddlevl_doctor.cluster.storage import RemotePath
from paddlevl_doctor.commands.diagnose import TargetOptions
from paddlevl_doctor.messages import render
from paddlevl_doctor.parsing.run.report import ParseRequest
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.errors import DoctorError, UsageError


def files(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def jobs(
    folder: Path, *words: str, ledger: Ledger | None = None, expect: str | None = None, **asked: object
) -> list[DocumentTask]:
    output = RemotePath(str(folder / "out"))
    request = ParseRequest(tuple(str(folder / word) for word in words), Path("out"), **asked)  # type: ignore[arg-type]
    return jobs_of(request, output, expect, ledger or Ledger.new(output))


def results(folder: Path, *words: str, ledger: Ledger | None = None) -> dict[str, str]:
    found = jobs(folder, *words, ledger=ledger)
    return {job.called.removeprefix(f"{folder.as_uri()}/"): job.results for job in found}


def test_results_keep_the_folders_of_their_documents_and_no_two_share_one(tmp_path: Path) -> None:
    files(tmp_path, "rin/a/1.png", "rin/b/1.png", "rin/b/1.PNG", "other/1.png", "other/a/1.png")

    assert results(tmp_path, "rin", "other/1.png", "other") == {
        "rin/a/1.png": "a/1.png",
        "rin/b/1.PNG": "b/1.PNG",
        "rin/b/1.png": "b/1.png-2",
        "other/1.png": "1.png",
        "other/a/1.png": "a/1.png-2",
    }


def test_a_document_that_was_read_before_keeps_its_folder_and_a_new_one_gets_another(tmp_path: Path) -> None:
    files(tmp_path, "a/1.png", "b/1.png")
    ledger = Ledger.new(RemotePath(str(tmp_path / "out")))
    (first,) = jobs(tmp_path, "a")
    ledger.documents[first.called] = first.started("reader")

    assert results(tmp_path, "b", "a", ledger=ledger) == {"b/1.png": "1.png-2", "a/1.png": "1.png"}


def test_results_that_go_among_the_documents_take_no_documents_place(tmp_path: Path) -> None:
    files(tmp_path, "out/1.png")

    assert results(tmp_path, "out") == {"out/1.png": "1.png-2"}


def test_what_reads_and_judges_is_in_the_key(tmp_path: Path) -> None:
    files(tmp_path, "in/1.png", "truths/1.md", "one.md")
    usual: dict[str, object] = {}
    ways: list[dict[str, object]] = [
        {"pipeline": "OCR"},
        {"witness": "none"},
        {"server_model": "other"},
        {"expect": str(tmp_path / "truths")},
        {"expect": str(tmp_path / "one.md")},
        {"expect": str(tmp_path / "one.md"), "threshold": 0.5},
    ]
    keys = [jobs(tmp_path, "in", **way)[0].key for way in (usual, *ways)]  # type: ignore[arg-type]
    (tmp_path / "truths" / "1.md").write_text("something else")
    changed = jobs(tmp_path, "in", expect=str(tmp_path / "truths"))[0].key

    assert len({*keys, changed}) == len(ways) + 2
    assert jobs(tmp_path, "in", engine="native", require="native", device="cpu")[0].key == keys[0]


def test_known_texts_are_found_in_the_folder_that_mirrors_the_documents_as_on_one_machine(
    tmp_path: Path,
) -> None:
    documents = ("in/1.png", "in/2.png", "in/a/1.png", "in/a/2.png", "in/a/b/3.png")
    files(tmp_path, *documents, "truths/1.md", "truths/1.png.md", "truths/2.txt", "truths/a/2.png.md")
    files(tmp_path, "truths/3.md", "truths/a/b/4.md")
    truths = tmp_path / "truths"
    found = jobs(tmp_path, "in", expect=str(truths), threshold=0.9)

    assert {job.results: (job.expected and job.expected.shown, job.missing) for job in found} == {
        "1.png": (str(truths / "1.png.md"), ""),
        "2.png": (str(truths / "2.txt"), ""),
        "a/1.png": (None, str(truths / "a/1.md")),
        "a/2.png": (str(truths / "a/2.png.md"), ""),
        "a/b/3.png": (None, str(truths / "a/b/3.md")),
    }


def test_a_threshold_without_a_known_text_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    files(tmp_path, "in/1.png")

    with pytest.raises(UsageError) as caught:
        jobs(tmp_path, "in", threshold=0.9)
    assert str(caught.value.message).startswith("--threshold needs a ground truth to compare with")


@pytest.mark.parametrize(
    ("words", "expect", "sentence"),
    [
        (("in", "empty"), None, "There is no image and no PDF in {folder}/empty."),
        (("none",), None, "{folder}/none cannot be read: No such file or directory"),
        (("in",), "none.md", "{folder}/none.md cannot be read: No such file or directory"),
        (("in",), "empty.md", "The ground truth {folder}/empty.md contains no text"),
        (("in",), "broken", "The ground truth {folder}/broken/1.png.md contains no text"),
        (
            ("in",),
            "empty",
            "{folder}/empty has no ground truth for any of the documents (1): {folder}/empty",
        ),
        (("two",), "one.md", "--expect names one text, {folder}/one.md, for 2 documents."),
    ],
)
def test_what_cannot_be_read_is_said_before_anything_is(
    words: tuple[str, ...], expect: str | None, sentence: str, tmp_path: Path
) -> None:
    files(tmp_path, "in/1.png", "empty/notes.txt", "two/1.png", "two/2.png", "one.md", "broken/1.md")
    for empty in ("empty.md", "broken/1.png.md"):
        (tmp_path / empty).touch()

    with pytest.raises(UsageError) as caught:
        jobs(tmp_path, *words, expect=str(tmp_path / expect) if expect else None)

    assert str(caught.value.message).startswith(sentence.format(folder=tmp_path))


@pytest.mark.parametrize(
    ("asked", "gpus", "share"),
    [
        ({}, False, Share(1, 0, "auto")),
        ({}, True, Share(1, 1, "auto")),
        ({"engine": "native"}, True, Share(1, 1, "auto")),
        ({"engine": "reader"}, True, Share(1, 0, "auto")),
        ({"engine": "server"}, True, Share(1, 0, "auto")),
        ({"device": "cpu"}, True, Share(1, 0, "cpu")),
        ({"device": "cpu, cpu,cpu"}, False, Share(3, 0, "cpu,cpu,cpu")),
        ({"device": "gpu:5,cuda:7"}, True, Share(1, 2, "gpu:0,gpu:1")),
        ({"device": "gpu:3,cpu,cpu"}, True, Share(2, 1, "gpu:0,cpu,cpu")),
        ({"device": "npu:1"}, False, Share(1, 0, "npu:1")),
    ],
)
def test_a_document_asks_ray_for_what_its_devices_need(
    asked: dict[str, str], gpus: bool, share: Share
) -> None:
    assert Share.of(replace(ParseRequest((), Path("out")), **asked), gpus=gpus) == share  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("share", "fits"), [(Share(2, 1, ""), True), (Share(3, 0, ""), False), (Share(1, 2, ""), False)]
)
def test_a_node_has_room_for_a_document_or_not(share: Share, fits: bool) -> None:
    assert share.fits({"Resources": {"CPU": 2.0, "GPU": 1.0}}) is fits
    assert not share.fits({"Resources": {}})


def test_a_document_uses_no_more_processors_than_it_asked_for() -> None:
    here = RealSystem().cpu_count()

    assert [LimitedSystem(cores).cpu_count() for cores in (1, here, here + 1)] == [1, here, here]


def test_a_target_is_named_so_that_a_node_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def given(**named: str) -> TargetOptions:
        return connect.on_every_node(TargetOptions(**named))

    assert given(venv="env") == TargetOptions(venv=str(tmp_path / "env"))
    assert given(python="env/bin/python") == TargetOptions(python=str(tmp_path / "env/bin/python"))
    assert given(python="python3.11") == TargetOptions(python="python3.11")
    assert given(python="--system") == TargetOptions(python="--system")


@pytest.mark.parametrize("answer", [b"HTTP/1.0 400 Bad Request\r\n\r\n", b""], ids=["web server", "silent"])
def test_who_is_no_cluster_is_known_at_the_door(answer: bytes) -> None:
    with listening(answer) as address, pytest.raises(DoctorError) as caught, connect.joined(address):
        pass

    assert str(caught.value.message) == (
        f"There is no Ray cluster at {address}: the program that listens there is not a Ray cluster. "
        "Give the address of its head node, such as 10.0.0.1:6379."
    )


def test_another_version_of_ray_or_python_is_one_sentence_in_each_language() -> None:
    with pytest.raises(RuntimeError) as caught:
        check_version_info({"ray_version": "2.40.0", "python_version": "3.9.1"}, "10.0.0.2:6379")
    why = connect.not_joined("10.0.0.1:6379", caught.value)
    said = {lang: render(why, lang) for lang in ("zh", "en")}

    assert said["en"].startswith(
        "The cluster at 10.0.0.1:6379 runs Ray 2.40.0 on Python 3.9.1, paddlevl-doctor runs Ray "
    )
    assert said["en"].endswith("run paddlevl-doctor in an environment with the versions of the cluster.")
    assert said["zh"].startswith(
        "10.0.0.1:6379 的集群使用 Ray 2.40.0 和 Python 3.9.1，而 paddlevl-doctor 使用 Ray "
    )


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("--ray", "127.0.0.1:9"), 1, "There is no Ray cluster at 127.0.0.1:9: Connection refused"),
        (("--ray", "cluster"), 1, "There is no Ray cluster at cluster: Invalid address format: cluster"),
        (("--ray", "x", "--compare", "native,reader"), 2, "--compare cannot be used with --ray. "),
        (("--ray", "x", "--fix"), 2, "--fix cannot be used with --ray. "),
        (("--ray", "x", "--engine", "selftest"), 2, "--engine selftest cannot be used with --ray. "),
    ],
)
def test_what_a_cluster_cannot_do_is_one_sentence_and_leaves_earlier_results_alone(
    words: tuple[str, ...], code: int, sentence: str, tmp_path: Path
) -> None:
    files(tmp_path, "in/1.png", "output/documents.jsonl")
    answer = doctor("parse", "in", *words, cwd=tmp_path)

    assert (answer.code, answer.stdout, answer.stderr.startswith(sentence)) == (code, "", True), answer.stderr
    assert (tmp_path / "output" / "documents.jsonl").read_text() == "output/documents.jsonl"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--record", "seen.zip"), "--record and --replay cannot be used with --ray. "),
        (("--replay", "seen.zip"), "--record and --replay cannot be used with --ray. "),
        (("--format", "html"), "This result cannot be written as html. "),
        (("--only", "no-such-check"), "There is no check "),
    ],
)
def test_a_look_that_makes_no_sense_on_a_cluster_is_refused(
    words: tuple[str, ...], sentence: str, tmp_path: Path
) -> None:
    answer = doctor("check", "--ray", "127.0.0.1:9", *words, cwd=tmp_path)

    assert (answer.code, answer.stdout, answer.stderr.startswith(sentence)) == (2, "", True), answer.stderr
